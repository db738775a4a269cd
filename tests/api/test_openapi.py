"""Every operation of the OpenAPI document, called through Envoy as the document says, and its answer judged by it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.api.openapi_kit import KINDS, SMALL, World
from tests.api.videos_kit import png
from tests.api.webhooks_kit import Receiver
from tests.api.wire import sql
from tests.api_document import Json, Operation, complaint, escaped, faults_of, operation_of, operations, resolved
from tests.conftest import MEDIA_PORT, Gateway

EXAMPLE_IDS = re.compile(r"\b(file|upload|part|video|char|batch|tok|we|evt)[-_]01kar7wm3v8m4c2x9dq5t6hn0p")
EXPECTED = {
    # The shared gateway has no chat model; what chats answer is judged where there is one.
    "CreateChatCompletion": 404,
    "CreateResponse": 404,
    "GetResponse": 404,
    "DeleteResponse": 404,
    "ListResponseInputItems": 404,
    "CancelResponse": 501,
    # Nothing has a price here: it came to nothing.
    "SettleSpend": 400,
    "ResetBudget": 404,
    "TakeProviderCallback": 404,
}
"""What is answered where it is not 2xx."""


PLAIN = {
    "model": "local-video",
    "group": "models",
    "kind": "key",
    "id": "none",
    "token": "none",
    "response_id": "resp_1",
}
NAMES = ("reports", "ada", "research")
"""What the examples call a key, a user and a team."""
NAMED = {
    **dict.fromkeys(("UpdateKey", "RegenerateKey", "DeleteKeys", "GetKey"), "reports"),
    **dict.fromkeys(("UpdateUser", "DeleteUsers", "GetUser"), "ada"),
    **dict.fromkeys(("UpdateTeam", "DeleteTeams", "GetTeam"), "research"),
}
"""Which of them must be there."""
CONSUMING = ("DeleteFile", "CancelBatch", "CompleteUpload", "CancelUpload", "DeleteWebhookEndpoint", "RevokeToken")


def values_of(operation: Operation, world: World) -> Json:
    """What the path and the body shall name."""
    found = {}
    for parameter in operation.tree.get("parameters", ()):
        name = resolved("", parameter)[1]["name"]
        if name in KINDS:
            kind = KINDS[name]
            found[kind] = world.new(kind) if operation.id in CONSUMING else world.kept(kind)
    if operation.id in NAMED:
        found[NAMED[operation.id]] = world.new(NAMED[operation.id])
    match operation.id:
        case "CancelVideo" | "DeleteVideo":
            found["video"] = world.made("/v1/videos", **{**SMALL, "seconds": "8"})["id"]
        case "CreateCharacter":
            found["file"] = world.kept("film")
        case "CompleteUpload":
            found["part"] = world.part(found["upload"])
        case "RedeliverWebhookEvent":
            sql(
                world.gateway,
                "INSERT INTO webhook_event (id, owner_id, type, data_id, body, created_at)"
                " VALUES (%s, 'master', 'file.expired', 'file-1', '{}', now())",
                found["evt"],
            )
        case "CreateKey" | "CreateUser" | "CreateTeam":
            found |= {name: world.name(name) for name in NAMES}
    return found


def send(operation: Operation, kind: str, world: World) -> httpx.Response:
    """Call an operation with what the document has as examples, and with what it requires."""
    named = values_of(operation, world)

    def shown(text: str) -> str:
        text = text.replace("https://app.example/hooks", world.hook)
        text = re.sub(rf'"({"|".join(NAMES)})"', lambda found: f'"{named.get(found[1], found[1])}"', text)
        return EXAMPLE_IDS.sub(lambda found: named.get(found[1]) or world.kept(found[1]), text)

    def of_path(found: re.Match[str]) -> str:
        if found[1] == "request_id":
            return str(world.kept("video"))
        return str(named.get(KINDS.get(found[1], "")) or PLAIN[found[1]])

    path = re.sub(r"\{(\w+)\}", of_path, operation.path)
    query = {"GetKey": {"key": "reports"}, "GetUser": {"user_id": "ada"}, "GetTeam": {"team_id": "research"}}
    options: dict[str, Any] = {"params": json.loads(shown(json.dumps(query.get(operation.id, query_of(operation)))))}
    if kind == "application/json":
        options["json"] = json.loads(shown(json.dumps(example(operation, kind))))
    elif kind == "multipart/form-data":
        schema = body_schema(operation, kind)
        files = [name for name, member in schema["properties"].items() if member.get("format") == "binary"]
        options["data"] = json.loads(shown(json.dumps(example(operation, kind))))
        contents = {
            "video": world.film,
            "input_reference": png,
            "file": lambda: b"hello",
            "data": lambda: b"hello world",
        }
        # The prompt alone is a form too.
        options["files"] = {name: (f"{name}.bin", contents[name]()) for name in files} or {"prompt": (None, "Rain")}
        options["data"] = {name: value for name, value in options["data"].items() if name not in options["files"]}
    elif kind:
        options |= {"content": b"hello", "headers": {"content-type": "application/octet-stream"}}
    if operation.id == "WatchVideos":
        with world.http.stream("GET", path) as answer:
            next(answer.iter_raw())
        return answer
    return world.http.request(operation.verb.upper(), path, **options)


def query_of(operation: Operation) -> Json:
    """The examples of what stands in the query."""
    parameters = [resolved("", one)[1] for one in operation.tree.get("parameters", ())]
    return {one["name"]: one["example"] for one in parameters if one["in"] == "query" and "example" in one}


def body_schema(operation: Operation, kind: str) -> Json:
    """The schema of a body."""
    found = operation.tree["requestBody"]["content"][kind]["schema"]
    return resolved("", found)[1]


def example(operation: Operation, kind: str) -> Any:
    """The example of a body; of a form without one, nothing."""
    return operation.tree["requestBody"]["content"][kind].get("example", {})


def calls() -> Iterator[Any]:
    """Every operation with each of the bodies that it takes."""
    for operation in operations():
        kinds = list(operation.tree.get("requestBody", {}).get("content", {})) or [""]
        for kind in kinds:
            yield pytest.param(operation, kind, id=f"{operation.id}-{kind}" if len(kinds) > 1 else operation.id)


@pytest.fixture(scope="module")
def world(gateway: Gateway) -> Iterator[World]:
    with gateway.http() as http, Receiver(MEDIA_PORT).serving() as receiver:
        made = World(gateway, http)
        receiver.say(made.hook, 204)
        yield made


@pytest.mark.parametrize(("operation", "kind"), list(calls()))
def test_the_examples_work_and_the_answers_are_as_described(operation: Operation, kind: str, world: World) -> None:
    answer = send(operation, kind, world)
    expected = EXPECTED.get(operation.id, 200)
    assert answer.status_code == expected, answer.text if operation.id != "WatchVideos" else ""
    if operation.id == "WatchVideos":
        return  # It has no end.
    assert complaint(operation, answer) is None
    described = operation.answer(answer.status_code)
    assert described is not None
    assert ("x-request-id" in described[1].get("headers", {})) == ("x-request-id" in answer.headers)
    if '"object":"video"' in answer.text and operation.verb == "post":
        # So that nobody waits for what nobody wants.
        world.http.delete(f"/v1/videos/{answer.json()['id']}")


@pytest.mark.parametrize(
    "operation", [one for one in operations() if "requestBody" in one.tree], ids=lambda operation: operation.id
)
def test_the_examples_are_what_the_schemas_say(operation: Operation) -> None:
    for kind, content in operation.tree["requestBody"]["content"].items():
        if "example" in content:
            pointer = f"/paths/{escaped(operation.path)}/{operation.verb}/requestBody/content/{escaped(kind)}/schema"
            members = body_schema(operation, kind)["properties"].items()
            parts = {name: "" for name, member in members if member.get("format") == "binary"}
            assert not faults_of(pointer, {**parts, **content["example"]})


def test_events_are_as_described(world: World) -> None:
    """Of a video's whole life."""
    video = world.made("/v1/videos", **SMALL)["id"]
    with world.http.stream("GET", f"/v1/videos/{video}/events") as answer:
        text = "".join(answer.iter_text())
    events = [json.loads(line.removeprefix("data:")) for line in text.splitlines() if line.startswith("data:")]
    assert [event["type"] for event in events][-1] == "end"
    for event in events:
        assert not faults_of("/components/schemas/VideoEvent", event), event


@pytest.mark.parametrize("alias", sorted({"/files", "/openai/files", "/openai/v1/files", "/local/v1/files"}))
def test_an_alias_is_the_same_operation(alias: str, world: World) -> None:
    answer = world.http.get(alias, params={"limit": 1})
    operation = operation_of("GET", alias)
    assert operation is not None
    assert operation.id == "ListFiles"
    assert answer.status_code == 200
    assert complaint(operation, answer) is None
