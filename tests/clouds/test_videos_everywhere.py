"""The README's videos at every provider, by changing the model's name alone; and what each takes, refuses and lets go.

One gateway has an account at the double of each; `local-video` is its own renderer's.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from mediagate.providers.base import VideoKind
from tests.api.videos_kit import Json, create, finished, get, measured, reached
from tests.clouds.video_studios import STAYS, Studios
from tests.conftest import TEST_CONFIG, Gateway
from tests.contract.video_bench import model_of
from tests.contract.video_stands import WIRES
from tests.docs.test_readme import Run, folder, make_stubs, readme, run, snippets, the_one
from tests.unit.media.clips import clip

__all__ = ["folder", "readme", "run"]
LOCAL = "local-video"
EVERYWHERE = (LOCAL, *WIRES)
# Those with the least in common: a wire of its own and a price, Google's long operations, and OpenAI's shape.
SOME = ("runwayml", "veo", "openai_compatible")
FEW_OR_ALL = pytest.mark.parametrize(
    "models", [SOME, pytest.param(EVERYWHERE, marks=pytest.mark.soak)], ids=["some", "all"]
)
MAINLY_SOME = pytest.mark.parametrize(
    "model", [name if name in SOME else pytest.param(name, marks=pytest.mark.soak) for name in WIRES]
)
NARROW = "narrow"
CLIP = clip(2, width=320, height=180)
# What mediagate reads itself, so that it is nobody's extra member.
OURS = {"seconds", "size", "resolution", "aspect_ratio", "user"}
# Where the bench's own members are the gateway's by now.
EXTRA: Mapping[str, Mapping[str, Any]] = {
    "xai": {"reference_images": [{"url": "https://media.example/boat.png"}]},
    "runwayml": {"seed": 7},
}
WAIT_S = 60


@pytest.fixture(scope="module")
def studios(moto_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studios]:
    with Studios.running(moto_url, tmp_path_factory.mktemp("studios"), CLIP) as running:
        yield running


@pytest.fixture(scope="module")
def gateway(studios: Studios, own_gateway: Callable[..., Gateway]) -> Gateway:
    narrow = studios.model("openai_compatible", account=NARROW, max_parallel_requests=1)
    models = [
        *(entry for entry in TEST_CONFIG["model_list"] if entry["model_name"] == LOCAL),
        *(studios.model(name) for name in studios.stands),
        {**narrow, "model_name": NARROW},
        {"model_name": "sora-2", "litellm_params": {"model": "openai/sora-2", "api_key": "sk-nobodys"}},
    ]
    return own_gateway({**TEST_CONFIG, "model_list": models})


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.http() as client:
        yield client


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[openai.OpenAI]:
    with gateway.openai() as client:
        yield client


def made(http: httpx.Client, model: str, prompt: str = "a boat", **members: Any) -> Json:
    """A completed video of the model's default shape."""
    reply = http.post("/v1/videos", json={"model": model, "prompt": prompt, **members})
    assert reply.status_code == 200, reply.text
    video = finished(http, reply.json()["id"])
    assert video["status"] == "completed", video
    return video


def requests(studios: Studios, name: str) -> int:
    """How many requests a double has had that can start a job."""
    return studios.stands[name].bench.submits()


def assert_it_plays(data: bytes, model: str) -> None:
    found = measured(data)
    assert found.codec == "h264"
    assert found.seconds > 0.9
    if model != LOCAL:
        assert data == CLIP


# Runs LINES with each model in one process: an import of the SDK takes longer than a video.
EACH = """
import contextlib, io, json, os, sys
told = {}
for model in MODELS:
    print("the model is", model, file=sys.stderr)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(LINES.replace(LOCAL, model), {})
    os.rename("boat.mp4", f"{model}.mp4")
    told[model] = out.getvalue()
print(json.dumps(told))
"""


def told_by_each(
    run: Run, models: tuple[str, ...], python: list[str], lines: str, **environment: str
) -> dict[str, str]:
    """What the README's lines print with each model; the video is at `MODEL.mp4`."""
    assert lines.count(f'"{LOCAL}"') == 1
    assert len(lines.splitlines()) <= 20
    given = f"MODELS, LOCAL, LINES = {models!r}, {LOCAL!r}, {lines!r}\n"
    told: dict[str, str] = json.loads(run([*python, "-c"], given + EACH, **environment).stdout)
    assert tuple(told) == models
    return told


@FEW_OR_ALL
def test_the_readmes_twenty_lines_with_other_models(
    models: tuple[str, ...], readme: str, run: Run, folder: Path
) -> None:
    lines = the_one(snippets(readme, "python"), "stream_cls")
    for model, told in told_by_each(run, models, [sys.executable, "-W", "ignore"], lines).items():
        assert told.splitlines()[-1].startswith("end"), model
        assert "ready" in told, model
        assert_it_plays((folder / f"{model}.mp4").read_bytes(), model)


@FEW_OR_ALL
def test_the_readmes_grpc_lines_with_other_models(models: tuple[str, ...], readme: str, run: Run, folder: Path) -> None:
    make_stubs(folder)
    lines = the_one(snippets(readme, "python"), "WatchVideo")
    for model, told in told_by_each(run, models, ["python"], lines, PYTHONPATH="stubs").items():
        assert told.splitlines()[-1].split()[1] == "end", model
        assert_it_plays((folder / f"{model}.mp4").read_bytes(), model)


@pytest.mark.parametrize(
    "model", [name if name in SOME else pytest.param(name, marks=pytest.mark.soak) for name in EVERYWHERE]
)
def test_what_a_finished_video_is(model: str, http: httpx.Client, sdk: openai.OpenAI, studios: Studios) -> None:
    prompt = f"a boat {uuid.uuid4()}"
    video = made(http, model, prompt)
    content = http.get(f"/v1/videos/{video['id']}/content").content
    seconds = measured(content).seconds
    assert video["usage"]["duration_seconds"] == pytest.approx(seconds, abs=0.05)
    told = studios.stands[model].bench.provider.spec.reports_cost if model != LOCAL else False
    if told and model != "openrouter":
        assert video["usage"]["cost_usd"] == 0.35
    part = http.get(f"/v1/videos/{video['id']}/content", headers={"range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, content[100:300])
    assert part.headers["content-range"] == f"bytes 100-299/{len(content)}"
    thumbnail = sdk.videos.download_content(video["id"], variant="thumbnail")
    assert thumbnail.response.headers["content-type"].startswith("image/")
    assert http.delete(f"/v1/videos/{video['id']}").json()["deleted"] is True
    assert http.get(f"/v1/videos/{video['id']}").status_code == 404
    if model != LOCAL and studios.stands[model].bench.forgets:
        until_gone(studios, model, prompt)


def until_gone(studios: Studios, name: str, prompt: str) -> None:
    """Wait for a deletion to reach the double, which forgets the job or what it made."""
    end = time.monotonic() + WAIT_S
    stand = studios.stands[name]
    while any(prompt in str(stand.bench.sent(ref)) and studios.has_video(name, ref) for ref in stand.refs()):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.parametrize("model", WIRES)
def test_members_for_the_provider_reach_it(model: str, http: httpx.Client, studios: Studios) -> None:
    bench, prompt = studios.stands[model].bench, f"a boat {uuid.uuid4()}"
    ours = OURS | bench.provider.spec.reserved
    given = EXTRA.get(model) or {name: value for name, value in bench.extra.items() if name not in ours}
    made(http, model, prompt, **given)
    sent = bench.sent(studios.ref_of(model, prompt))
    assert within(given, sent), sent


def test_the_sdks_extra_body_reaches_the_provider(sdk: openai.OpenAI, http: httpx.Client, studios: Studios) -> None:
    """The SDK sends a form, so every member is a text."""
    prompt, model = f"a boat {uuid.uuid4()}", "openai_compatible"
    video = sdk.videos.create(model=model, prompt=prompt, extra_body={"negative_prompt": "rain"})
    assert finished(http, video.id)["status"] == "completed"
    assert studios.stands[model].bench.sent(studios.ref_of(model, prompt))["negative_prompt"] == "rain"


def within(given: Any, sent: Any) -> bool:
    """Whether all of `given` is in what was sent; objects may have more members there."""
    if isinstance(given, Mapping) and isinstance(sent, Mapping):
        return all(name in sent and within(value, sent[name]) for name, value in given.items())
    return bool(given == sent)


@pytest.mark.parametrize("model", WIRES)
def test_what_a_model_cannot_make_is_refused_before_anything_is_sent(
    model: str, http: httpx.Client, studios: Studios
) -> None:
    known, before = model_of(studios.stands[model].bench), requests(studios, model)
    for field, value, allowed in (
        ("seconds", "9999", [str(seconds) for seconds in known.seconds] or ["3600"]),
        ("size", "99999x99999" if known.sizes else "wide", list(known.sizes) or ["1280x720"]),
    ):
        reply = http.post("/v1/videos", json={"model": model, "prompt": "a boat", field: value})
        error = reply.json()["error"]
        assert (reply.status_code, error["param"]) == (400, field), reply.text
        assert all(choice in error["message"] for choice in allowed), error
    assert requests(studios, model) == before


@MAINLY_SOME
def test_a_remix_where_the_model_can_and_who_can_elsewhere(model: str, http: httpx.Client, studios: Studios) -> None:
    source, before = made(http, model), requests(studios, model)
    reply = http.post(f"/v1/videos/{source['id']}/remix", json={"prompt": "the same at night"})
    if VideoKind.REMIX in model_of(studios.stands[model].bench).kinds:
        assert reply.status_code == 200, reply.text
        video = finished(http, reply.json()["id"])
        assert video["status"] == "completed", video
        assert video["remixed_from_video_id"] == source["id"]
        assert requests(studios, model) == before + 1
        return
    assert reply.status_code == 501, reply.text
    said = reply.json()["error"]["message"]
    able = [name for name in studios.stands if VideoKind.REMIX in model_of(studios.stands[name].bench).kinds]
    assert all(name in said for name in [LOCAL, *able]), said
    assert model not in said.partition("Models that can:")[2]
    assert requests(studios, model) == before


def test_a_model_that_was_shut_down_is_refused_with_its_day(http: httpx.Client) -> None:
    reply = http.post("/v1/videos", json={"model": "sora-2", "prompt": "a boat"})
    error = reply.json()["error"]
    assert (reply.status_code, error["code"], error["param"]) == (400, "model_shut_down", "model")
    assert "2026-09-24" in error["message"]
    assert LOCAL in error["message"]


def test_above_an_accounts_limit_a_video_waits_with_its_position(http: httpx.Client, studios: Studios) -> None:
    before = requests(studios, "openai_compatible")
    first = create(http, f"a river {STAYS}", model=NARROW)
    reached(http, first, "rendering")
    waiting = [create(http, "a boat", model=NARROW) for _ in range(2)]
    positions = [held(http, video) for video in waiting]
    assert positions == [("provider_limit", 1, 2), ("provider_limit", 2, 2)]
    assert requests(studios, "openai_compatible") == before + 1
    studios.release()
    for video in (first, *waiting):
        assert finished(http, video)["status"] == "completed"
    assert requests(studios, "openai_compatible") == before + 3


def held(http: httpx.Client, video: Json) -> tuple[str, int, int]:
    """Why and where a video waits, once its line has two."""
    end = time.monotonic() + WAIT_S
    while (hold := get(http, video["id"])["mediagate"].get("hold") or {}).get("of") != 2:
        assert time.monotonic() < end, hold
        time.sleep(0.1)
    return hold["reason"], hold["position"], hold["of"]
