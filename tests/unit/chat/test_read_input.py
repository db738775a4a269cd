"""The `input` of a Responses body, as messages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.chat import Dialect, FileUse, MediaKind, Way
from mediagate.core.chat_mentions import mentions
from mediagate.core.errors import InvalidField
from mediagate.core.read_chat import read_chat
from mediagate.core.read_input import ITEMS_MAX, messages_from_input, read_input


def read(*items: Any) -> list[dict[str, Any]]:
    return messages_from_input({"input": list(items)})


def test_a_text_is_what_the_user_says() -> None:
    assert messages_from_input({"input": "Hi"}) == [{"role": "user", "content": "Hi"}]


def test_instructions_come_first() -> None:
    assert messages_from_input({"instructions": "Be brief.", "input": "Hi"}) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


def test_messages_in_both_their_forms() -> None:
    assert read(
        {"role": "developer", "content": "Be brief."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "phase": "final_answer",
            "content": [
                {"type": "output_text", "text": "Hello.", "annotations": [], "logprobs": []},
                {"type": "refusal", "refusal": "No more."},
            ],
        },
    ) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "Hello."}, {"type": "refusal", "refusal": "No more."}],
        },
    ]


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"type": "input_text", "text": "a"}, {"type": "text", "text": "a"}),
        (
            {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
        ),
        (
            {"type": "input_image", "detail": "low", "image_url": "https://a.example/b.png", "file_id": None},
            {"type": "image_url", "image_url": {"url": "https://a.example/b.png", "detail": "low"}},
        ),
        (
            {"type": "input_image", "file_id": "file-1"},
            {"type": "image_url", "image_url": {"url": "mediagate://file-1"}},
        ),
        ({"type": "input_file", "file_id": "file-1"}, {"type": "file", "file": {"file_id": "file-1"}}),
        (
            {"type": "input_file", "file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,QQ==", "filename": "a.pdf"}},
        ),
        (
            {"type": "input_file", "file_url": "https://a.example/b.pdf", "detail": "high"},
            {"type": "file", "file": {"file_data": "https://a.example/b.pdf", "detail": "high"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "QQ==", "format": "wav"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "file-1"}},
            {"type": "video_url", "video_url": {"url": "file-1"}},
        ),
    ],
)
def test_every_part(part: dict[str, Any], told: dict[str, Any]) -> None:
    assert read({"role": "user", "content": [part]}) == [{"role": "user", "content": [told]}]


def call(number: int) -> dict[str, Any]:
    return {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": f"call_{number}",
        "name": "look",
        "arguments": "{}",
    }


def output(number: int) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": "there"}


def told_call(number: int) -> dict[str, Any]:
    return {"id": f"call_{number}", "type": "function", "function": {"name": "look", "arguments": "{}"}}


def test_calls_are_one_message_with_what_is_said_beside_them() -> None:
    assert read(
        {"role": "user", "content": "Look."},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
        {"role": "assistant", "content": "One moment."},
        call(1),
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "And again."}]},
        call(2),
        output(1),
        output(2),
        call(3),
        output(3),
    ) == [
        {"role": "user", "content": "Look."},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "One moment."}, {"type": "text", "text": "And again."}],
            "tool_calls": [told_call(1), told_call(2)],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "there"},
        {"role": "tool", "tool_call_id": "call_2", "content": "there"},
        {"role": "assistant", "content": None, "tool_calls": [told_call(3)]},
        {"role": "tool", "tool_call_id": "call_3", "content": "there"},
    ]


def test_what_a_provider_needs_back_with_a_call_goes_back() -> None:
    signed = {**call(1), "extra_content": {"google": {"thought_signature": "s"}}}
    assert read(signed)[0]["tool_calls"] == [{**told_call(1), "extra_content": {"google": {"thought_signature": "s"}}}]


def test_files_keep_their_places_and_their_names() -> None:
    picture = {"type": "input_image", "file_id": "file-2"}
    body = {
        "instructions": "Be brief.",
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "What?"}, {"type": "input_file", "file_id": "file-1"}],
            },
            call(1),
            {"role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            {**output(1), "output": [picture]},
        ],
    }
    found = read_input(body)
    first, second = mentions(body, Dialect.RESPONSES)
    moved = found.mentions([first, second])
    assert [one.path for one in moved] == [("messages", 1, "content", 1), ("messages", 3, "content", 0)]
    assert [one.param for one in moved] == ["input[0].content[1].file_id", "input[3].output[0].file_id"]
    # The same files are found among the messages.
    again = mentions({"messages": found.messages}, Dialect.CHAT)
    assert [(one.path, one.file_id) for one in again] == [(one.path, one.file_id) for one in moved]
    use = FileUse(Way.LINK, "https://a.example/f", "application/pdf", file_id="file-1")
    uses = found.uses({first.path: (MediaKind.DOCUMENT, use), second.path: (MediaKind.IMAGE, use)})
    request = read_chat({"messages": found.messages}, uses, model="m")
    assert [part.param for turn in request.turns for part in turn.parts if hasattr(part, "param")] == [
        "messages[1].content[1]"
    ]


def test_what_is_said_of_a_message_is_told_of_the_item() -> None:
    found = read_input(
        {
            "instructions": "Be brief.",
            "input": [
                {"role": "user", "content": "a"},
                {"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]},
            ],
        }
    )

    def told(param: str) -> str | None:
        error = InvalidField(f"'{param}' is wrong.", param=param, code="some", size=3)
        said = found.told(error)
        assert (said.message, str(said), said.code) == (f"'{said.param}' is wrong.", said.message, "some")
        return said.param

    assert told("messages[2].content[0].file") == "input[1].content[0].file"
    assert told("messages[1].role") == "input[0].role"
    assert told("messages[0].content") == "instructions"
    assert told("messages[9].content[1]") == "messages[9].content[1]"
    assert told("temperature") == "temperature"
    assert found.told(InvalidField("Too long.", param="messages")).param == "input"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 3}, "input"),
        ({"input": {"role": "user", "content": "x"}}, "input"),
        ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, "input"),
        ({"input": [{"role": "user", "content": "x"}] * (ITEMS_MAX + 1)}, "input"),
        ({"input": "x", "instructions": ["y"]}, "instructions"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"type": 3}]}, "input[0].type"),
        ({"input": [{"type": "massage"}]}, "input[0].type"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0]"),
        ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "n", "input": "i"}]}, "input[0]"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": ["user"], "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": {"type": "input_text", "text": "x"}}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": None}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_smell"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "a", "file_url": "b"}]}]},
            "input[0].content[0]",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": 3}]}]},
            "input[0].content[0].file_id",
        ),
        ({"input": [{"type": "function_call", "name": "n", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call", "name": "n", "call_id": "c", "arguments": {}}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": [3]}]}, "input[0].output[0]"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        read_input(body)
    assert refused.value.param == param


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.sampled_from(["message", "user", "input_file"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "role", "content", "output", "call_id", "name", "arguments", "file_id", "id"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=3))
def test_garbage_is_refused_or_read(items: list[Any]) -> None:
    try:
        found = read_input({"input": items})
    except InvalidField as refused:
        assert refused.param
    else:
        assert len(found.messages) == len(found.came_from)
