"""Tokens for browsers where two processes serve."""

from __future__ import annotations

import httpx

from tests.api.token_kit import bearer, claims, make, race
from tests.api.wire import connected, eventually
from tests.conftest import Gateway


def test_one_of_many_browsers_stores_a_file(pair: Gateway) -> None:
    with pair.http() as owner, httpx.Client(base_url=pair.url, timeout=60) as browser:
        for _ in range(5):
            made = make(owner, "upload")
            assert made["url"].startswith("https://a.example/v1/files?token=mgt_")
            race(owner, browser, {**made, "url": made["url"].removeprefix("https://a.example")})


def test_a_revoked_token_is_refused_by_both(pair: Gateway) -> None:
    with pair.http() as owner:
        made = make(owner, "end_user", user="judy")

        def answers() -> set[int]:
            url, headers = f"{pair.url}/v1/files", bearer(made["token"])
            return {httpx.get(url, headers=headers, timeout=60).status_code for _ in range(12)}

        assert answers() == {200}
        owner.delete(f"/v1/tokens/{made['id']}")
        eventually(lambda: answers() == {401}, "both refuse it")
        assert answers() == {401}


def test_a_server_that_is_killed_in_the_middle_gives_the_token_back(pair: Gateway) -> None:
    with pair.http() as owner:
        made = make(owner, "upload")
        path = made["url"].removeprefix("https://a.example")
        with connected(pair) as connection:
            head = f"PUT {path} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\n"
            connection.sendall(head.encode() + b"x" * 300_000)
            eventually(lambda: claims(pair, made["id"]) == [(True,)], "the upload has begun")
            for name in ("api-0", "api-1"):
                pair.kill(name)
        pair.wait_ready()

        def stored() -> bool:
            try:
                return httpx.put(f"{pair.url}{path}", content=b"again", timeout=60).status_code == 200
            except httpx.TransportError:
                return False

        eventually(stored, "the lease runs out", timeout_s=60)
        file_id = owner.get(f"/v1/tokens/{made['id']}").json()["file_id"]
        assert owner.get(f"/v1/files/{file_id}/content").content == b"again"
