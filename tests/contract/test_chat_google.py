"""Chats with Gemini and Vertex AI over HTTP: what is sent, what comes back and when, and what goes wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing
from typing import Any

import pytest
import pytest_asyncio

from mediagate.core.chat import (
    ChatEvent,
    ChatRequest,
    FileUse,
    Finish,
    Finished,
    Media,
    MediaKind,
    Role,
    Settings,
    Text,
    TextDelta,
    Turn,
    Usage,
    Used,
    Way,
)
from mediagate.core.errors import (
    InvalidField,
    InvalidRequest,
    PayloadTooLarge,
    ProviderFailed,
    ProviderRefused,
    ProviderTimeout,
    RateLimited,
    Unavailable,
)
from mediagate.providers.account import Account
from mediagate.providers.gemini import chat as gemini
from mediagate.providers.vertex_ai import chat as vertex_ai
from mediagate.providers.vertex_ai.endpoint import endpoint_of
from tests.conftest import free_port
from tests.contract.chat_suite import PATIENT_S, NativeChatContract
from tests.doubles.google_chat import KEY, PROJECT, TOKEN, GoogleChatApi

MODEL = "gemini-3-flash"
URIS = {
    "gemini": "https://generativelanguage.googleapis.com/v1beta/files/abc",
    "vertex_ai": "gs://bucket/a.mp4",
}
PATHS = {
    "gemini": f"/v1/models/{MODEL}",
    "vertex_ai": f"/v1/projects/{PROJECT}/locations/global/publishers/google/models/{MODEL}",
}
Chat = gemini.GeminiChat | vertex_ai.VertexChat


def account(provider: str, url: str, **options: Any) -> Account:
    if provider == "gemini":
        return Account("x", provider, api_key=KEY, api_base=url, options=options)
    options = {"vertex_project": PROJECT, "vertex_api_base": url, **options}
    return Account("x", provider, api_key=TOKEN, options=options)


def built(provider: str, url: str, **options: Any) -> Chat:
    build = gemini.build if provider == "gemini" else vertex_ai.build
    return build(account(provider, url, **options))


def piece(text: str | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    parts = [] if text is None else [{"text": text}]
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}}
    return {"candidates": [{**candidate, **({"finishReason": reason} if reason else {})}], **more}


PIECES = [piece("It "), piece("rains."), piece(None, "STOP", usageMetadata={"promptTokenCount": 4})]
EVENTS = [TextDelta("It "), TextDelta("rains."), Finished(Finish.STOP, 0, "STOP"), Used(Usage(4))]


def request(*parts: Any, stream: bool = False, model: str = MODEL, **settings: Any) -> ChatRequest:
    return ChatRequest(model, (Turn(Role.USER, parts or (Text("And?"),)),), Settings(**settings), stream)


async def collect(chat: Chat, got: list[ChatEvent]) -> None:
    """Keep what comes, also where it breaks off."""
    async for event in chat.answer(request(stream=True)):
        got.append(event)  # noqa: PERF401


@pytest.fixture(params=["gemini", "vertex_ai"])
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def api(provider: str) -> Iterator[GoogleChatApi]:
    with GoogleChatApi(is_vertex=provider == "vertex_ai").running() as running:
        running.pieces = list(PIECES)
        yield running


@pytest_asyncio.fixture
async def chat(provider: str, api: GoogleChatApi) -> AsyncIterator[Chat]:
    made = built(provider, api.url)
    yield made
    await made.close()


async def test_a_file_reaches_the_model_by_its_uri(provider: str, api: GoogleChatApi, chat: Chat) -> None:
    api.pieces = [piece("A boat.", "STOP")]
    file = FileUse(Way.URI, URIS[provider], "video/mp4", file_id="file-1")
    asked = request(Media(MediaKind.VIDEO, file, "messages[0].content[0]"), Text("What is it?"), max_tokens=5)
    chat.check(asked)
    events = [event async for event in chat.answer(asked)]
    assert events == [TextDelta("A boat."), Finished(Finish.STOP, 0, "STOP")]
    assert str(api.asked[0]) == f"POST {PATHS[provider]}:generateContent"
    assert api.asked[0].json == {
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"fileData": {"mimeType": "video/mp4", "fileUri": URIS[provider]}},
                    {"text": "What is it?"},
                ],
            }
        ],
        "generationConfig": {"maxOutputTokens": 5},
    }


async def test_a_stream_comes_piece_by_piece(provider: str, api: GoogleChatApi, chat: Chat) -> None:
    api.waits_at = 1
    async with aclosing(chat.answer(request(stream=True))) as events:
        # The second piece is not sent before the first one has been taken.
        assert await anext(events) == EVENTS[0]
        assert not api.go.is_set()
        api.go.set()
        assert [event async for event in events] == EVENTS[1:]
    assert str(api.asked[0]) == f"POST {PATHS[provider]}:streamGenerateContent"
    assert api.asked[0].query == {"alt": "sse"}


@pytest.mark.parametrize("cut_at", [0, 1, 2])
async def test_a_stream_that_is_cut(api: GoogleChatApi, chat: Chat, cut_at: int) -> None:
    api.cut_at = cut_at
    got: list[ChatEvent] = []
    with pytest.raises(ProviderFailed):
        await collect(chat, got)
    assert got == EVENTS[:cut_at]


async def test_a_stream_that_ends_without_its_end(api: GoogleChatApi, chat: Chat) -> None:
    api.pieces = PIECES[:2]
    got: list[ChatEvent] = []
    with pytest.raises(ProviderFailed, match="broke off"):
        await collect(chat, got)
    assert got == EVENTS[:2]


async def test_an_error_in_the_middle_of_a_stream(api: GoogleChatApi, chat: Chat) -> None:
    api.pieces = [PIECES[0], {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}]
    got: list[ChatEvent] = []
    with pytest.raises(Unavailable):
        await collect(chat, got)
    assert got == EVENTS[:1]


async def test_a_caller_who_goes_away_ends_the_stream(api: GoogleChatApi, chat: Chat) -> None:
    api.waits_at = 1
    async with aclosing(chat.answer(request(stream=True))) as events:
        await anext(events)
    assert await asyncio.to_thread(api.gone.wait, 10)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_caller_who_goes_away_before_the_first_piece(api: GoogleChatApi, chat: Chat, stream: bool) -> None:
    api.waits_at = 0
    events = chat.answer(request(stream=stream))
    waiting = asyncio.ensure_future(anext(events))
    while not api.asked or api.asked[0].json is None:
        await asyncio.sleep(0.005)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await asyncio.to_thread(api.gone.wait, 10)


async def test_silence_has_an_end(provider: str, api: GoogleChatApi) -> None:
    api.waits_at = 1
    chat = built(provider, api.url, timeout=0.2)
    got: list[ChatEvent] = []
    with pytest.raises(ProviderTimeout):
        await collect(chat, got)
    assert got == EVENTS[:1]
    await chat.close()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (400, "INVALID_ARGUMENT", InvalidRequest),
        (403, "PERMISSION_DENIED", ProviderRefused),
        (404, "NOT_FOUND", ProviderRefused),
        (429, "RESOURCE_EXHAUSTED", RateLimited),
        (500, "INTERNAL", ProviderFailed),
        (503, "UNAVAILABLE", Unavailable),
    ],
)
async def test_a_refusal(
    api: GoogleChatApi, chat: Chat, stream: bool, status: int, word: str, kind: type[Exception]
) -> None:
    api.refusal = status, {"error": {"code": status, "message": "No.", "status": word}}
    with pytest.raises(kind):
        await anext(chat.answer(request(stream=stream)))
    # A question is sent once: whoever asks knows other places.
    assert len(api.asked) == 1


async def test_nobody_is_there(provider: str) -> None:
    chat = built(provider, f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable):
        await anext(chat.answer(request()))
    await chat.close()


async def test_a_wrong_key_is_the_operators(provider: str, api: GoogleChatApi) -> None:
    api.key = "another"
    chat = built(provider, api.url)
    with pytest.raises(ProviderRefused):
        await anext(chat.answer(request(stream=True)))
    await chat.close()


async def test_more_than_a_request_may_have(provider: str, chat: Chat, api: GoogleChatApi) -> None:
    most = chat.spec.request_bytes_max
    assert most is not None
    with pytest.raises(PayloadTooLarge):
        await anext(chat.answer(request(Text("x" * most))))
    assert not api.asked


@pytest.mark.parametrize(
    ("provider", "model", "path"),
    [
        ("gemini", "tunedModels/mine-1", "/v1/tunedModels/mine-1"),
        ("gemini", "gemini-3.1-pro", "/v1/models/gemini-3.1-pro"),
        ("vertex_ai", "google/gemini-3-flash@001", "publishers/google/models/gemini-3-flash@001"),
        ("vertex_ai", "12345", "endpoints/12345"),
        ("vertex_ai", "gemini/12345", "endpoints/12345"),
    ],
)
def test_where_a_model_is(provider: str, model: str, path: str) -> None:
    if provider == "gemini":
        assert f"/v1/{gemini.model_path(model)}" == path
    else:
        assert vertex_ai.model_path(model) == path


@pytest.mark.parametrize("model", ["claude-opus", "../secret", "a b", "models/../x", "", "x?y=z", "meta/llama-4-maas"])
def test_no_model_of_vertex_ais(model: str) -> None:
    with pytest.raises(InvalidField) as caught:
        vertex_ai.model_path(model)
    assert caught.value.param == "model"
    if model != "claude-opus":
        with pytest.raises(InvalidField):
            gemini.model_path(model)


def test_a_part_that_nobody_reads_is_refused_before_the_call(provider: str) -> None:
    chat = built(provider, "http://127.0.0.1:1")
    file = FileUse(Way.DATA, "AAAA", "application/zip")
    with pytest.raises(InvalidField):
        chat.check(request(Media(MediaKind.DOCUMENT, file, "messages[0].content[0]")))


async def test_a_location_decides_the_place(api: GoogleChatApi) -> None:
    if not api.is_vertex:
        return
    chat = built("vertex_ai", api.url, vertex_location="europe-west4")
    api.pieces = [piece("x", "STOP")]
    async for _ in chat.answer(request()):
        pass
    assert api.asked[0].path.startswith(f"/v1/projects/{PROJECT}/locations/europe-west4/")
    await chat.close()
    assert endpoint_of("global") == "https://aiplatform.googleapis.com"


def test_an_account_without_what_it_needs() -> None:
    with pytest.raises(ValueError, match="api_key is missing"):
        gemini.build(Account("x", "gemini"))
    with pytest.raises(ValueError, match="vertex_project is missing"):
        vertex_ai.build(Account("x", "vertex_ai", api_key=TOKEN))


async def test_half_a_character_goes_on_as_it_is(api: GoogleChatApi, chat: Chat) -> None:
    api.pieces = [piece("x", "STOP")]
    async for _ in chat.answer(request(Text("\ud83d"))):
        pass
    assert api.asked[0].json["contents"][0]["parts"] == [{"text": "\ud83d"}]


class GoogleChatContract(NativeChatContract):
    model = MODEL
    unsaid = Settings(parallel_tool_calls=False)
    marks_end = False
    place = ""

    def build(self, url: str, timeout: float = PATIENT_S) -> Chat:
        return built(self.place, url, timeout=timeout)

    def frames(self, words: Sequence[str]) -> list[bytes]:
        pieces = [*(piece(word) for word in words), piece(None, "STOP", usageMetadata={"promptTokenCount": 4})]
        return [f"data: {json.dumps(tree, ensure_ascii=False)}\r\n\r\n".encode() for tree in pieces]


class TestGeminiChat(GoogleChatContract):
    place = "gemini"


class TestVertexChat(GoogleChatContract):
    place = "vertex_ai"
