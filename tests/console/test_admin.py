"""Keys and providers in the console, for an admin."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import Browser, expect

from mediagate.core import ids
from tests.conftest import MASTER_KEY, Gateway
from tests.console.kit import confirm, console, enter, late_answer


def test_keys_are_made_blocked_renewed_and_deleted(gateway: Gateway, browser: Browser) -> None:
    alias = f"console-{ids.KEY.new()[-8:]}"

    def works(secret: str) -> int:
        return httpx.get(f"{gateway.url}/v1/models", headers={"authorization": f"Bearer {secret}"}).status_code

    with console(gateway, browser, MASTER_KEY, "400") as shown:
        page = shown.page
        shown.go("keys")
        # There is one more where the list is empty.
        page.get_by_role("button", name="New key").first.click()
        making = page.get_by_role("dialog", name="New key")
        making.get_by_label("Name", exact=True).fill("no name, this")
        making.get_by_role("button", name="Create key").click()
        expect(making.get_by_role("alert")).to_contain_text("must be 1 to 128 letters")
        making.get_by_label("Name", exact=True).fill(alias)
        making.get_by_label("Budget, US dollars").fill("2.5")
        making.get_by_label("local-video").check()
        making.get_by_role("button", name="Create key").click()
        shown_once = page.get_by_role("dialog", name="The secret of this key")
        secret = shown_once.get_by_label("Secret", exact=True).input_value()
        assert works(secret) == 200
        shown_once.get_by_role("button", name="I have stored it").click()
        assert secret not in page.content()
        row = page.get_by_role("row").filter(has_text=alias)
        expect(row).to_contain_text("$0.00 of $2.50")
        expect(row).to_contain_text("local-video")

        row.get_by_role("button", name=f"Block {alias}").click()
        expect(row.get_by_role("button", name=f"Unblock {alias}")).to_be_focused()
        expect(row).to_contain_text("Blocked")
        assert works(secret) == 403
        row.get_by_role("button", name=f"Unblock {alias}").click()
        expect(row).to_contain_text("Active")

        row.get_by_role("button", name="New secret").click()
        confirm(page, "New secret")
        renewed = shown_once.get_by_label("Secret", exact=True).input_value()
        assert (works(secret), works(renewed)) == (401, 200)
        page.keyboard.press("Escape")

        row.get_by_role("button", name=f"Delete {alias}").click()
        confirm(page, "Delete")
        expect(row).to_have_count(0)
        assert works(renewed) == 401

        shown.go("providers")
        expect(page.get_by_role("table", name="Deployments")).to_contain_text("local-video:local/local-video")
        expect(page.get_by_role("table", name="Accounts that keep files")).to_contain_text("local")
        shown.assert_key_is_in_memory_alone()


def test_a_list_that_comes_late_undoes_no_change_of_keys(gateway: Gateway, browser: Browser) -> None:
    made, blocked, deleted = (f"console-{ids.KEY.new()[-8:]}" for _ in range(3))
    for alias in (blocked, deleted):
        httpx.post(f"{gateway.url}/key/generate", json={"key_alias": alias}, headers=gateway.auth).raise_for_status()
    with console(gateway, browser, MASTER_KEY) as shown:
        page = shown.page
        rows = {alias: page.get_by_role("row").filter(has_text=alias) for alias in (made, blocked, deleted)}
        shown.go("keys")
        expect(rows[deleted]).to_be_visible()
        told = page.locator(".page-head p").inner_text()
        refresh = page.get_by_role("button", name="Refresh")
        with late_answer(page, "**/key/list*", refresh.click):
            page.get_by_role("button", name="New key").first.click()
            page.get_by_role("dialog").get_by_label("Name", exact=True).fill(made)
            page.get_by_role("dialog").get_by_role("button", name="Create key").click()
            page.get_by_role("button", name="I have stored it").click()
            rows[blocked].get_by_role("button", name=f"Block {blocked}").click()
            expect(rows[blocked]).to_contain_text("Blocked")
            rows[deleted].get_by_role("button", name=f"Delete {deleted}").click()
            confirm(page, "Delete")
            expect(rows[deleted]).to_have_count(0)
        # The answer is with the browser; the page takes it in a moment.
        page.wait_for_timeout(300)
        expect(rows[made]).to_have_count(1)
        expect(rows[blocked]).to_contain_text("Blocked")
        expect(rows[deleted]).to_have_count(0)
        assert page.locator(".page-head p").inner_text() == told


def test_a_new_secret_is_shown_to_whoever_stays_and_to_nobody_else(gateway: Gateway, browser: Browser) -> None:
    renewed, made = (f"console-{ids.KEY.new()[-8:]}" for _ in range(2))
    httpx.post(f"{gateway.url}/key/generate", json={"key_alias": renewed}, headers=gateway.auth).raise_for_status()
    with console(gateway, browser, MASTER_KEY) as shown:
        page = shown.page
        secret = page.get_by_role("dialog", name="The secret of this key")
        shown.go("keys")
        page.get_by_role("button", name=f"New secret for {renewed}").click()
        asked = page.get_by_role("dialog", name="Give this key another secret?")
        change = asked.get_by_role("button", name="New secret")
        with late_answer(page, "**/key/regenerate", change.click):
            # It is too late to keep the old one: the gateway refuses it by now.
            asked.get_by_role("button", name="Keep").click()
            expect(asked).to_have_count(0)
        expect(secret.get_by_label("Secret", exact=True)).to_have_value(re.compile("^sk-"))
        page.keyboard.press("Escape")

        page.get_by_role("button", name="New key").first.click()
        making = page.get_by_role("dialog", name="New key")
        making.get_by_label("Name", exact=True).fill(made)
        create = making.get_by_role("button", name="Create key")
        with late_answer(page, "**/key/generate", create.click):
            page.keyboard.press("Escape")
            page.get_by_role("button", name="Sign out").click()
            expect(page.get_by_label("Key", exact=True)).to_be_focused()
        enter(page, MASTER_KEY)
        expect(page.get_by_role("row").filter(has_text=made)).to_be_visible()
        expect(secret).to_have_count(0)
