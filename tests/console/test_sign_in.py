"""Who gets into the console, and what each of them sees."""

from __future__ import annotations

import secrets

from playwright.sync_api import Browser, Route, expect

from tests.api.access_kit import issue_key
from tests.chromium.browser import quiet_page
from tests.conftest import MASTER_KEY, Gateway
from tests.console.kit import NOTHING, STORED, console, enter

# The URLs of what the page holds in memory.
BLOBS = """() => {
  window.blobs = new Set();
  const [make, revoke] = [URL.createObjectURL, URL.revokeObjectURL];
  URL.createObjectURL = (blob) => { const url = make.call(URL, blob); blobs.add(url); return url; };
  URL.revokeObjectURL = (url) => { blobs.delete(url); revoke.call(URL, url); };
}"""


def test_a_wrong_key_is_told_so_and_kept_nowhere(gateway: Gateway, browser: Browser) -> None:
    with quiet_page(browser, "401") as page:
        page.goto(gateway.url)
        field, trouble = page.get_by_label("Key", exact=True), page.get_by_role("alert")
        for wrong, words in (
            ("", "Enter a key."),
            ("sk-käse", "no key has"),
            ("sk-wrong", "Incorrect API key provided."),
            ("mgt_" + "x" * 43, "invalid_token"),
        ):
            enter(page, wrong)
            expect(trouble).to_contain_text(words)
            expect(field).to_be_focused()
        expect(trouble).to_contain_text("equest ")
        assert page.url == f"{gateway.url}/console"
        assert page.evaluate(STORED) == NOTHING
        expect(page.locator("#app")).to_be_hidden()


def test_a_reload_keeps_the_place_and_asks_for_the_key(gateway: Gateway, browser: Browser) -> None:
    with console(gateway, browser, issue_key(gateway).key) as shown:
        page = shown.page
        shown.go("videos")
        expect(page.get_by_role("heading", name="Videos", exact=True)).to_be_focused()
        page.reload()
        expect(page.get_by_label("Key", exact=True)).to_have_value("")
        assert page.url.endswith("/console#/videos")
        enter(page, shown.key)
        expect(page.get_by_role("heading", name="Videos", exact=True)).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Key", exact=True)).to_be_focused()
        assert page.locator("#app").inner_text() == ""
        shown.assert_key_is_in_memory_alone()


def test_a_key_that_is_not_taken_any_more_ends_the_session(gateway: Gateway, browser: Browser) -> None:
    key = issue_key(gateway)
    with console(gateway, browser, key.key, "401") as shown, gateway.http() as http:
        expect(shown.page.get_by_role("heading", name="No files yet")).to_be_visible()
        http.post("/key/delete", json={"keys": [key.id]})
        shown.page.get_by_role("button", name="Refresh").click()
        expect(shown.page.get_by_role("alert")).to_contain_text("Incorrect API key provided.")
        expect(shown.page.locator("#app")).to_be_hidden()


def test_everybody_sees_what_is_theirs(gateway: Gateway, browser: Browser) -> None:
    with gateway.http() as http:
        # Whose files nobody else has made here.
        ada = f"ada-{secrets.token_hex(4)}"
        token = http.post("/v1/tokens", json={"kind": "end_user", "user": ada}).json()["token"]
        http.post(
            "/v1/files",
            data={"purpose": "user_data", "user": ada},
            files={"file": ("adas.txt", b"of Ada")},
        )
        http.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("masters.txt", b"of nobody")})
    everything = ["Files", "Videos", "Keys", "Spend", "Providers"]
    for key, pages, who in (
        (MASTER_KEY, everything, "Master key"),
        (issue_key(gateway, is_admin=True).key, everything, "Admin"),
        (issue_key(gateway).key, ["Files", "Videos", "Spend", "Providers"], "Key"),
        (token, ["Files", "Videos"], "End user"),
    ):
        with console(gateway, browser, key) as shown:
            page = shown.page
            assert page.get_by_role("navigation").get_by_role("link").all_inner_texts() == pages
            expect(page.locator(".who")).to_contain_text(who)
            for name in {"Keys", "Spend", "Providers"} - set(pages):
                shown.go(name.lower())
                expect(page.get_by_role("heading", name="Not with this key")).to_be_visible()
            if key == token:
                shown.go("files")
                expect(page.get_by_role("button", name="adas.txt", exact=True)).to_be_visible()
                expect(page.get_by_text("1 file shown.")).to_be_visible()
                with page.expect_download() as saved:
                    page.get_by_role("button", name="Download adas.txt").click()
                assert saved.value.path().read_bytes() == b"of Ada"
            shown.assert_key_is_in_memory_alone()


def test_whoever_signs_in_with_a_token_leaves_nothing_in_memory(gateway: Gateway, browser: Browser) -> None:
    with gateway.http() as http:
        ada = f"ada-{secrets.token_hex(4)}"
        token = http.post("/v1/tokens", json={"kind": "end_user", "user": ada}).json()["token"]
        http.post("/v1/files", data={"purpose": "user_data", "user": ada}, files={"file": ("adas.txt", b"of Ada")})
    with console(gateway, browser, token) as shown:
        page = shown.page
        page.evaluate(BLOBS)
        with page.expect_download() as saved:
            page.get_by_role("button", name="Download adas.txt").click()
        assert saved.value.path().read_bytes() == b"of Ada"
        assert page.evaluate("blobs.size") == 1
        page.get_by_role("button", name="Sign out").click()
        assert page.evaluate("blobs.size") == 0


def test_nothing_is_asked_for_behind_the_end_of_a_session(gateway: Gateway, browser: Browser) -> None:
    video = {"object": "video", "status": "completed", "model": "m", "seconds": "1", "size": "320x180", "progress": 100}
    more = {"created_at": 1_700_000_000, "prompt": "", "mediagate": {"phase": "ready", "seq": 9}}
    videos = {"data": [{"id": f"video_{number}", **video, **more} for number in range(8)], "has_more": False}
    pictures: list[Route] = []
    with console(gateway, browser, issue_key(gateway).key, "404") as shown:
        page = shown.page
        page.route("**/v1/videos?*", lambda route: route.fulfill(json=videos))
        page.route("**/content?variant=thumbnail", lambda route: pictures.append(route))
        shown.go("videos")
        while len(pictures) < 3:
            page.wait_for_timeout(20)
        shown.go("files")
        page.get_by_role("button", name="Sign out").click()
        enter(page, shown.key)
        expect(page.get_by_role("heading", name="No files yet")).to_be_visible()
        for picture in pictures[:3]:
            picture.fulfill(status=404)
        # The answers are with the browser; the page takes them in a moment.
        page.wait_for_timeout(300)
        assert len(pictures) == 3
