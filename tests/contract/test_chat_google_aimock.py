"""Chats with Gemini and Vertex AI at aimock, a server of another hand that plays both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mediagate.core.chat import (
    ChatEvent,
    ChatRequest,
    Finish,
    Finished,
    ReasoningDelta,
    Role,
    Settings,
    Text,
    TextDelta,
    Tool,
    ToolCall,
    ToolCallBegun,
    ToolCallDelta,
    ToolResult,
    Turn,
    Usage,
    Used,
)
from mediagate.core.errors import RateLimited
from mediagate.core.write_chat import Stamp, chat_document
from mediagate.providers.account import Account
from mediagate.providers.gemini import chat as gemini
from mediagate.providers.vertex_ai import chat as vertex_ai
from tests.doubles.aimock.server import GOOGLE_TOKEN, KEY, aimock_server

FIXTURES = [
    {
        "match": {"userMessage": "boat"},
        "response": {
            "content": "A paper boat in the rain.",
            "reasoning": "Let me look.",
            "usage": {"prompt_tokens": 7, "completion_tokens": 5},
        },
        "chunkSize": 8,
    },
    {"match": {"toolCallId": "call-1"}, "response": {"content": "Bring an umbrella."}},
    {
        "match": {"userMessage": "weather"},
        "response": {
            "toolCalls": [{"id": "call-1", "name": "weather", "arguments": '{"place": "Rome"}'}],
        },
    },
    {
        "match": {"userMessage": "busy"},
        "response": {"error": {"message": "Quota exceeded", "type": "RESOURCE_EXHAUSTED"}, "status": 429},
    },
]


@pytest.fixture(scope="module")
def aimock() -> Iterator[str]:
    with aimock_server(FIXTURES) as url:
        yield url


@pytest.fixture(params=["gemini", "vertex_ai"])
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def built(provider: str, url: str) -> gemini.GeminiChat | vertex_ai.VertexChat:
    if provider == "gemini":
        # It has no v1 of this API.
        return gemini.build(Account("x", "gemini", api_key=KEY, api_base=url, api_version="v1beta"))
    options = {"vertex_project": "project-1", "vertex_api_base": url}
    return vertex_ai.build(Account("x", "vertex_ai", api_key=GOOGLE_TOKEN, options=options))


async def asked(provider: str, url: str, *turns: Turn, stream: bool, **settings: Any) -> list[ChatEvent]:
    chat = built(provider, url)
    request = ChatRequest("gemini-2.5-flash", turns, Settings(**settings), stream)
    try:
        chat.check(request)
        return [event async for event in chat.answer(request)]
    finally:
        await chat.close()


def user(text: str) -> Turn:
    return Turn(Role.USER, (Text(text),))


async def test_a_whole_answer(provider: str, aimock: str) -> None:
    events = await asked(provider, aimock, user("a boat"), stream=False, max_tokens=9)
    assert events == [
        ReasoningDelta("Let me look."),
        TextDelta("A paper boat in the rain."),
        Finished(Finish.STOP, 0, "STOP"),
        Used(Usage(7, 5)),
    ]
    entry = httpx.get(f"{aimock}/__aimock/journal", headers={"authorization": f"Bearer {KEY}"}).json()[-1]
    assert entry["body"]["messages"] == [{"role": "user", "content": "a boat"}]
    assert entry["body"]["max_tokens"] == 9


async def test_a_stream(provider: str, aimock: str) -> None:
    events = await asked(provider, aimock, user("a boat"), stream=True)
    texts = [event.text for event in events if isinstance(event, TextDelta)]
    assert len(texts) > 2
    assert "".join(texts) == "A paper boat in the rain."
    assert "".join(event.text for event in events if isinstance(event, ReasoningDelta)) == "Let me look."
    assert events[-2:] == [Finished(Finish.STOP, 0, "STOP"), Used(Usage(7, 5))]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_both_ways(provider: str, aimock: str, stream: bool) -> None:
    schema = {"type": "object", "properties": {"place": {"type": "string"}}}
    tools = (Tool("weather", "What it is like.", schema),)
    first = await asked(provider, aimock, user("the weather"), stream=stream, tools=tools)
    assert first == [
        ToolCallBegun(0, "call-1", "weather"),
        ToolCallDelta(0, '{"place": "Rome"}'),
        Finished(Finish.TOOL_CALLS, 0, "FUNCTION_CALL"),
    ]
    message = chat_document(Stamp("c", "m", 1), first)["choices"][0]["message"]
    assert message["tool_calls"][0]["id"] == "call-1"
    second = await asked(
        provider,
        aimock,
        user("the weather"),
        Turn(Role.ASSISTANT, (ToolCall("call-1", "weather", '{"place": "Rome"}'),)),
        Turn(Role.TOOL, (ToolResult("call-1", (Text('{"rain": true}'),)),)),
        stream=stream,
        tools=tools,
    )
    assert "".join(event.text for event in second if isinstance(event, TextDelta)) == "Bring an umbrella."


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refusal(provider: str, aimock: str, stream: bool) -> None:
    with pytest.raises(RateLimited):
        await asked(provider, aimock, user("busy"), stream=stream)
