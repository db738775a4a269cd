"""Requests made at random from the OpenAPI document: whatever comes, the answer is one that the document describes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation

from tests.api.openapi_kit import KINDS, World
from tests.api.wire import LEAKS
from tests.api_document import DOCUMENT, Operation, complaint
from tests.conftest import Gateway

FOUND = [one.ok() for one in schemathesis.openapi.from_dict({**DOCUMENT, "webhooks": {}}).get_all_operations()]
LEFT_OUT = ("WatchVideos", "StreamZeros", "GetLiveness")
"""Those whose answers have no end, or as many bytes as they were asked for, and one that nothing can be asked."""
OPERATIONS = [one for one in FOUND if one.definition.raw["operationId"] not in LEFT_OUT]
REAL = ("get", "head")
"""Verbs whose paths name objects that are there."""


@pytest.fixture(scope="module")
def world(gateway: Gateway) -> Iterator[World]:
    with gateway.http() as http:
        yield World(gateway, http)


@pytest.fixture(scope="module")
def session(gateway: Gateway) -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.headers.update(gateway.auth)
        yield opened


def name_of(operation: APIOperation) -> str:
    return str(operation.definition.raw["operationId"])


def fuzz(
    operation: APIOperation,
    mode: GenerationMode,
    world: World,
    session: requests.Session,
    count: int,
    *,
    anew: bool = False,
) -> None:
    """Send `count` requests of one kind to one operation, other ones each time where they are made `anew`."""
    named = [one.name for one in operation.path_parameters]
    real = {name: world.kept(KINDS[name]) for name in named if name in KINDS and operation.method in REAL}

    @given(case=operation.as_strategy(generation_mode=mode, path_parameters=real or None))
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=not anew,
    )
    def run(case: Case) -> None:
        answer = case.call(base_url=world.gateway.url, session=session, timeout=60)
        asked = f"{answer.request.method} {answer.request.url} {answer.request.headers} {answer.request.body!r:.300}"
        judge_answer(operation, answer, world, asked)

    run()


def judge_answer(operation: APIOperation, answer: schemathesis.Response, world: World, asked: str) -> None:
    """Whatever was asked for, the answer is described, and tells nothing of what is inside."""
    headers = {name: values[0] for name, values in answer.headers.items() if name != "content-encoding"}
    got = httpx.Response(answer.status_code, headers=headers, content=answer.content)
    described = Operation(operation.method, operation.path, operation.definition.raw)
    assert answer.status_code < 500 or answer.status_code == 501, f"{asked}: {got.text}"
    said = complaint(described, got)
    assert said is None, f"{asked}: {said}"
    if answer.status_code >= 400 and operation.method != "head":
        assert set(json.loads(got.text)) == {"error"}
        assert not LEAKS.search(got.content), got.text
    if operation.method == "post" and '"object":"video"' in got.text:
        world.http.delete(f"/v1/videos/{got.json()['id']}")


EACH = pytest.mark.parametrize("operation", OPERATIONS, ids=name_of)


@EACH
def test_what_is_answered_is_described(operation: APIOperation, world: World, session: requests.Session) -> None:
    """Of requests that something is wrong with; those that are right have their own test."""
    fuzz(operation, GenerationMode.NEGATIVE, world, session, 2)


@pytest.mark.soak
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: str(mode.value))
@EACH
def test_what_is_answered_is_described_for_longer(
    operation: APIOperation, mode: GenerationMode, world: World, session: requests.Session
) -> None:
    fuzz(operation, mode, world, session, int(os.environ.get("MEDIAGATE_FUZZ", "100")), anew=True)
