"""A playback token over content that lies at a provider: seeks, dead links, revocation; the provider sees no token."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.api.access_kit import Issued, issue_key
from tests.api.wire import assert_failure, eventually
from tests.clouds.studio import VIDEO, Studio

FAR = len(VIDEO) - 2_000


@pytest.fixture(scope="module")
def studio(studios: Callable[[str], Studio]) -> Studio:
    return studios("none")


@pytest.fixture(scope="module")
def key(studio: Studio) -> Issued:
    return issue_key(studio.gateway)


@pytest.fixture
def owner(studio: Studio, key: Issued) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=studio.gateway.url, headers=key.headers, timeout=60, verify=False) as http:
        yield http


@pytest.fixture
def browser(studio: Studio) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=studio.gateway.url, timeout=60, verify=False) as http:
        yield http


def seek(browser: httpx.Client, url: str, start: int) -> httpx.Response:
    return browser.get(url, headers={"range": f"bytes={start}-{start + 999}", "referer": "https://app.example/page"})


def test_it_plays_across_seeks_and_dead_links_until_it_is_revoked(
    studio: Studio, owner: httpx.Client, browser: httpx.Client
) -> None:
    done, _ = studio.make(owner)
    made = owner.post(f"/v1/videos/{done['id']}/tokens", json={"kind": "playback"}).json()
    fetched, asked = studio.fetched(), len(studio.host.asked)
    for start in (0, FAR, 1_000, FAR // 2):
        part = seek(browser, made["url"], start)
        assert (part.status_code, part.content) == (206, VIDEO[start : start + 1000])
        assert part.headers["referrer-policy"] == "no-referrer"
        assert part.headers["cache-control"].startswith("private")
        assert str(studio.host.port) not in str(part.headers)
        assert "location" not in part.headers
        if start == FAR:
            studio.api.outputs.expire()
    assert studio.fetched() == fetched + 4
    assert browser.head(made["url"]).headers["content-length"] == str(len(VIDEO))
    for request in studio.host.asked[asked:]:
        assert "mgt_" not in request.raw_path
        assert "mgt_" not in str(request.headers)
        assert "referer" not in request.headers
    owner.delete(f"/v1/tokens/{made['id']}")
    eventually(lambda: seek(browser, made["url"], 0).status_code == 401, "the next seek is refused", timeout_s=10)
    assert_failure(seek(browser, made["url"], 0), 401, code="token_revoked", kind="authentication_error")
    assert seek(owner, f"/v1/videos/{done['id']}/content", 0).status_code == 206


def test_the_edge_refuses_what_the_method_would(studio: Studio, owner: httpx.Client, browser: httpx.Client) -> None:
    mine, other = studio.make(owner)[0]["id"], studio.make(owner)[0]["id"]
    play = owner.post("/v1/tokens", json={"kind": "playback", "video_id": mine}).json()["token"]
    watch = owner.post("/v1/tokens", json={"kind": "watch", "video_id": mine}).json()["token"]
    path = f"/v1/videos/{mine}/content"
    foreign = browser.get(f"/v1/videos/{other}/content", params={"token": play})
    unknown = browser.get("/v1/videos/video_01jd0000000000000000000000/content", params={"token": play})
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.text.replace(other, "ID") == unknown.text.replace("video_01jd0000000000000000000000", "ID")
    assert_failure(browser.get(path, params={"token": watch}), 403, code="token_kind", kind="permission_error")
    key = str(owner.headers["authorization"]).removeprefix("Bearer ")
    assert_failure(browser.get(path, params={"token": key}), 401, code="invalid_token", kind="authentication_error")
    both = browser.get(path, params={"token": play}, headers={"authorization": f"Bearer {play}"})
    assert_failure(both, 400, code="two_credentials")
    plays = browser.get(path, headers={"authorization": f"Bearer {play}"})
    assert plays.content == VIDEO


def test_an_end_user_downloads_his_own_alone(studio: Studio, owner: httpx.Client) -> None:
    owner.headers["x-mediagate-user"] = "ada"
    video = studio.make(owner)[0]["id"]
    path = f"/v1/videos/{video}/content"
    fetched = studio.fetched()
    assert owner.get(path).content == VIDEO
    assert studio.fetched() == fetched + 1
    owner.headers["x-mediagate-user"] = "bob"
    assert owner.get(path).status_code == 404
    # The edge asks once more where the link is dead, and still knows for whom.
    owner.headers["x-mediagate-user"] = "ada"
    studio.api.outputs.expire()
    assert owner.get(path).content == VIDEO
