"""Watching all videos of a caller at once, by gRPC and by SSE."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from mediagate._gen.mediagate.v1 import videos_pb2
from tests.api.videos_kit import Json, SseEvent, SseReader, completed, create, finished, stub
from tests.conftest import Gateway

PATH = "/v1/videos/events"


class Watch:
    """A stream that is read in the background."""

    def __init__(self, gateway: Gateway, **options: Any) -> None:
        self.events: list[SseEvent] = []
        self._http = gateway.http()
        self._options = options
        self._opened = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        reader = SseReader(of_all=True)
        try:
            with self._http.stream("GET", PATH, timeout=60, **self._options) as response:
                assert response.status_code == 200, response.read()
                for data in response.iter_bytes():
                    self._opened.set()
                    reader.feed(data)
                    self.events = list(reader.events)
        except httpx.TransportError:
            return

    def open(self) -> None:
        self._thread.start()
        assert self._opened.wait(20)

    def close(self) -> None:
        self._http.close()

    def of(self, video: Json) -> list[Json]:
        """What was told of one video."""
        return [event.data for event in self.events if event.data["video_id"] == video["id"]]

    def until_ended(self, *videos: Json) -> None:
        end = time.monotonic() + 60
        while not all(any(event["type"] == "end" for event in self.of(video)) for video in videos):
            assert time.monotonic() < end, [event.data for event in self.events]
            time.sleep(0.05)


@contextmanager
def watching(gateway: Gateway, **options: Any) -> Iterator[Watch]:
    watch = Watch(gateway, **options)
    watch.open()
    try:
        yield watch
    finally:
        watch.close()


def assert_whole(events: list[Json]) -> None:
    """A snapshot, then every number once, until the end."""
    assert events[0]["type"] == "snapshot"
    numbers = [event["seq"] for event in events]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert events[-1]["type"] == "end"
    assert events[-1]["video"]["status"] in ("completed", "failed")


def test_what_runs_and_what_is_asked_for_later_are_one_stream(gateway: Gateway, http: httpx.Client) -> None:
    before = create(http, "[mediagate:slow=2]")
    with watching(gateway) as watch:
        later = [create(http, f"later {number}") for number in range(3)]
        watch.until_ended(before, *later)
        for video in (before, *later):
            assert_whole(watch.of(video))
        assert all(event.id.isdigit() for event in watch.events)


def test_only_the_videos_of_one_end_user(gateway: Gateway, http: httpx.Client) -> None:
    with watching(gateway, params={"user": "ada"}) as watch:
        hers, his = create(http, "hers", user="ada"), create(http, "his", user="bo")
        watch.until_ended(hers)
        finished(http, his)
        assert_whole(watch.of(hers))
        assert watch.of(his) == []


def test_who_comes_back_is_shown_what_ended_meanwhile(gateway: Gateway, http: httpx.Client) -> None:
    with watching(gateway) as watch:
        seen = completed(http, "seen")
        watch.until_ended(seen)
        cursor = watch.events[-1].id
    missed = completed(http, "ended meanwhile")
    for options in ({"headers": {"last-event-id": cursor}}, {"params": {"after": cursor}}):
        with watching(gateway, **options) as again:
            end = time.monotonic() + 20
            while not again.of(missed):
                assert time.monotonic() < end
                time.sleep(0.05)
            assert again.of(missed)[0]["video"]["status"] == "completed"


def test_a_deleted_video_is_said_to_be_gone(gateway: Gateway, http: httpx.Client) -> None:
    video = create(http, "[mediagate:stuck]")
    with watching(gateway) as watch:
        http.delete(f"/v1/videos/{video['id']}")
        end = time.monotonic() + 20
        while not any(event["type"] == "deleted" for event in watch.of(video)):
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize("cursor", ["x", "-1", "1" * 16])
def test_a_cursor_that_is_none_is_refused(http: httpx.Client, cursor: str) -> None:
    response = http.get(PATH, params={"after": cursor})
    assert response.status_code == 400


def test_grpc_tells_the_same(gateway: Gateway, http: httpx.Client) -> None:
    with gateway.channel() as channel:
        stream = stub(gateway, channel).WatchVideos(
            videos_pb2.WatchVideosRequest(), metadata=gateway.metadata, timeout=60
        )
        time.sleep(0.5)
        video = create(http, "a boat")
        kinds = []
        for event in stream:
            if event.video_id == video["id"]:
                assert event.cursor.isdigit()
                kinds.append(event.type)
                if event.type == "end":
                    assert event.video.status == "completed"
                    stream.cancel()
                    break
        assert kinds[0] == "snapshot"
