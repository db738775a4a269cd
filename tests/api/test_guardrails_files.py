"""Guardrails on text files: looked at while the bytes pass, and undone like any failed upload."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.access_kit import Issued, add_holder, issue_key
from tests.api.guardrails_kit import WORD
from tests.api.test_guardrails import blocked, leaving_nothing
from tests.api.wire import assert_failure, eventually, field, file_part, post_form, stored
from tests.conftest import Gateway
from tests.doubles.moderations import HARMFUL_WORD, Moderations

MIB = 1 << 20
WORD_IN_RUSSIAN = "Королевский  меч"


@pytest.fixture
def http(guarded: Gateway) -> Iterator[httpx.Client]:
    with guarded.http() as plain:
        yield plain


def upload(http: httpx.Client, data: bytes, name: str = "a.txt", key: Issued | None = None) -> httpx.Response:
    purpose = field("purpose", "user_data")
    return post_form(http, purpose, file_part(data, name), headers=key.headers if key else None)


LINES = [{"n": number, "p": WORD_IN_RUSSIAN if number == 999 else ""} for number in range(1000)]
TEXTS: dict[str, tuple[bytes, str]] = {
    "plain": (f"the sword {WORD}".encode(), "a.txt"),
    "number": (b"name,ssn\nx,123-45-6789\n", "a.csv"),
    "disguised": ("the sword EXCAL\u200bIBUR".encode(), "a.md"),
    "no name": (WORD.encode(), "a"),
    "wrong name": (WORD.encode(), "a.png"),
    "json": (json.dumps({"prompt": WORD_IN_RUSSIAN}).encode(), "a.json"),
    "jsonl": (b"\n".join(json.dumps(line).encode() for line in LINES), "a.jsonl"),
    "json by no name": (json.dumps({"prompt": WORD_IN_RUSSIAN}).encode(), "a"),
    "utf-16": (f"the sword {WORD}".encode("utf-16"), "a.txt"),
    "one byte": (b"\x01" + WORD.encode(), "a"),
    "nul": (WORD.encode("utf-16-le"), "a"),
    "svg": (f"<svg><text>{WORD}</text></svg>".encode(), "a.svg"),
    "at the end": (b"x " * 500_000 + WORD.encode(), "a.txt"),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_is_blocked_and_undone(guarded: Gateway, http: httpx.Client, name: str) -> None:
    before = stored(guarded)
    with leaving_nothing(guarded):
        blocked(upload(http, *TEXTS[name]), "words", "file")
    assert stored(guarded) <= before


@pytest.mark.parametrize("at", [8192, 65_536, 131_072, 262_144, 1 << 20])
def test_a_match_across_chunks(guarded: Gateway, http: httpx.Client, at: int) -> None:
    with leaving_nothing(guarded):
        blocked(upload(http, b"y" * (at - 5) + b" " + WORD.encode() + b" " + b"z" * 300_000), "words", "file")


def test_what_is_no_text_and_what_is_harmless_passes(guarded: Gateway, http: httpx.Client) -> None:
    for data, name in (
        (b"\x89PNG\r\n\x1a\n" + WORD.encode(), "a.png"),
        (b"%PDF-1.7\n" + WORD.encode(), "a.pdf"),
        (b"harmless", "a.txt"),
        (b"", "a.txt"),
    ):
        response = upload(http, data, name)
        assert response.status_code == 200, response.text
        file = response.json()
        assert http.get(f"/v1/files/{file['id']}/content").content == data


def test_a_file_with_more_than_is_read_is_blocked(guarded: Gateway, http: httpx.Client) -> None:
    assert upload(http, b"a" * (2 * MIB)).status_code == 200
    with leaving_nothing(guarded):
        assert "more bytes" in blocked(upload(http, b"a" * (2 * MIB + 1)), "words", "file")


def parts_of(http: httpx.Client, data: bytes, size: int, **more: Any) -> tuple[str, list[str]]:
    body = {"bytes": len(data), "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data", **more}
    upload_id = http.post("/v1/uploads", json=body).json()["id"]
    made = [
        post_form(http, file_part(data[at : at + size], "p", "data"), path=f"/v1/uploads/{upload_id}/parts")
        for at in range(0, len(data), size)
    ]
    return upload_id, [response.json()["id"] for response in made]


def test_parts_are_looked_at_as_the_file_that_they_make(guarded: Gateway, http: httpx.Client) -> None:
    data = b"a" * 20_000 + b" " + WORD.encode()
    with leaving_nothing(guarded):
        upload_id, parts = parts_of(http, data, 20_004)
        response = http.post(f"/v1/uploads/{upload_id}/complete", json={"part_ids": parts})
        blocked(response, "words", "file")
        assert http.post(f"/v1/uploads/{upload_id}/cancel").json()["status"] == "cancelled"


def test_a_copy_is_looked_at_too(guarded: Gateway, http: httpx.Client) -> None:
    team = add_holder(guarded, "team", "copying-team")
    free, watched = issue_key(guarded, team_id=team), issue_key(guarded, team_id=team, guardrails=("moderated-files",))
    file = upload(http, f"a {HARMFUL_WORD} story".encode(), key=free).json()["id"]
    body = {"source": file, "purpose": "user_data"}
    assert http.post("/v1/files", json=body, headers=free.headers).status_code == 200
    with leaving_nothing(guarded):
        blocked(http.post("/v1/files", json=body, headers=watched.headers), "moderated-files", "file")
    # A copy that is only promised is made by a job, which knows what the key's policy said.
    later = http.post("/v1/files", json=body, headers={**watched.headers, "prefer": "respond-async"})
    assert later.status_code == 202, later.text

    def state() -> dict[str, Any]:
        found: dict[str, Any] = http.get(f"/v1/files/{later.json()['id']}", headers=watched.headers).json()
        return found

    eventually(lambda: state()["status"] == "error", "the copy is refused")
    assert "'moderated-files'" in state()["status_details"]


def test_long_files_are_asked_about_in_pieces(guarded: Gateway, http: httpx.Client, moderations: Moderations) -> None:
    key = issue_key(guarded, guardrails=("moderated-files",))
    moderations.inputs.clear()
    assert upload(http, b"boat " * 20_000, key=key).status_code == 200
    assert len(moderations.inputs) == 7
    assert all(len(text) <= 16_000 for text in moderations.inputs)
    for at in (0, 15_995, 16_001, 31_740, 99_980):
        data = b"." * at + b" " + HARMFUL_WORD.encode() + b" " + b"." * (100_000 - at)
        with leaving_nothing(guarded):
            blocked(upload(http, data, key=key), "moderated-files", "file")
            blocked(upload(http, data + WORD.encode(), key=key), "words", "file")


def test_a_dead_guardrail_closes_or_opens(guarded: Gateway, http: httpx.Client) -> None:
    key = issue_key(guarded, guardrails=("dead-files",))
    with leaving_nothing(guarded):
        response = upload(http, b"a" * 200_000, key=key)
        message = assert_failure(
            response, 503, code="guardrail_unavailable", param="file", kind="server_error", retry="true"
        )
        assert "'dead-files'" in message
    assert upload(http, b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "a.png", key=key).status_code == 200
    assert upload(http, b"a" * 200_000, key=issue_key(guarded, guardrails=("open-files",))).status_code == 200
