"""Stored files in the Responses API, and in `input` in the place of messages: each provider is told in its words."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.api.access_kit import issue_key
from tests.chat.conftest import SAID, Chats
from tests.chat.test_stored_files import PDF, PNG, stored
from tests.doubles.aimock.server import KEY as AIMOCK_KEY


@pytest.fixture
def sdk(chats: Chats) -> Iterator[openai.OpenAI]:
    """The official client."""
    with chats.sdk() as client:
        yield client


def journal(chats: Chats) -> list[dict[str, Any]]:
    """What aimock was asked as a response, the newest last."""
    key = {"authorization": f"Bearer {AIMOCK_KEY}"}
    found: list[dict[str, Any]] = httpx.get(f"{chats.aimock_url}/__aimock/journal", headers=key).json()
    return [entry for entry in found if entry["path"].endswith("/responses")]


def asking(*parts: dict[str, Any]) -> Any:
    return [{"role": "user", "content": [{"type": "input_text", "text": "hello"}, *parts]}]


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def test_a_provider_with_responses_gets_its_own_id(chats: Chats, sdk: openai.OpenAI) -> None:
    file_id, picture = stored(sdk, PDF, "a.pdf"), stored(sdk, PNG, "a.png")
    parts = {"type": "input_file", "file_id": file_id}, {"type": "input_image", "file_id": picture, "detail": "low"}
    found = sdk.responses.create(model="gpt", input=asking(*parts))
    assert found.output_text == SAID
    entry = journal(chats)[-1]
    told = str(entry["body"])
    assert file_id not in told
    assert picture not in told
    with chats.gateway.http() as http:
        for one in (file_id, picture):
            kept = http.get(f"/v1/files/{one}").json()["replicas"]
            assert sorted(replica["provider"] for replica in kept) == ["local", "openai"]


def test_a_server_of_chats_gets_the_bytes(chats: Chats, sdk: openai.OpenAI) -> None:
    file_id, picture = stored(sdk, PDF, "a.pdf"), stored(sdk, PNG, "a.png")
    parts = {"type": "input_file", "file_id": file_id}, {"type": "input_image", "file_id": picture, "detail": "low"}
    for streamed in (False, True):
        if streamed:
            with sdk.responses.stream(model="first", input=asking(*parts)) as stream:
                assert stream.get_final_response().output_text == "hello"
        else:
            assert sdk.responses.create(model="first", input=asking(*parts)).output_text == "hello"
        content = chats.first.journal[-1].body["messages"][0]["content"]
        assert content == [
            {"type": "text", "text": "hello"},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": data_url("application/pdf", PDF)}},
            {"type": "image_url", "image_url": {"url": data_url("image/png", PNG), "detail": "low"}},
        ]


def test_files_in_what_a_tool_gave_back(chats: Chats, sdk: openai.OpenAI) -> None:
    picture = stored(sdk, PNG, "a.png")
    items: Any = [
        {"role": "user", "content": "look"},
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_image", "file_id": picture}]},
        {"role": "user", "content": "and now"},
    ]
    assert sdk.responses.create(model="first", input=items).output_text == "and now"
    message = chats.first.journal[-1].body["messages"][2]
    assert (message["role"], message["content"][0]["image_url"]["url"]) == ("tool", data_url("image/png", PNG))


def test_a_file_in_input_in_the_place_of_messages(chats: Chats, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF, "a.pdf")
    body = {"model": "first", "input": asking({"type": "input_file", "file_id": file_id})}
    with chats.gateway.http() as http:
        reply = http.post("/chat/completions", json=body)
        assert reply.json()["choices"][0]["message"]["content"] == "hello"
    content = chats.first.journal[-1].body["messages"][0]["content"]
    assert content[1]["file"]["file_data"] == data_url("application/pdf", PDF)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
@pytest.mark.parametrize("model", ["first", "gpt"])
def test_a_file_of_somebody_else_is_named_where_it_stands(
    chats: Chats, sdk: openai.OpenAI, path: str, model: str
) -> None:
    file_id = stored(sdk, PDF, "a.pdf")
    other = issue_key(chats.gateway).headers
    first = {"role": "user", "content": "x"}
    body = {"model": model, "instructions": "x", "input": [first, *asking({"type": "input_file", "file_id": file_id})]}
    with chats.gateway.http() as http:
        reply = http.post(path, json=body, headers=other)
    assert reply.status_code == 404
    assert reply.json()["error"]["param"].startswith("input[1].content[1]")


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions"])
def test_what_a_model_cannot_read_is_named_where_it_stands(chats: Chats, sdk: openai.OpenAI, path: str) -> None:
    film = stored(sdk, b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + bytes(64), "a.mp4")
    body = {
        "model": "gpt",
        "input": [{"role": "user", "content": "x"}, *asking({"type": "input_file", "file_id": film})],
    }
    with chats.gateway.http() as http:
        reply = http.post(path, json=body)
    assert reply.status_code == 400
    assert reply.json()["error"]["param"].startswith("input[1].content[1]")
