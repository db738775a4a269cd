"""Chats as bodies of Anthropic's Messages API. Every body is judged by the types of the official client too."""

from __future__ import annotations

from typing import Any

import pytest

from mediagate.core.chat import ChatRequest, JsonAnswer, MediaKind, Text, Tool, ToolChoice, ToolResult, Way
from mediagate.core.errors import InvalidField
from mediagate.providers.anthropic.chat_body import MAX_TOKENS, body_of
from tests.unit.chat.anthropic_oracle import require_body
from tests.unit.chat.asked import asked, assistant, called, inline, media, results, system, user

WEATHER = Tool("weather", "What it is like.", {"type": "object", "properties": {"city": {"type": "string"}}}, True)
NOON = Tool("noon")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}


def body(request: ChatRequest) -> dict[str, Any]:
    made = body_of(request)
    require_body(made)
    return made


def content(request: ChatRequest, message: int = -1) -> list[dict[str, Any]]:
    return body(request)["messages"][message]["content"]


def refused(request: ChatRequest) -> InvalidField:
    with pytest.raises(InvalidField) as caught:
        body_of(request)
    return caught.value


def test_a_simple_question() -> None:
    assert body(asked(user("Hello"), model="claude-sonnet-5")) == {
        "model": "claude-sonnet-5",
        "max_tokens": MAX_TOKENS,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}],
    }


def test_settings_have_their_names() -> None:
    made = body(asked(user("x"), max_tokens=7, temperature=0.5, top_p=0.25, top_k=3, stop=("END", " ")))
    assert {name: made[name] for name in ("max_tokens", "temperature", "top_p", "top_k", "stop_sequences")} == {
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.25,
        "top_k": 3,
        "stop_sequences": ["END"],
    }
    assert body(asked(user("x"), temperature=0.0))["temperature"] == 0.0


@pytest.mark.parametrize(
    "setting",
    [
        {"n": 2}, {"seed": 0}, {"presence_penalty": 0.5}, {"frequency_penalty": -1.0}, {"logprobs": True},
        {"top_logprobs": 3}, {"temperature": 1.5},
    ],
)  # fmt: skip
def test_a_setting_without_words_is_refused_by_its_name(setting: dict[str, Any]) -> None:
    error = refused(asked(user("x"), **setting))
    assert (error.param, error.code) == (next(iter(setting)), "unsupported_parameter")


def test_what_is_at_its_default_is_let_pass() -> None:
    body(asked(user("x"), n=1, presence_penalty=0.0, frequency_penalty=0.0, logprobs=False, parallel_tool_calls=True))


def test_system_messages_become_one_at_the_top_and_sides_alternate() -> None:
    made = body(
        asked(
            system("Be brief."), user("a"), user("b"), assistant("c"), system("Be kind."), user(""), assistant("d"),
            user("e"),
        )
    )  # fmt: skip
    assert [block["text"] for block in made["system"]] == ["Be brief.", "Be kind."]
    told = [(message["role"], [block["text"] for block in message["content"]]) for message in made["messages"]]
    assert told == [("user", ["a", "b"]), ("assistant", ["c", "d"]), ("user", ["e"])]


def test_nothing_to_answer_is_refused() -> None:
    assert refused(asked(system("Be brief."), user(""))).param == "messages"


FILES = [
    (MediaKind.IMAGE, Way.FILE_ID, "file_1", "image/png", {"type": "file", "file_id": "file_1"}),
    (MediaKind.IMAGE, Way.LINK, "https://a/b.png", "", {"type": "url", "url": "https://a/b.png"}),
    (MediaKind.IMAGE, Way.DATA, "eA==", "image/webp", {"type": "base64", "media_type": "image/webp", "data": "eA=="}),
    (MediaKind.DOCUMENT, Way.FILE_ID, "file_2", "application/pdf", {"type": "file", "file_id": "file_2"}),
    (MediaKind.DOCUMENT, Way.LINK, "https://a/b.pdf", "application/pdf", {"type": "url", "url": "https://a/b.pdf"}),
    (MediaKind.DOCUMENT, Way.DATA, "eA==", "application/pdf",
     {"type": "base64", "media_type": "application/pdf", "data": "eA=="}),
    (MediaKind.DOCUMENT, Way.DATA, "w6k7MQ==", "text/csv", {"type": "text", "media_type": "text/plain", "data": "é;1"}),
    (MediaKind.DOCUMENT, Way.DATA, "e30=", "application/json",
     {"type": "text", "media_type": "text/plain", "data": "{}"}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "way", "value", "media_type", "source"), FILES)
def test_files(kind: MediaKind, way: Way, value: str, media_type: str, source: dict[str, Any]) -> None:
    blocks = content(asked(user("Look:", media(kind, way, value, media_type))))
    assert blocks == [{"type": "text", "text": "Look:"}, {"type": kind.value, "source": source}]


def test_a_document_has_its_name_as_its_title() -> None:
    block = content(asked(user(media(MediaKind.DOCUMENT, Way.FILE_ID, "file_2", "application/pdf", "Été.pdf"))))[0]
    assert block["title"] == "Été.pdf"


@pytest.mark.parametrize(
    ("kind", "way", "media_type"),
    [
        (MediaKind.AUDIO, Way.DATA, "audio/wav"),
        (MediaKind.VIDEO, Way.LINK, "video/mp4"),
        (MediaKind.IMAGE, Way.DATA, "image/tiff"),
        (MediaKind.IMAGE, Way.URI, "image/png"),
        (MediaKind.DOCUMENT, Way.URI, "application/pdf"),
        (MediaKind.DOCUMENT, Way.DATA, "application/zip"),
    ],
)
def test_what_claude_cannot_be_shown_is_refused_where_it_stands(kind: MediaKind, way: Way, media_type: str) -> None:
    error = refused(asked(user("x", media(kind, way, "eA==", media_type, param="messages[0].content[1]"))))
    assert (error.param, error.code) == ("messages[0].content[1]", "unsupported_part")


def test_a_text_that_is_no_utf_8_is_refused() -> None:
    assert refused(asked(user(inline(MediaKind.DOCUMENT, b"\xff\xfe", "text/plain")))).code == "unsupported_part"


def test_files_stand_with_the_user_alone() -> None:
    picture = media(MediaKind.IMAGE, Way.FILE_ID, "file_1", "image/png", param="messages[1].content[0]")
    assert refused(asked(user("x"), assistant(picture))).param == "messages[1].content[0]"


def test_tools_and_parallel_calls() -> None:
    made = body(
        asked(
            user("Weather in two cities?"),
            assistant("One moment.", called("c1", "weather", '{"city": "Oslo"}'), called("c2", "weather", "")),
            results(ToolResult("c1", (Text("rain"),))),
            results(ToolResult("c2", (media(MediaKind.IMAGE, Way.FILE_ID, "file_1", "image/png"), Text("")))),
            user("And?"),
            tools=(WEATHER, NOON),
        )
    )
    assert made["tools"] == [
        {"name": "weather", "description": "What it is like.", "input_schema": dict(WEATHER.parameters or {}),
         "strict": True},
        {"name": "noon", "input_schema": {"type": "object", "properties": {}}},
    ]  # fmt: skip
    assert "tool_choice" not in made
    assert made["messages"][1]["content"] == [
        {"type": "text", "text": "One moment."},
        {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Oslo"}},
        {"type": "tool_use", "id": "c2", "name": "weather", "input": {}},
    ]
    # Both results, and what is said after them, in one message: the API takes them nowhere else.
    assert [block["type"] for block in made["messages"][2]["content"]] == ["tool_result", "tool_result", "text"]
    first, second, _ = made["messages"][2]["content"]
    assert first == {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "rain"}]}
    assert second["content"] == [{"type": "image", "source": {"type": "file", "file_id": "file_1"}}]


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (ToolChoice("auto"), True, None),
        (ToolChoice("auto"), False, {"type": "auto", "disable_parallel_tool_use": True}),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("required"), None, {"type": "any"}),
        (ToolChoice("function", "noon"), False, {"type": "tool", "name": "noon", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), False, {"type": "none"}),
    ],
)
def test_tool_choices(choice: ToolChoice | None, parallel: bool | None, expected: Any) -> None:
    made = body(asked(user("x"), tools=(NOON,), tool_choice=choice, parallel_tool_calls=parallel))
    assert made.get("tool_choice") == expected


def test_calls_of_before_without_tools_of_now_are_not_made_again() -> None:
    made = body(asked(user("x"), assistant(called("c", "noon")), results(ToolResult("c", (Text("12"),)))))
    assert made["tools"] == [{"name": "noon", "input_schema": {"type": "object"}}]
    assert made["tool_choice"] == {"type": "none"}


def test_what_was_thought_comes_back_before_its_call() -> None:
    thoughts = [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eA=="},
    ]
    call = called("c", "noon", "{}", anthropic={"thinking_blocks": thoughts})
    blocks = content(asked(user("x"), assistant("Let me see.", call)))
    assert [block["type"] for block in blocks] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert blocks[:2] == thoughts


@pytest.mark.parametrize(
    "blocks", [[{"type": "text", "text": "x"}], [7], [{"type": "thinking", "thinking": 1, "signature": "s"}]]
)
def test_thoughts_of_another_hand_are_refused(blocks: list[Any]) -> None:
    call = called("c", "noon", "{}", anthropic={"thinking_blocks": blocks})
    assert "as it came" in refused(asked(user("x"), assistant(call))).message


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "word"),
    [
        ("claude-sonnet-5", "minimal", {"type": "adaptive"}, "low"),
        ("claude-opus-4-6", "high", {"type": "adaptive"}, "high"),
        ("claude-opus-4-10", "max", {"type": "adaptive"}, "max"),
        ("claude-opus-5-5", "none", {"type": "disabled"}, None),
        ("claude-sonnet-4-5-20250929", "low", {"type": "enabled", "budget_tokens": 2048}, None),
        ("claude-opus-4-20250514", "medium", {"type": "enabled", "budget_tokens": 8192}, None),
        ("claude-haiku-4-5", "xhigh", {"type": "enabled", "budget_tokens": 32768}, None),
        ("claude-3-7-sonnet-20250219", "none", {"type": "disabled"}, None),
    ],
)
def test_reasoning(model: str, effort: str, thinking: dict[str, Any], word: str | None) -> None:
    made = body(asked(user("x"), model=model, reasoning_effort=effort))
    assert made["thinking"] == thinking
    assert made.get("output_config", {}).get("effort") == word


def test_a_budget_leaves_room_for_the_answer() -> None:
    made = body(asked(user("x"), model="claude-haiku-4-5", reasoning_effort="high", max_tokens=4000))
    assert made["thinking"]["budget_tokens"] == 3000
    error = refused(asked(user("x"), model="claude-haiku-4-5", reasoning_effort="high", max_tokens=1024))
    assert error.param == "reasoning_effort"
    assert refused(asked(user("x"), reasoning_effort="hard")).param == "reasoning_effort"


def test_json_by_a_schema() -> None:
    made = body(asked(user("x"), json_answer=JsonAnswer(SCHEMA, "a", True), reasoning_effort="low"))
    assert made["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}}
    error = refused(asked(user("x"), json_answer=JsonAnswer()))
    assert (error.param, error.code) == ("response_format", "unsupported_parameter")
    assert "json_schema" in error.message


def test_members_of_its_own_go_through_and_change_nothing_of_ours() -> None:
    extra = {"cache_control": {"type": "ephemeral"}, "max_tokens": 1, "thinking": {"type": "x", "display": "omitted"}}
    made = body(asked(user("x"), extra=extra, reasoning_effort="high"))
    assert made["cache_control"] == {"type": "ephemeral"}
    assert made["max_tokens"] == MAX_TOKENS
    assert made["thinking"] == {"type": "adaptive", "display": "omitted"}


@pytest.mark.parametrize(
    "extra",
    [{"file_id": "file_other"}, {"container": {"skills": [{"file_id": "file_other"}]}}, {"x": [{"file_ids": []}]}],
)
def test_files_of_others_cannot_be_named_past_the_gateway(extra: dict[str, Any]) -> None:
    assert refused(asked(user("x"), extra=extra)).param == next(iter(extra))
