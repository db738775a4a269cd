"""The Responses API at providers with words of their own: Gemini as we play it, and Anthropic as aimock does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from tests.chat.conftest import entry
from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.doubles.aimock.server import KEY as AIMOCK_KEY
from tests.doubles.aimock.server import aimock_server
from tests.doubles.google_chat import KEY, GoogleChatApi

LOOK: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": None}
USAGE = {"promptTokenCount": 4, "candidatesTokenCount": 2, "thoughtsTokenCount": 3}
FIXTURES = [
    {"match": {"userMessage": "think"}, "response": {"content": "Done.", "reasoning": "Let me think."}},
    {"match": {"userMessage": "tools"}, "response": {"toolCalls": [{"name": "look", "arguments": '{"at":"it"}'}]}},
    {"match": {"userMessage": "long"}, "response": {"content": "x", "finishReason": "length"}},
    {"match": {"userMessage": "hello"}, "response": {"content": "A ship at sea."}},
]


@dataclass
class Stand:
    """The gateway, and what plays Gemini."""

    gateway: Gateway
    gemini: GoogleChatApi


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with ExitStack() as stack:
        gemini = stack.enter_context(GoogleChatApi(is_vertex=False).running())
        aimock_url = stack.enter_context(aimock_server(FIXTURES))
        config = {
            **TEST_CONFIG,
            "model_list": [
                *TEST_CONFIG["model_list"],
                entry("gemini", "gemini/gemini-3-flash", gemini.url, KEY),
                entry("claude", "anthropic/claude-sonnet-5", aimock_url, AIMOCK_KEY),
            ],
        }
        folder = stack.enter_context(data_folder())
        yield Stand(stack.enter_context(start_gateway(folder, config)), gemini)


@pytest.fixture
def sdk(stand: Stand) -> Iterator[openai.OpenAI]:
    """The official client."""
    stand.gemini.asked.clear()
    stand.gemini.refusal = stand.gemini.waits_at = stand.gemini.cut_at = None
    with stand.gateway.openai() as client:
        yield client


def piece(*parts: Any, reason: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": list(parts)}}
    return {"candidates": [{**candidate, **({"finishReason": reason} if reason else {})}], **more}


def asked(sdk: openai.OpenAI, streamed: bool, **body: Any) -> Response:
    """Ask either way; the answer has to be of the contract's shape."""
    if streamed:
        with sdk.responses.stream(**body) as stream:
            for event in stream:
                assert event.type != "error"
            found: Response = stream.get_final_response()
    else:
        found = sdk.responses.create(**body)
    Response.model_validate(found.model_dump(by_alias=True), strict=True)
    return found


@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_of_gemini(stand: Stand, sdk: openai.OpenAI, streamed: bool) -> None:
    parts = [{"text": "Hm.", "thought": True}, {"text": "Rain"}, {"text": "."}]
    last = {"reason": "STOP", "usageMetadata": USAGE}
    stand.gemini.pieces = [piece(*parts, **last)]
    if streamed:
        stand.gemini.pieces = [piece(parts[0]), piece(parts[1]), piece(parts[2], **last)]
    found = asked(
        sdk,
        streamed,
        model="gemini",
        instructions="Be brief.",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "And?"}]}],
        max_output_tokens=7,
        reasoning={"summary": "auto"},
    )
    assert (found.output_text, found.status, found.model) == ("Rain.", "completed", "gemini")
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens) == (4, 5)
    assert found.usage.output_tokens_details.reasoning_tokens == 3
    thought = found.output[0]
    assert thought.type == "reasoning"
    assert [part.text for part in thought.summary] == ["Hm."]
    sent = stand.gemini.asked[0].json
    assert sent["contents"] == [{"role": "user", "parts": [{"text": "And?"}]}]
    assert sent["systemInstruction"]["parts"] == [{"text": "Be brief."}]
    assert sent["generationConfig"]["maxOutputTokens"] == 7


@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_goes_back_with_its_signature(stand: Stand, sdk: openai.OpenAI, streamed: bool) -> None:
    call = {"functionCall": {"name": "look", "args": {"at": "it"}}, "thoughtSignature": "c2lnbmVk"}
    stand.gemini.pieces = [piece(call, reason="STOP", usageMetadata=USAGE)]
    items: list[Any] = [{"role": "user", "content": "Look."}]
    first = asked(sdk, streamed, model="gemini", input=items, tools=[LOOK])
    (made,) = first.output
    assert made.type == "function_call"
    assert (made.name, json.loads(made.arguments)) == ("look", {"at": "it"})
    # As OpenAI's documents have it: what came goes back as it came.
    items += first.output
    items += [{"type": "function_call_output", "call_id": made.call_id, "output": '{"cat": true}'}]
    stand.gemini.pieces = [piece({"text": "A cat."}, reason="STOP")]
    assert asked(sdk, streamed, model="gemini", input=items, tools=[LOOK]).output_text == "A cat."
    contents = stand.gemini.asked[1].json["contents"]
    assert contents[1]["parts"] == [{**call, "functionCall": {**call["functionCall"], "id": made.call_id}}]  # type: ignore[dict-item]
    assert contents[2]["parts"][0]["functionResponse"]["response"] == {"cat": True}


def test_a_blocked_answer_is_incomplete(stand: Stand, sdk: openai.OpenAI) -> None:
    stand.gemini.pieces = [{"promptFeedback": {"blockReason": "SAFETY"}}]
    found = sdk.responses.create(model="gemini", input="And?")
    assert found.incomplete_details is not None
    assert (found.status, found.incomplete_details.reason) == ("incomplete", "content_filter")


def test_a_stream_that_is_cut_fails(stand: Stand, sdk: openai.OpenAI) -> None:
    stand.gemini.pieces = [piece({"text": "Rain"}), piece(reason="STOP")]
    stand.gemini.cut_at = 1
    events: list[Any] = []
    stream = sdk.responses.create(model="gemini", input="And?", stream=True)
    with pytest.raises(openai.APIError):
        events.extend(stream)
    assert [event.type for event in events][-1] == "response.failed"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools[0]"),
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [LOOK], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-nobodys"}]}]}, None),
        ({"text": {"verbosity": "low"}}, "verbosity"),
    ],
)
def test_what_it_has_no_word_for(stand: Stand, sdk: openai.OpenAI, more: dict[str, Any], param: str | None) -> None:
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as refused:
        sdk.responses.create(**{"model": "gemini", "input": "x", **more})
    if param is None:
        assert refused.value.param is not None
        assert refused.value.param.startswith("input[0].content[0]")
    else:
        assert refused.value.param == param
    assert not stand.gemini.asked


@pytest.mark.parametrize("streamed", [False, True])
def test_answers_of_anthropic(sdk: openai.OpenAI, streamed: bool) -> None:
    assert asked(sdk, streamed, model="claude", input="hello").output_text == "A ship at sea."
    found = asked(sdk, streamed, model="claude", input="think")
    assert [item.type for item in found.output] == ["reasoning", "message"]
    assert found.output_text == "Done."
    items: list[Any] = [{"role": "user", "content": "use your tools"}]
    called = asked(sdk, streamed, model="claude", input=items, tools=[LOOK])
    (made,) = (item for item in called.output if item.type == "function_call")
    assert (made.name, json.loads(made.arguments)) == ("look", {"at": "it"})
    items += called.output
    items += [
        {"type": "function_call_output", "call_id": made.call_id, "output": "a cat"},
        {"role": "user", "content": "hello"},
    ]
    assert asked(sdk, streamed, model="claude", input=items, tools=[LOOK]).output_text == "A ship at sea."


def test_an_answer_of_anthropic_that_is_too_long(sdk: openai.OpenAI) -> None:
    found = sdk.responses.create(model="claude", input="long", max_output_tokens=16)
    assert found.incomplete_details is not None
    assert (found.status, found.incomplete_details.reason) == ("incomplete", "max_output_tokens")
