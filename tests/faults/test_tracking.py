"""Videos end whatever dies on the way: completed, or failed with a reason, once, and within seconds of the rescue."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import pytest

from tests.api.videos_kit import OVER, Json, create, finished, get, reached, renderers, watch_sse
from tests.api.wire import eventually, sql
from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway

EXIT_DECLARED_DEAD = 75
RESCUE_S_MAX = 50.0
QUEUES = 7
SLOW = "[mediagate:slow=5]"
CONFIG = {**TEST_CONFIG, "local": {"parallel_renders": 4, "fsync": False}}


@pytest.fixture(scope="module")
def broken(own_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway to break."""
    return own_gateway(CONFIG)


@pytest.fixture
def http(broken: Gateway) -> Iterator[httpx.Client]:
    """A client that tries again while something is away."""
    with broken.http(transport=Patient()) as patient:
        yield patient


class Patient(httpx.HTTPTransport):
    """Repeats what may be repeated, as every SDK does."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        give_up_at = time.monotonic() + RESCUE_S_MAX
        while True:
            with contextlib.suppress(httpx.TransportError):
                response = super().handle_request(request)
                if response.status_code not in (500, 502, 503) or time.monotonic() > give_up_at:
                    return response
                response.close()
            assert time.monotonic() < give_up_at, "the gateway does not answer"
            time.sleep(0.1)


def kill(gateway: Gateway, child: str, number: int = signal.SIGKILL) -> int:
    """Signal a child; returns its process id."""
    return gateway.kill(child, number)


def rendering(http: httpx.Client, prompts: Sequence[str]) -> list[Json]:
    """Videos in mid-render."""
    videos = [create(http, prompt) for prompt in prompts]
    return [reached(http, video, "rendering") for video in videos]


def await_news(http: httpx.Client, video: Json) -> None:
    """Return once something happens to a video, or where it is over by now."""
    began = time.monotonic()
    found = get(http, video["id"])
    seq = found["mediagate"]["seq"]
    while found["status"] not in OVER and found["mediagate"]["seq"] == seq:
        assert time.monotonic() - began < RESCUE_S_MAX, "nothing happens any more"
        found = get(http, video["id"], wait="2s", after_seq=seq)


def assert_lived_once(gateway: Gateway, http: httpx.Client, video: Json, *, attempts_max: int = 1) -> None:
    """The stored life has no gap and no double, one attempt for each submit, one job of the provider's, and one end."""
    stored = sql(gateway, "SELECT seq, type, payload FROM video_event WHERE video_id = %s ORDER BY seq", video["id"])
    assert [seq for seq, _, _ in stored] == list(range(1, len(stored) + 1))
    kinds = [kind for _, kind, _ in stored]
    assert 1 <= kinds.count("attempt") <= attempts_max
    assert len(list((gateway.data_dir / "videos").glob(f"{video['id']}-*"))) == 1
    assert kinds.count("end") == 1
    assert kinds[-1] == "end"
    assert kinds.count("output") <= 1
    percents = [payload["percent"] for _, kind, payload in stored if kind == "progress"]
    assert percents == sorted(set(percents)), "progress is said once, and never falls"
    assert not sql(gateway, "SELECT 1 FROM procrastinate_jobs WHERE lock = %s AND status <> 'failed'", video["id"])
    events = watch_sse(http, video["id"], params={"after_seq": 0})
    assert [event.data["seq"] for event in events[1:]] == [seq for seq, _, _ in stored]


def assert_completed(gateway: Gateway, http: httpx.Client, videos: Sequence[Json], *, attempts_max: int = 1) -> None:
    for video in videos:
        over = finished(http, video)
        assert over["status"] == "completed", f"{over['error']} {over['mediagate']}"
        assert http.get(f"/v1/videos/{video['id']}/content").content[4:8] == b"ftyp"
    eventually(lambda: not tracked(gateway, videos), "no job is left")
    for video in videos:
        assert_lived_once(gateway, http, video, attempts_max=attempts_max)


def tracked(gateway: Gateway, videos: Sequence[Json]) -> list[tuple[object, ...]]:
    """Jobs for these videos that wait or run."""
    ids = [video["id"] for video in videos]
    query = "SELECT id FROM procrastinate_jobs WHERE lock = ANY(%s) AND status IN ('todo', 'doing')"
    return sql(gateway, query, ids)


class TestWorker:
    def test_a_worker_that_is_killed_loses_no_video(self, broken: Gateway, http: httpx.Client) -> None:
        videos = rendering(http, [SLOW, SLOW, "[mediagate:slow=60]"])
        kill(broken, "worker")
        orphan = create(http, "asked for while nobody works")
        doomed = create(http, "[mediagate:stuck]")
        cancelled = http.post(f"/v1/videos/{videos[2]['id']}/cancel").json()
        assert cancelled["mediagate"].get("cancellation") is not None
        await_news(http, videos[0])
        assert_completed(broken, http, [*videos[:2], orphan])
        assert finished(http, videos[2])["mediagate"]["phase"] == "cancelled"
        http.delete(f"/v1/videos/{doomed['id']}")
        eventually(lambda: not sql(broken, "SELECT 1 FROM video WHERE id = %s", doomed["id"]), "the row is gone")

    @pytest.mark.soak
    def test_a_worker_that_is_told_to_stop_hands_over(self, broken: Gateway, http: httpx.Client) -> None:
        videos = rendering(http, [SLOW] * 2)
        old = kill(broken, "worker", signal.SIGTERM)
        eventually(lambda: not Path(f"/proc/{old}").exists(), "the worker ends")
        await_news(http, videos[0])
        assert_completed(broken, http, videos)


class TestEverythingElse:
    @pytest.mark.soak
    def test_renderers_and_api_processes_may_die(self, broken: Gateway, http: httpx.Client) -> None:
        videos = rendering(http, [SLOW] * 2)
        eventually(lambda: renderers(broken, videos[0]["id"]), "a renderer runs")
        os.kill(renderers(broken, videos[0]["id"])[0], signal.SIGKILL)
        kill(broken, "api-0")
        assert_completed(broken, http, videos)

    def test_the_database_may_die_again_and_again(self, broken: Gateway, http: httpx.Client) -> None:
        videos = rendering(http, [SLOW] * 2)
        worker = broken.child("worker")
        for _ in range(2):
            old = kill(broken, "postgres")
            eventually(lambda old=old: not Path(f"/proc/{old}").exists(), "the database ends")
            time.sleep(0.7)
        await_news(http, videos[0])
        later = create(http, "asked for behind the restart")
        assert finished(http, later, timeout_s=RESCUE_S_MAX)["status"] == "completed"
        assert_completed(broken, http, [*videos, later])
        assert broken.child("worker") == worker, "a restart of the database is no reason to die"
        doomed = create(http, "[mediagate:stuck]")
        assert http.post(f"/v1/videos/{doomed['id']}/cancel").json()["mediagate"]["phase"] == "cancelled"


@pytest.fixture(scope="module")
def second_worker(broken: Gateway) -> Iterator[subprocess.Popen[bytes]]:
    """Another worker beside the gateway's own, from the same settings."""
    eventually(lambda: len(worker_ids(broken)) >= QUEUES, "the first worker has all its queues")
    known = max(worker_ids(broken))
    environment = Path(f"/proc/{broken.child('worker')}/environ").read_bytes().rstrip(b"\0").split(b"\0")
    pairs = (line.decode().split("=", 1) for line in environment)
    with (broken.data_dir / "logs" / "second.log").open("wb") as log:
        command = [sys.executable, "-m", "mediagate.app", "worker"]
        worker = subprocess.Popen(command, env=dict(pairs), stderr=log)
    eventually(lambda: max(worker_ids(broken)) >= known + QUEUES, "the second worker has all its queues")
    yield worker
    worker.kill()
    worker.wait()


def worker_ids(gateway: Gateway) -> list[int]:
    """The job engine's workers; each process has one for every queue."""
    return [int(number) for (number,) in sql(gateway, "SELECT id FROM procrastinate_workers")]


class TestTwoWorkers:
    def test_each_video_has_one_tracker(
        self, broken: Gateway, http: httpx.Client, second_worker: subprocess.Popen[bytes]
    ) -> None:
        videos = [create(http, "[mediagate:slow=1]") for _ in range(6)]
        reached(http, videos[0], "rendering")
        running = sql(broken, "SELECT lock FROM procrastinate_jobs WHERE status = 'doing' AND lock LIKE 'video%%'")
        assert len(running) == len(set(running))
        assert_completed(broken, http, videos)
        assert second_worker.poll() is None

    @pytest.mark.soak
    def test_a_worker_that_slept_too_long_gives_way(
        self, broken: Gateway, http: httpx.Client, second_worker: subprocess.Popen[bytes]
    ) -> None:
        """Stopped for longer than a heartbeat may take, it finds its videos in other hands and leaves them there."""
        videos = rendering(http, ["[mediagate:stuck]"] * 6)
        first = broken.child("worker")
        ours = "SELECT 1 FROM procrastinate_jobs WHERE status = 'doing' AND lock LIKE 'video%%' AND worker_id <= %s"
        split = max(worker_ids(broken)) - QUEUES
        while len(sql(broken, ours, split)) == len(videos):
            # Which worker takes one is chance.
            videos += rendering(http, ["[mediagate:stuck]"])
        several = len(videos)
        second_worker.send_signal(signal.SIGSTOP)
        eventually(lambda: len(sql(broken, ours, split)) == several, "the first worker takes all")
        second_worker.send_signal(signal.SIGCONT)
        assert second_worker.wait(RESCUE_S_MAX) == EXIT_DECLARED_DEAD
        assert broken.child("worker") == first
        eventually(lambda: len(tracked(broken, videos)) == several, "every video has its tracker")
        for video in videos:
            over = http.post(f"/v1/videos/{video['id']}/cancel").json()
            assert over["mediagate"]["cancellation"] == {"stopped": "provider", "charged": False, "cost_usd": 0}
        eventually(lambda: not tracked(broken, videos), "no job is left")
        for video in videos:
            assert_lived_once(broken, http, video)


@pytest.mark.soak
def test_a_gateway_that_starts_again_goes_on_with_its_videos() -> None:
    """Once stopped and once killed, each time in mid-render and with a video that nobody has looked at yet."""
    with data_folder() as data_dir:
        with start_gateway(data_dir, CONFIG) as running, running.http() as http:
            videos = rendering(http, [SLOW] * 2)
            unseen = [create(http, "just asked for")]
            rejected = create(http, "[mediagate:late=2] [mediagate:reject]")
            assert running.stop(signal.SIGTERM) == 0
        with start_gateway(data_dir, CONFIG) as running, running.http() as http:
            await_news(http, videos[0])
            unseen.append(create(http, "asked for in the second life"))
            running.stop(signal.SIGKILL)
        with start_gateway(data_dir, CONFIG) as running, running.http() as http:
            assert_completed(running, http, videos)
            # One that died while it was being submitted is submitted again, to the same job.
            assert_completed(running, http, unseen, attempts_max=2)
            assert finished(http, rejected)["error"]["code"] == "content_policy_violation"
            assert running.stop() == 0
