"""A stored file in chats through the gateway: the reference reaches the provider, whatever form the provider wants."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from mediagate.core.ids import FILE
from tests.chat.conftest import SAID, Chats
from tests.doubles.aimock.server import KEY as AIMOCK_KEY

PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def stored(sdk: openai.OpenAI, data: bytes, name: str, **extra: Any) -> str:
    return sdk.files.create(file=(name, data), purpose="user_data", extra_body=extra).id


def part(file_id: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_id": file_id}}


def ask(sdk: openai.OpenAI, model: str, *parts: dict[str, Any]) -> str | None:
    content: Any = [{"type": "text", "text": "What is it?"}, *parts]
    return (
        sdk.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
        .choices[0]
        .message.content
    )


def journal(chats: Chats) -> list[dict[str, Any]]:
    """What aimock was asked, the newest last."""
    key = {"authorization": f"Bearer {AIMOCK_KEY}"}
    found: list[dict[str, Any]] = httpx.get(f"{chats.aimock_url}/__aimock/journal", headers=key).json()
    return [entry for entry in found if entry["path"].endswith("/chat/completions")]


def test_a_file_of_the_gateway_is_copied_to_the_provider_once(chats: Chats, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF, "a.pdf")
    assert [replica["provider"] for replica in replicas(chats, file_id)] == ["local"]
    assert ask(sdk, "gpt", part(file_id)) == SAID
    assert ask(sdk, "gpt", part(f"mediagate://{file_id}")) == SAID
    told = [entry["body"]["messages"][-1]["content"][1]["file"]["file_id"] for entry in journal(chats)[-2:]]
    assert told[0] == told[1] != file_id
    content = httpx.get(f"{chats.aimock_url}/v1/files/{told[0]}/content", headers={"authorization": "Bearer sk-aimock"})
    assert content.content == PDF
    assert sorted(replica["provider"] for replica in replicas(chats, file_id)) == ["local", "openai"]


def replicas(chats: Chats, file_id: str) -> list[dict[str, Any]]:
    with chats.gateway.http() as http:
        found: list[dict[str, Any]] = http.get(f"/v1/files/{file_id}").json()["replicas"]
    return found


def test_twenty_at_once_make_one_copy(chats: Chats, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF + b"many", "many.pdf")
    said: list[Any] = []
    threads = [threading.Thread(target=lambda: said.append(ask(sdk, "gpt", part(file_id)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == [SAID] * 20
    told = {entry["body"]["messages"][-1]["content"][1]["file"]["file_id"] for entry in journal(chats)[-20:]}
    assert len(told) == 1


def test_a_server_without_files_gets_the_bytes(chats: Chats, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PNG, "a.png")
    ask(sdk, "first", {"type": "image_url", "image_url": {"url": file_id, "detail": "low"}})
    told = chats.first.journal[-1].body["messages"][-1]["content"][1]
    assert told == {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}", "detail": "low"},
    }


def test_another_owners_file_does_not_exist(chats: Chats, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF, "mine.pdf")
    with chats.gateway.http() as http:
        other = http.post("/key/generate", json={}).json()["key"]
    before = len(journal(chats))
    client = openai.OpenAI(base_url=f"{chats.gateway.url}/v1", api_key=other, max_retries=0)
    with client, pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(
            model="gpt",
            messages=[{"role": "user", "content": [part(file_id)]}],  # type: ignore[list-item]
        )
    assert refused.value.body["param"] == "messages[0].content[0].file.file_id"  # type: ignore[index]
    assert len(journal(chats)) == before


def test_a_deleted_file_does_not_exist(chats: Chats, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF, "gone.pdf")
    sdk.files.delete(file_id)
    with pytest.raises(openai.NotFoundError):
        ask(sdk, "gpt", part(file_id))


def test_what_a_model_cannot_read_is_said(chats: Chats, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 64, "a.mp4")
    with pytest.raises(openai.BadRequestError) as refused:
        ask(sdk, "gpt", part(file_id))
    assert "OpenAI" in refused.value.message
    assert refused.value.body["code"] == "unsupported_part"  # type: ignore[index]


def test_a_copy_that_the_provider_has_lost_is_made_again(chats: Chats, sdk: openai.OpenAI) -> None:
    file_id = stored(sdk, PDF + b"lost", "lost.pdf", target_model_names="gpt")
    assert ask(sdk, "gpt", part(file_id)) == SAID
    first = journal(chats)[-1]["body"]["messages"][-1]["content"][1]["file"]["file_id"]
    key = {"authorization": f"Bearer {AIMOCK_KEY}"}
    assert httpx.delete(f"{chats.aimock_url}/v1/files/{first}", headers=key).status_code == 200
    assert ask(sdk, "gpt", part(file_id)) == SAID


PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "chat": lambda one: {"messages": [{"role": "user", "content": [part(one)]}]},
    "image": lambda one: {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": one}}]}]
    },
    "sound": lambda one: {
        "messages": [
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": one, "format": "wav"}}]}
        ]
    },
    "input": lambda one: {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": one}]}]},
    "result": lambda one: {
        "input": [{"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file", "file_id": one}]}]
    },
}


@pytest.mark.parametrize("place", PLACES)
def test_what_is_not_the_callers_answers_as_what_never_was(chats: Chats, sdk: openai.OpenAI, place: str) -> None:
    with chats.gateway.http() as http:
        other = http.post("/key/generate", json={}).json()["key"]
        theirs, never = stored(sdk, PDF, "a.pdf"), FILE.new()
        with openai.OpenAI(base_url=f"{chats.gateway.url}/v1", api_key=other, max_retries=0) as client:
            deleted = client.files.create(file=("b.pdf", PDF), purpose="user_data").id
            client.files.delete(deleted)
        path = "/v1/responses" if place in ("input", "result") else "/v1/chat/completions"
        said = set()
        for one in (theirs, deleted, never):
            reply = http.post(
                path, json={"model": "gpt", **PLACES[place](one)}, headers={"authorization": f"Bearer {other}"}
            )
            assert reply.status_code == 404
            said.add(reply.text.replace(one, "ID"))
        assert len(said) == 1
