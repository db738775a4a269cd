"""A Responses body in the words of Chat Completions."""

from __future__ import annotations

from typing import Any

import pytest

from mediagate.core.chat import JsonAnswer, ToolChoice
from mediagate.core.errors import InvalidField
from mediagate.core.read_chat import read_chat
from mediagate.core.read_responses import chat_form, wants_summary

LOOK = {"type": "function", "name": "look", "description": "Look.", "parameters": {"type": "object"}, "strict": True}
GO = {"type": "function", "name": "go", "parameters": None, "strict": None}
NESTED_LOOK = {
    "type": "function",
    "function": {"name": "look", "description": "Look.", "parameters": {"type": "object"}, "strict": True},
}
NESTED_GO = {"type": "function", "function": {"name": "go"}}


def form(**members: Any) -> dict[str, Any]:
    body = chat_form({"model": "m", "input": "Hi", **members}).body
    assert body.pop("model") == "m"
    assert body.pop("messages") == [{"role": "user", "content": "Hi"}]
    return body


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({}, {}),
        # What has the same name in both, and what neither contract has.
        (
            {"temperature": 0.5, "top_p": 1, "user": "u", "stream": True, "seed": 3, "guided_choice": ["a"]},
            {"temperature": 0.5, "top_p": 1, "user": "u", "stream": True, "seed": 3, "guided_choice": ["a"]},
        ),
        ({"max_output_tokens": 7}, {"max_tokens": 7}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"reasoning": {"effort": None, "context": "auto", "mode": "standard"}}, {}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
                }
            },
        ),
        ({"include": ["reasoning.encrypted_content", "file_search_call.results"]}, {}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"top_logprobs": 0}, {}),
        # What changes nothing here.
        ({"store": True, "background": False, "metadata": {"a": "b"}, "truncation": "disabled"}, {}),
        ({"previous_response_id": None, "conversation": None, "prompt": None, "context_management": []}, {}),
        ({"stream_options": {"include_obfuscation": False}, "max_tool_calls": 3, "n": 1}, {}),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": False}, {}),
        (
            {"tools": [LOOK, GO], "parallel_tool_calls": False},
            {"tools": [NESTED_LOOK, NESTED_GO], "parallel_tool_calls": False},
        ),
        ({"tools": [NESTED_LOOK], "tool_choice": "required"}, {"tools": [NESTED_LOOK], "tool_choice": "required"}),
        (
            {"tools": [{**GO, "defer_loading": False, "allowed_callers": ["direct"], "output_schema": None}]},
            {"tools": [NESTED_GO]},
        ),
        (
            {"tools": [LOOK, GO], "tool_choice": {"type": "function", "name": "go"}},
            {"tools": [NESTED_LOOK, NESTED_GO], "tool_choice": {"type": "function", "function": {"name": "go"}}},
        ),
        (
            {
                "tools": [LOOK, GO],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "function", "name": "go"}],
                },
            },
            {"tools": [NESTED_GO], "tool_choice": "required"},
        ),
    ],
)
def test_every_setting(members: dict[str, Any], told: dict[str, Any]) -> None:
    assert form(**members) == told


def test_a_provider_with_words_of_its_own_gets_the_same() -> None:
    body = {
        "model": "m",
        "instructions": "Be brief.",
        "input": "Hi",
        "max_output_tokens": 9,
        "tools": [LOOK],
        "tool_choice": {"type": "function", "name": "look"},
        "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": False}},
        "top_k": 3,
        "labels": {"a": "b"},
    }
    request = read_chat(chat_form(body).body, {}, model="native")
    settings = request.settings
    assert (settings.max_tokens, settings.top_k, settings.reasoning_effort) == (9, 3, "high")
    assert settings.tool_choice == ToolChoice("function", "look")
    assert settings.json_answer == JsonAnswer(SCHEMA, "n", False)
    assert request.extra == {"labels": {"a": "b"}}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"background": True}, "background"),
        ({"background": "yes"}, "background"),
        ({"messages": []}, "messages"),
        ({"n": 2}, "n"),
        ({"truncation": "auto"}, "truncation"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"reasoning": "low"}, "reasoning"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": -(10**400)}, "max_output_tokens"),
        ({"max_output_tokens": 1.5}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"text": []}, "text"),
        ({"text": {"format": "json"}}, "text.format.type"),
        ({"text": {"format": {"type": ["text"]}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"include": "logprobs"}, "include"),
        ({"include": ["logprobs"]}, "include[0]"),
        ({"include": [["x"]]}, "include[0]"),
        ({"tools": {}}, "tools"),
        ({"tools": ["look"]}, "tools[0]"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [GO, {"type": "web_search"}]}, "tools[1]"),
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools[0]"),
        ({"tools": [{"type": "custom", "name": "x"}]}, "tools[0]"),
        ({"tools": [{**GO, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [{**GO, "allowed_callers": ["programmatic"]}]}, "tools[0].allowed_callers"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [GO], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [GO], "tool_choice": 3}, "tool_choice"),
        ({"tools": [GO], "tool_choice": {"type": "web_search_preview"}}, "tool_choice"),
        ({"tools": [GO], "tool_choice": {"type": "function", "name": "look"}}, "tool_choice"),
        ({"tools": [GO], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice"),
        (
            {"tools": [GO], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [LOOK]}},
            "tool_choice.tools[0]",
        ),
        (
            {"tools": [GO], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": ["go"]}},
            "tool_choice.tools[0]",
        ),
    ],
)
def test_what_nobody_can_do_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        form(**members)
    assert refused.value.param == param


def test_a_refusal_names_the_tool_and_who_has_it() -> None:
    with pytest.raises(InvalidField) as refused:
        chat_form({"input": "x", "tools": [{"type": "web_search"}]}, hosts=("openai", "xai"))
    assert "'web_search'" in refused.value.message
    assert "openai, xai" in refused.value.message


def test_settings_can_be_dropped_and_nothing_else() -> None:
    assert chat_form(
        {"input": "x", "truncation": "auto", "context_management": [{}], "reasoning": {"mode": "pro"}},
        drop_settings=True,
    ).body == {"messages": [{"role": "user", "content": "x"}]}
    with pytest.raises(InvalidField):
        chat_form({"input": "x", "previous_response_id": "resp_1"}, drop_settings=True)


def test_the_body_of_the_caller_stays() -> None:
    body = {"input": [{"role": "user", "content": [{"type": "text", "text": "x"}]}], "tools": [NESTED_LOOK]}
    found = chat_form(body)
    found.body["messages"][0]["content"][0]["text"] = "y"
    assert body["input"] == [{"role": "user", "content": [{"type": "text", "text": "x"}]}]


@pytest.mark.parametrize(
    ("reasoning", "wants"),
    [
        (None, False),
        ("x", False),
        ({"effort": "low"}, False),
        ({"summary": None}, False),
        ({"summary": "auto"}, True),
        ({"generate_summary": "concise"}, True),
    ],
)
def test_who_wants_a_summary(reasoning: Any, wants: bool) -> None:
    assert wants_summary({"reasoning": reasoning}) is wants
