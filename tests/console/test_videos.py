"""Videos in the console: made, watched to their end, played, deleted."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Route, expect

from tests.api.access_kit import issue_key
from tests.api.videos_kit import png
from tests.api.wire import eventually
from tests.conftest import Gateway
from tests.console.kit import HOSTILE, Console, confirm, console, late_answer

# What a picture of a video said while it was made.
RECORD = """() => {
  window.seen = new Set();
  new MutationObserver(() => {
    for (const shown of document.querySelectorAll(".card .percent, .card .badge")) window.seen.add(shown.textContent);
  }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
}"""
PLAY = """async ({to}) => {
  const video = document.querySelector("video");
  const heard = (name) => new Promise((resolve) => video.addEventListener(name, resolve, {once: true}));
  if (video.readyState < 2) await heard("loadeddata");
  await video.play();
  while (video.currentTime < 0.3) await heard("timeupdate");
  const played = video.currentTime;
  const sought = heard("seeked");
  video.currentTime = to;
  await sought;
  while (video.currentTime <= to) await heard("timeupdate");
  return {played, at: video.currentTime, seconds: video.duration, width: video.videoWidth};
}"""


def make(shown: Console, prompt: str, *, seconds: str = "4") -> None:
    """Ask for a small video."""
    page = shown.page
    page.get_by_label("Prompt").fill(prompt)
    page.get_by_label("Length").select_option(seconds)
    page.get_by_label("Size").select_option("320x180")
    expect(page.locator(".price")).to_contain_text(re.compile("[Cc]ost|price"))
    page.get_by_role("button", name="Create video").click()


def test_a_video_is_made_watched_played_and_deleted(gateway: Gateway, browser: Browser) -> None:
    key = issue_key(gateway)
    with console(gateway, browser, key.key) as shown:
        page = shown.page
        shown.go("videos")
        expect(page.get_by_role("heading", name="No videos yet")).to_be_visible()
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        page.evaluate(RECORD)
        page.locator("input[type=file]").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png()})
        expect(page.get_by_text("a.png")).to_be_visible()
        make(shown, f"{HOSTILE} [mediagate:slow=3]")
        card = page.get_by_role("listitem").filter(has_text=HOSTILE)
        expect(card.locator(".badge")).to_have_text("Ready", timeout=60_000)
        # It was the stream that told, not a question.
        seen = page.evaluate("[...seen]")
        assert any(re.fullmatch(r"\d+ %", text) for text in seen), seen
        assert "Rendering" in seen
        assert len([path for path in shown.paths() if path.startswith("/v1/videos/events")]) == 1
        assert not [path for path in shown.paths() if re.fullmatch("/v1/videos/video_[a-z0-9]+", path)]
        expect(card.locator("img")).to_have_js_property("complete", True)
        assert page.evaluate("document.querySelector('.card img').naturalWidth") == 320

        card.get_by_role("button", name="Play").click()
        expect(page.locator("video")).to_be_visible()
        assert page.evaluate(PLAY, {"to": 2}) | {"played": 0, "at": 0} == {
            "played": 0,
            "at": 0,
            "seconds": 4,
            "width": 320,
        }
        played = [one for one in shown.requests if "?token=mgt_" in one.url]
        assert played
        assert all("range" in one.headers and "authorization" not in one.headers for one in played)
        expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
        with page.expect_download() as saved:
            page.get_by_role("button", name="Download").click()
        assert saved.value.path().read_bytes()[4:8] == b"ftyp"
        page.keyboard.press("Escape")

        def tokens() -> list[str]:
            with gateway.http() as http:
                return sorted(one["status"] for one in http.get("/v1/tokens", headers=key.headers).json()["data"])

        # That of the download is left to its end: nobody knows when the browser is through with it.
        eventually(lambda: tokens() == ["active", "revoked"], "the player gave its token back")
        card.get_by_role("button", name="Play").click()
        page.get_by_role("button", name="Delete").click()
        confirm(page, "Delete")
        expect(page.get_by_role("heading", name="No videos yet")).to_be_visible()
        assert page.title() == "Videos · mediagate"
        shown.assert_key_is_in_memory_alone()
        page.get_by_role("button", name="Sign out").click()
        eventually(lambda: tokens() == ["revoked"] * 3, "nothing opens the video any more")


def test_what_fails_and_what_is_stopped_says_why(gateway: Gateway, browser: Browser) -> None:
    with console(gateway, browser, issue_key(gateway).key) as shown:
        page = shown.page
        shown.go("videos")
        make(shown, "[mediagate:refuse-input] nothing", seconds="1")
        expect(page.locator("[data-phase=failed]")).to_contain_text("content policy", timeout=30_000)
        make(shown, "[mediagate:stuck] for ever", seconds="1")
        page.get_by_role("button", name="for ever").click()
        page.get_by_role("dialog").get_by_role("button", name="Stop").click()
        confirm(page, "Stop it")
        expect(page.get_by_role("dialog", name="Video", exact=True)).to_contain_text(
            "It was stopped before it was finished."
        )


def test_a_player_goes_on_behind_the_end_of_its_token(gateway: Gateway, browser: Browser) -> None:
    with console(gateway, browser, issue_key(gateway).key, "401") as shown, gateway.http() as http:
        page = shown.page
        shown.go("videos")
        make(shown, "A long one")
        page.get_by_role("button", name="Play: A long one").click(timeout=60_000)
        expect(page.locator("video")).to_have_js_property("readyState", 4)
        bearer = {"authorization": f"Bearer {shown.key}"}
        first = page.evaluate("document.querySelector('video').currentSrc")
        (token,) = http.get("/v1/tokens", headers=bearer).json()["data"]
        assert http.delete(f"/v1/tokens/{token['id']}", headers=bearer).status_code == 200
        # All of a video as small as this one is here already: only by another URL is it asked for with the old token.
        with page.expect_request(lambda one: "?token=mgt_" in one.url and not one.url.startswith(first)):
            page.evaluate("document.querySelector('video').src += '&again'")
        expect(page.locator("video")).to_have_js_property("readyState", 4)
        expect(page.get_by_role("dialog").get_by_role("alert")).to_have_count(0)


def test_an_answer_that_comes_late_undoes_nothing(gateway: Gateway, browser: Browser) -> None:
    with console(gateway, browser, issue_key(gateway).key) as shown:
        page = shown.page
        shown.go("videos")
        expect(page.get_by_role("heading", name="No videos yet")).to_be_visible()
        page.get_by_label("Length").select_option("1")
        page.get_by_label("Size").select_option("320x180")
        prompt = page.get_by_label("Prompt")
        prompt.fill("The first wish [mediagate:slow=2]")
        with late_answer(page, "**/v1/videos", page.get_by_role("button", name="Create video").click):
            prompt.fill("The second wish")
        expect(page.get_by_text("The video is on its way.")).to_be_visible()
        expect(prompt).to_have_value("The second wish")

        card = page.get_by_role("listitem").filter(has_text="The first wish")
        player = page.get_by_role("dialog").locator("video")
        with late_answer(page, "**/v1/videos/video_*", card.get_by_role("button").click):
            expect(player).to_be_visible(timeout=60_000)
        # The answer is with the browser; the page takes it in a moment.
        page.wait_for_timeout(300)
        expect(player).to_be_visible()


def test_an_image_is_shown_where_the_model_takes_it(gateway: Gateway, browser: Browser) -> None:
    def add_model(route: Route) -> None:
        answer = route.fetch()
        models = answer.json()
        models["data"].append({**models["data"][0], "id": "words-alone", "inputs": ["text"]})
        route.fulfill(response=answer, json=models)

    with console(gateway, browser, issue_key(gateway).key) as shown:
        page = shown.page
        page.route("**/v1/videos/models", add_model)
        shown.go("videos")
        page.locator("input[type=file]").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": png()})
        image = page.get_by_text("a.png")
        expect(image).to_be_visible()
        page.get_by_label("Model").select_option("words-alone")
        expect(image).to_be_hidden()
        page.get_by_label("Model").select_option("local-video")
        expect(image).to_be_visible()


def test_a_video_behind_the_wall_is_followed_to_its_end(gateway: Gateway, browser: Browser) -> None:
    key = issue_key(gateway)
    asked = {"prompt": "Behind the wall [mediagate:slow=6]", "seconds": "1", "size": "320x180"}

    def newer(route: Route) -> None:
        route.fulfill(json={"data": [{**older, "id": "video_newer", "prompt": "Newer"}], "has_more": True})

    with console(gateway, browser, key.key) as shown:
        page = shown.page
        with gateway.http() as http:
            older = http.post("/v1/videos", json=asked, headers=key.headers).json()
        page.route("**/v1/videos?*", newer)
        shown.go("videos")
        expect(page.locator(".card")).to_contain_text("Newer")
        shown.go(f"videos/{older['id']}")
        dialog = page.get_by_role("dialog")
        expect(dialog.locator("progress")).to_be_visible()
        expect(dialog.locator("video")).to_be_visible(timeout=60_000)
        expect(page.locator(".card")).to_have_count(1)
