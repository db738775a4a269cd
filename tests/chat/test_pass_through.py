"""Chats through a gateway whose provider speaks the caller's dialect: nothing is added, lost or delayed."""

from __future__ import annotations

import itertools
import json
import time
from typing import Any

import httpx
import openai
import pytest

from tests.chat.conftest import SAID, Chats


def ask(text: str, **more: Any) -> dict[str, Any]:
    """A body with one message."""
    return {"model": "first", "messages": [{"role": "user", "content": text}], **more}


def test_a_server_of_another_hand_answers(chats: Chats, sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="gpt", messages=[{"role": "user", "content": "What is it?"}])
    assert answer.choices[0].message.content == SAID


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/chat/completions",
        "/openai/v1/chat/completions",
        "/openai/deployments/first/chat/completions",
    ],
)
def test_every_path_answers(chats: Chats, path: str) -> None:
    with chats.gateway.http() as http:
        body = ask("hello")
        if "deployments" in path:
            del body["model"]
        reply = http.post(path, json=body, params={"api-version": "2024-10-21"})
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json"
    assert int(reply.headers["content-length"]) == len(reply.content)
    assert reply.headers["x-mediagate-deployment"].startswith("first:")
    assert reply.json()["choices"][0]["message"]["content"] == "hello"
    assert reply.json()["system_fingerprint"] == "fp_1"


def test_the_azure_client_answers(chats: Chats) -> None:
    azure = openai.AzureOpenAI(
        azure_endpoint=chats.gateway.url, api_key=chats.gateway.key, api_version="2024-10-21", max_retries=0
    )
    with azure as client:
        answer = client.chat.completions.create(model="first", messages=[{"role": "user", "content": "hello"}])
    assert answer.choices[0].message.content == "hello"


def test_the_deployment_of_an_azure_client_counts_and_not_the_model_in_its_body(chats: Chats) -> None:
    azure = openai.AzureOpenAI(
        azure_endpoint=chats.gateway.url,
        azure_deployment="first",
        api_key=chats.gateway.key,
        api_version="2024-10-21",
        max_retries=0,
    )
    with azure as client:
        for model in ("gpt-4o", "pair"):
            raw = client.chat.completions.with_raw_response.create(
                model=model, messages=[{"role": "user", "content": "hello"}]
            )
            assert raw.headers["x-mediagate-deployment"].startswith("first:")


def test_unknown_members_reach_the_provider_untouched(chats: Chats) -> None:
    odd = {"guided_json": {"a": [1, 2.5, None, "ü"]}, "temperature": 0.25, "seed": 7, "x": None}
    with chats.gateway.http() as http:
        assert http.post("/v1/chat/completions", json=ask("odd", **odd)).status_code == 200
    assert chats.first.journal[-1].body == {**ask("odd", **odd), "model": "scripted"}


def test_a_stream_comes_chunk_by_chunk(chats: Chats, sdk: openai.OpenAI) -> None:
    chats.first.pause_s = 0.15
    try:
        stream = sdk.chat.completions.create(**ask("count 6"), stream=True)
        came = [time.monotonic() for chunk in stream if chunk.choices[0].delta.content]
    finally:
        chats.first.pause_s = 0.0
    assert len(came) == 6
    # Each came while the server had yet to say the next.
    assert all(later - earlier > 0.05 for earlier, later in itertools.pairwise(came))


def test_the_bytes_of_a_stream_are_the_providers(chats: Chats) -> None:
    with chats.gateway.http() as http:
        body = ask("count 3", stream=True, stream_options={"include_usage": True})
        through = http.post("/v1/chat/completions", json=body)
        direct = httpx.post(
            f"{chats.first.url}/v1/chat/completions",
            json={**body, "model": "scripted"},
            headers={"authorization": "Bearer sk-chat"},
        )
    assert through.headers["content-type"] == "text/event-stream"
    assert through.content == direct.content


def test_the_usage_that_only_the_gateway_asked_for_stays_here(chats: Chats) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", json=ask("count 3", stream=True))
    assert chats.first.journal[-1].body["stream_options"] == {"include_usage": True}
    assert b'"usage"' not in reply.content
    assert reply.content.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("how", ["cut", "quiet"])
def test_an_answer_that_breaks_off_ends_with_an_error(chats: Chats, sdk: openai.OpenAI, how: str) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", json=ask(how, stream=True))
    events = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    assert json.loads(events[-1])["error"]["type"] == "server_error"
    assert "[DONE]" not in reply.text
    with pytest.raises(openai.APIError):
        list(sdk.chat.completions.create(**ask(how), stream=True))


def test_a_caller_who_goes_away_ends_the_call_at_the_provider(chats: Chats) -> None:
    with chats.gateway.http() as http, http.stream("POST", "/v1/chat/completions", json=ask("hang", stream=True)) as r:
        assert next(r.iter_bytes())
    assert chats.first.journal[-1].gone.wait(10)


@pytest.mark.parametrize(("status", "seen"), [(400, 400), (404, 400), (401, 502), (422, 400)])
def test_a_refusal_says_what_the_provider_said(chats: Chats, status: int, seen: int) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", json=ask(f"status {status}"))
    assert reply.status_code == seen
    error = reply.json()["error"]
    if seen == 400:
        assert f"no: {status}" in error["message"]
        assert (error["param"], error["code"]) == ("messages", "as_told")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("status", "seen"), [(400, 400), (429, 429), (500, 502), (401, 502)])
def test_a_refusal_in_an_answer_of_200_has_its_status(chats: Chats, status: int, seen: int, stream: bool) -> None:
    """Some servers say that they begin before they know whether they can."""
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", json=ask(f"refuse {status}", stream=stream))
    assert (reply.status_code, reply.headers["content-type"]) == (seen, "application/json")
    assert (f"no: {status}" in reply.json()["error"]["message"]) == (seen == 400)


@pytest.mark.parametrize("status", [429, 500, 503, 529, 401])
def test_another_deployment_answers_where_one_cannot(chats: Chats, status: int) -> None:
    time.sleep(1.2)
    chats.first.refusals.append(status)
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", json={**ask("hello"), "model": "pair"})
        assert reply.status_code == 200
        has_refused = not chats.first.refusals
        chats.first.refusals.clear()
        assert has_refused
        assert chats.second.journal[-1].body["messages"][0]["content"] == "hello"


BAD = {
    "no model": ({"messages": []}, 400, "model"),
    "a model that is none": (ask("x") | {"model": "nothing"}, 404, "model"),
    "a model that is no text": (ask("x") | {"model": 3}, 400, "model"),
    "a video model": (ask("x") | {"model": "local-video"}, 501, "model"),
    "stream is no flag": (ask("x") | {"stream": "yes"}, 400, "stream"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said(chats: Chats, case: str) -> None:
    body, status, param = BAD[case]
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", json=body)
    assert (reply.status_code, reply.json()["error"]["param"]) == (status, param)


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"x"', b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(chats: Chats, body: bytes) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert reply.json()["error"]["type"] == "invalid_request_error"


def test_a_body_that_is_too_large_is_refused(chats: Chats) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", json=ask("x" * (32 << 20)))
    assert reply.status_code == 413
    assert reply.json()["error"]["code"] == "payload_too_large"


def test_a_large_body_passes(chats: Chats) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", json=ask("echo " + "x" * (20 << 20)))
    assert reply.status_code == 200


@pytest.mark.parametrize(("stream", "mib"), [(False, 45), (True, 31)])
def test_a_large_answer_passes(chats: Chats, stream: bool, mib: int) -> None:
    """Pictures that a model draws lie in it."""
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", json=ask(f"fill {mib}", stream=stream))
    assert reply.status_code == 200
    assert b"x" * (mib << 20) in reply.content
    assert stream or int(reply.headers["content-length"]) == len(reply.content)
    assert not stream or reply.content.endswith(b"data: [DONE]\n\n")


def test_another_type_of_body_is_refused(chats: Chats) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/chat/completions", content=b"model=x", headers={"content-type": "text/plain"})
    assert reply.status_code == 415
