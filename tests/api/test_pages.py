"""What a browser opens, through the real Envoy: the pages, their headers, and nothing beside them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page

from mediagate.pages.folder import ROOT
from tests.conftest import Gateway


@pytest.fixture
def nobody(gateway: Gateway) -> Iterator[httpx.Client]:
    """A caller without a key."""
    with httpx.Client(base_url=gateway.url) as caller:
        yield caller


def test_a_page_needs_no_key_and_says_what_it_may_do(nobody: httpx.Client) -> None:
    page = nobody.get("/console")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cache-control"] == "no-cache"
    assert page.content == (ROOT / "console" / "index.html").read_bytes()


def test_a_browser_has_each_form_of_a_page_once(nobody: httpx.Client) -> None:
    plain = nobody.get("/console", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    with nobody.stream("GET", "/console", headers={"accept-encoding": "gzip;q=0.5, br"}) as zipped:
        assert zipped.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(zipped.iter_raw())) == plain.content
    assert zipped.headers["etag"] != plain.headers["etag"]
    assert zipped.headers["vary"] == "accept-encoding"
    for known, accepted in ((plain, "identity"), (zipped, "gzip")):
        again = nobody.get(
            "/console", headers={"accept-encoding": accepted, "if-none-match": f'"other", W/{known.headers["etag"]}'}
        )
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == known.headers["etag"]


@pytest.mark.parametrize("path", ["/console", "/console/main.js", "/docs", "/openapi.json"])
@pytest.mark.parametrize("http2", [False, True])
def test_head_tells_what_get_would_bring(gateway: Gateway, path: str, http2: bool) -> None:
    with httpx.Client(base_url=gateway.url, http1=not http2, http2=http2) as caller:
        for headers in ({"accept-encoding": "gzip"}, {"accept-encoding": "identity"}):
            head, page = caller.head(path, headers=headers), caller.get(path, headers=headers)
            assert (head.status_code, head.content) == (200, b"")
            for name in ("content-type", "content-length", "content-encoding", "etag", "cache-control"):
                assert head.headers.get(name) == page.headers.get(name), name
        missing = caller.head("/console/none.js")
        assert (missing.status_code, missing.content) == (404, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/console/none.js",
        "/console/../pages/folder.py",
        "/console/%2e%2e/folder.py",
        "/docs/none",
        f"/docs/{'x' * 250}",
    ],
)
def test_nothing_else_is_there(nobody: httpx.Client, path: str) -> None:
    answer = nobody.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/", "/console/"])
def test_a_browser_without_a_path_is_led_to_the_console(nobody: httpx.Client, path: str) -> None:
    answer = nobody.get(path)
    assert answer.status_code == 302
    assert httpx.URL(answer.headers["location"]).path == "/console"


def test_the_console_opens_in_a_browser(gateway: Gateway, page: Page) -> None:
    page.goto(gateway.url)
    assert page.url == f"{gateway.url}/console"
    assert "mediagate" in page.title()
