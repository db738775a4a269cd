"""Files in the console: uploaded, looked at, copied, saved, deleted."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from playwright.sync_api import Browser, Page, Route, expect

from tests.api.access_kit import issue_key
from tests.api.wire import eventually
from tests.conftest import Gateway
from tests.console.kit import HOSTILE, confirm, console, late_answer
from tests.doubles.relay import relay

DROP = """files => {
  const transfer = new DataTransfer();
  for (const [name, text] of files) transfer.items.add(new File([text], name));
  for (const type of ["dragenter", "dragover", "drop"]) {
    document.querySelector("#content").dispatchEvent(
      new DragEvent(type, {dataTransfer: transfer, bubbles: true, cancelable: true}));
  }
}"""
# Every value that a progress bar of an upload had, and every text beside it.
RECORD = """() => {
  window.seen = {values: [], texts: []};
  new MutationObserver(() => {
    const bar = document.querySelector(".transfers progress");
    if (bar === null) return;
    window.seen.values.push(bar.value);
    window.seen.texts.push(document.querySelector(".transfers li > .hint").textContent);
  }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
}"""


def choose(page: Page, *paths: Path) -> None:
    """Choose files by the button, and send them as they are."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload files").first.click()
    chooser.value.set_files(paths)
    page.get_by_role("button", name="Upload", exact=True).click()


def test_the_life_of_files(gateway: Gateway, browser: Browser, tmp_path: Path) -> None:
    key = issue_key(gateway)
    name = f"{HOSTILE}\u202egpj.txt".replace("/", "")
    data = b"bytes of a file " * 999
    (tmp_path / name).write_bytes(data)
    with console(gateway, browser, key.key, "400") as shown:
        page = shown.page
        expect(page.get_by_role("heading", name="No files yet")).to_be_visible()
        choose(page, tmp_path / name)
        row = page.get_by_role("row").filter(has_text=HOSTILE)
        expect(row).to_contain_text("local")

        page.evaluate(DROP, [["dropped one.txt", "1"], ["dropped two.txt", "22"]])
        dialog = page.get_by_role("dialog", name="Upload 2 files")
        dialog.get_by_label("Purpose").select_option("assistants")
        dialog.get_by_label("Providers and accounts").check()
        dialog.get_by_role("button", name="Upload").click()
        expect(dialog.get_by_role("alert")).to_contain_text("Choose at least one place.")
        dialog.get_by_label("Others, by name").fill("nowhere")
        dialog.get_by_role("button", name="Upload").click()
        uploads = page.get_by_role("region", name="Uploads")
        expect(uploads.get_by_text("There are: local.")).to_have_count(2)
        expect(uploads.locator(".notice code").last).to_have_text(page.locator(".notice code").last.inner_text())
        uploads.get_by_role("button", name="Clear").click()

        page.evaluate(DROP, [["dropped one.txt", "1"], ["dropped two.txt", "22"]])
        dialog.get_by_role("button", name="Upload").click()
        expect(page.get_by_text("3 files shown.")).to_be_visible()
        page.get_by_label("Purpose").select_option("assistants")
        expect(page.get_by_text("2 files shown.")).to_be_visible()
        page.get_by_label("Purpose").select_option("")
        page.get_by_role("button", name="Size").click()
        page.get_by_role("button", name="Size").click()
        expect(page.locator("tbody tr").first).to_contain_text("dropped one.txt")

        row.get_by_role("button", name=HOSTILE, exact=False).first.click()
        details = page.get_by_role("dialog")
        expect(details).to_contain_text(hashlib.sha256(data).hexdigest())
        expect(details.get_by_role("table", name="Copies of this file")).to_contain_text("Ready")
        with page.expect_download() as saved:
            details.get_by_role("button", name="Download").click()
        assert saved.value.path().read_bytes() == data

        details.get_by_role("button", name="Copy…").click()
        copying = page.get_by_role("dialog", name="Copy to another place")
        copying.get_by_label("local", exact=True).check()
        copying.get_by_label("Name of the copy").fill("the copy.txt")
        copying.get_by_role("button", name="Copy", exact=True).click()
        expect(copying).to_have_count(0)
        page.keyboard.press("Escape")
        copy = page.get_by_role("row").filter(has_text="the copy.txt")
        expect(copy.locator(".badge.ok")).to_have_text("local")

        copy.get_by_role("button", name="Delete the copy.txt").click()
        confirm(page, "Delete")
        expect(copy).to_have_count(0)
        with gateway.http() as http:
            left = http.get("/v1/files", headers=key.headers).json()["data"]
        # What turns the direction of a text round is taken out of names by the gateway.
        names = [name.replace("\u202e", ""), "dropped one.txt", "dropped two.txt"]
        assert sorted(file["filename"] for file in left) == sorted(names)
        # Nothing of what was said became an element, or ran.
        assert page.locator("#content img").count() == 0
        assert page.title() == "Files · mediagate"
        shown.assert_key_is_in_memory_alone()


def test_a_list_that_comes_late_undoes_no_change_of_files(gateway: Gateway, browser: Browser, tmp_path: Path) -> None:
    key = issue_key(gateway)
    for name in ("first.txt", "second.txt"):
        (tmp_path / name).write_bytes(name.encode())
    with console(gateway, browser, key.key) as shown:
        page = shown.page
        row = page.locator("tbody tr")
        choose(page, tmp_path / "first.txt")
        expect(row).to_contain_text("first.txt")
        refresh = page.get_by_role("button", name="Refresh")
        with late_answer(page, "**/v1/files?*", refresh.click):
            choose(page, tmp_path / "second.txt")
            expect(row).to_have_count(2)
            row.filter(has_text="first.txt").get_by_role("button", name="Delete first.txt").click()
            confirm(page, "Delete")
            expect(row).to_have_count(1)
        # The answer is with the browser; the page takes it in a moment.
        page.wait_for_timeout(300)
        expect(row).to_have_count(1)
        expect(row).to_contain_text("second.txt")


def test_a_large_file_goes_on_behind_a_cut(gateway: Gateway, browser: Browser, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * (72 << 12))
    key = issue_key(gateway).key
    with relay(gateway.port) as wire, console(gateway, browser, key, "ERR_", port=wire.port) as shown:
        page = shown.page
        page.evaluate(RECORD)
        choose(page, large)
        uploads = page.get_by_role("region", name="Uploads")
        eventually(lambda: wire.passed > 20 << 20, "a part is behind the wire")
        wire.cut()
        expect(uploads).to_contain_text("No connection Trying again in 1 s.")
        wire.mend()
        expect(uploads).to_contain_text("Stored")
        seen = page.evaluate("seen")
        assert len({value for value in seen["values"] if 0 < value < 1}) > 3
        assert any("/s · " in text and text.endswith(" left") for text in seen["texts"])
        page.locator("[data-action=open]").click()
        expect(page.get_by_role("dialog")).to_contain_text(hashlib.sha256(large.read_bytes()).hexdigest())
        # Five parts; of those, no more than the two that were under way were sent again, and tried in vain meanwhile.
        assert wire.passed < (72 + 2 * 16 + 4) << 20


def test_an_upload_can_be_cancelled_and_a_file_can_vanish(gateway: Gateway, browser: Browser, tmp_path: Path) -> None:
    key = issue_key(gateway)
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(33 << 20))
    with console(gateway, browser, key.key, "ERR_") as shown:
        page = shown.page
        session = page.context.new_cdp_session(page)
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4 << 20}
        session.send("Network.emulateNetworkConditions", slow)
        choose(page, large)
        uploads = page.get_by_role("region", name="Uploads")
        expect(uploads).to_contain_text(" left")
        uploads.get_by_role("button", name="Cancel large.bin").click()
        expect(uploads).to_contain_text("Cancelled: nothing is kept.")
        session.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
        uploads.get_by_role("button", name="Clear").click()
        with gateway.http() as http:
            upload = next(request for request in shown.requests if request.url.endswith("/v1/uploads"))
            response = upload.response()
            assert response is not None
            complete = f"/v1/uploads/{response.json()['id']}/complete"
            assert "cancelled" in http.post(complete, json={"part_ids": []}, headers=key.headers).text

        small = tmp_path / "gone.txt"
        small.write_bytes(b"soon gone")
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Upload files").first.click()
        chooser.value.set_files(small)
        small.unlink()
        page.get_by_role("button", name="Upload", exact=True).click()
        expect(uploads.get_by_role("alert")).to_contain_text("changed, moved or deleted")


def test_an_upload_that_is_cancelled_at_its_very_end_leaves_no_file(
    gateway: Gateway, browser: Browser, tmp_path: Path
) -> None:
    (tmp_path / "whole.bin").write_bytes(b"all of it")
    (tmp_path / "parts.bin").write_bytes(bytes(33 << 20))
    key = issue_key(gateway)

    def kept() -> list[str]:
        with gateway.http() as http:
            return [file["filename"] for file in http.get("/v1/files", headers=key.headers).json()["data"]]

    with relay(gateway.port) as wire, console(gateway, browser, key.key, "ERR_", "400", port=wire.port) as shown:
        page = shown.page
        uploads = page.get_by_role("region", name="Uploads")
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Upload files").first.click()
        chooser.value.set_files(tmp_path / "whole.bin")
        wire.hold(answers=True)
        page.get_by_role("button", name="Upload", exact=True).click()
        eventually(lambda: kept() == ["whole.bin"], "the gateway has it")
        uploads.get_by_role("button", name="Cancel whole.bin").click()
        expect(uploads).to_contain_text("Being cancelled…")
        wire.mend()
        expect(uploads).to_contain_text("Cancelled: nothing is kept.")
        assert kept() == []
        uploads.get_by_role("button", name="Clear").click()

        answered: list[Route] = []

        def keep_answer(route: Route) -> None:
            route.fetch()
            answered.append(route)

        page.route("**/complete", keep_answer, times=1)
        choose(page, tmp_path / "parts.bin")
        while not answered:
            page.wait_for_timeout(20)
        assert kept() == ["parts.bin"]
        uploads.get_by_role("button", name="Cancel parts.bin").click()
        expect(uploads).to_contain_text("Cancelled: nothing is kept.")
        assert kept() == []


def test_a_failed_part_ends_what_waits_beside_it(gateway: Gateway, browser: Browser, tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    large.write_bytes(bytes(33 << 20))
    parts: list[Route] = []

    def answer(route: Route) -> None:
        parts.append(route)
        if len(parts) == 2:
            for one, status in zip(parts, (503, 400), strict=True):
                said = {"error": {"message": f"It is {status}."}}
                one.fulfill(status=status, headers={"retry-after": "1"}, body=json.dumps(said))

    with console(gateway, browser, issue_key(gateway).key, "400", "503") as shown:
        page = shown.page
        page.route("**/parts", answer)
        choose(page, large)
        uploads = page.get_by_role("region", name="Uploads")
        expect(uploads.get_by_role("alert")).to_contain_text("It is 400.")
        # Longer than the other part would wait.
        page.wait_for_timeout(1500)
        expect(uploads.get_by_role("button", name="Dismiss large.bin")).to_be_visible()
        expect(uploads.get_by_role("heading")).to_have_text("Uploads")


def test_the_providers_to_choose_from_are_those_of_the_files(gateway: Gateway, browser: Browser) -> None:
    def listed(route: Route) -> None:
        place = "second" if "purpose=batch" in route.request.url else "first"
        file = {"id": f"file-{place}", "object": "file", "bytes": 1, "created_at": 1_700_000_000, "purpose": "batch"}
        replica = {"account": place, "provider": place, "state": "ready"}
        more = {"filename": f"{place}.txt", "status": "processed", "replicas": [replica], "mediagate": {}}
        route.fulfill(json={"object": "list", "data": [{**file, **more}], "has_more": False})

    with console(gateway, browser, issue_key(gateway).key) as shown:
        page = shown.page
        page.route("**/v1/files?*", listed)
        page.get_by_role("button", name="Refresh").click()
        row, provider = page.locator("tbody tr"), page.get_by_label("Provider")
        expect(row).to_contain_text("first.txt")
        provider.select_option("first")
        page.get_by_label("Purpose").select_option("batch")
        expect(row).to_contain_text("second.txt")
        expect(provider).to_have_value("")
        assert provider.locator("option").all_inner_texts() == ["Every provider", "second"]


def test_a_file_behind_the_list_is_followed_and_shown_once(gateway: Gateway, browser: Browser) -> None:
    def file(number: int, state: str = "ready") -> dict[str, object]:
        replica = {"account": "local", "provider": "local", "state": state}
        facts = {"id": f"file-{number}", "object": "file", "bytes": 1, "created_at": 1_700_000_000, "purpose": "batch"}
        more = {"filename": f"{number}.txt", "status": "processed", "replicas": [replica], "mediagate": {}}
        return {**facts, **more}

    def listed(route: Route) -> None:
        onward = "after=" in route.request.url
        files = [file(2), file(1)] if onward else [file(4), file(3)]
        route.fulfill(json={"object": "list", "data": files, "has_more": not onward})

    states = iter(["writing", "writing"])
    with console(gateway, browser, issue_key(gateway).key) as shown:
        page = shown.page
        page.route("**/v1/files?*", listed)
        page.route("**/v1/files/file-1", lambda route: route.fulfill(json=file(1, next(states, "ready"))))
        page.get_by_role("button", name="Refresh").click()
        expect(page.get_by_text("2 files shown")).to_be_visible()
        shown.go("files/file-1")
        dialog = page.get_by_role("dialog")
        expect(dialog.get_by_role("table")).to_contain_text("Writing")
        expect(dialog.get_by_role("table")).to_contain_text("Ready")
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Show more").click()
        expect(page.get_by_text("4 files shown.")).to_be_visible()
        names = page.locator("tbody [data-action=open]").all_inner_texts()
        assert names == ["4.txt", "3.txt", "2.txt", "1.txt"]
