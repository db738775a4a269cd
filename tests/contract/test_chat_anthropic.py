"""Chats at Anthropic: the contract, the wire, and aimock, which nobody here wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from mediagate.core.chat import (
    ChatRequest,
    Finish,
    Finished,
    MediaKind,
    ReasoningDelta,
    Settings,
    TextDelta,
    Tool,
    ToolCallBegun,
    ToolCallDelta,
    Used,
    Way,
)
from mediagate.core.errors import ContentPolicyViolation, InvalidRequest, MediagateError, ProviderRefused, Unavailable
from mediagate.providers.account import Account
from mediagate.providers.anthropic.chat import AnthropicChat, build
from tests.contract.chat_suite import PATIENT_S, NativeChatContract, collected, question, text_of
from tests.doubles.aimock.server import KEY, aimock_server
from tests.doubles.streaming import stream_server
from tests.unit.chat.anthropic_oracle import require_body
from tests.unit.chat.asked import asked, media, user

MODEL = "claude-sonnet-5"
USAGE = {"input_tokens": 12, "output_tokens": 5}


def account(url: str, key: str = "test-key", **options: object) -> AnthropicChat:
    return build(Account("anthropic-1", "anthropic", api_key=key, api_base=url, options=options))


def frame(**tree: Any) -> bytes:
    """As the API writes it."""
    return f"event: {tree['type']}\ndata: {json.dumps(tree, ensure_ascii=False)}\n\n".encode()


def stream(words: Sequence[str], reason: str = "end_turn") -> list[bytes]:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "usage": USAGE}
    deltas = [frame(type="content_block_delta", index=0, delta={"type": "text_delta", "text": word}) for word in words]
    before = frame(type="message_start", message=message) + frame(
        type="content_block_start", index=0, content_block={"type": "text", "text": ""}
    )
    after = frame(type="content_block_stop", index=0) + frame(
        type="message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 9}
    )
    return [before + frame(type="ping") + deltas[0], *deltas[1:], after, frame(type="message_stop")]


class TestAnthropicChat(NativeChatContract):
    def build(self, url: str, timeout: float = PATIENT_S) -> AnthropicChat:
        return account(url, timeout=timeout)

    def frames(self, words: Sequence[str]) -> list[bytes]:
        return stream(words)


async def test_the_request() -> None:
    async with stream_server(*stream(["x"])) as server:
        provider = account(f"{server.url}/v1")
        await collected(provider, question("Grüße", model=MODEL, stream=False))
        (seen,) = server.seen
        assert (seen.method, seen.target) == ("POST", "/v1/messages")
        assert seen.headers["x-api-key"] == "test-key"
        assert seen.headers["anthropic-version"] == "2023-06-01"
        assert "anthropic-beta" not in seen.headers
        assert seen.json["stream"] is True
        assert seen.json["messages"][0]["content"][0]["text"] == "Grüße"
        require_body({name: value for name, value in seen.json.items() if name != "stream"})
        await provider.close()


@pytest.mark.parametrize(
    ("status", "kind", "said", "expected", "code"),
    [
        ("529 Overloaded", "overloaded_error", "Overloaded", Unavailable, "provider_unavailable"),
        ("413 Too Large", "request_too_large", "Request too large", InvalidRequest, "provider_rejected_request"),
        ("400 Bad", "invalid_request_error", "messages.0: no", InvalidRequest, "provider_rejected_request"),
        ("400 Bad", "invalid_request_error", "prompt is too long: 9 > 8", InvalidRequest, "context_length_exceeded"),
        ("400 Bad", "invalid_request_error", "Output blocked by content filtering policy", ContentPolicyViolation,
         "content_policy_violation"),
        ("402 Payment", "billing_error", "No credit", ProviderRefused, "provider_no_credit"),
        ("404 Not Found", "not_found_error", "model: claude-0", ProviderRefused, "provider_not_found"),
    ],
)  # fmt: skip
async def test_refusals(status: str, kind: str, said: str, expected: type[MediagateError], code: str) -> None:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_1"}).encode()
    more = [("retry-after", "3")]
    async with stream_server(body, content_type="application/json", status=status, headers=more) as server:
        provider = account(server.url)
        with pytest.raises(expected) as caught:
            await collected(provider, question())
        assert caught.value.code == code
        if expected is InvalidRequest:
            assert said in caught.value.message
        if expected is Unavailable:
            assert caught.value.retry_after_s == 3
        await provider.close()


async def test_files_reach_the_request() -> None:
    document = media(MediaKind.DOCUMENT, Way.FILE_ID, "file_011CNha8iCJcU1wXNR6q4V8w", "application/pdf", "a.pdf")
    picture = media(MediaKind.IMAGE, Way.LINK, "https://files.example/a.png?sig=1", "image/png")
    async with stream_server(*stream(["x"])) as server:
        provider = account(server.url)
        await collected(provider, asked(user("Look", document, picture), model=MODEL))
        assert server.seen[0].json["messages"][0]["content"] == [
            {"type": "text", "text": "Look"},
            {
                "type": "document",
                "source": {"type": "file", "file_id": "file_011CNha8iCJcU1wXNR6q4V8w"},
                "title": "a.pdf",
            },
            {"type": "image", "source": {"type": "url", "url": "https://files.example/a.png?sig=1"}},
        ]
        await provider.close()


async def test_an_error_in_mid_stream() -> None:
    first, *_ = stream(["Hel", "lo"])
    error = frame(type="error", error={"type": "overloaded_error", "message": "Overloaded"})
    async with stream_server(first, error) as server:
        provider = account(server.url)
        pieces = provider.answer(question())
        assert isinstance(await anext(pieces), Used)
        assert await anext(pieces) == TextDelta("Hel")
        with pytest.raises(Unavailable):
            await anext(pieces)
        await provider.close()


CALLS = [{"name": "weather", "arguments": '{"city": "Oslo"}', "id": "toolu_1"}, {"name": "noon", "arguments": "{}"}]
FIXTURES = [
    {"match": {"userMessage": "think"}, "response": {"content": "Done.", "reasoning": "Let me think."}},
    {"match": {"userMessage": "tools"}, "response": {"toolCalls": CALLS}},
    {"match": {"userMessage": "long"}, "response": {"content": "x", "finishReason": "length"}},
    {
        "match": {"userMessage": "busy"},
        "response": {"error": {"message": "no", "type": "overloaded_error"}, "status": 529},
    },
    {
        "match": {"userMessage": "Look"},
        "response": {"content": "A ship at sea.", "usage": {"input_tokens": 40, "output_tokens": 4}},
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def aimock() -> Iterator[str]:
    with aimock_server(FIXTURES) as url:
        yield url


def received(aimock: str) -> Any:
    """What aimock noted of its last request."""
    entries = httpx.get(f"{aimock}/__aimock/journal", headers={"authorization": f"Bearer {KEY}"}).json()
    return entries[-1]


async def test_a_file_reaches_a_server_of_another_hand(aimock: str) -> None:
    provider = account(aimock, KEY)
    document = media(MediaKind.DOCUMENT, Way.FILE_ID, "file_011CNha8iCJcU1wXNR6q4V8w", "application/pdf", "a.pdf")
    picture = media(MediaKind.IMAGE, Way.FILE_ID, "file_2", "image/png")
    found = await collected(provider, asked(user("Look", document, picture), model=MODEL))
    assert text_of(found) == "A ship at sea."
    assert [piece.usage.input_tokens for piece in found if isinstance(piece, Used)][-1] == 40
    seen = received(aimock)
    # It keeps what it understood of a body: the words.
    assert (seen["path"], seen["body"]["model"], seen["body"]["messages"][0]["content"]) == (
        "/v1/messages",
        MODEL,
        "Look",
    )
    await provider.close()


async def test_thoughts_calls_and_reasons_of_another_hand(aimock: str) -> None:
    provider = account(aimock, KEY)
    found = await collected(provider, question("think", model=MODEL))
    assert "".join(piece.text for piece in found if isinstance(piece, ReasoningDelta)) == "Let me think."
    assert text_of(found) == "Done."
    request = ChatRequest(MODEL, question("tools").turns, Settings(tools=(Tool("weather"), Tool("noon"))))
    found = await collected(provider, request)
    begun = [piece for piece in found if isinstance(piece, ToolCallBegun)]
    assert [(call.index, call.name) for call in begun] == [(0, "weather"), (1, "noon")]
    arguments = ["".join(p.arguments for p in found if isinstance(p, ToolCallDelta) and p.index == n) for n in (0, 1)]
    assert [json.loads(text or "{}") for text in arguments] == [{"city": "Oslo"}, {}]
    assert found[-1] == Finished(Finish.TOOL_CALLS, provider_reason="tool_use")
    found = await collected(provider, question("long", model=MODEL))
    assert found[-1] == Finished(Finish.LENGTH, provider_reason="max_tokens")
    with pytest.raises(Unavailable):
        await collected(provider, question("busy", model=MODEL))
    await provider.close()


async def test_a_wrong_key_is_refused(aimock: str) -> None:
    provider = account(aimock, "sk-other")
    with pytest.raises(ProviderRefused):
        await collected(provider, question())
    await provider.close()
