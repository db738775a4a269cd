"""Chats with real accounts of providers with words of their own, where the environment names one: docs/testing.md says
how. `MEDIAGATE_CONTRACT_GEMINI_MODEL` names the model that is asked.
"""

from __future__ import annotations

import base64
import os
from contextlib import aclosing
from typing import Any

import pytest

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
    Tool,
    ToolCall,
    ToolCallBegun,
    ToolCallDelta,
    ToolChoice,
    ToolResult,
    Turn,
    Used,
    Way,
)
from mediagate.providers.chat import Answers
from mediagate.providers.files import NamesUris, NewFile
from mediagate.providers.registry import CHAT_PROVIDERS, build_chat, build_files
from tests.contract.account_of import account_of

CHOSEN = [
    name
    for name in CHAT_PROVIDERS
    if os.environ.get(f"MEDIAGATE_CONTRACT_{name.upper()}") == "1"
    and os.environ.get(f"MEDIAGATE_CONTRACT_{name.upper()}_MODEL")
]

if not CHOSEN:
    pytest.skip("no MEDIAGATE_CONTRACT_<PROVIDER>_MODEL in the environment", allow_module_level=True)

WORD = "umbrella"
NOTE = f"The word of the day is {WORD}.".encode()
SCHEMA = {"type": "object", "properties": {"place": {"type": "string"}}, "required": ["place"]}


@pytest.fixture(params=CHOSEN)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def user(*parts: Any) -> Turn:
    return Turn(Role.USER, tuple(Text(part) if isinstance(part, str) else part for part in parts))


async def asked(name: str, *turns: Turn, stream: bool = False, **settings: Any) -> list[ChatEvent]:
    provider = build_chat(account_of(name))
    if not isinstance(provider, Answers):
        pytest.skip(f"{name} is asked in OpenAI's words")
    model = os.environ[f"MEDIAGATE_CONTRACT_{name.upper()}_MODEL"]
    request = ChatRequest(model, turns, Settings(**settings), stream)
    try:
        provider.check(request)
        async with aclosing(provider.answer(request)) as events:
            return [event async for event in events]
    finally:
        await provider.close()


def said(events: list[ChatEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer(name: str, stream: bool) -> None:
    events = await asked(name, user(f"Say the word {WORD} and nothing else."), stream=stream, max_tokens=2000)
    assert WORD in said(events).lower()
    assert [event.reason for event in events if isinstance(event, Finished)] == [Finish.STOP]
    used = [event.usage for event in events if isinstance(event, Used)][-1]
    assert used.input_tokens > 0
    assert used.output_tokens > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_and_what_it_came_to(name: str, stream: bool) -> None:
    question = user("What is the weather in Rome?")
    tools: dict[str, Any] = {"tools": (Tool("weather", "Tells the weather of a place.", SCHEMA),)}
    events = await asked(name, question, stream=stream, tool_choice=ToolChoice("required"), **tools)
    (begun,) = [event for event in events if isinstance(event, ToolCallBegun)]
    arguments = "".join(event.arguments for event in events if isinstance(event, ToolCallDelta))
    assert "rome" in arguments.lower()
    turns = (
        Turn(Role.ASSISTANT, (ToolCall(begun.id, begun.name, arguments, begun.extra),)),
        Turn(Role.TOOL, (ToolResult(begun.id, (Text(f'{{"advice": "Take an {WORD}."}}'),), begun.name),)),
    )
    assert WORD in said(await asked(name, question, *turns, stream=stream, **tools)).lower()


async def test_a_file_inside_of_the_request(name: str) -> None:
    file = FileUse(Way.DATA, base64.b64encode(NOTE).decode(), "text/plain", "note.txt", len(NOTE))
    note = Media(MediaKind.DOCUMENT, file, "messages[0].content[0]")
    assert WORD in said(await asked(name, user(note, "What is the word of the day?"))).lower()


async def test_a_file_by_its_name_at_the_provider(name: str) -> None:
    files = build_files(account_of(name))
    writer = await files.create(NewFile("file-contract-chat", "note.txt", "text/plain", "user_data", len(NOTE)))
    await writer.write(NOTE)
    blob = await writer.commit()
    try:
        value = files.uri_of(blob.ref) if isinstance(files, NamesUris) else blob.ref
        way = Way.URI if ":" in value else Way.FILE_ID
        note = Media(
            MediaKind.DOCUMENT,
            FileUse(way, value, "text/plain", "note.txt", len(NOTE), "file-contract-chat"),
            "messages[0].content[0]",
        )
        assert WORD in said(await asked(name, user(note, "What is the word of the day?"))).lower()
    finally:
        await files.delete(blob.ref)
        await files.close()
