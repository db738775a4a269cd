"""Where bytes may lie: what is required, by policy or by request, is refused before a byte leaves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import openai
import pytest

from mediagate.core.access import Policy
from tests.api.access_kit import Issued, add_holder, issue_key
from tests.api.wire import FORM_TYPE, assert_failure, field, file_part, form, sql
from tests.conftest import TEST_CONFIG, Gateway
from tests.doubles.openai_files import KEY, OpenAIFilesServer, openai_files

EU = {"region": "eu"}


@dataclass
class World:
    """A gateway with an account in the EU, one in the US, and one that nobody says anything about."""

    gateway: Gateway
    eu: OpenAIFilesServer
    us: OpenAIFilesServer
    plain: OpenAIFilesServer

    def elsewhere(self) -> list[str]:
        """Every request that reached an account outside of the EU."""
        return [f"{seen.method} {seen.path}" for server in (self.us, self.plain) for seen in server.journal]


@pytest.fixture(scope="module")
def world(own_gateway: Callable[..., Gateway]) -> Iterator[World]:
    with ExitStack() as stack:
        eu, us, plain = (stack.enter_context(openai_files()) for _ in range(3))

        def account(name: str, server: OpenAIFilesServer, **labels: Any) -> dict[str, Any]:
            base = {"custom_llm_provider": "openai", "api_base": f"{server.url}/v1", "api_key": KEY}
            return {**base, "account": name, **labels}

        config = {
            **TEST_CONFIG,
            "model_list": [
                *TEST_CONFIG["model_list"],
                {
                    "model_name": "video-us",
                    "litellm_params": {
                        "model": "openai_compatible/wan",
                        "api_base": f"{us.url}/v1",
                        "api_key": KEY,
                        "account": "video-us",
                        "region": "us",
                    },
                    "model_info": {"mode": "video_generation"},
                },
            ],
            "files_settings": [
                account("openai-eu", eu, region="eu", zero_retention=True, labels={"tier": "gold"}),
                account("openai-us", us, region="us"),
                account("openai-plain", plain),
            ],
            "files": {"default": ["openai-us", "openai-eu", "openai-plain"]},
            "local": {**TEST_CONFIG["local"], "region": "eu"},
        }
        yield World(own_gateway(config), eu, us, plain)


@pytest.fixture
def http(world: World) -> Iterator[httpx.Client]:
    for server in (world.eu, world.us, world.plain):
        server.journal.clear()
    with world.gateway.http() as client:
        yield client


def in_the_eu(world: World) -> Issued:
    team = add_holder(world.gateway, "team", "team-of-the-eu", Policy(placement=EU))
    return issue_key(world.gateway, team_id=team)


def send(http: httpx.Client, issued: Issued | None, *fields: bytes, **headers: str) -> httpx.Response:
    body = form(field("purpose", "user_data"), *fields, file_part(b"abc"))
    known = {"content-type": FORM_TYPE, **({} if issued is None else issued.headers), **headers}
    return http.post("/v1/files", content=body, headers=known)


def accounts(reply: httpx.Response) -> set[str]:
    assert reply.status_code == 200, reply.text
    return {replica["account"] for replica in reply.json()["replicas"]}


def test_defaults_are_narrowed_to_what_satisfies_a_policy(world: World, http: httpx.Client) -> None:
    assert accounts(send(http, in_the_eu(world))) == {"openai-eu"}
    assert world.elsewhere() == []
    assert accounts(send(http, None)) == {"openai-us", "openai-eu", "openai-plain"}


@pytest.mark.parametrize("name", ["openai-us", "openai-plain"])
def test_a_named_target_that_does_not_satisfy_is_refused(world: World, http: httpx.Client, name: str) -> None:
    issued = in_the_eu(world)
    for reply in (
        send(http, issued, field("custom_llm_provider", name)),
        send(http, issued, field("custom_llm_provider", f"openai-eu, {name}")),
        send(http, issued, **{"custom-llm-provider": name}),
    ):
        message = assert_failure(reply, 400, code="placement_not_satisfied", param="placement")
        assert f"'{name}'" in message
        assert "'region: eu'" in message
    assert world.elsewhere() == []
    assert world.eu.journal == []


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ([field("placement", json.dumps(EU))], {}),
        ([field("placement[region]", "EU")], {}),
        ([field("placement", "region=eu, zero_retention=true")], {}),
        ([field("placement", '{"zero_retention": true, "tier": "gold"}')], {}),
        ([], {"x-mediagate-placement": "region=eu"}),
        ([], {"x-mediagate-placement": "zero_retention=true, tier=gold"}),
    ],
)
def test_a_request_requires_for_itself(
    world: World, http: httpx.Client, fields: list[bytes], headers: dict[str, str]
) -> None:
    assert accounts(send(http, None, *fields, **headers)) == {"openai-eu"}
    assert world.elsewhere() == []


def test_what_no_default_satisfies_is_refused(world: World, http: httpx.Client) -> None:
    for labels in ('{"region": "mars"}', '{"kms": true}', '{"region": "us", "zero_retention": true}'):
        reply = send(http, None, field("placement", labels))
        assert_failure(reply, 400, code="placement_not_satisfied", param="placement")
    assert world.elsewhere() == []
    assert world.eu.journal == []


def test_a_requirement_behind_the_file_counts_while_nothing_has_left(world: World, http: httpx.Client) -> None:
    """The bytes wait here until it is known where they go; with a target named before, they are on their way."""
    late = field("placement", json.dumps(EU))
    body = form(field("purpose", "user_data"), file_part(b"abc"), late)
    assert accounts(http.post("/v1/files", content=body, headers={"content-type": FORM_TYPE})) == {"openai-eu"}
    assert world.elsewhere() == []
    named = {"content-type": FORM_TYPE, "custom-llm-provider": "openai-eu"}
    assert_failure(http.post("/v1/files", content=body, headers=named), 400, code="invalid_field", param="placement")
    assert sql(world.gateway, "SELECT count(*) FROM file WHERE state = 'receiving'") == [(0,)]


def test_what_may_not_wait_here_goes_to_the_default_at_once(world: World, http: httpx.Client) -> None:
    """The gateway's own disk is a place like any other, and keeps no promise of zero retention."""
    strict, purpose = {"x-mediagate-placement": "zero_retention=true"}, field("purpose", "user_data")
    late = form(purpose, file_part(b"abc"), field("custom_llm_provider", "openai-eu"))
    assert accounts(http.post("/v1/files", content=late, headers={"content-type": FORM_TYPE, **strict})) == {
        "openai-eu"
    }
    # OpenAI has to be told the purpose first.
    late = form(file_part(b"abc"), purpose)
    reply = http.post("/v1/files", content=late, headers={"content-type": FORM_TYPE, **strict})
    message = assert_failure(reply, 400, code="placement_not_satisfied", param="placement")
    assert "'local'" in message
    assert world.elsewhere() == []


def test_parts_wait_only_where_they_may(world: World, http: httpx.Client) -> None:
    body = {"bytes": 3, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data"}
    refused = http.post("/v1/uploads", json={**body, "placement": {"region": "us"}})
    message = assert_failure(refused, 400, code="placement_not_satisfied", param="placement")
    assert "'local'" in message
    upload = http.post("/v1/uploads", json={**body, "placement": {"region": "eu"}}).json()
    part = http.post(
        f"/v1/uploads/{upload['id']}/parts",
        content=form(file_part(b"abc", name="data")),
        headers={"content-type": FORM_TYPE},
    ).json()
    done = http.post(f"/v1/uploads/{upload['id']}/complete", json={"part_ids": [part["id"]]}).json()
    assert {replica["account"] for replica in done["file"]["replicas"]} == {"openai-eu"}
    stored = sql(world.gateway, "SELECT required FROM file WHERE id = %s", done["file"]["id"])
    assert stored == [(EU,)]
    assert world.elsewhere() == []


def test_a_copy_may_lie_only_where_its_source_may(world: World, http: httpx.Client) -> None:
    made = send(http, None, field("custom_llm_provider", "local"), **{"x-mediagate-placement": "region=eu"}).json()
    copy = {"source": made["id"], "purpose": "user_data", "custom_llm_provider": "openai-us"}
    reply = http.post("/v1/files", json=copy)
    assert_failure(reply, 400, code="placement_not_satisfied", param="placement")
    assert world.elsewhere() == []
    reply = http.post("/v1/files", json={**copy, "custom_llm_provider": "openai-eu"})
    assert accounts(reply) == {"openai-eu"}
    assert sql(world.gateway, "SELECT required FROM file WHERE id = %s", reply.json()["id"]) == [(EU,)]


def test_a_video_is_made_only_where_it_may_be(world: World, http: httpx.Client) -> None:
    issued = in_the_eu(world)
    asked = {"prompt": "A boat", "model": "video-us"}
    reply = http.post("/v1/videos", json=asked, headers=issued.headers)
    message = assert_failure(reply, 400, code="placement_not_satisfied", param="placement")
    assert "'video-us'" in message
    reply = http.post("/v1/videos", json={**asked, "placement": {"zero_retention": True}})
    assert_failure(reply, 400, code="placement_not_satisfied", param="placement")
    reply = http.post("/v1/videos", json=asked, headers={"x-mediagate-placement": "region=eu"})
    assert_failure(reply, 400, code="placement_not_satisfied", param="placement")
    assert world.elsewhere() == []
    small = {"prompt": "A boat", "model": "local-video", "seconds": "1", "size": "320x180"}
    made = http.post("/v1/videos", json=small, headers=issued.headers)
    assert made.status_code == 200, made.text
    assert sql(world.gateway, "SELECT required FROM video WHERE id = %s", made.json()["id"]) == [(EU,)]


def test_the_sdk_says_it_too(world: World, http: httpx.Client) -> None:
    with openai.OpenAI(base_url=f"{world.gateway.url}/v1", api_key=world.gateway.key, max_retries=0) as client:
        made = client.files.create(file=("a.txt", b"abc"), purpose="user_data", extra_body={"placement": EU})
        assert {replica["account"] for replica in made.replicas} == {"openai-eu"}  # type: ignore[attr-defined]
        with pytest.raises(openai.BadRequestError):
            client.files.create(
                file=("a.txt", b"abc"), purpose="user_data", extra_headers={"x-mediagate-placement": "region=mars"}
            )
    assert world.elsewhere() == []
