"""Chats with Bedrock's models: the contract for whole answers and streams, the wire with its signature, and two servers
of other hands: aimock and ministack."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
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
    Usage,
    Used,
    Way,
)
from mediagate.core.errors import (
    InvalidRequest,
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    ProviderTimeout,
    RateLimited,
    Unavailable,
)
from mediagate.providers.account import Account
from mediagate.providers.bedrock.chat import BedrockChat, build
from tests.contract.chat_suite import PATIENT_S, NativeChatContract, collected, question, text_of
from tests.doubles.aimock.server import KEY, aimock_server
from tests.doubles.event_stream import error, event, exception, message, signature_of
from tests.doubles.ministack.server import ministack_server
from tests.doubles.streaming import stream_server
from tests.unit.chat.asked import asked, media, user

NOVA = "us.amazon.nova-2-lite-v1:0"
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
PROFILE = "arn:aws:bedrock:eu-central-1:111122223333:application-inference-profile/ab12"
STREAM = "application/vnd.amazon.eventstream"
KEYS = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "s3cret", "aws_region_name": "eu-central-1"}
VIDEO = media(MediaKind.VIDEO, Way.URI, "s3://bucket/mediagate/file-1/a.mp4", "video/mp4")
DOCUMENT = media(MediaKind.DOCUMENT, Way.URI, "s3://bucket/mediagate/file-2/b.pdf", "application/pdf", "b.pdf")
IMAGE = media(MediaKind.IMAGE, Way.URI, "s3://bucket/mediagate/file-3/c.png", "image/png")
USAGE = {"inputTokens": 12, "outputTokens": 9, "totalTokens": 21}


def account(url: str, *, api_key: str | None = None, **options: object) -> BedrockChat:
    given = {"aws_bedrock_runtime_endpoint": url, **({} if api_key else KEYS), **options}
    return build(Account("bedrock-1", "bedrock", api_key=api_key, options=given))


def stream(words: Sequence[str], reason: str = "end_turn") -> list[bytes]:
    first, *rest = [event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": word}}) for word in words]
    stop = event("contentBlockStop", {"contentBlockIndex": 0})
    ending = event("messageStop", {"stopReason": reason})
    usage = event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 3}})
    return [event("messageStart", {"role": "assistant"}) + first, *rest, stop, ending + usage]


def whole(text: str) -> bytes:
    answer = {
        "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
        "stopReason": "end_turn",
        "usage": USAGE,
        "metrics": {"latencyMs": 3},
    }
    return json.dumps(answer).encode()


class TestBedrockChat(NativeChatContract):
    content_type = STREAM

    def build(self, url: str, timeout: float = PATIENT_S) -> BedrockChat:
        return account(url, timeout=timeout)

    def frames(self, words: Sequence[str]) -> list[bytes]:
        return stream(words)


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (NOVA, "/model/us.amazon.nova-2-lite-v1:0/converse-stream"),
        ("converse/amazon.nova-pro-v1:0", "/model/amazon.nova-pro-v1:0/converse-stream"),
        (PROFILE, f"/model/{PROFILE.replace('/', '%2F')}/converse-stream"),
    ],
)  # fmt: skip
async def test_a_stream_is_signed_as_it_is_sent(model: str, path: str) -> None:
    async with stream_server(*stream(["Hé", "!"]), content_type=STREAM) as server:
        provider = account(server.url, aws_session_token="token/with+signs=")
        found = await collected(provider, ChatRequest(model, asked(user("Grüße", VIDEO)).turns, stream=True))
        assert text_of(found) == "Hé!"
        assert found[-2:] == [Used(Usage(12, 9)), Finished(Finish.STOP, provider_reason="end_turn")]
        (seen,) = server.seen
        assert (seen.method, seen.target) == ("POST", path)
        assert seen.headers["content-type"] == "application/json"
        assert seen.headers["x-amz-security-token"] == "token/with+signs="
        assert "eu-central-1/bedrock/aws4_request" in seen.headers["authorization"]
        carried, right = signature_of(seen, "s3cret", "bedrock")
        assert carried == right
        assert seen.json == {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"text": "Grüße"},
                        {
                            "video": {
                                "format": "mp4",
                                "source": {"s3Location": {"uri": "s3://bucket/mediagate/file-1/a.mp4"}},
                            }
                        },
                    ],
                }
            ]
        }
        await provider.close()


async def test_a_whole_answer_is_asked_for_where_the_caller_wants_no_stream() -> None:
    async with stream_server(whole("Hé!"), content_type="application/json") as server:
        provider = account(server.url)
        found = await collected(provider, question(model=NOVA, stream=False))
        assert found == [TextDelta("Hé!"), Used(Usage(12, 9)), Finished(Finish.STOP, provider_reason="end_turn")]
        (seen,) = server.seen
        assert seen.target == "/model/us.amazon.nova-2-lite-v1:0/converse"
        carried, right = signature_of(seen, "s3cret", "bedrock")
        assert carried == right
        await provider.close()


async def test_a_long_body_is_signed_too() -> None:
    data = "A" * (6 << 20)
    async with stream_server(whole("x"), content_type="application/json") as server:
        provider = account(server.url)
        await collected(provider, asked(user("x", media(MediaKind.VIDEO, Way.DATA, data, "video/mp4")), model=NOVA))
        (seen,) = server.seen
        assert seen.json["messages"][0]["content"][1]["video"]["source"] == {"bytes": data}
        carried, right = signature_of(seen, "s3cret", "bedrock")
        assert carried == right
        await provider.close()


async def test_a_bedrock_key_is_enough() -> None:
    async with stream_server(*stream(["x"]), content_type=STREAM) as server:
        provider = account(server.url, api_key="ABSKexample")
        await collected(provider, question(model=NOVA))
        assert server.seen[0].headers["authorization"] == "Bearer ABSKexample"
        assert "x-amz-date" not in server.seen[0].headers
        await provider.close()


async def test_without_credentials_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    async with stream_server(*stream(["x"]), content_type=STREAM) as server:
        provider = account(server.url, aws_access_key_id="", aws_secret_access_key="")
        for _ in range(2):
            with pytest.raises(ProviderRefused) as caught:
                await collected(provider, question(model=NOVA))
            assert caught.value.code == "provider_credentials_refused"
        assert server.seen == []
        await provider.close()


async def test_amazons_own_address_is_that_of_the_region() -> None:
    for region, host in (("us-west-2", "amazonaws.com"), ("cn-north-1", "amazonaws.com.cn")):
        made = build(Account("b", "bedrock", options={**KEYS, "aws_region_name": region}))
        assert await made._signer.url("model/x/converse") == f"https://bedrock-runtime.{region}.{host}/model/x/converse"
        await made.close()


@pytest.mark.parametrize(
    ("status", "kind", "said", "expected", "code"),
    [
        ("400 Bad", "ValidationException:http://internal.amazon.com/", "The model returned: no", InvalidRequest,
         "provider_rejected_request"),
        ("400 Bad", "", "This model doesn't support the s3Uri field.", InvalidRequest, "provider_rejected_request"),
        ("400 Bad", "ValidationException", "Input is too long for requested model.", InvalidRequest,
         "context_length_exceeded"),
        ("429 Slow", "ThrottlingException", "Too many tokens, please wait before trying again.", RateLimited,
         "provider_rate_limited"),
        ("429 Slow", "ModelNotReadyException", "Model is not ready for inference.", Unavailable,
         "provider_unavailable"),
        ("403 No", "AccessDeniedException", "You don't have access to the model.", ProviderRefused,
         "provider_credentials_refused"),
        ("404 No", "ResourceNotFoundException", "no such model", ProviderRefused, "provider_not_found"),
        ("408 Late", "ModelTimeoutException", "Model timed out.", ProviderTimeout, "provider_timeout"),
        ("424 Failed", "ModelErrorException", "The model failed.", ProviderFailed, "provider_failed"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("streamed", [True, False])
async def test_refusals(
    status: str, kind: str, said: str, expected: type[MediagateError], code: str, streamed: bool
) -> None:
    more = [("x-amzn-errortype", kind)] if kind else []
    body = json.dumps({"message": said}).encode()
    async with stream_server(body, content_type="application/json", status=status, headers=more) as server:
        provider = account(server.url)
        with pytest.raises(expected) as caught:
            await collected(provider, question(stream=streamed))
        assert caught.value.code == code
        if expected is InvalidRequest:
            assert said in caught.value.message
        await provider.close()


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (exception("throttlingException", "Slow down"), RateLimited),
        (exception("modelStreamErrorException", "The model failed"), ProviderFailed),
        (exception("validationException", "No"), InvalidRequest),
        (exception("serviceUnavailableException", "Later"), Unavailable),
        (error("InternalFailure", "An internal error"), ProviderFailed),
    ],
)
async def test_an_exception_in_mid_stream(frame: bytes, expected: type[MediagateError]) -> None:
    first, *_ = stream(["Hel", "lo"])
    async with stream_server(first, frame, content_type=STREAM) as server:
        provider = account(server.url)
        pieces = provider.answer(question())
        assert await anext(pieces) == TextDelta("Hel")
        with pytest.raises(expected):
            await anext(pieces)
        await provider.close()


def broken(frame: bytes, at: int) -> bytes:
    return frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1 :]


@pytest.mark.parametrize(
    "frame",
    [
        broken(stream(["Hello"])[0], 9),
        broken(stream(["Hello"])[0], 40),
        broken(stream(["Hello"])[0], -5),
        b"HTTP says no, and that is no frame of any kind",
        event("contentBlockDelta", ["x"]),
        message({":message-type": "event", ":event-type": "contentBlockDelta"}, b"{"),
        message({":message-type": "new"}, b"{}"),
        message({}, b"{}"),
    ],
)
async def test_what_is_no_frame_is_an_answer_that_cannot_be_read(frame: bytes) -> None:
    async with stream_server(frame, content_type=STREAM) as server:
        provider = account(server.url)
        with pytest.raises(ProviderFailed) as caught:
            await collected(provider, question())
        assert caught.value.code == "provider_bad_answer"
        await provider.close()


async def test_who_goes_away_from_a_whole_answer_ends_the_call_there() -> None:
    async with stream_server(b"{", asyncio.Event(), content_type="application/json") as server:
        provider = account(server.url)
        task = asyncio.ensure_future(collected(provider, question(stream=False)))
        while not server.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        async with asyncio.timeout(20):
            await server.gone.wait()
        await asyncio.wait([task])
        await provider.close()


CALLS = [{"name": "weather", "arguments": '{"city": "Oslo"}', "id": "tooluse_1"}, {"name": "noon", "arguments": "{}"}]
FIXTURES: list[dict[str, Any]] = [
    {"match": {"userMessage": "think"}, "response": {"content": "Done.", "reasoning": "Let me think."}},
    {"match": {"userMessage": "tools"}, "response": {"toolCalls": CALLS}},
    {"match": {"userMessage": "long"}, "response": {"content": "x", "finishReason": "length"}},
    {"match": {"userMessage": "Look"}, "response": {"content": "A ship at sea.", "usage": {"input_tokens": 40}}},
]


@pytest.fixture(scope="module")
def aimock() -> Iterator[str]:
    with aimock_server(FIXTURES) as url:
        yield url


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_server_of_another_hand(aimock: str, streamed: bool) -> None:
    provider = account(aimock, api_key=KEY)

    async def ask(request: ChatRequest) -> Any:
        return await collected(provider, ChatRequest(CLAUDE, request.turns, request.settings, stream=streamed))

    found = await ask(asked(user("Look", VIDEO, DOCUMENT, IMAGE)))
    assert text_of(found) == "A ship at sea."
    assert [piece.usage.input_tokens for piece in found if isinstance(piece, Used)] == [40]
    entries = httpx.get(f"{aimock}/__aimock/journal", headers={"authorization": f"Bearer {KEY}"}).json()
    assert entries[-1]["path"].endswith("/converse-stream" if streamed else "/converse")
    found = await ask(question("think"))
    assert "".join(piece.text for piece in found if isinstance(piece, ReasoningDelta)) == "Let me think."
    assert text_of(found) == "Done."
    found = await ask(ChatRequest("m", question("tools").turns, Settings(tools=(Tool("weather"), Tool("noon")))))
    begun = [piece for piece in found if isinstance(piece, ToolCallBegun)]
    assert [(call.index, call.name) for call in begun] == [(0, "weather"), (1, "noon")]
    arguments = ["".join(p.arguments for p in found if isinstance(p, ToolCallDelta) and p.index == n) for n in (0, 1)]
    assert [json.loads(text or "{}") for text in arguments] == [{"city": "Oslo"}, {}]
    assert found[-1] == Finished(Finish.TOOL_CALLS, provider_reason="tool_use")
    assert (await ask(question("long")))[-1] == Finished(Finish.LENGTH, provider_reason="max_tokens")
    await provider.close()


@pytest.fixture(scope="module")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ministack_server(Path(tmp_path_factory.mktemp("ministack"))) as url:
        yield url


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_second_server_of_another_hand(ministack: str, streamed: bool) -> None:
    provider = account(ministack, aws_region_name="us-east-1")
    turns = asked(user("Look", VIDEO, DOCUMENT, IMAGE)).turns
    async with aclosing(provider.answer(ChatRequest(NOVA, turns, stream=streamed))) as pieces:
        found = [piece async for piece in pieces]
    assert f"ministack mock nova {NOVA}" in text_of(found)
    assert found[-1] == Finished(Finish.STOP, provider_reason="end_turn")
    used = [piece.usage for piece in found if isinstance(piece, Used)][-1]
    assert used.output_tokens > 0
    await provider.close()
