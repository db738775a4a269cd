"""Responses that a provider keeps: passed through, and there for those alone for whom they were made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import grpc
import openai
import pytest
from google.api.httpbody_pb2 import HttpBody

from mediagate._gen.mediagate.v1 import chat_pb2, chat_pb2_grpc
from tests.api.access_kit import issue_key
from tests.chat.conftest import SAID, Chats
from tests.doubles.responses import answered, encoded, events_of


@pytest.fixture
def sdk(chats: Chats) -> Iterator[openai.OpenAI]:
    """The official client, with a key that is no admin's."""
    with sdk_of(chats) as client:
        yield client


def sdk_of(chats: Chats, **policy: Any) -> openai.OpenAI:
    key = issue_key(chats.gateway, **policy).key
    return openai.OpenAI(base_url=f"{chats.gateway.url}/v1", api_key=key, max_retries=0)


def test_a_server_of_another_hand_answers(chats: Chats, sdk: openai.OpenAI) -> None:
    assert sdk.responses.create(model="gpt", input="What is it?").output_text == SAID
    with sdk.responses.stream(model="gpt", input="What is it?") as stream:
        assert stream.get_final_response().output_text == SAID


def test_a_response_is_passed_through_but_for_its_id(chats: Chats, sdk: openai.OpenAI) -> None:
    asked = {"model": "keeper", "input": "hello", "truncation": "auto", "odd": {"a": [1, 2.5, None, "ü"]}}
    with chats.gateway.http() as http:
        found = http.post("/v1/responses", json=asked).json()
    assert chats.keeper.journal[-1].body == {**asked, "model": "kept"}
    theirs = next(reversed(chats.keeper.kept))
    assert found["id"].startswith("resp_")
    assert theirs not in json.dumps(found)
    assert {**found, "id": theirs} == answered(theirs, {**asked, "model": "kept"}, "hello")


def test_a_stream_is_passed_through_but_for_its_id(chats: Chats) -> None:
    with chats.gateway.http() as http:
        reply = http.post("/v1/responses", json={"model": "keeper", "input": "say your id", "stream": True})
    theirs = next(reversed(chats.keeper.kept))
    response = chats.keeper.kept[theirs][0]
    numbered = ({**event, "sequence_number": number} for number, event in enumerate(events_of(response)))
    expected = b"".join(map(encoded, numbered))
    first = json.loads(reply.text.split("\n")[1].removeprefix("data: "))
    ours = first["response"]["id"]
    assert theirs.encode() in expected
    # What the model itself says stays as it is.
    assert reply.content.replace(f'"{ours}"'.encode(), f'"{theirs}"'.encode()) == expected
    assert f'(\\"{theirs}\\")' in reply.text


def test_a_response_is_gone_on_from_read_and_deleted(chats: Chats, sdk: openai.OpenAI) -> None:
    first = sdk.responses.create(model="keeper", input="one")
    second = sdk.responses.create(model="keeper", input="two", previous_response_id=first.id)
    assert (second.output_text, second.previous_response_id) == ("one two", first.id)
    with sdk.responses.stream(model="keeper", input="three", previous_response_id=second.id) as stream:
        third = stream.get_final_response()
    assert (third.output_text, third.previous_response_id) == ("one two three", second.id)
    read = sdk.responses.retrieve(third.id, include=["reasoning.encrypted_content", "message.output_text.logprobs"])
    assert (read.id, read.output_text) == (third.id, "one two three")
    assert chats.keeper.journal[-1].query == [
        ("include[]", "reasoning.encrypted_content"),
        ("include[]", "message.output_text.logprobs"),
    ]
    items = sdk.responses.input_items.list(third.id, limit=5, order="asc", after="msg_0")
    assert [item.to_dict()["id"] for item in items.data] == ["msg_in"]
    assert chats.keeper.journal[-1].query == [("limit", "5"), ("order", "asc"), ("after", "msg_0")]
    sdk.responses.delete(first.id)
    for call in (sdk.responses.retrieve, sdk.responses.delete, sdk.responses.input_items.list):
        with pytest.raises(openai.NotFoundError):
            call(first.id)
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(model="keeper", input="two", previous_response_id=first.id)
    assert refused.value.code == "previous_response_not_found"


@pytest.mark.parametrize("path", ["/v1/responses", "/responses", "/openai/responses", "/openai/v1/responses"])
def test_every_path_reads(chats: Chats, path: str) -> None:
    with chats.gateway.http() as http:
        made = http.post(path, json={"model": "keeper", "input": "hello"}).json()
        read = http.get(f"{path}/{made['id']}")
        assert (read.status_code, read.json()) == (200, made)
        assert int(read.headers["content-length"]) == len(read.content)
        assert http.get(f"{path}/{made['id']}/input_items").json()["object"] == "list"
        assert http.delete(f"{path}/{made['id']}").json() == {"id": made["id"], "object": "response", "deleted": True}


def test_nobody_else_has_it(chats: Chats, sdk: openai.OpenAI) -> None:
    made = sdk.responses.create(model="keeper", input="secret")
    theirs = next(reversed(chats.keeper.kept))
    before = len(chats.keeper.journal)
    with sdk_of(chats) as other:
        for id_ in (made.id, theirs, f"{made.id[:-1]}A", "resp_", "resp_%00", made.id + "A" * 3_000):
            for call in (other.responses.retrieve, other.responses.delete, other.responses.input_items.list):
                with pytest.raises((openai.NotFoundError, openai.BadRequestError)) as refused:
                    call(id_)
                assert "secret" not in str(refused.value)
            with pytest.raises(openai.BadRequestError) as refused:
                other.responses.create(model="keeper", input="and", previous_response_id=id_)
            assert refused.value.code in ("previous_response_not_found", "invalid_field")
    # The provider was never asked.
    assert len(chats.keeper.journal) == before
    # Its own is not there by the provider's id either.
    with pytest.raises(openai.NotFoundError):
        sdk.responses.retrieve(theirs)
    # The gateway's operator sees everybody's.
    with chats.sdk() as operator:
        assert operator.responses.retrieve(made.id).output_text == "secret"


def test_an_end_user_has_only_its_own(chats: Chats) -> None:
    key = issue_key(chats.gateway).headers
    header = "x-mediagate-user"
    with chats.gateway.http() as http:
        made = http.post("/v1/responses", json={"model": "keeper", "input": "x"}, headers={**key, header: "ann"}).json()
        path = f"/v1/responses/{made['id']}"
        assert http.get(path, headers={**key, header: "ann"}).status_code == 200
        assert http.get(path, headers={**key, header: "bob"}).status_code == 404
        assert http.get(path, headers=key).status_code == 200


def test_a_response_of_a_provider_that_keeps_none(chats: Chats, sdk: openai.OpenAI) -> None:
    made = sdk.responses.create(model="first", input="hello")
    with pytest.raises(openai.NotFoundError, match="Only a provider with a Responses API"):
        sdk.responses.retrieve(made.id)
    with pytest.raises(openai.BadRequestError, match="Previous response with id"):
        sdk.responses.create(model="keeper", input="and", previous_response_id=made.id)


def test_a_response_is_gone_on_from_where_it_lies(chats: Chats, sdk: openai.OpenAI) -> None:
    made = sdk.responses.create(model="keeper", input="hello")
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(model="gpt", input="and", previous_response_id=made.id)
    assert refused.value.code == "previous_response_elsewhere"
    # `both` has a deployment at each of two accounts; only one of them has it.
    for _ in range(3):
        assert sdk.responses.create(model="both", input="and", previous_response_id=made.id).output_text == "hello and"


FOREIGN: dict[str, tuple[dict[str, Any], str]] = {
    "a conversation": ({"conversation": "conv_1"}, "conversation"),
    "an item": ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
    "an item without its type": ({"input": [{"role": "user", "content": "x"}, {"id": "msg_1"}]}, "input[1]"),
    "a container": ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "tools[0].container"),
    "a shell's container": (
        {"tools": [{"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_1"}}]},
        "tools[0].environment",
    ),
    "in the background": ({"background": True}, "background"),
    "an earlier response that is none": ({"previous_response_id": 3}, "previous_response_id"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_may_be_anybodys_is_not_passed_through(chats: Chats, sdk: openai.OpenAI, case: str) -> None:
    more, param = FOREIGN[case]
    before = len(chats.keeper.journal)
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.responses.create(**{"model": "keeper", "input": "x", **more})
    assert refused.value.param == param
    assert len(chats.keeper.journal) == before


def test_the_operator_may_name_what_lies_at_the_provider(chats: Chats) -> None:
    with chats.sdk() as operator:
        made = operator.responses.create(model="keeper", input="x", conversation="conv_1")
    assert made.output_text == "x"
    assert chats.keeper.journal[-1].body["conversation"] == "conv_1"


def test_nothing_is_cancelled(chats: Chats, sdk: openai.OpenAI) -> None:
    made = sdk.responses.create(model="keeper", input="x")
    with pytest.raises(openai.APIStatusError) as refused:
        sdk.responses.cancel(made.id)
    assert (refused.value.status_code, "connection" in str(refused.value)) == (501, True)
    with pytest.raises(openai.BadRequestError):
        list(sdk.responses.retrieve(made.id, stream=True))


def test_a_stream_that_breaks_off_ends_with_an_error(chats: Chats, sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.APIError):
        list(sdk.responses.create(model="keeper", input="cut", stream=True))


def test_a_caller_who_goes_away_ends_the_call_at_the_provider(chats: Chats) -> None:
    body = {"model": "keeper", "input": "hang", "stream": True}
    with chats.gateway.http() as http, http.stream("POST", "/v1/responses", json=body) as reply:
        assert next(reply.iter_bytes())
    assert chats.keeper.journal[-1].gone.wait(10)


def test_the_configuration_says_who_speaks_responses(chats: Chats, sdk: openai.OpenAI) -> None:
    for model in ("vllm", "peers"):
        assert sdk.responses.create(model=model, input="hello").output_text == "hello"
        assert (chats.keeper.journal[-1].path, chats.keeper.journal[-1].body["model"]) == ("/v1/responses", "kept")
    # `plain` is at a provider that has a Responses API, and the configuration says that this server has not.
    assert sdk.responses.create(model="plain", input="hello").output_text == "hello"
    assert chats.first.journal[-1].path == "/v1/chat/completions"


def test_the_same_over_grpc(chats: Chats) -> None:
    with chats.gateway.channel() as channel:
        stub = chat_pb2_grpc.ChatServiceStub(channel)

        def told(messages: Any) -> Any:
            return json.loads(b"".join(message.data for message in messages))

        body = HttpBody(data=b'{"model": "keeper", "input": "hello"}')
        made = told(stub.CreateResponse(chat_pb2.CreateResponseRequest(body=body), metadata=chats.gateway.metadata))
        asked = chat_pb2.GetResponseRequest(response_id=made["id"], include=["reasoning.encrypted_content"])
        assert told(stub.GetResponse(asked, metadata=chats.gateway.metadata)) == made
        assert chats.keeper.journal[-1].query == [("include[]", "reasoning.encrypted_content")]
        page = chat_pb2.ListResponseInputItemsRequest(response_id=made["id"], limit=2)
        assert told(stub.ListResponseInputItems(page, metadata=chats.gateway.metadata))["object"] == "list"
        assert chats.keeper.journal[-1].query == [("limit", "2")]
        gone = chat_pb2.DeleteResponseRequest(response_id=made["id"])
        assert told(stub.DeleteResponse(gone, metadata=chats.gateway.metadata))["deleted"] is True
        with pytest.raises(grpc.RpcError) as refused:
            told(stub.DeleteResponse(gone, metadata=chats.gateway.metadata))
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        with pytest.raises(grpc.RpcError) as refused:
            told(stub.GetResponse(chat_pb2.GetResponseRequest(), metadata=chats.gateway.metadata))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
