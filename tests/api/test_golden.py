"""The JSON of every REST reply about files, uploads and models, key by key: names, order, types and nulls.

`WRITE_GOLDEN=1 pytest tests/api/test_golden.py` writes `tests/api/golden/` anew; read the difference before keeping it.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.api.wire import NOBODYS_FILE, field, file_part, post_form
from tests.conftest import Gateway

GOLDEN = Path(__file__).parent / "golden"
HOUR = (field("expires_after[anchor]", "created_at"), field("expires_after[seconds]", "3600"))
MASKS = (
    (re.compile(r'"(file-|upload_|part_)[0-7][0-9a-hjkmnp-tv-z]{25}"'), r'"\1…"'),
    (re.compile(r'("(?:created_at|expires_at|created)":)\d{10}\b'), r"\g<1>1700000000"),
)
Ask = Callable[[httpx.Client], httpx.Response]


def create(http: httpx.Client, *more: bytes, purpose: str = "user_data", name: str = "naïve.txt") -> httpx.Response:
    return post_form(http, field("purpose", purpose), *more, file_part(b"hello", name))


def file_id(http: httpx.Client) -> str:
    return str(create(http).json()["id"])


def begin(http: httpx.Client) -> httpx.Response:
    body = {"bytes": 3, "filename": "a.jsonl", "mime_type": "application/jsonl", "purpose": "batch"}
    return http.post("/v1/uploads", json=body)


def part(http: httpx.Client, upload_id: str) -> httpx.Response:
    return post_form(http, file_part(b"abc", name="data"), path=f"/v1/uploads/{upload_id}/parts")


def complete(http: httpx.Client) -> httpx.Response:
    upload = begin(http).json()["id"]
    return http.post(f"/v1/uploads/{upload}/complete", json={"part_ids": [part(http, upload).json()["id"]]})


def page(http: httpx.Client) -> httpx.Response:
    create(http, purpose="vision", name="of the next page.png")
    create(http, purpose="vision", name="first.png")
    create(http, *HOUR, purpose="vision", name="second.png")
    return http.get("/v1/files?purpose=vision&limit=2")


REPLIES: dict[str, tuple[int, Ask]] = {
    "file": (200, create),
    "file_that_expires": (200, lambda http: create(http, *HOUR)),
    "file_of_a_batch": (200, lambda http: create(http, purpose="batch", name="rows.jsonl")),
    "file_retrieved": (200, lambda http: http.get(f"/v1/files/{file_id(http)}")),
    "file_deleted": (200, lambda http: http.delete(f"/v1/files/{file_id(http)}")),
    "list": (200, page),
    "list_empty": (200, lambda http: http.get("/v1/files?purpose=none-of-these")),
    "upload_pending": (200, begin),
    "upload_completed": (200, complete),
    "upload_cancelled": (200, lambda http: http.post(f"/v1/uploads/{begin(http).json()['id']}/cancel")),
    "upload_part": (200, lambda http: part(http, begin(http).json()["id"])),
    "model": (200, lambda http: http.get("/v1/models/team/a:video")),
    "models": (200, lambda http: http.get("/v1/models")),
    "error_of_a_field": (400, lambda http: http.get("/v1/files?limit=0")),
    "error_without_a_key": (401, lambda http: httpx.get(f"{http.base_url}/v1/files")),
    "error_not_found": (404, lambda http: http.get(f"/v1/files/{NOBODYS_FILE}")),
    "error_unknown_url": (404, lambda http: http.get("/v1/nothing")),
    "error_wrong_method": (405, lambda http: http.patch("/v1/files")),
    "error_media_type": (
        415,
        lambda http: http.post("/v1/files", content=b"<a/>", headers={"content-type": "application/xml"}),
    ),
}


def masked(text: str) -> str:
    for pattern, replacement in MASKS:
        text = pattern.sub(replacement, text)
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", REPLIES)
def test_a_reply_is_as_it_ever_was(http: httpx.Client, name: str) -> None:
    status, ask = REPLIES[name]
    response = ask(http)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["x-request-id"])
    assert re.fullmatch(r"\d+", response.headers["openai-processing-ms"])
    path = GOLDEN / f"{name}.json"
    if os.environ.get("WRITE_GOLDEN"):
        path.write_text(masked(response.text))
    assert masked(response.text) == path.read_text()


def test_every_golden_reply_is_asked_for() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(REPLIES)


def test_numbers_are_numbers(http: httpx.Client) -> None:
    """Neither as text, as int64 is in proto JSON, nor with a fraction, as doubles are in Python's."""

    def numbers(tree: Any, name: str = "") -> None:
        if isinstance(tree, dict):
            for key, value in tree.items():
                numbers(value, key)
        elif isinstance(tree, list):
            for value in tree:
                numbers(value, name)
        elif name in ("bytes", "created_at", "expires_at", "created"):
            assert type(tree) is int, (name, tree)

    for ask in (page, complete, begin, REPLIES["models"][1]):
        numbers(ask(http).json())


def test_the_sdk_accepts_every_reply_strictly(gateway: Gateway) -> None:
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0, _strict_response_validation=True
    ) as client:
        expiry = {"anchor": "created_at", "seconds": 3600}
        purposes = ("assistants", "batch", "fine-tune", "vision", "user_data")
        made = [
            client.files.create(file=("a.jsonl", b"{}"), purpose=purpose, expires_after=expiry)  # type: ignore[arg-type]
            for purpose in purposes
        ]
        assert [file.purpose for file in made] == list(purposes)
        for file in made:
            assert client.files.retrieve(file.id) == file
            assert client.files.list(limit=100, purpose=file.purpose).data
            assert client.files.delete(file.id).object == "file"
        assert client.files.list(purpose="none").data == []
        upload = client.uploads.create(bytes=3, filename="a.bin", mime_type="x/y", purpose="user_data")
        part = client.uploads.parts.create(upload.id, data=b"abc")
        done = client.uploads.complete(upload.id, part_ids=[part.id])
        assert done.file is not None
        other = client.uploads.create(bytes=3, filename="a.bin", mime_type="x/y", purpose="user_data")
        assert client.uploads.cancel(other.id).status == "cancelled"
        for model in client.models.list():
            assert client.models.retrieve(model.id) == model
