"""The Responses API at a server that speaks Chat Completions alone: the official SDK cannot tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import BaseModel

from mediagate.core import ids
from tests.chat.conftest import Chats

LOOK = {
    "type": "function",
    "name": "look",
    "description": "Look at something.",
    "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
    "strict": True,
}


@pytest.fixture
def sdk(chats: Chats) -> Iterator[openai.OpenAI]:
    """The official client."""
    with chats.sdk() as client:
        yield client


def test_an_answer(chats: Chats, sdk: openai.OpenAI) -> None:
    found = sdk.responses.create(
        model="first", instructions="Be brief.", input="hello", max_output_tokens=9, metadata={"a": "b"}, user="u"
    )
    assert found.output_text == "hello"
    assert (found.status, found.model, found.store if hasattr(found, "store") else None) == (
        "completed",
        "first",
        False,
    )
    assert ids.RESPONSE.matches(found.id)
    assert (found.metadata, found.max_output_tokens, found.instructions) == ({"a": "b"}, 9, "Be brief.")
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.total_tokens) == (11, 7, 18)
    assert chats.first.journal[-1].path == "/v1/chat/completions"
    assert chats.first.journal[-1].body == {
        "model": "scripted",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}],
        "max_tokens": 9,
        "user": "u",
    }


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/openai/responses", "/openai/v1/responses"])
def test_every_path_answers_in_the_contract(chats: Chats, path: str) -> None:
    with chats.gateway.http() as http:
        reply = http.post(path, json={"model": "first", "input": "hello"}, params={"api-version": "preview"})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-mediagate-deployment"].startswith("first:")
    Response.model_validate(reply.json(), strict=True)


def test_every_setting_of_a_stream_reaches_the_server(chats: Chats, sdk: openai.OpenAI) -> None:
    with sdk.responses.stream(
        model="first",
        input=[{"role": "user", "content": [{"type": "input_text", "text": "count 2"}]}],
        tools=[LOOK],
        tool_choice={"type": "function", "name": "look"},
        parallel_tool_calls=False,
        reasoning={"effort": "low", "summary": "auto"},
        temperature=0.5,
        text={"format": {"type": "json_object"}},
        extra_body={"guided_choice": ["a"]},
    ) as stream:
        assert stream.get_final_response().output_text == "w0 w1 "
    assert chats.first.journal[-1].body == {
        "model": "scripted",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "count 2"}]}],
        "tools": [{"type": "function", "function": {name: LOOK[name] for name in LOOK if name != "type"}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": False,
        "reasoning_effort": "low",
        "temperature": 0.5,
        "response_format": {"type": "json_object"},
        "guided_choice": ["a"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_events_of_a_stream(chats: Chats, sdk: openai.OpenAI) -> None:
    stream = sdk.responses.create(model="first", input="think aloud", stream=True)
    events = list(stream)
    assert [event.type.removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.delta",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event.sequence_number for event in events] == list(range(15))
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.usage is not None
    assert last.response.usage.total_tokens == 18
    assert last.response.output_text == "think aloud"
    for event in events:
        type(event).model_validate(event.model_dump(), strict=True)


def test_words_come_one_by_one(chats: Chats) -> None:
    chats.first.pause_s = 0.1
    try:
        with chats.gateway.http() as http:
            body = {"model": "first", "input": "count 4", "stream": True}
            with http.stream("POST", "/v1/responses", json=body) as reply:
                assert reply.headers["content-type"] == "text/event-stream"
                chunks = [chunk.decode() for chunk in reply.iter_raw() if chunk]
    finally:
        chats.first.pause_s = 0.0
    # Nothing is kept back until the end: each word has a chunk of its own.
    assert [chunk.count('output_text.delta"') for chunk in chunks if "output_text.delta" in chunk] == [1, 1, 1, 1]


class Place(BaseModel):
    """What a parsed answer is."""

    at: str


def test_the_helpers_of_the_sdk(chats: Chats, sdk: openai.OpenAI) -> None:
    found = sdk.responses.parse(model="first", input='{"at": "home"}', text_format=Place)
    assert found.output_parsed == Place(at="home")
    sent = chats.first.journal[-1].body["response_format"]
    assert (sent["type"], sent["json_schema"]["name"], sent["json_schema"]["strict"]) == ("json_schema", "Place", True)
    with sdk.responses.stream(model="first", input='{"at": "away"}', text_format=Place) as stream:
        said = [event.snapshot for event in stream if event.type == "response.output_text.delta"]
        assert stream.get_final_response().output_parsed == Place(at="away")
    assert said == ['{"at": "away"}']


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_round_trip(chats: Chats, sdk: openai.OpenAI, streamed: bool) -> None:
    items: list[Any] = [{"role": "user", "content": "call it"}]
    if streamed:
        with sdk.responses.stream(model="first", input=items, tools=[LOOK]) as stream:
            first = stream.get_final_response()
    else:
        first = sdk.responses.create(model="first", input=items, tools=[LOOK])
    calls = [item for item in first.output if item.type == "function_call"]
    assert (calls[0].name, calls[0].call_id, json.loads(calls[0].arguments)) == ("look", "call_1", {"at": "it"})
    assert len(calls) == (2 if streamed else 1)
    items += first.output
    items += [{"type": "function_call_output", "call_id": call.call_id, "output": "a cat"} for call in calls]
    items += [{"role": "user", "content": "and now"}]
    second = sdk.responses.create(model="first", input=items, tools=[LOOK])
    assert second.output_text == "and now"
    messages = chats.first.journal[-1].body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", *["tool"] * len(calls), "user"]
    assert [call["id"] for call in messages[1]["tool_calls"]] == [call.call_id for call in calls]
    assert messages[2] == {"role": "tool", "tool_call_id": "call_1", "content": "a cat"}


@pytest.mark.parametrize(("how", "reason"), [("long", "max_output_tokens"), ("bad", "content_filter")])
def test_an_answer_that_was_cut_off_is_incomplete(chats: Chats, sdk: openai.OpenAI, how: str, reason: str) -> None:
    whole = sdk.responses.create(model="first", input=f"{how} story")
    with sdk.responses.stream(model="first", input=f"{how} story") as stream:
        streamed = next(event.response for event in stream if event.type == "response.incomplete")
    for found in (whole, streamed):
        assert (found.status, found.output_text) == ("incomplete", f"{how} story")
        assert found.incomplete_details is not None
        assert found.incomplete_details.reason == reason


@pytest.mark.parametrize(("how", "said"), [("cut", "one"), ("quiet", "quiet")])
def test_an_answer_that_breaks_off_fails(chats: Chats, sdk: openai.OpenAI, how: str, said: str) -> None:
    events: list[Any] = []
    stream = sdk.responses.create(model="first", input=how, stream=True)
    with pytest.raises(openai.APIError) as raised:
        events.extend(stream)
    assert raised.value.code in ("provider_connection_lost", "provider_answer_cut")
    failed = events[-1]
    assert failed.type == "response.failed"
    assert failed.response.status == "failed"
    assert failed.response.error is not None
    assert failed.response.error.code == "server_error"
    assert failed.response.output_text == said
    with sdk.responses.stream(model="first", input=how) as stream, pytest.raises(openai.APIError):
        list(stream)


def test_an_answer_that_says_why_it_ends_is_whole(chats: Chats, sdk: openai.OpenAI) -> None:
    with sdk.responses.stream(model="first", input="short") as stream:
        assert stream.get_final_response().output_text == "short"


def test_an_error_in_the_stream_of_the_server_fails(chats: Chats, sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError):
        list(sdk.responses.create(model="first", input="broken", stream=True))


@pytest.mark.parametrize(("status", "seen"), [(400, 400), (422, 400), (429, 429), (500, 502), (401, 502)])
def test_a_refusal_that_is_the_first_event_has_its_status(chats: Chats, status: int, seen: int) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/responses", json={"model": "first", "input": f"refuse {status}", "stream": True})
    assert reply.status_code == seen
    if seen == 400:
        assert f"no: {status}" in reply.json()["error"]["message"]


def test_a_caller_who_goes_away_ends_the_call_at_the_provider(chats: Chats) -> None:
    body = {"model": "first", "input": "hang", "stream": True}
    with chats.gateway.http() as http, http.stream("POST", "/v1/responses", json=body) as reply:
        assert next(reply.iter_bytes())
    assert chats.first.journal[-1].gone.wait(10)


@pytest.mark.parametrize(("status", "seen"), [(400, 400), (401, 502), (422, 400)])
def test_a_refusal_says_what_the_provider_said(chats: Chats, status: int, seen: int) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/responses", json={"model": "first", "input": f"status {status}", "stream": True})
    assert (reply.status_code, reply.headers["content-type"]) == (seen, "application/json")
    if seen == 400:
        assert f"no: {status}" in reply.json()["error"]["message"]


BAD: dict[str, tuple[dict[str, Any], int, str]] = {
    "no input": ({}, 400, "input"),
    "an item that is none": ({"input": ["x"]}, 400, "input[0]"),
    "a part that is none": ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, 400, "input[0].content[0].type"),
    "a kept item": ({"input": [{"type": "item_reference", "id": "msg_1"}]}, 400, "input[0]"),
    "an earlier response": ({"input": "x", "previous_response_id": "resp_1"}, 400, "previous_response_id"),
    "a conversation": ({"input": "x", "conversation": "conv_1"}, 400, "conversation"),
    "in the background": ({"input": "x", "background": True}, 400, "background"),
    "a tool of the provider": ({"input": "x", "tools": [{"type": "web_search"}]}, 400, "tools[0]"),
    "a setting that is none": ({"input": "x", "max_output_tokens": "9"}, 400, "max_output_tokens"),
    "a model that is none": ({"input": "x", "model": "nothing"}, 404, "model"),
    "a setting of nobody": ({"input": "x", "truncation": "auto"}, 400, "truncation"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said(chats: Chats, case: str) -> None:
    body, status, param = BAD[case]
    with chats.gateway.http() as http:
        reply = http.post("/v1/responses", json={"model": "first", **body})
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)
    if case == "a tool of the provider":
        assert "'web_search'" in reply.json()["error"]["message"]
        assert "openai" in reply.json()["error"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"model": "first", "input": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model": "first", "input": [{"role": "user", "content": ' + b'[{"x":' * 400 + b"1" + b"}]" * 400 + b"}]}",
        b'{"model": "first", "input": "\xff"}',
        b'{"model": "first", "input": "x", "temperature": NaN}',
        *(
            b'{"model": "first", "input": "x", "odd": ' + b"[" * deep + b"]" * deep + b"}"
            for deep in range(940, 1000, 6)
        ),
    ],
)
def test_garbage_is_refused(chats: Chats, body: bytes) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/responses", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


def test_half_a_pair_of_surrogates_passes(chats: Chats) -> None:
    with chats.gateway.http() as http:
        body = b'{"model": "first", "input": "\\ud83d"}'
        reply = http.post("/v1/responses", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200
    assert reply.json()["output"][0]["content"][0]["text"] == "\ud83d"


def test_input_in_the_place_of_messages(chats: Chats) -> None:
    body = {"model": "first", "input": [{"role": "user", "content": [{"type": "input_text", "text": "hello"}]}]}
    with chats.gateway.http() as http:
        reply = http.post("/chat/completions", json={**body, "instructions": "Be brief.", "seed": 3})
        assert reply.json()["choices"][0]["message"]["content"] == "hello"
        assert reply.json()["object"] == "chat.completion"
        assert chats.first.journal[-1].body == {
            "model": "scripted",
            "seed": 3,
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "hello"}]},
            ],
        }
        both = http.post("/chat/completions", json={**body, "messages": []})
        assert (both.status_code, both.json()["error"]["param"]) == (400, "input")
        wrong = {
            "model": "first",
            "input": [
                {"role": "user", "content": "x"},
                {"role": "user", "content": [{"type": "input_file", "file_id": "gs://a/b"}]},
            ],
        }
        refused = http.post("/chat/completions", json=wrong)
        assert refused.status_code == 400
        assert refused.json()["error"]["param"].startswith("input[1].content[0]")
