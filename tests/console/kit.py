"""What tests of the console share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.chromium.browser import quiet_page
from tests.conftest import Gateway

HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"
"""What becomes an element, and then a script, wherever text is taken for HTML."""

STORED = """async () => ({
  local: {...localStorage}, session: {...sessionStorage}, cookies: document.cookie,
  databases: await indexedDB.databases(), caches: await caches.keys(), state: history.state, name: window.name,
})"""
NOTHING = {"local": {}, "session": {}, "cookies": "", "databases": [], "caches": [], "state": None, "name": ""}


@dataclass
class Console:
    """A browser that is signed in, and all that it asked for."""

    gateway: Gateway
    page: Page
    key: str
    requests: list[Request] = field(default_factory=list)

    def go(self, path: str) -> None:
        """Open a page of the console, as a link would."""
        self.page.evaluate("path => { location.hash = `#/${path}`; }", path)

    def paths(self, method: str = "GET") -> list[str]:
        """What was asked for by one method, without the host."""
        return [one.url.removeprefix(self.gateway.url) for one in self.requests if one.method == method]

    def assert_key_is_in_memory_alone(self) -> None:
        """In no URL, no body, no storage, no cookie, and not in the page."""
        assert self.page.evaluate(STORED) == NOTHING
        assert self.key not in self.page.url
        assert self.key not in self.page.content()
        for request in self.requests:
            assert self.key not in request.url
            assert self.key not in (request.headers.get("referer") or "")


@contextmanager
def console(
    gateway: Gateway, browser: Browser, key: str, *expected: str, port: int | None = None, **options: Any
) -> Iterator[Console]:
    """Sign in with a key, in a context of its own; errors in its console fail the test, but for the `expected` ones.
    `port` is another one by which the gateway is reached."""
    with quiet_page(browser, *expected, **options) as page:
        shown = Console(gateway, page, key)
        page.on("request", lambda request: shown.requests.append(request))
        page.goto(f"http://127.0.0.1:{port or gateway.port}/console")
        enter(page, key)
        expect(page.locator("#content h1")).to_be_visible()
        yield shown


@contextmanager
def late_answer(page: Page, path: str, opened: Callable[[], None]) -> Iterator[None]:
    """`opened` makes the page ask for `path`; the answer, as it is at that moment, comes behind the block alone."""
    held = []

    def hold(route: Route) -> None:
        held.append((route, route.fetch()))

    page.route(path, hold, times=1)
    opened()
    end = time.monotonic() + 60
    while not held:
        assert time.monotonic() < end, f"the page never asked for {path}"
        page.wait_for_timeout(10)
    yield
    ((route, answer),) = held
    with page.expect_response(path):
        route.fulfill(response=answer)


def enter(page: Page, key: str) -> None:
    """Enter a key and press the button."""
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Sign in").click()


def confirm(page: Page, verb: str) -> None:
    """Agree to what the open dialog asks."""
    dialog = page.locator("dialog[open]").last
    expect(dialog).to_contain_text("cannot be undone")
    dialog.get_by_role("button", name=verb, exact=True).click()
