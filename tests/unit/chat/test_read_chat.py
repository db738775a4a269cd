"""Chat Completions bodies as requests, and events as Chat Completions answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.chat import (
    ChatEvent,
    FileUse,
    Finish,
    Finished,
    JsonAnswer,
    Media,
    MediaKind,
    ReasoningDelta,
    RefusalDelta,
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
    Usage,
    Used,
    Uses,
    Way,
)
from mediagate.core.errors import InvalidField, MediagateError
from mediagate.core.read_chat import call_arguments, read_chat
from mediagate.core.write_chat import DONE, ChatChunks, Stamp, chat_document

PDF = FileUse(Way.FILE_ID, "file-theirs", "application/pdf", "a.pdf", 12, "file-ours")
STAMP = Stamp("chatcmpl-1", "gpt", 1_790_000_000)


def read(body: dict[str, Any], uses: Uses | None = None) -> Any:
    return read_chat(body, uses or {}, model="theirs")


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}], **more}


def test_turns_of_every_role() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
    body = {
        "messages": [
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "file", "file": {}}]},
            {"role": "assistant", "content": None, "tool_calls": [{**call, "extra_content": {"google": {"s": "x"}}}]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "a cat"}]},
            {"role": "assistant", "content": "A cat.", "refusal": None},
        ]
    }
    found = read(body, {("messages", 1, "content", 1): (MediaKind.DOCUMENT, PDF)})
    assert found.turns == (
        Turn(Role.SYSTEM, (Text("Be short."),)),
        Turn(Role.USER, (Text("What is it?"), Media(MediaKind.DOCUMENT, PDF, "messages[1].content[1]"))),
        Turn(Role.ASSISTANT, (ToolCall("c1", "look", '{"a":1}', {"google": {"s": "x"}}),)),
        Turn(Role.TOOL, (ToolResult("c1", (Text("a cat"),), "look"),)),
        Turn(Role.ASSISTANT, (Text("A cat."),)),
    )
    assert found.model == "theirs"


def test_settings() -> None:
    schema = {"type": "object"}
    found = read(
        user(
            "x",
            max_tokens=5,
            max_completion_tokens=7,
            temperature=1,
            top_p=0.5,
            top_k=3,
            stop="END",
            seed=1,
            n=2,
            presence_penalty=0,
            frequency_penalty=0.5,
            logprobs=True,
            top_logprobs=4,
            response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": True}},
            tools=[{"type": "function", "function": {"name": "f", "parameters": schema, "strict": False}}],
            tool_choice={"type": "function", "function": {"name": "f"}},
            parallel_tool_calls=False,
            reasoning_effort="low",
            safety_settings=[1],
            user="u",
            stream=True,
        )
    )
    assert found.settings == Settings(
        max_tokens=7,
        temperature=1.0,
        top_p=0.5,
        top_k=3,
        stop=("END",),
        seed=1,
        n=2,
        frequency_penalty=0.5,
        logprobs=True,
        top_logprobs=4,
        json_answer=JsonAnswer(schema, "s", True),
        tools=(Tool("f", None, schema, False),),
        tool_choice=ToolChoice("function", "f"),
        parallel_tool_calls=False,
        reasoning_effort="low",
    )
    assert found.stream
    assert found.extra == {"safety_settings": [1]}


def test_the_form_of_before_tools() -> None:
    old = {"name": "look", "arguments": "{}"}
    found = read(
        {
            "messages": [
                {"role": "assistant", "content": None, "function_call": old},
                {"role": "function", "name": "look", "content": "a cat"},
            ],
            "functions": [{"name": "look", "parameters": {}}],
            "function_call": {"name": "look"},
        }
    )
    assert found.turns[0].parts == (ToolCall("look", "look", "{}"),)
    assert found.turns[1].parts == (ToolResult("look", (Text("a cat"),), "look"),)
    assert found.settings.tool_choice == ToolChoice("function", "look")


WRONG = {
    "no messages": ({}, "messages"),
    "no message": ({"messages": []}, "messages"),
    "a message that is none": ({"messages": ["x"]}, "messages[0]"),
    "a role that is none": ({"messages": [{"role": "god", "content": ""}]}, "messages[0].role"),
    "a role that is no word": ({"messages": [{"role": ["user"], "content": ""}]}, "messages[0].role"),
    "content that is none": (user(3), "messages[0].content"),
    "a part that is none": (user([3]), "messages[0].content[0]"),
    "a part nobody knows": (user([{"type": "hologram"}]), "messages[0].content[0].type"),
    "a file nobody resolved": (user([{"type": "file", "file": {}}]), "messages[0].content[0].type"),
    "text that is none": (user([{"type": "text", "text": 3}]), "messages[0].content[0].text"),
    "a result without a call": ({"messages": [{"role": "tool", "content": ""}]}, "messages[0].tool_call_id"),
    "a call of no function": (
        {"messages": [{"role": "assistant", "tool_calls": [{"id": "x", "type": "custom"}]}]},
        "messages[0].tool_calls[0]",
    ),
    "an answer that was spoken": (
        {"messages": [{"role": "assistant", "content": None, "audio": {"id": "audio_1"}}, *user("x")["messages"]]},
        "messages[0].audio",
    ),
    "a tool of no function": (user("x", tools=[{"type": "web_search"}]), "tools[0]"),
    "tools that are none": (user("x", tools={}), "tools"),
    "a choice that is none": (user("x", tool_choice="some"), "tool_choice"),
    "a number that is none": (user("x", temperature="hot"), "temperature"),
    "a flag for a number": (user("x", max_tokens=True), "max_tokens"),
    "no number": (user("x", temperature=float("nan")), "temperature"),
    "a number that no float holds": (user("x", temperature=10**400), "temperature"),
    "more tokens than a float holds": (user("x", max_tokens=10**400), "max_tokens"),
    "less than a float holds": (user("x", seed=-(10**400)), "seed"),
    "too few": (user("x", n=0), "n"),
    "half a token": (user("x", max_tokens=1.5), "max_tokens"),
    "stop that is none": (user("x", stop=[1]), "stop"),
    "a format that is none": (user("x", response_format={"type": "xml"}), "response_format"),
    "a schema that is none": (
        user("x", response_format={"type": "json_schema", "json_schema": {"schema": 3}}),
        "response_format.json_schema.schema",
    ),
    "what only OpenAI can": (user("x", logit_bias={"1": 2}), "logit_bias"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(case: str) -> None:
    body, param = WRONG[case]
    with pytest.raises(InvalidField) as refused:
        read(body)
    assert refused.value.param == param


def test_what_only_openai_can_is_left_out_where_that_is_wanted() -> None:
    body = user("x", logit_bias={"1": 2}, modalities=["text"])
    assert read_chat(body, {}, model="m", drop_settings=True).extra == {}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(["role", "content", "tool_calls", "function_call", "type", "text", "tool_call_id", "name"])


@given(st.lists(st.dictionaries(NAMES, JSON, max_size=4), max_size=3), st.dictionaries(st.text(max_size=9), JSON))
def test_garbage_is_refused_and_never_a_fault(messages: list[Any], more: dict[str, Any]) -> None:
    try:
        read({**more, "messages": messages})
    except MediagateError:
        return


@pytest.mark.parametrize(
    ("text", "found"),
    [("", {}), ('{"a":1}', {"a": 1}), ("[1]", {"arguments": [1]}), ("{a", {"arguments": "{a"})],
)
def test_arguments_are_an_object(text: str, found: Any) -> None:
    assert call_arguments(ToolCall("c", "f", text)) == found


EVENTS: list[ChatEvent] = [
    ReasoningDelta("hm"),
    TextDelta("A "),
    TextDelta("cat", 1),
    TextDelta("dog"),
    ToolCallBegun(0, "c1", "look", extra={"google": {"thought_signature": "s"}}),
    ToolCallDelta(0, '{"a"'),
    ToolCallDelta(0, ":1}"),
    Finished(Finish.TOOL_CALLS),
    RefusalDelta("no", 1),
    Finished(Finish.CONTENT_FILTER, 1),
    Used(Usage(5, 7, 2, 0, 3)),
]
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "look", "arguments": '{"a":1}'},
    "extra_content": {"google": {"thought_signature": "s"}},
}


def test_a_whole_answer() -> None:
    tree = chat_document(STAMP, EVENTS)
    assert (tree["id"], tree["object"], tree["created"], tree["model"]) == (
        "chatcmpl-1",
        "chat.completion",
        1_790_000_000,
        "gpt",
    )
    first, second = tree["choices"]
    assert (first["finish_reason"], second["finish_reason"]) == ("tool_calls", "content_filter")
    assert first["message"]["content"] == "A dog"
    assert first["message"]["reasoning_content"] == "hm"
    assert first["message"]["tool_calls"] == [CALL]
    assert (second["message"]["content"], second["message"]["refusal"]) == ("cat", "no")
    assert tree["usage"]["total_tokens"] == 12
    assert tree["usage"]["prompt_tokens_details"]["cached_tokens"] == 2
    assert tree["usage"]["completion_tokens_details"]["reasoning_tokens"] == 3


def test_a_call_alone_has_no_content() -> None:
    tree = chat_document(STAMP, [ToolCallBegun(0, "c", "f"), Finished(Finish.TOOL_CALLS)])
    message = tree["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


def test_an_answer_without_words_has_some() -> None:
    assert chat_document(STAMP, [Finished(Finish.STOP)])["choices"][0]["message"]["content"] == ""


def test_a_stream_says_the_same() -> None:
    writer = ChatChunks(STAMP, with_usage=True)
    sent = b"".join(writer.take(event) for event in EVENTS) + writer.end()
    assert sent.endswith(DONE)
    trees = [json.loads(line[6:]) for line in sent.splitlines() if line.startswith(b"data: {")]
    text: dict[int, str] = {}
    for tree in trees:
        for choice in tree["choices"]:
            text[choice["index"]] = text.get(choice["index"], "") + (choice["delta"].get("content") or "")
    assert text == {0: "A dog", 1: "cat"}
    assert trees[0]["choices"][0]["delta"]["role"] == "assistant"
    assert [tree["usage"] for tree in trees[:-1]] == [None] * (len(trees) - 1)
    assert (trees[-1]["choices"], trees[-1]["usage"]["total_tokens"]) == ([], 12)
    assert writer.is_complete


@pytest.mark.parametrize(("finish", "said"), [(Finish.TOOL_CALLS, ["{}", '{"a":1}']), (Finish.LENGTH, ["", '{"a":1}'])])
def test_a_stream_has_arguments_for_a_call_without_any(finish: Finish, said: list[str]) -> None:
    """Clients read them as JSON. Of a call that was cut nobody knows them."""
    writer = ChatChunks(STAMP, with_usage=False)
    events = [ToolCallBegun(0, "c", "f"), ToolCallBegun(1, "d", "g"), ToolCallDelta(1, '{"a":1}'), Finished(finish)]
    sent = b"".join(writer.take(event) for event in events)
    arguments = ["", ""]
    for line in sent.splitlines():
        choices = json.loads(line[6:])["choices"] if line else []
        for call in choices[0]["delta"].get("tool_calls", []) if choices else []:
            arguments[call["index"]] += call["function"]["arguments"]
    assert arguments == said


def test_usage_is_told_to_those_who_ask() -> None:
    writer = ChatChunks(STAMP, with_usage=False)
    sent = b"".join(writer.take(event) for event in EVENTS) + writer.end()
    assert b"usage" not in sent
    assert writer.usage == Usage(5, 7, 2, 0, 3)
