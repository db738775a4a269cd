"""The console over several providers: where a file goes, what becomes of its copies."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.clouds.conftest import Clouds
from tests.conftest import MASTER_KEY
from tests.console.kit import confirm, console


def test_a_file_goes_where_it_shall_and_its_copies_are_followed(
    clouds: Clouds, browser: Browser, tmp_path: Path
) -> None:
    source = tmp_path / "everywhere.txt"
    source.write_bytes(b"in several clouds")
    with console(clouds.gateway, browser, MASTER_KEY) as shown:
        page = shown.page
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Upload files").first.click()
        chooser.value.set_files(source)
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Providers and accounts").check()
        for account in ("bedrock", "gemini"):
            dialog.get_by_role("checkbox", name=account, exact=True).check()
        dialog.get_by_role("button", name="Upload").click()
        row = page.get_by_role("row").filter(has_text="everywhere.txt")
        # Gemini works on a file before it has it: the page looks again by itself.
        expect(row.locator(".badge.ok")).to_have_text(["bedrock", "gemini"], timeout=60_000)

        row.get_by_role("button", name="Copy everywhere.txt").click()
        dialog.get_by_label("Wherever models need it").check()
        dialog.get_by_role("checkbox", name="gpt", exact=True).check()
        dialog.get_by_label("Name of the copy").fill("for gpt.txt")
        dialog.get_by_role("button", name="Copy", exact=True).click()
        copy = page.get_by_role("row").filter(has_text="for gpt.txt")
        expect(copy.locator(".badge.ok")).to_have_count(2, timeout=60_000)
        copy.get_by_role("button", name="for gpt.txt", exact=True).click()
        table = page.get_by_role("table", name="Copies of this file")
        expect(table).to_contain_text("openai-second")
        page.keyboard.press("Escape")

        page.get_by_label("Provider", exact=True).select_option("gemini")
        expect(copy).to_have_count(0)
        row.get_by_role("button", name="Delete everywhere.txt").click()
        expect(page.get_by_role("dialog")).to_contain_text("at bedrock, gemini")
        confirm(page, "Delete")
        expect(row).to_have_count(0)
