"""Watching a video, by gRPC and by SSE: complete, in order, resumable anywhere, and honest about its end."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import httpx
import openai
import pytest
from google.protobuf import json_format

from mediagate._gen.mediagate.v1 import videos_pb2
from tests.api.videos_kit import (
    NOBODYS_VIDEO,
    Json,
    SseEvent,
    SseReader,
    assert_one_life,
    completed,
    create,
    event_stream,
    finished,
    get,
    reached,
    stub,
    watch_grpc,
    watch_sse,
)
from tests.api.wire import assert_failure, connected, eventually, request_head, sql
from tests.conftest import Gateway

QUICK = "[mediagate:refuse-input]"


def as_json(event: videos_pb2.VideoEvent) -> Json:
    """The event as the edge would print it."""
    tree: Json = json_format.MessageToDict(
        event, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return tree


def data_of(events: list[SseEvent]) -> list[Json]:
    return [event.data for event in events]


def stored_events(gateway: Gateway, video_id: str) -> list[tuple[int, str]]:
    """What the database holds of a video's life."""
    query = "SELECT seq, type FROM video_event WHERE video_id = %s ORDER BY seq"
    return [(int(seq), str(kind)) for seq, kind in sql(gateway, query, video_id)]


@pytest.fixture(scope="module")
def done(gateway: Gateway) -> Json:
    """A video that is completed."""
    with gateway.http() as http:
        return completed(http, 'the "end" of\u2028a boat 水', user="u-1")


class TestLife:
    def test_grpc_tells_the_whole_life(self, gateway: Gateway, http: httpx.Client) -> None:
        video = create(http, "[mediagate:slow=1.5]")
        events = [as_json(event) for event in watch_grpc(gateway, video["id"], after_seq=0)]
        assert_one_life(events, resumed=True)
        assert events[-1]["video"]["status"] == "completed"
        kinds = [event["type"] for event in events]
        assert kinds.count("attempt") == 1
        assert kinds.count("output") == 1
        percents = [event["progress"]["percent"] for event in events if event["type"] == "progress"]
        assert len(percents) >= 3
        assert {event["progress"]["source"] for event in events if event["type"] == "progress"} == {"reported"}
        phases = [event["phase"]["to"] for event in events if event["type"] == "phase"]
        order = ["held", "submitting", "provider_queued", "rendering", "finalizing", "archiving", "ready"]
        assert [order.index(phase) for phase in dict.fromkeys(phases)] == sorted(
            map(order.index, dict.fromkeys(phases))
        )
        assert phases[-2:] == ["archiving", "ready"]

    def test_sse_tells_the_same(self, gateway: Gateway, http: httpx.Client) -> None:
        video = create(http, "[mediagate:slow=1.5] [mediagate:reject]", user="水")
        events = data_of(watch_sse(http, video["id"]))
        assert_one_life(events)
        assert {event["video_id"] for event in events} == {video["id"]}
        assert events[-1]["video"] == get(http, video["id"])
        change = next(
            event["phase"] for event in events if event["type"] == "phase" and event["phase"]["to"] == "failed"
        )
        assert change["failure"]["code"] == "content_policy_violation"
        assert change["status"] == "failed"
        times = [event["time"] for event in events]
        assert times[1:] == sorted(times[1:])

    def test_what_a_watch_says_is_what_is_stored(self, gateway: Gateway, http: httpx.Client) -> None:
        video = create(http)
        by_sse = watch_sse(http, video["id"])
        stored = stored_events(gateway, video["id"])
        assert [seq for seq, _ in stored] == list(range(1, len(stored) + 1))
        assert [(event.data["seq"], event.type) for event in by_sse[1:]] == stored[by_sse[0].data["seq"] :]

    @pytest.mark.parametrize("prefix", ["/v1", "", "/openai", "/openai/v1"])
    def test_a_video_that_is_over_is_a_snapshot_and_its_end(self, http: httpx.Client, done: Json, prefix: str) -> None:
        with http.stream("GET", f"{prefix}/videos/{done['id']}/events?api-version=1") as response:
            reader = SseReader()
            reader.feed(response.read())
        assert [event.type for event in reader.events] == ["snapshot", "end"]
        assert [event.data["video"] for event in reader.events] == [get(http, done["id"])] * 2

    def test_the_video_in_an_event_is_the_one_that_is_got(
        self, gateway: Gateway, http: httpx.Client, done: Json
    ) -> None:
        """To the byte, but for the order of members: numbers, nulls and all."""
        (snapshot, _) = watch_sse(http, done["id"])
        text = http.get(f"/v1/videos/{done['id']}").text
        shown = json.dumps(snapshot.data["video"], sort_keys=True)
        assert shown == json.dumps(json.loads(text), sort_keys=True)
        by_grpc = watch_grpc(gateway, done["id"])[0].video
        assert by_grpc.mediagate.output.bytes == done["mediagate"]["output"]["bytes"]
        assert by_grpc.prompt.string_value == done["prompt"]

    def test_an_unfinished_video_in_an_event_is_the_one_that_is_got(self, http: httpx.Client) -> None:
        video = reached(http, create(http, "[mediagate:stuck]", user="u"), "rendering")
        with event_stream(http, video["id"]) as response:
            reader = SseReader()
            for data in response.iter_raw():
                reader.feed(data)
                if reader.events:
                    break
        assert json.dumps(reader.events[0].data["video"], sort_keys=True) == json.dumps(
            get(http, video["id"]), sort_keys=True
        )
        http.delete(f"/v1/videos/{video['id']}")

    def test_an_unknown_id_is_told_before_any_event(self, gateway: Gateway, http: httpx.Client) -> None:
        for video_id in (NOBODYS_VIDEO, "video_1"):
            response = http.get(f"/v1/videos/{video_id}/events", headers={"accept": "text/event-stream"})
            assert_failure(response, 404, code="not_found", param="id")
            with pytest.raises(grpc.RpcError) as missing:
                watch_grpc(gateway, video_id)
            assert missing.value.code() is grpc.StatusCode.NOT_FOUND

    def test_it_needs_a_key(self, gateway: Gateway, done: Json) -> None:
        response = httpx.get(f"{gateway.url}/v1/videos/{done['id']}/events")
        assert_failure(response, 401, code="invalid_api_key", kind="authentication_error")

    def test_a_quiet_stream_says_that_it_lives(self, http: httpx.Client) -> None:
        video = reached(http, create(http, "[mediagate:stuck]"), "rendering")
        reader = SseReader()
        with event_stream(http, video["id"]) as response:
            for data in response.iter_raw():
                reader.feed(data)
                if reader.comments == 2:
                    break
        http.delete(f"/v1/videos/{video['id']}")


class TestResuming:
    """What is behind a number comes, once, whichever way the number is given."""

    @pytest.mark.parametrize("way", ["last-event-id", "after_seq", "both", "grpc"])
    def test_from_every_number_of_a_finished_life(
        self, gateway: Gateway, http: httpx.Client, done: Json, way: str
    ) -> None:
        last = done["mediagate"]["seq"]
        for seq in range(last + 3):
            if way == "grpc":
                events = [as_json(event) for event in watch_grpc(gateway, done["id"], after_seq=seq)]
            else:
                headers = {"last-event-id": str(seq)} if way != "after_seq" else {}
                params = {"after_seq": seq if way == "after_seq" else 0} if way != "last-event-id" else {}
                events = data_of(watch_sse(http, done["id"], headers=headers, params=params))
            numbers = [event["seq"] for event in events[1:]]
            assert numbers == (list(range(seq + 1, last + 1)) or [last])
            assert events[0]["seq"] == min(seq, last)
            assert_one_life(events, resumed=True)

    def test_reconnecting_after_every_event_loses_nothing_and_doubles_nothing(
        self, gateway: Gateway, http: httpx.Client
    ) -> None:
        video = create(http, "[mediagate:slow=1.2]")
        seen: list[tuple[int, str]] = []
        last_id = "0"
        while not seen or seen[-1][1] != "end":
            reader = SseReader()
            with event_stream(http, video["id"], headers={"last-event-id": last_id}) as response:
                for data in response.iter_raw():
                    reader.feed(data)
                    if len(reader.events) > 1:
                        break
            # A browser keeps the number of the newest event, the snapshot's too.
            seen += [(event.data["seq"], event.type) for event in reader.events[1:]]
            last_id = reader.events[-1].id
        assert seen == stored_events(gateway, video["id"])

    def test_a_stream_cut_behind_its_snapshot_lost_nothing(self, gateway: Gateway, http: httpx.Client) -> None:
        video = create(http, "[mediagate:slow=1]")
        time.sleep(0.5)
        with event_stream(http, video["id"], headers={"last-event-id": "1"}) as response:
            reader = SseReader()
            reader.feed(next(response.iter_raw()))
        events = watch_sse(http, video["id"], headers={"last-event-id": reader.events[0].id})
        numbers = [event.data["seq"] for event in [*reader.events, *events[1:]] if event.type != "snapshot"]
        assert numbers == [seq for seq, _ in stored_events(gateway, video["id"]) if seq > 1]

    @pytest.mark.parametrize("last_id", ["", "abc", "-1", "1.5", "9" * 40, "१", "0x1"])
    def test_a_last_event_id_that_is_none_of_ours_is_ignored(
        self, http: httpx.Client, done: Json, last_id: str
    ) -> None:
        events = watch_sse(http, done["id"], headers={"last-event-id": last_id.encode()})
        assert [event.type for event in events] == ["snapshot", "end"]

    def test_a_bad_after_seq_is_named(self, http: httpx.Client, done: Json) -> None:
        response = http.get(f"/v1/videos/{done['id']}/events", params={"after_seq": "x"})
        assert_failure(response, 400, code="invalid_value", param="after_seq")


class TestManyAndSlow:
    def test_many_watchers_see_the_same_life(self, gateway: Gateway, http: httpx.Client) -> None:
        video = create(http, "[mediagate:slow=1.2]")
        with gateway.http(limits=httpx.Limits(max_connections=60)) as many, ThreadPoolExecutor(60) as pool:
            lives = list(pool.map(lambda _: data_of(watch_sse(many, video["id"])), range(60)))
        stored = stored_events(gateway, video["id"])
        for life in lives:
            assert_one_life(life)
            first = life[0]["seq"]
            kinds = [(event["seq"], event["type"]) for event in life[1:] if event["type"] != "progress"]
            assert kinds == [(seq, kind) for seq, kind in stored if seq > first and kind != "progress"]

    @pytest.mark.soak
    def test_a_stalled_reader_loses_no_state(self, gateway: Gateway, http: httpx.Client) -> None:
        """It reads nothing while the video is made, and finds every change of phase in order afterwards."""
        video = create(http, "[mediagate:slow=1.2]")
        with connected(gateway) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            path = f"/v1/videos/{video['id']}/events"
            connection.sendall(request_head(gateway, "GET", path, [("last-event-id", "1")]))
            assert finished(http, video)["status"] == "completed"
            time.sleep(0.3)
            reader = SseReader()
            for data in _dechunked(connection):
                reader.feed(data)
        assert_one_life(data_of(reader.events), resumed=True)
        states = [(event.data["seq"], event.type) for event in reader.events[1:] if event.type != "progress"]
        stored = stored_events(gateway, video["id"])
        assert states == [(seq, kind) for seq, kind in stored if seq > 1 and kind != "progress"]

    def test_watchers_that_go_away_leave_the_gateway_as_it_was(self, gateway: Gateway, http: httpx.Client) -> None:
        video = reached(http, create(http, "[mediagate:stuck]"), "rendering")
        connections = []
        for _ in range(100):
            connection = socket.create_connection(("127.0.0.1", gateway.port))
            connection.sendall(request_head(gateway, "GET", f"/v1/videos/{video['id']}/events"))
            connections.append(connection)
        for connection in connections:
            assert b"200" in connection.recv(512)
            connection.close()
        over = data_of(watch_sse_while(http, video["id"], lambda: http.post(f"/v1/videos/{video['id']}/cancel")))
        assert_one_life(over)
        assert over[-1]["video"]["mediagate"]["phase"] == "cancelled"

    def test_a_deletion_ends_every_watch(self, gateway: Gateway, http: httpx.Client) -> None:
        video = reached(http, create(http, "[mediagate:stuck]"), "rendering")
        with gateway.channel() as channel:
            request = videos_pb2.WatchVideoRequest(video_id=video["id"])
            call = stub(gateway, channel).WatchVideo(request, metadata=gateway.metadata, timeout=60)
            assert next(call).type == "snapshot"
            began = time.monotonic()
            # Broken off or just over: a browser reconnects, and then learns that there is no such video.
            events = watch_sse_while(http, video["id"], lambda: http.delete(f"/v1/videos/{video['id']}"))
            assert "end" not in [event.type for event in events]
            with pytest.raises(grpc.RpcError) as gone:
                list(call)
            assert time.monotonic() - began < 30
        assert gone.value.code() is grpc.StatusCode.NOT_FOUND


def watch_sse_while(http: httpx.Client, video_id: str, act: Callable[[], object]) -> list[SseEvent]:
    """Every event, something being done behind the first, until the stream is over or broken off."""
    reader = SseReader()
    acting: list[threading.Thread] = []
    with contextlib.suppress(httpx.RemoteProtocolError), event_stream(http, video_id) as response:
        for data in response.iter_raw():
            reader.feed(data)
            if not acting:
                acting.append(threading.Thread(target=act))
                acting[0].start()
    for thread in acting:
        thread.join()
    return reader.events


def _dechunked(connection: socket.socket) -> Iterator[bytes]:
    """The body of a chunked reply, to its last chunk."""
    stream = connection.makefile("rb")
    assert b"200" in stream.readline()
    while stream.readline() not in (b"\r\n", b""):
        pass
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        assert stream.readline() == b"\r\n"


@pytest.fixture
def two(pair: Gateway) -> Gateway:
    """A gateway of two API processes, to break."""
    return pair


def watch_through_anything(gateway: Gateway, video_id: str) -> list[Json]:
    """What a browser does: reconnect with the last number until the end; every event but the snapshots."""
    seen: list[Json] = []
    last_id, end = "0", time.monotonic() + 120
    with gateway.http() as http:
        while not seen or seen[-1]["type"] != "end":
            assert time.monotonic() < end, "the watch does not end"
            reader = SseReader()
            with (
                contextlib.suppress(httpx.TransportError, AssertionError),
                event_stream(http, video_id, headers={"last-event-id": last_id}) as response,
            ):
                for data in response.iter_raw():
                    reader.feed(data)
            seen += data_of(reader.events[1:])
            last_id = reader.events[-1].id if reader.events else last_id
            if not reader.events:
                time.sleep(0.2)
    return seen


class TestElsewhere:
    """More than one API process, processes that die or stop, and a database that restarts."""

    def test_a_watch_resumes_on_another_process(self, two: Gateway) -> None:
        with two.http() as http:
            video = create(http, "[mediagate:slow=1.2]")
            seen: list[int] = []
            reader = SseReader()
            while not reader.events or reader.events[-1].type != "end":
                reader = SseReader()
                after = seen[-1] if seen else 0
                with event_stream(http, video["id"], params={"after_seq": after}) as response:
                    for data in response.iter_raw():
                        reader.feed(data)
                        if len(reader.events) > 1:
                            break
                seen += [event.data["seq"] for event in reader.events[1:]]
        assert seen == [seq for seq, _ in stored_events(two, video["id"])]

    def test_watches_survive_the_death_of_their_process(self, two: Gateway) -> None:
        with two.http() as http, ThreadPoolExecutor(12) as pool:
            video = create(http, "[mediagate:slow=3]")
            watching = [pool.submit(watch_through_anything, two, video["id"]) for _ in range(12)]
            reached(http, video, "rendering")
            kill(two, "api-0")
            lives = [watcher.result() for watcher in watching]
        stored = stored_events(two, video["id"])
        for life in lives:
            numbers = [event["seq"] for event in life]
            assert all(before < after for before, after in itertools.pairwise(numbers))
            states = [(event["seq"], event["type"]) for event in life if event["type"] != "progress"]
            assert states == [(seq, kind) for seq, kind in stored if kind != "progress"]
            assert life[-1]["video"]["status"] == "completed"

    @pytest.mark.soak
    def test_watches_survive_a_restart_of_the_database(self, two: Gateway) -> None:
        with two.http() as http, ThreadPoolExecutor(8) as pool:
            video = create(http, "[mediagate:slow=3]")
            watching = [pool.submit(watch_through_anything, two, video["id"]) for _ in range(8)]
            reached(http, video, "rendering")
            kill(two, "postgres")
            eventually(lambda: http.get(f"/v1/videos/{video['id']}").status_code == 200, "GET works again")
            lives = [watcher.result() for watcher in watching]
            stored = stored_events(two, video["id"])
            for life in lives:
                states = [(event["seq"], event["type"]) for event in life if event["type"] != "progress"]
                assert states == [(seq, kind) for seq, kind in stored if kind != "progress"]
                assert life[-1]["video"]["status"] == "completed"
            # Both processes hear of events as before.
            again = create(http, "[mediagate:slow=1]")
            for life in pool.map(lambda _: watch_through_anything(two, again["id"]), range(8)):
                assert life[-1]["type"] == "end"
                assert time.time() - life[-1]["time"] < 20

    def test_a_server_that_stops_waits_for_no_watch(self, two: Gateway) -> None:
        servers = [two.child(name) for name in ("api-0", "api-1")]
        with two.http() as http:
            video = reached(http, create(http, "[mediagate:stuck]"), "rendering")
            reader = SseReader()
            with event_stream(http, video["id"]) as response:
                stopping = threading.Timer(0.3, lambda: [os.kill(server, signal.SIGTERM) for server in servers])
                stopping.start()
                began = time.monotonic()
                with contextlib.suppress(httpx.TransportError):
                    for data in response.iter_raw():
                        reader.feed(data)
        stopping.join()
        assert reader.events[-1].type == "snapshot"
        eventually(lambda: not any(Path(f"/proc/{server}").exists() for server in servers), "both have ended")
        assert time.monotonic() - began < 40
        two.wait_ready()
        with two.http() as http:
            http.post(f"/v1/videos/{video['id']}/cancel")


def kill(gateway: Gateway, child: str) -> None:
    """End a child of the gateway as the kernel would."""
    gateway.kill(child)


def test_the_sdks_stream_reads_past_a_keep_alive(gateway: Gateway, http: httpx.Client) -> None:
    """It remembers the last id, so a blank line behind a comment would be an empty event to it."""
    video = reached(http, create(http, "[mediagate:stuck] a boat"), "rendering")
    # Longer than a quiet stream is quiet.
    cancel = threading.Timer(2.5, http.post, [f"/v1/videos/{video['id']}/cancel"])
    cancel.start()
    with gateway.openai() as sdk:
        events = sdk.get(
            f"/videos/{video['id']}/events",
            cast_to=object,
            stream=True,
            stream_cls=openai.Stream[object],
            options={"headers": {"accept": "text/event-stream"}},
        )
        *_, last = events
    cancel.join()
    assert isinstance(last, dict)
    assert last["type"] == "end"
