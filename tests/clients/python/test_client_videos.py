"""Videos through the Python client: asked for, watched to the end, downloaded."""

from __future__ import annotations

import pytest

from mediagate_client import AsyncClient, Client, InvalidRequest, NotFound, TimedOut, VideoFailed
from tests.api.videos_kit import NOBODYS_VIDEO, png
from tests.clients.python.conftest import MAINLY_GRPC
from tests.conftest import Gateway

SMALL = {"model": "local-video", "size": "320x180", "seconds": 1}


def test_a_video_is_watched_to_its_end_and_downloaded(media: Client, tmp_path) -> None:  # type: ignore[no-untyped-def]
    estimate = media.videos.estimate("A boat", model="local-video", seconds=1, size="320x180")
    assert estimate.object == "video.estimate"
    video = media.videos.create("A paper boat on a river", input_reference=png(320, 180), **SMALL)
    assert video.status == "queued"
    events = list(media.videos.watch(video.id))
    assert (events[0].type, events[-1].type) == ("snapshot", "end")
    assert [event.seq for event in events] == sorted(event.seq for event in events)
    assert events[-1].video
    assert events[-1].video.status == "completed"
    done = media.videos.wait(video.id)
    assert done.mediagate.output
    assert (done.mediagate.output.width, done.mediagate.phase) == (320, "ready")
    assert isinstance(done.completed_at, int)
    path = media.videos.download(video.id, tmp_path)
    assert path.read_bytes()[4:8] == b"ftyp"
    assert path.stat().st_size == done.mediagate.output.bytes
    assert media.videos.content(video.id) == path.read_bytes()
    assert media.videos.download(video.id, tmp_path / "t.webp", variant="thumbnail").read_bytes()[:4] == b"RIFF"
    assert video.id in [one.id for one in media.videos.list(limit=100)]
    resumed = list(media.videos.watch(video.id, after_seq=events[-2].seq))
    assert [event.type for event in resumed][-1] == "end"
    assert media.videos.delete(video.id).deleted
    with pytest.raises(NotFound):
        media.videos.get(video.id)


def test_a_failed_video_says_why(media: Client) -> None:
    video = media.videos.create("A boat [mediagate:reject]", **SMALL)
    told: list[str] = []
    with pytest.raises(VideoFailed) as caught:
        media.videos.wait(video.id, on_event=lambda event: told.append(event.type))
    assert (caught.value.code, caught.value.video.id) == ("content_policy_violation", video.id)
    assert told[-1] == "end"


def test_a_wait_has_an_end_and_a_video_is_cancelled(media: Client) -> None:
    video = media.videos.create("A boat [mediagate:stuck]", **SMALL)
    with pytest.raises(TimedOut, match="it goes on"):
        media.videos.wait(video.id, timeout_s=0.5)
    assert media.videos.cancel(video.id).id == video.id
    with pytest.raises(VideoFailed):
        media.videos.wait(video.id)


def test_a_wrong_video_is_refused_as_it_is_over_either_wire(gateway: Gateway) -> None:
    told = []
    for wire in ("grpc", "rest"):
        with Client(gateway.url, gateway.key, transport=wire) as client:  # type: ignore[arg-type]
            with pytest.raises(InvalidRequest) as caught:
                client.videos.create("A boat", model="local-video", size="1x1")
            with pytest.raises(NotFound) as unknown:
                list(client.videos.watch(NOBODYS_VIDEO))
            errors = (caught.value, unknown.value)
            assert all(error.request_id for error in errors)
            told.append([(error.reason, error.param, error.http_status, error.retryable) for error in errors])
    assert told[0] == told[1]


@MAINLY_GRPC
async def test_the_async_client_watches(gateway: Gateway, wire: str) -> None:
    async with AsyncClient(gateway.url, gateway.key, transport=wire) as client:  # type: ignore[arg-type]
        video = await client.videos.create("A boat", **SMALL)
        types = [event.type async for event in client.videos.watch(video.id)]
        assert (types[0], types[-1]) == ("snapshot", "end")
        remix = await client.videos.remix(video.id, "at night")
        assert remix.remixed_from_video_id == video.id
        await client.videos.delete(remix.id)
