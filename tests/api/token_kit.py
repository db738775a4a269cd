"""Tokens for browsers, made and used in tests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.api.wire import sql
from tests.conftest import Gateway


def make(owner: httpx.Client, kind: str, path: str = "/v1/tokens", **wish: Any) -> dict[str, Any]:
    answer = owner.post(path, json={"kind": kind, **wish})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    assert answer.headers["cache-control"] == "no-store"
    return made


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def claims(gateway: Gateway, token_id: str) -> list[tuple[Any, ...]]:
    return sql(gateway, "SELECT claim IS NOT NULL FROM access_token WHERE id = %s", token_id)


def race(owner: httpx.Client, browser: httpx.Client, made: dict[str, Any]) -> None:
    """Many upload with one token at the same time."""

    def put(data: bytes) -> httpx.Response:
        # A connection of its own, which the edge may give to either process.
        return httpx.put(f"{str(browser.base_url).rstrip('/')}{made['url']}", content=data, timeout=120)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(put, [b"a", b"b"] * 4))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1, statuses
    assert set(statuses) <= {200, 403, 409}
    (winner,) = (answer.json()["id"] for answer in answers if answer.status_code == 200)
    assert owner.get(f"/v1/tokens/{made['id']}").json()["file_id"] == winner
