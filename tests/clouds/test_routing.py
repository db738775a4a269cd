"""A group of two deployments with a fallback, over doubles, with two server processes: who is asked, and how often."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from aiohttp import web

from tests.api.access_kit import issue_key
from tests.conftest import TEST_CONFIG, Gateway
from tests.doubles.openai_videos import Flavour, OpenAIVideosApi

INFO = {"mode": "video_generation", "sizes": ["1280x720"], "seconds": [4], "output_cost_per_second": 0.1}
KEYS = ("sk-secret-of-a", "sk-secret-of-b", "sk-secret-of-spare")
WAIT_S = 60


class Moody(OpenAIVideosApi):
    """An account that may have a bad day: `mood` is the status that it answers to submits, 0 takes them."""

    mood = 0

    async def _create(self, request: web.Request) -> web.Response:
        if not self.mood:
            return await super()._create(request)
        await request.read()
        answer = self.error(self.mood, "not today")
        if self.mood == 429:
            answer.headers["retry-after"] = "30"
        return answer

    @property
    def submits(self) -> int:
        """How often it was asked for a video."""
        return sum(str(asked) == "POST /v1/videos" for asked in self.asked)


@dataclass
class Group:
    """The gateway, and what is behind it."""

    gateway: Gateway
    a: Moody
    b: Moody
    spare: Moody

    def begin(self) -> None:
        """As if nothing had ever happened."""
        with psycopg.connect(self.gateway.database_url, autocommit=True) as connection:
            connection.execute("DELETE FROM deployment_health")
            connection.execute("NOTIFY mediagate_routing")
        for api in (self.a, self.b, self.spare):
            api.mood = 0
            api.asked.clear()
            api.jobs.clear()

    def jobs(self) -> list[int]:
        """How many videos each account has."""
        return [len(api.jobs) for api in (self.a, self.b, self.spare)]


@pytest.fixture(scope="module")
def running(own_gateway: Callable[..., Gateway]) -> Iterator[Group]:
    with ExitStack() as stack:
        apis = [stack.enter_context(Moody(Flavour.VLLM, key).running()) for key in KEYS]
        names = (("film", {"order": 1}), ("film", {"order": 2}), ("spare", {}))
        models: list[dict[str, Any]] = [
            {
                "model_name": name,
                "litellm_params": {
                    "model": "openai_compatible/film",
                    "api_base": f"{api.url}/v1",
                    "api_key": api.key,
                    **more,
                },
                "model_info": {**INFO, "id": f"{name}-{number}"},
            }
            for number, (api, (name, more)) in enumerate(zip(apis, names, strict=True), start=1)
        ]
        config = {
            **TEST_CONFIG,
            "model_list": [*TEST_CONFIG["model_list"], *models],
            "router_settings": {"fallbacks": [{"film": ["spare"]}], "cooldown_time": 600},
            "server": {"api_processes": 2},
        }
        yield Group(own_gateway(config), *apis)


@pytest.fixture
def group(running: Group) -> Group:
    running.begin()
    return running


@pytest.fixture
def http(running: Group) -> Iterator[httpx.Client]:
    with running.gateway.http() as client:
        yield client


def ask(http: httpx.Client, **members: Any) -> httpx.Response:
    reply = http.post("/v1/videos", json={"model": "film", "prompt": "a boat", **members})
    assert reply.status_code == 200, reply.text
    return reply


def until(http: httpx.Client, video_id: str, *phases: str) -> httpx.Response:
    end = time.monotonic() + WAIT_S
    while True:
        reply = http.get(f"/v1/videos/{video_id}")
        if reply.json()["mediagate"]["phase"] in phases:
            return reply
        assert time.monotonic() < end, reply.text
        time.sleep(0.05)


def attempts(group: Group, video_id: str) -> list[dict[str, Any]]:
    with psycopg.connect(group.gateway.database_url) as connection:
        rows = connection.execute(
            "SELECT payload FROM video_event WHERE video_id = %s AND type = 'attempt' ORDER BY seq", (video_id,)
        )
        return [row[0] for row in rows]


def test_the_first_of_the_group_serves(group: Group, http: httpx.Client) -> None:
    created = ask(http)
    assert created.headers["x-mediagate-deployment"] == "film-1"
    found = until(http, created.json()["id"], "provider_queued", "rendering")
    assert found.headers["x-mediagate-deployment"] == "film-1"
    assert group.jobs() == [1, 0, 0]


@pytest.mark.parametrize(("mood", "why"), [(429, "provider_busy"), (401, "provider_credentials_refused")])
def test_a_video_that_was_surely_not_taken_is_made_by_another(
    group: Group, http: httpx.Client, mood: int, why: str
) -> None:
    group.a.mood = mood
    video_id = ask(http).json()["id"]
    found = until(http, video_id, "provider_queued", "rendering")
    assert found.headers["x-mediagate-deployment"] == "film-2"
    assert group.jobs() == [0, 1, 0]
    told = attempts(group, video_id)
    assert [(one["number"], one["deployment"], one.get("moved_from"), one.get("reason")) for one in told] == [
        (1, "film-1", None, None),
        (2, "film-2", "film-1", why),
        (2, "film-2", None, None),
    ]
    assert next(iter(group.b.jobs)) not in json.dumps(told)


def test_a_fallback_makes_exactly_one_job(group: Group, http: httpx.Client) -> None:
    group.a.mood = group.b.mood = 401
    created = ask(http)
    found = until(http, created.json()["id"], "provider_queued", "rendering")
    assert found.headers["x-mediagate-deployment"] == "spare-3"
    # It is still what was asked for.
    assert found.json()["model"] == "film"
    assert (group.jobs(), [api.submits for api in (group.a, group.b, group.spare)]) == ([0, 0, 1], [1, 1, 1])


def test_an_answer_that_is_lost_moves_nothing(group: Group, http: httpx.Client) -> None:
    group.a.lose("POST /v1/videos")
    found = until(http, ask(http).json()["id"], "fate_unknown")
    assert found.headers["x-mediagate-deployment"] == "film-1"
    time.sleep(1)
    assert group.jobs() == [1, 0, 0]


@pytest.mark.parametrize("mood", [400, 422])
def test_what_is_wrong_with_the_request_is_wrong_everywhere(group: Group, http: httpx.Client, mood: int) -> None:
    group.a.mood = mood
    video = until(http, ask(http).json()["id"], "failed").json()
    assert video["mediagate"]["failure"]["stage"] == "input"
    assert (group.jobs(), group.b.submits, group.spare.submits) == ([0, 0, 0], 0, 0)


def test_every_process_knows_who_cools_down(group: Group, http: httpx.Client) -> None:
    group.a.mood = 401
    until(http, ask(http).json()["id"], "provider_queued", "rendering")
    group.a.mood = 0
    names = set()
    for _ in range(12):
        # A connection of its own each, which the edge spreads over the processes.
        with group.gateway.http() as client:
            names.add(ask(client).headers["x-mediagate-deployment"])
    assert names == {"film-2"}
    assert group.a.submits == 1


def test_health_says_who_fails_and_shows_no_secret(group: Group, http: httpx.Client) -> None:
    group.a.mood = 401
    until(http, ask(http).json()["id"], "provider_queued", "rendering")
    health = http.get("/health")
    assert health.status_code == 200
    tree = health.json()
    assert tree["unhealthy_count"] == 1
    assert tree["healthy_count"] == len(tree["healthy_endpoints"]) == 5
    (ill,) = tree["unhealthy_endpoints"]
    assert (ill["model_name"], ill["deployment"], ill["model"]) == ("film", "film-1", "openai_compatible/film")
    assert ill["reason"] == "provider_credentials_refused"
    assert 500 < ill["cooling_seconds"] <= 600
    assert not any(secret in health.text for secret in (*KEYS, "127.0.0.1", "http"))
    assert http.get("/health", params={"model": "spare"}).json()["healthy_count"] == 1
    states = {model["id"]: model["mediagate"] for model in http.get("/v1/models").json()["data"]}
    assert states["film"] == {"health": "degraded", "deployments": 2, "healthy_deployments": 1}
    assert states["spare"] == http.get("/v1/models/spare").json()["mediagate"]
    assert states["spare"] == {"health": "healthy", "deployments": 1, "healthy_deployments": 1}


def test_a_key_of_a_team_sees_names_alone(group: Group) -> None:
    key = issue_key(group.gateway, models=("film",)).key
    reply = httpx.get(f"{group.gateway.url}/health", headers={"authorization": f"Bearer {key}"})
    assert reply.json() == {
        "healthy_endpoints": [{"model_name": "film"}, {"model_name": "film"}],
        "unhealthy_endpoints": [],
        "healthy_count": 2,
        "unhealthy_count": 0,
    }


def test_probes_need_no_key(group: Group) -> None:
    url = group.gateway.url
    assert httpx.get(f"{url}/health/liveliness").json() == "I'm alive!"
    assert httpx.get(f"{url}/health/liveness").status_code == 200
    assert httpx.get(f"{url}/health/readiness").json() == {"status": "ready"}
    assert httpx.get(f"{url}/health").status_code == 401


def test_files_say_which_account_has_them(group: Group, http: httpx.Client) -> None:
    reply = http.post("/v1/files", data={"purpose": "user_data"}, files={"file": ("a.txt", b"hello")})
    assert reply.headers["x-mediagate-deployment"] == "local"
