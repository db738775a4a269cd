"""The console without a pointer, and for who does not see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.api.access_kit import issue_key
from tests.chromium.browser import quiet_page
from tests.conftest import MASTER_KEY, Gateway
from tests.console.kit import console
from tests.installed import npm_installed

RULES = {
    "light": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    # The same page in other colours.
    "dark": ["color-contrast"],
}
AUDIT = """async (runOnly) => {
  const {violations} = await axe.run(document, {runOnly});
  return violations.map(({id, impact, help, nodes}) => [impact, id, help, nodes.map((node) => node.html).slice(0, 3)]);
}"""


# What nothing refers to is gone at once, as it may be at any time.
COLLECTED = """() => {
  const click = HTMLInputElement.prototype.click;
  HTMLInputElement.prototype.click = function () { click.call(this); setTimeout(() => { gc(); gc(); }); };
}"""


def press_until(page: Page, key: str, label: str) -> None:
    """Press a key until what is named so has the focus."""
    for _ in range(60):
        said = page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.textContent")
        if said == label:
            return
        page.keyboard.press(key)
    raise AssertionError(f"no way to {label}")


def test_the_keyboard_is_enough(gateway: Gateway, browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "typed.txt").write_bytes(b"by keys")
    with quiet_page(browser) as page:
        page.goto(gateway.url)
        page.keyboard.type(issue_key(gateway).key)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="No files yet")).to_be_visible()
        page.evaluate(COLLECTED)
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("u")
        chooser.value.set_files(tmp_path / "typed.txt")
        expect(page.get_by_role("button", name="Upload", exact=True)).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("row").filter(has_text="typed.txt")).to_be_visible()
        press_until(page, "Tab", "Delete typed.txt")
        page.keyboard.press("Enter")
        expect(page.get_by_role("button", name="Keep")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Delete typed.txt")).to_be_focused()
        page.keyboard.press("Enter")
        press_until(page, "Tab", "Delete")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="No files yet")).to_be_visible()
        expect(page.get_by_role("heading", name="Files", exact=True)).to_be_focused()
        page.keyboard.press("g")
        page.keyboard.press("v")
        expect(page.get_by_role("heading", name="Videos", exact=True)).to_be_focused()
        page.keyboard.press("?")
        page.get_by_label("Single keys do something").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("f")
        assert page.url.endswith("#/videos")


def test_a_dialog_that_tells_of_an_error_keeps_the_keyboard(gateway: Gateway, browser: Browser) -> None:
    with console(gateway, browser, MASTER_KEY, "400") as shown:
        page = shown.page
        shown.go("keys")
        page.keyboard.press("n")
        making = page.get_by_role("dialog", name="New key")
        making.get_by_label("Name", exact=True).fill("no name, this")
        create = making.get_by_role("button", name="Create key")
        create.click()
        expect(making.get_by_role("alert")).to_be_visible()
        expect(create).to_be_focused()
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("n")
        page.keyboard.press("g")
        page.keyboard.press("v")
        expect(page.get_by_role("dialog")).to_have_count(1)
        assert page.url.endswith("#/keys")


@pytest.mark.parametrize("scheme", ["light", pytest.param("dark", marks=pytest.mark.soak)])
def test_nobody_meets_a_barrier(gateway: Gateway, browser: Browser, scheme: str) -> None:
    axe = (npm_installed(Path(__file__).parent) / "node_modules" / "axe-core" / "axe.min.js").read_text()
    found: list[Any] = []

    def audit(page: Page, where: str) -> None:
        # What fades in is pale for a moment.
        page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})))")
        found.extend([where, *violation] for violation in page.evaluate(AUDIT, RULES[scheme]))

    with gateway.http() as http:
        http.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("seen.txt", b"by everybody")})
        video = http.post("/v1/videos", json={"prompt": "[mediagate:refuse-input]", "size": "320x180", "seconds": "1"})
        stored = http.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("seen.txt", b"by everybody")})
    options = {"color_scheme": scheme, "reduced_motion": "reduce"}
    with quiet_page(browser, **options) as page:
        page.goto(gateway.url)
        page.evaluate(axe)
        audit(page, "sign-in")
    with console(gateway, browser, MASTER_KEY, "404", **options) as shown:
        page = shown.page
        page.evaluate(axe)
        for path, ready in (
            ("files", page.get_by_role("table")),
            (f"files/{stored.json()['id']}", page.get_by_role("dialog").get_by_role("table")),
            ("files/file-none", page.get_by_role("dialog").get_by_role("alert")),
            ("videos", page.locator(".card").first),
            (f"videos/{video.json()['id']}", page.get_by_role("dialog").locator(".facts > div").first),
            ("keys", page.locator(".empty, .table")),
            ("spend", page.locator("[role=tabpanel] > .empty, .chart")),
            ("providers", page.get_by_role("table").first),
        ):
            shown.go(path)
            expect(ready.first).to_be_visible()
            audit(page, path)
        for path, button in (("keys", "New key"), ("videos", "Keyboard shortcuts")):
            shown.go(path)
            page.get_by_role("button", name=button).first.click()
            expect(page.get_by_role("dialog")).to_be_visible()
            audit(page, button)
            page.keyboard.press("Escape")
        page.set_viewport_size({"width": 375, "height": 700})
        for path in ("files", "videos", "spend"):
            shown.go(path)
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            assert page.evaluate("document.documentElement.scrollWidth") <= 375, path
        audit(page, "phone")
    assert not found, "\n".join(map(str, found))
