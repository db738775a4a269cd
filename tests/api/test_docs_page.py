"""The page of the API in a browser: what it lists, and that an operation can be tried on it."""

from __future__ import annotations

import json

import httpx
from playwright.sync_api import Page, expect

from mediagate.pages.folder import ROOT
from tests.conftest import Gateway


def test_the_document_is_served_as_it_is_committed(gateway: Gateway) -> None:
    answer = httpx.get(f"{gateway.url}/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == (ROOT / "docs" / "openapi.json").read_bytes()


def test_an_operation_can_be_tried_with_a_key(gateway: Gateway, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{gateway.url}/docs")
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    expect(page.locator(".opblock-tag-section")).to_have_count(len(document["tags"]))

    page.get_by_role("button", name="Authorize").click()
    page.get_by_label("auth-bearer-value").fill(gateway.key)
    page.get_by_role("button", name="Apply credentials").first.click()
    page.get_by_role("button", name="Close").first.click()

    page.locator("#operations-tag-Files").click()
    operation = page.locator("#operations-Files-ListFiles")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    with page.expect_response(lambda response: "/v1/files" in response.url) as answered:
        operation.get_by_role("button", name="Execute").click()
    assert answered.value.url.startswith(f"{gateway.url}/v1/files")
    assert answered.value.status == 200
    expect(operation.locator(".live-responses-table tr.response .response-col_status")).to_have_text("200")
    assert all(url.startswith((gateway.url, "data:")) for url in asked)
