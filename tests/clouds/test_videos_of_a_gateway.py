"""A gateway whose videos are made by another one: the whole way of OpenAI's shape, with nothing played."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from mediagate.providers.account import Account
from mediagate.providers.base import JobState, VideoKind, VideoProvider, VideoRequest, VideoVariant
from mediagate.providers.registry import build_videos
from tests.api.videos_kit import create, finished, mp4, png, reached
from tests.conftest import MASTER_KEY, TEST_CONFIG, Gateway
from tests.contract.video_bench import media
from tests.contract.video_suite import read

WAIT_S = 100
FAR_MODEL = "far-video"
FAR = {
    "model_name": FAR_MODEL,
    "model_info": {
        "mode": "video_generation",
        "sizes": ["320x180", "480x270"],
        "seconds": [1, 2, 4],
        "operations": ["create", "remix", "edit", "extend"],
    },
}


@dataclass
class Pair:
    """The gateway that is asked, and the one behind it."""

    front: Gateway
    back: Gateway


@pytest.fixture(scope="module")
def pair(gateway: Gateway, own_gateway: Callable[..., Gateway]) -> Pair:
    """Both, each with a database of its own. The one behind is the one that most tests share."""
    back = gateway
    params = {
        "model": "openai_compatible/local-video",
        "api_base": f"{back.url}/v1",
        "api_key": MASTER_KEY,
        "idempotent_submit": True,
    }
    front = own_gateway({**TEST_CONFIG, "model_list": [{**FAR, "litellm_params": params}]})
    return Pair(front, back)


@pytest.fixture
def front(pair: Pair) -> Iterator[httpx.Client]:
    with pair.front.http() as client:
        yield client


@pytest.fixture
def back(pair: Pair) -> Iterator[httpx.Client]:
    with pair.back.http() as client:
        yield client


def behind(client: httpx.Client, prompt: str) -> list[dict[str, Any]]:
    """The videos of the gateway behind with this prompt."""
    page: list[dict[str, Any]] = client.get("/v1/videos", params={"limit": 100}).json()["data"]
    return [video for video in page if video["prompt"] == prompt]


def test_a_video_from_an_image_comes_through_byte_by_byte(front: httpx.Client, back: httpx.Client) -> None:
    prompt = f"a boat {uuid.uuid4()}"
    form = {"model": FAR_MODEL, "prompt": prompt, "size": "480x270", "seconds": "2"}
    picture = {"input_reference": ("boat.png", png(480, 270), "image/png")}
    created = front.post("/v1/videos", data=form, files=picture)
    assert created.status_code == 200, created.text
    video = finished(front, created.json()["id"])
    assert video["status"] == "completed", video
    assert video["model"] == FAR_MODEL
    [job] = behind(back, prompt)
    assert (job["size"], job["seconds"], job["status"]) == ("480x270", "2", "completed")
    made = back.get(f"/v1/videos/{job['id']}/content").content
    assert made[4:8] == b"ftyp"
    content = front.get(f"/v1/videos/{video['id']}/content")
    assert content.headers["content-type"] == "video/mp4"
    assert content.content == made
    part = front.get(f"/v1/videos/{video['id']}/content", headers={"range": "bytes=100-299"})
    assert (part.status_code, part.content) == (206, made[100:300])
    thumbnail = front.get(f"/v1/videos/{video['id']}/content", params={"variant": "thumbnail"})
    assert thumbnail.headers["content-type"].startswith("image/")


@pytest.mark.parametrize(
    "how", ["remix", *(pytest.param(one, marks=pytest.mark.soak) for one in ("edits", "extensions"))]
)
def test_one_video_from_another(front: httpx.Client, back: httpx.Client, how: str) -> None:
    prompt = f"{how} {uuid.uuid4()}"
    source = finished(front, create(front, f"source of {prompt}", model=FAR_MODEL))
    assert source["status"] == "completed", source
    if how == "remix":
        reply = front.post(f"/v1/videos/{source['id']}/remix", json={"prompt": prompt})
    else:
        more = {"seconds": "2"} if how == "extensions" else {}
        reply = front.post(f"/v1/videos/{how}", json={"prompt": prompt, "video": {"id": source["id"]}, **more})
    assert reply.status_code == 200, reply.text
    video = finished(front, reply.json()["id"])
    assert video["status"] == "completed", video
    [job] = behind(back, prompt)
    [source_job] = behind(back, f"source of {prompt}")
    assert job["remixed_from_video_id"] == source_job["id"]


@pytest.mark.soak
def test_a_failure_keeps_its_reason(front: httpx.Client) -> None:
    refused = finished(front, create(front, "[mediagate:refuse-input] x", model=FAR_MODEL))
    assert refused["mediagate"]["failure"]["code"] == "content_policy_violation"
    rejected = finished(front, create(front, "[mediagate:reject] x", model=FAR_MODEL))["mediagate"]["failure"]
    assert (rejected["stage"], rejected["code"]) == ("output", "content_policy_violation")
    crashed = finished(front, create(front, "[mediagate:crash] x", model=FAR_MODEL))["mediagate"]["failure"]
    assert (crashed["stage"], crashed["code"], crashed["retryable"]) == ("provider", "render_failed", True)


def test_a_cancel_stops_the_job_behind(front: httpx.Client, back: httpx.Client) -> None:
    prompt = f"[mediagate:stuck] {uuid.uuid4()}"
    video = create(front, prompt, model=FAR_MODEL)
    told = reached(front, video, "rendering")
    assert (told["progress"], told["mediagate"]["progress_source"]) == (42, "reported")
    front.post(f"/v1/videos/{video['id']}/cancel")
    video = finished(front, video["id"])
    assert video["mediagate"]["phase"] == "cancelled"
    assert video["mediagate"]["cancellation"]["stopped"] == "provider"
    [job] = behind(back, prompt)
    assert job["mediagate"]["phase"] == "cancelled"


@pytest.mark.soak
def test_a_delete_removes_the_video_behind(front: httpx.Client, back: httpx.Client) -> None:
    prompt = f"gone {uuid.uuid4()}"
    video = finished(front, create(front, prompt, model=FAR_MODEL))
    assert len(behind(back, prompt)) == 1
    assert front.delete(f"/v1/videos/{video['id']}").json()["deleted"] is True
    end = time.monotonic() + WAIT_S
    while behind(back, prompt):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
async def direct(pair: Pair) -> Any:
    """The adapter itself, on the gateway behind."""
    options = {"idempotent_submit": True}
    account = Account("c", "openai_compatible", api_key=MASTER_KEY, api_base=f"{pair.back.url}/v1", options=options)
    provider = build_videos(account)
    yield provider
    await provider.close()


async def test_two_submits_with_one_token_make_one_job(direct: VideoProvider, back: httpx.Client) -> None:
    prompt = f"once {uuid.uuid4()}"
    request = VideoRequest(
        token=f"video_{uuid.uuid4().hex}",
        kind=VideoKind.CREATE,
        model="local-video",
        prompt=prompt,
        seconds=1,
        width=320,
        height=180,
        image=media(png(320, 180), "image/png"),
    )
    refs = {await direct.submit(request) for _ in range(3)}
    assert len(refs) == 1
    assert [video["id"] for video in behind(back, prompt)] == list(refs)
    [ref] = refs
    end = time.monotonic() + WAIT_S
    while (status := await direct.poll(ref)).state is not JobState.SUCCEEDED:
        assert status.failure is None
        assert time.monotonic() < end
    content = await direct.open(ref, VideoVariant.VIDEO)
    assert await read(content, 4, 8) == b"ftyp"
    assert not await direct.cancel(ref)
    await direct.delete(ref)
    await direct.delete(ref)


def test_a_character_is_made_where_the_video_is_and_its_refusal_is_told(
    front: httpx.Client, back: httpx.Client
) -> None:
    """The gateway behind keeps characters, and its own renderer draws none."""
    made = front.post("/v1/videos/characters", data={"name": "Bo"}, files={"video": ("a.mp4", mp4(0.2), "video/mp4")})
    assert made.status_code == 200, made.text
    fields = {"model": FAR_MODEL, "prompt": f"a boat {uuid.uuid4()}", "characters": [{"id": made.json()["id"]}]}
    video = finished(front, create(front, **fields))
    assert video["status"] == "failed"
    failure = video["mediagate"]["failure"]
    assert (failure["stage"], failure["charged"], failure["retryable"]) == ("provider", False, False)
    assert failure["code"] == "provider_rejected_request"
    assert not behind(back, fields["prompt"])
