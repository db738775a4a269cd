"""Gemini and Vertex AI behind the gateway, asked with OpenAI's client."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from aiohttp import web

from mediagate.providers.gemini.files import URIS
from tests.chat.conftest import entry
from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.doubles.gcs import BUCKET, gcs_running
from tests.doubles.gemini import GeminiApi
from tests.doubles.google_chat import KEY, PROJECT, TOKEN, GoogleChatApi

MODEL = "gemini-3-flash"
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
USAGE = {"promptTokenCount": 4, "candidatesTokenCount": 2}


PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"
WAV = (
    b"RIFF\x2c\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
    b"\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data\x08\x00\x00\x00" + bytes(8)
)
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(17)
MP4 = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41" + bytes(64)
FILES: dict[str, tuple[bytes, str, Any]] = {
    "a.pdf": (PDF, "application/pdf", {"type": "file", "file": {"file_id": "ID"}}),
    "a.csv": (b"a,b\n1,2\n", "text/plain", {"type": "file", "file": {"file_id": "ID"}}),
    "a.png": (PNG, "image/png", {"type": "image_url", "image_url": {"url": "ID"}}),
    "a.wav": (WAV, "audio/wav", {"type": "input_audio", "input_audio": {"data": "ID", "format": "wav"}}),
    "a.mp4": (MP4, "video/mp4", {"type": "video_url", "video_url": {"url": "mediagate://ID"}}),
}
ACCOUNTS = {"gemini": "gemini", "vertex": "vertex_ai"}


class Studio(GeminiApi):
    """The Gemini API with its files and its models."""

    def __init__(self) -> None:
        super().__init__(KEY)
        self.chat = GoogleChatApi(is_vertex=False)
        self.chat.has = lambda uri: f"files/{uri.rpartition('/')[2]}" in self.files
        # One journal for both.
        self.chat.asked = self.asked

    def routes(self) -> list[web.RouteDef]:
        """Both."""
        return [*self.chat.routes(), *super().routes()]


@dataclass
class Stand:
    """The gateway with one of its two models, and the API behind it."""

    gateway: Gateway
    api: GoogleChatApi
    model: str

    @property
    def chats(self) -> list[Any]:
        """The bodies that models were sent."""
        return [asked.json for asked in self.api.asked if "enerateContent" in asked.path]

    def create(self, *messages: Any, **more: Any) -> Any:
        """Ask."""
        asked = list(messages) or [{"role": "user", "content": "And?"}]
        client = self.gateway.openai()
        return client.chat.completions.create(model=self.model, messages=asked, **more)


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Gateway, GoogleChatApi, GoogleChatApi, Studio]]:
    with ExitStack() as stack:
        studio = stack.enter_context(Studio().running())
        bucket = stack.enter_context(gcs_running())
        vertex = stack.enter_context(GoogleChatApi(is_vertex=True).running())
        place = {"vertex_project": PROJECT, "vertex_api_base": vertex.url}
        store = {"api_base": bucket.url, "bucket_name": BUCKET, "api_key": TOKEN}
        config = {
            **TEST_CONFIG,
            "model_list": [
                *TEST_CONFIG["model_list"],
                entry("gemini", f"gemini/{MODEL}", studio.url, KEY),
                entry("loose", f"gemini/{MODEL}", studio.url, KEY, drop_params=True),
                {"model_name": "vertex", "litellm_params": {"model": f"vertex_ai/{MODEL}", **store, **place}},
            ],
            "router_settings": {"cooldown_time": 1},
        }
        folder = stack.enter_context(data_folder())
        yield stack.enter_context(start_gateway(folder, config)), studio.chat, vertex, studio


@pytest.fixture(params=["gemini", "vertex"])
def stand(request: pytest.FixtureRequest, running: tuple[Gateway, GoogleChatApi, GoogleChatApi, Studio]) -> Stand:
    gateway, gemini, vertex, _ = running
    api = gemini if request.param == "gemini" else vertex
    api.asked.clear()
    api.refusal = api.waits_at = api.cut_at = None
    return Stand(gateway, api, str(request.param))


def piece(*parts: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    return {"candidates": [{**candidate, **({"finishReason": reason} if reason else {})}], **more}


def test_an_answer(stand: Stand) -> None:
    stand.api.pieces = [piece({"text": "Rain."}, reason="STOP", usageMetadata=USAGE)]
    answer = stand.create(max_tokens=7, user="somebody")
    assert answer.choices[0].message.content == "Rain."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == stand.model
    assert answer.usage.total_tokens == 6
    assert stand.chats[0] == {
        "contents": [{"role": "user", "parts": [{"text": "And?"}]}],
        "generationConfig": {"maxOutputTokens": 7},
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_a_stored_file_is_told_by_its_uri(stand: Stand, name: str, stream: bool) -> None:
    data, media_type, part = FILES[name]
    with stand.gateway.openai() as client:
        target = {"custom_llm_provider": ACCOUNTS[stand.model]}
        file = client.files.create(file=(name, io.BytesIO(data)), purpose="user_data", extra_body=target)
        stand.api.asked.clear()
        stand.api.pieces = [piece({"text": "A report."}, reason="STOP", usageMetadata=USAGE)]
        content = [json.loads(json.dumps(part).replace("ID", file.id)), {"type": "text", "text": "What?"}]
        answer = stand.create({"role": "user", "content": content}, stream=stream)
        if stream:
            assert "A report." in [chunk.choices[0].delta.content for chunk in answer if chunk.choices]
        else:
            assert answer.choices[0].message.content == "A report."
        (asked,) = stand.chats
        first, second = asked["contents"][0]["parts"]
        assert second == {"text": "What?"}
        # Gemini lists more types of text.
        assert first["fileData"]["mimeType"] in (media_type, "text/csv" if stand.model == "gemini" else media_type)
        if stand.model == "vertex":
            assert first["fileData"]["fileUri"] == f"gs://{BUCKET}/mediagate/{file.id}/{name}"
        else:
            assert first["fileData"]["fileUri"] == f"{URIS}/{file.id}"
        client.files.delete(file.id)


@pytest.mark.parametrize(
    "part", [{"image_url": {"url": "ID"}}, {"image_url": {"url": "data:image/gif;base64,R0lGODlhAQ=="}}]
)
def test_what_a_part_may_not_hold(stand: Stand, part: Any) -> None:
    with stand.gateway.openai() as client:
        file = client.files.create(
            file=("a.pdf", io.BytesIO(PDF)), purpose="user_data", extra_body={"custom_llm_provider": "local"}
        )
        content = [{"type": "image_url", **json.loads(json.dumps(part).replace("ID", file.id))}]
        with pytest.raises(openai.BadRequestError) as caught:
            stand.create({"role": "user", "content": content})
        assert (caught.value.param or "").startswith("messages[0].content[0]")
        client.files.delete(file.id)


def test_a_copy_is_made_where_the_account_has_none(stand: Stand) -> None:
    with stand.gateway.openai() as client:
        file = client.files.create(
            file=("a.pdf", io.BytesIO(PDF)), purpose="user_data", extra_body={"custom_llm_provider": "local"}
        )
        stand.api.pieces = [piece({"text": "A report."}, reason="STOP")]
        stand.create({"role": "user", "content": [{"type": "file", "file": {"file_id": file.id}}]})
        (asked,) = stand.chats
        assert file.id in asked["contents"][0]["parts"][0]["fileData"]["fileUri"]
        client.files.delete(file.id)


def test_a_copy_that_the_provider_has_lost_is_made_anew(stand: Stand, running: Any) -> None:
    if stand.api.is_vertex:
        return
    studio = running[3]
    with stand.gateway.openai() as client:
        file = client.files.create(
            file=("a.pdf", io.BytesIO(PDF)), purpose="user_data", extra_body={"custom_llm_provider": "local"}
        )
        stand.api.pieces = [piece({"text": "A report."}, reason="STOP")]
        message = {"role": "user", "content": [{"type": "file", "file": {"file_id": file.id}}]}
        stand.create(message)
        del studio.files[f"files/{file.id}"]
        assert stand.create(message).choices[0].message.content == "A report."
        assert f"files/{file.id}" in studio.files
        assert len(stand.chats) == 3
        client.files.delete(file.id)


@pytest.mark.parametrize(
    "link",
    [
        "https://generativelanguage.googleapis.com/v1beta/files/theirs",
        "https://storage.googleapis.com/bucket/theirs.png",
        f"gs://{BUCKET}/theirs.png",
    ],
)
def test_what_others_have_stored_is_not_read_by_a_link(stand: Stand, link: str) -> None:
    stand.api.pieces = [piece({"text": "A report."}, reason="STOP")]
    content = [{"type": "image_url", "image_url": {"url": link}}]
    with contextlib.suppress(openai.APIStatusError):
        stand.create({"role": "user", "content": content})
    # Gemini's models read nothing of the account's in Google Cloud Storage.
    told = [part for body in stand.chats for part in body["contents"][0]["parts"] if "fileData" in part]
    assert not told or (stand.model == "gemini" and link.startswith("https://storage."))


def test_a_call_comes_back_signed(stand: Stand) -> None:
    call = {"functionCall": {"name": "weather", "args": {"place": "Rome"}}, "thoughtSignature": "c2lnbmVk"}
    stand.api.pieces = [piece(call, reason="STOP", usageMetadata=USAGE)]
    first = stand.create(tools=TOOLS).choices[0]
    assert first.finish_reason == "tool_calls"
    (asked,) = first.message.tool_calls
    assert json.loads(asked.function.arguments) == {"place": "Rome"}
    stand.api.pieces = [piece({"text": "Take a coat."}, reason="STOP")]
    result = {"role": "tool", "tool_call_id": asked.id, "content": '{"rain": true}'}
    second = stand.create({"role": "user", "content": "And?"}, first.message, result, tools=TOOLS)
    assert second.choices[0].message.content == "Take a coat."
    contents = stand.chats[1]["contents"]
    assert contents[1]["parts"] == [{**call, "functionCall": {**call["functionCall"], "id": asked.id}}]  # type: ignore[dict-item]
    assert contents[2]["parts"][0]["functionResponse"]["response"] == {"rain": True}


def test_a_stream(stand: Stand) -> None:
    stand.api.pieces = [
        piece({"text": "Hm.", "thought": True}),
        piece({"text": "Rain"}),
        piece({"text": "."}),
        piece(reason="STOP", usageMetadata=USAGE),
    ]
    chunks = list(stand.create(stream=True, stream_options={"include_usage": True}))
    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert [delta.content for delta in deltas if delta.content] == ["Rain", "."]
    assert "Hm." in [getattr(delta, "reasoning_content", None) for delta in deltas]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.total_tokens == 6


def test_a_stream_that_is_cut_says_so(stand: Stand) -> None:
    stand.api.pieces = [piece({"text": "Rain"}), piece(reason="STOP")]
    stand.api.cut_at = 1
    stream = stand.create(stream=True)
    texts = (chunk.choices[0].delta.content for chunk in stream)
    assert next(text for text in texts if text) == "Rain"
    with pytest.raises(openai.APIError):
        list(texts)


def test_a_blocked_prompt(stand: Stand) -> None:
    stand.api.pieces = [{"promptFeedback": {"blockReason": "SAFETY"}}]
    assert stand.create().choices[0].finish_reason == "content_filter"


def test_what_it_has_no_word_for(stand: Stand) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        stand.create(tools=TOOLS, parallel_tool_calls=False)
    assert (caught.value.param, caught.value.code) == ("parallel_tool_calls", "unsupported_parameter")
    assert not stand.chats


def test_what_it_has_no_word_for_is_left_out_where_the_operator_wants_that(stand: Stand) -> None:
    if not stand.api.is_vertex:
        stand.model = "loose"
        stand.api.pieces = [piece({"text": "Rain."}, reason="STOP")]
        answer = stand.create(tools=TOOLS, parallel_tool_calls=False, reasoning_effort="none", logit_bias={"1": 1})
        assert answer.choices[0].message.content == "Rain."
        assert stand.chats[0].keys() == {"contents", "tools"}


def test_a_refusal(stand: Stand) -> None:
    error = {"code": 400, "message": "The input token count (9) exceeds the maximum number of tokens allowed (8)."}
    stand.api.refusal = 400, {"error": {**error, "status": "INVALID_ARGUMENT"}}
    with pytest.raises(openai.BadRequestError) as caught:
        stand.create()
    assert caught.value.code == "context_length_exceeded"
    assert "exceeds the maximum" in caught.value.message
