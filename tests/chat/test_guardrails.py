"""Guardrails on what is asked of models and on what they answer, through the gateway."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest

from tests.api.access_kit import issue_key
from tests.api.guardrails_kit import DEAD, entry
from tests.api.videos_kit import data_url, png
from tests.chat.conftest import PRICE
from tests.chat.conftest import entry as model
from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.doubles.chat import KEY, ChatServer, chat_server
from tests.doubles.moderations import KEY as MODERATIONS_KEY
from tests.doubles.moderations import Moderations
from tests.doubles.responses import KEY as KEEPER_KEY
from tests.doubles.responses import ResponseServer, response_server

WORD = "excalibur"
RED, GREEN = png(), png(color=(30, 200, 30))
LEAK = "w7"
"""A word that the double says when it is told to count."""


@dataclass
class Guarded:
    """The gateway, and who answers behind it."""

    gateway: Gateway
    first: ChatServer

    def sdk(self) -> openai.OpenAI:
        """The official client."""
        return self.gateway.openai()


@pytest.fixture(scope="module")
def guarded() -> Iterator[Guarded]:
    """A gateway whose models are looked at in different ways."""
    with ExitStack() as running:
        server, keeper = running.enter_context(chat_server()), running.enter_context(response_server())
        judge, folder = running.enter_context(Moderations.running()), running.enter_context(data_folder())
        yield Guarded(running.enter_context(start_gateway(folder, config_of(server, keeper, judge.url))), server)


def config_of(server: ChatServer, keeper: ResponseServer, moderations: str) -> dict[str, Any]:
    names = ("asked", "answered", "buffered", "passed", "away", "open", "plain", "seen")
    models = [model(name, "openai_compatible/scripted", f"{server.url}/v1", KEY) for name in names]
    models.append(model("kept", "openai/kept", f"{keeper.url}/v1", KEEPER_KEY))
    words = {"words": [WORD, LEAK, "w1 w2"]}
    dead = {"api_base": DEAD, "api_key": "k"}
    return {
        **TEST_CONFIG,
        "model_list": [*TEST_CONFIG["model_list"], *({**one, "model_info": PRICE} for one in models)],
        "guardrails": [
            entry("asked", "patterns", models=["asked"], words=[WORD]),
            entry("answered", "patterns", models=["answered", "kept"], on=["answer"], **words),
            entry("buffered", "patterns", models=["buffered"], on=["answer"], on_stream="buffer", **words),
            entry("passed", "patterns", models=["passed"], mode="post_call", on_stream="pass", **words),
            entry("away", "openai_moderation", models=["away"], **dead),
            entry(
                "open", "openai_moderation", models=["open"], mode=["pre_call", "post_call"], on_error="allow", **dead
            ),
            entry(
                "seen",
                "openai_moderation",
                models=["seen"],
                on=["image"],
                api_base=moderations,
                api_key=MODERATIONS_KEY,
            ),
            entry("extra", "patterns", on=["prompt"], words=[WORD]),
        ],
    }


def ask(name: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": name, "messages": [{"role": "user", "content": text}], **more}


def refused(reply: httpx.Response, name: str) -> None:
    assert reply.status_code == 400, reply.text
    error = reply.json()["error"]
    assert error["code"] == "content_policy_violation"
    assert name in error["message"]
    assert WORD not in reply.text


@pytest.mark.parametrize(
    "more",
    [
        {"messages": [{"role": "user", "content": f"the {WORD}!"}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "the"}, {"type": "text", "text": WORD}]}]},
        {"messages": [{"role": "system", "content": WORD}, {"role": "user", "content": "hello"}]},
        {
            "messages": [{"role": "user", "content": "hello"}],
            "tools": [{"type": "function", "function": {"name": "f", "description": WORD}}],
        },
        {"messages": [{"role": "user", "content": "ＥＸＣＡＬＩＢＵＲ"}]},
        {"messages": [{"role": "user", "content": "hello"}], "unknown": {"deep": [WORD]}},
        {"input": [{"role": "user", "content": [{"type": "input_text", "text": WORD}]}], "messages": None},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "file",
                            "file": {
                                "filename": "a.txt",
                                "file_data": "data:text/plain;base64," + base64.b64encode(WORD.encode()).decode(),
                            },
                        }
                    ],
                }
            ]
        },
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_asked_is_looked_at_before_anything_is_sent(
    guarded: Guarded, more: dict[str, Any], stream: bool
) -> None:
    before = len(guarded.first.journal)
    key = issue_key(guarded.gateway, max_budget_usd=50)
    with guarded.gateway.http() as http:
        refused(
            http.post("/v1/chat/completions", json={"model": "asked", "stream": stream, **more}, headers=key.headers),
            "asked",
        )
        assert http.get("/v1/spend/logs", params={"api_key": key.id}).json()["data"] == []
    assert len(guarded.first.journal) == before


def test_the_official_client_is_told(guarded: Guarded) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        guarded.sdk().chat.completions.create(**ask("asked", WORD))
    assert caught.value.code == "content_policy_violation"


def test_a_request_and_a_key_can_add_guardrails(guarded: Guarded) -> None:
    key = issue_key(guarded.gateway, guardrails=("extra",))
    with guarded.gateway.http() as http:
        assert http.post("/v1/chat/completions", json=ask("plain", WORD)).status_code == 200
        refused(http.post("/v1/chat/completions", json=ask("plain", WORD), headers=key.headers), "extra")
        refused(http.post("/v1/chat/completions", json=ask("plain", WORD, guardrails=["extra"])), "extra")
        assert http.post("/v1/chat/completions", json=ask("plain", guardrails=["extra"])).status_code == 200
        # It is the gateway's and not the provider's.
        assert "guardrails" not in guarded.first.journal[-1].body
        for wrong in (["nobody"], "extra", [1]):
            reply = http.post("/v1/chat/completions", json=ask("plain", guardrails=wrong))
            assert (reply.status_code, reply.json()["error"]["param"]) == (400, "guardrails")


@pytest.mark.parametrize("name", ["answered", "buffered", "passed"])
def test_an_answer_is_looked_at_before_it_goes_out_and_is_paid_for(guarded: Guarded, name: str) -> None:
    key = issue_key(guarded.gateway, max_budget_usd=5000)
    with guarded.gateway.http() as http:
        refused(http.post("/v1/chat/completions", json=ask(name, f"say {WORD}"), headers=key.headers), name)
        assert http.get("/v1/spend/logs", params={"api_key": key.id}).json()["data"][0]["spend"] == 0.081
        assert http.post("/v1/chat/completions", json=ask(name, "say nothing")).status_code == 200


def stream_of(http: httpx.Client, name: str, text: str, **more: Any) -> tuple[str, list[Any]]:
    """The words of a stream, and its events."""
    reply = http.post("/v1/chat/completions", json=ask(name, text, stream=True, **more))
    assert reply.status_code == 200, reply.text
    events = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    trees = [json.loads(event) for event in events if event != "[DONE]"]
    said = [choice["delta"].get("content") or "" for tree in trees for choice in tree.get("choices", [])]
    return "".join(said), [*trees, *(event for event in events if event == "[DONE]")]


@pytest.mark.parametrize(("name", "most"), [("answered", "w0 w1 w2 w3 w4 w5 w6 "), ("buffered", "")])
def test_a_stream_ends_with_an_error_where_it_may_not_go_on(guarded: Guarded, name: str, most: str) -> None:
    with guarded.gateway.http() as http:
        said, events = stream_of(http, name, "count 500")
    assert most.startswith(said)
    assert events[-1]["error"]["code"] == "content_policy_violation"
    assert f"{LEAK} " not in json.dumps(events)


def test_a_stream_that_may_pass_is_the_same_as_without(guarded: Guarded) -> None:
    with guarded.gateway.http() as http:
        plain = stream_of(http, "plain", "say. " * 100)
        for name in ("answered", "buffered"):
            assert stream_of(http, name, "say. " * 100) == plain
        # Nobody looks at this one.
        said, events = stream_of(http, "passed", "count 10")
        assert LEAK in said
        assert events[-1] == "[DONE]"


def test_one_that_does_not_answer_lets_nothing_pass(guarded: Guarded) -> None:
    before = len(guarded.first.journal)
    with guarded.gateway.http() as http:
        reply = http.post("/v1/chat/completions", json=ask("away"))
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "guardrail_unavailable")
        assert len(guarded.first.journal) == before
        assert http.post("/v1/chat/completions", json=ask("open")).status_code == 200
        assert stream_of(http, "open", "count 3")[0] == "w0 w1 w2 "


def test_responses_are_looked_at_too(guarded: Guarded) -> None:
    with guarded.gateway.http() as http:
        refused(http.post("/v1/responses", json={"model": "asked", "input": WORD}), "asked")
        refused(http.post("/v1/responses", json={"model": "answered", "input": f"say {WORD}"}), "answered")
        assert http.post("/v1/responses", json={"model": "answered", "input": "say nothing"}).status_code == 200
        reply = http.post("/v1/responses", json={"model": "answered", "input": "count 500", "stream": True})
        assert reply.status_code == 200
        assert "event: error" in reply.text
        assert "content_policy_violation" in reply.text
        # An id may have its letters.
        assert f"{LEAK} " not in reply.text
        assert "response.completed" not in reply.text
        passed = http.post("/v1/responses", json={"model": "answered", "input": "say nothing", "stream": True})
        assert "response.completed" in passed.text


def test_a_kept_response_is_looked_at_when_it_is_read_again(guarded: Guarded) -> None:
    with guarded.gateway.http() as http:
        reply = http.post("/v1/responses", json={"model": "kept", "input": f"say {WORD}", "stream": True})
        assert "event: error" in reply.text
        assert WORD not in reply.text
        # Its first event has told the id.
        started = json.loads(next(line for line in reply.text.splitlines() if line.startswith("data: "))[6:])
        refused(http.get(f"/v1/responses/{started['response']['id']}"), "answered")
        fine = http.post("/v1/responses", json={"model": "kept", "input": "say nothing"}).json()
        assert http.get(f"/v1/responses/{fine['id']}").status_code == 200


def test_pictures_are_looked_at(guarded: Guarded) -> None:
    def asked(url: str, **more: Any) -> httpx.Response:
        part = {"type": "image_url", "image_url": {"url": url}}
        content = [{"type": "text", "text": "what is it?"}, part]
        return http.post(
            "/v1/chat/completions", json=ask("seen", **more, messages=[{"role": "user", "content": content}])
        )

    def stored(url: str) -> str:
        data = base64.b64decode(url.partition(",")[2])
        reply = http.post("/v1/files", files={"file": ("a.png", data, "image/png")}, data={"purpose": "vision"})
        assert reply.status_code == 200, reply.text
        return str(reply.json()["id"])

    with guarded.gateway.http() as http:
        before = len(guarded.first.journal)
        refused(asked(data_url(RED)), "seen")
        refused(asked(stored(data_url(RED))), "seen")
        linked = asked("https://example.com/a.png")
        assert (linked.status_code, linked.json()["error"]["param"]) == (400, "messages[0].content[1].image_url.url")
        assert len(guarded.first.journal) == before
        assert asked(data_url(GREEN)).status_code == 200
        assert asked(stored(data_url(GREEN))).status_code == 200
