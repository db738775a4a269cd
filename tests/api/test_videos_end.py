"""How videos end: cancelled, deleted, and by every magic word of the `local` provider."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import openai
import pytest

from mediagate._gen.mediagate.v1 import videos_pb2
from tests.api.videos_kit import (
    SMALL,
    Json,
    completed,
    create,
    finished,
    get,
    job_folder,
    reached,
    renderers,
    stub,
    watch_sse,
)
from tests.api.wire import assert_failure, eventually, sql
from tests.conftest import Gateway

WORDS = {
    "stuck": "[mediagate:stuck]",
    "lost": "[mediagate:lost]",
    "cancelled-lost": "[mediagate:lost] and cancelled",
    "late": "[mediagate:late=3]",
    "crash": "[mediagate:crash]",
    "slow": "[mediagate:slow=3]",
    "reject": "[MediaGate:Reject] [mediagate:slow=1]",
    "refuse-input": "a [mediagate:refuse-input] b",
    "unknown": "[mediagate:sloow=3]",
}


@pytest.fixture(scope="module", autouse=True)
def started(gateway: Gateway) -> dict[str, Json]:
    """A video for each word, started before all other tests because some take their time to end."""
    with gateway.http() as http:
        videos = {name: create(http, prompt) for name, prompt in WORDS.items()}
    hopeless = [videos[name]["id"] for name in ("stuck", "lost", "cancelled-lost")]
    sql(gateway, "UPDATE video SET deadline_at = created_at + interval '20 seconds' WHERE id = ANY(%s)", hopeless)
    return videos


@pytest.fixture(scope="module", autouse=True)
def pending(gateway: Gateway, started: dict[str, Json]) -> Iterator[Future[tuple[float, Json]]]:
    """A cancel of a video whose provider does not answer: how long the reply takes, and the reply."""

    def cancel() -> tuple[float, Json]:
        with gateway.http() as http:
            video = reached(http, started["cancelled-lost"], "fate_unknown")
            began = time.monotonic()
            reply: Json = http.post(f"/v1/videos/{video['id']}/cancel").json()
            return time.monotonic() - began, reply

    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(cancel)


def phases(http: httpx.Client, video: Json) -> list[str]:
    """Every phase that a finished video went through."""
    events = watch_sse(http, video["id"], params={"after_seq": 0})
    return ["held", *(event.data["phase"]["to"] for event in events if event.type == "phase")][1:]


def seconds_past_the_deadline(gateway: Gateway, video: Json) -> float:
    """When a video ended, counted from its deadline."""
    query = "SELECT extract(epoch FROM ended_at - deadline_at)::float FROM video WHERE id = %s"
    ((seconds,),) = sql(gateway, query, video["id"])
    return float(seconds)


class TestCancel:
    def test_a_render_stops_at_the_provider(self, gateway: Gateway, http: httpx.Client) -> None:
        video = reached(http, create(http, "[mediagate:slow=60]"), "rendering")
        eventually(lambda: renderers(gateway, video["id"]), "a renderer runs")
        began = time.monotonic()
        response = http.post(f"/v1/videos/{video['id']}/cancel")
        assert time.monotonic() - began < 20
        over = response.json()
        assert "openai-poll-after-ms" not in response.headers
        assert over["status"] == "failed"
        assert over["error"] == {"code": "cancelled", "message": "The video was cancelled."}
        details = over["mediagate"]
        assert (details["phase"], details["cancellation"]) == (
            "cancelled",
            {"stopped": "provider", "charged": False, "cost_usd": 0},
        )
        assert not renderers(gateway, video["id"])

    def test_a_video_that_waits_for_the_provider_stops(self, gateway: Gateway, http: httpx.Client) -> None:
        first = [create(http, "[mediagate:slow=60]") for _ in range(2)]
        video = create(http, "waits")
        waiting = reached(http, video, "provider_queued")
        over = http.post(f"/v1/videos/{waiting['id']}/cancel", content=b"").json()
        assert over["mediagate"]["phase"] == "cancelled"
        assert "position" not in over["mediagate"]
        for blocking in first:
            assert http.post(f"/v1/videos/{blocking['id']}/cancel").json()["mediagate"]["phase"] == "cancelled"

    def test_a_generated_client_cancels(self, gateway: Gateway, http: httpx.Client) -> None:
        video = create(http, "[mediagate:stuck]")
        request = videos_pb2.CancelVideoRequest(video_id=video["id"])
        with gateway.channel() as channel:
            over = stub(gateway, channel).CancelVideo(request, metadata=gateway.metadata)
            assert over.mediagate.cancellation.stopped == "provider"
            with pytest.raises(grpc.RpcError) as refused:
                stub(gateway, channel).CancelVideo(request, metadata=gateway.metadata)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION

    @pytest.mark.parametrize("prefix", ["/v1", "", "/openai", "/openai/v1"])
    def test_what_is_over_cannot_be_cancelled(self, http: httpx.Client, prefix: str) -> None:
        video = finished(http, create(http, "[mediagate:refuse-input]"))
        response = http.post(f"{prefix}/videos/{video['id']}/cancel", json={})
        assert "failed" in assert_failure(response, 400, code="state_conflict", param="video_id")
        assert "cancellation" not in get(http, video["id"])["mediagate"]

    def test_two_cancels_at_once_are_one(self, gateway: Gateway, http: httpx.Client) -> None:
        video = reached(http, create(http, "[mediagate:stuck]"), "rendering")
        answers: list[httpx.Response] = []

        def cancel() -> None:
            with gateway.http() as other:
                answers.append(other.post(f"/v1/videos/{video['id']}/cancel"))

        threads = [threading.Thread(target=cancel) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {answer.status_code for answer in answers} <= {200, 400}
        assert 200 in {answer.status_code for answer in answers}
        ends = sql(gateway, "SELECT count(*) FROM video_event WHERE video_id = %s AND type = 'end'", video["id"])
        assert ends == [(1,)]

    def test_a_cancel_that_comes_too_late_delivers(self, http: httpx.Client) -> None:
        """At any moment: whatever the race, the video is cancelled or completed, and says what came of the cancel."""
        for delay_s in (0.0, 0.25, 0.5):
            video = create(http)
            time.sleep(delay_s)
            response = http.post(f"/v1/videos/{video['id']}/cancel")
            over = finished(http, video)
            if response.status_code == 400:
                assert over["status"] == "completed"
                assert "cancellation" not in over["mediagate"]
            elif over["status"] == "completed":
                assert over["mediagate"]["cancellation"] == {"stopped": "local_only", "charged": True, "cost_usd": 0}
            else:
                assert over["mediagate"]["phase"] == "cancelled"
                assert over["mediagate"]["cancellation"]["stopped"] == "provider"

    def test_a_cancel_without_an_answer_is_pending(self, pending: Future[tuple[float, Json]]) -> None:
        took_s, video = pending.result()
        assert 4 < took_s < 60
        assert video["status"] == "in_progress"
        assert video["mediagate"]["cancellation"] == {"stopped": "pending", "charged": False}


class TestDelete:
    def test_a_render_is_deleted_with_all_that_it_left(self, gateway: Gateway, http: httpx.Client) -> None:
        video = reached(http, create(http, "[mediagate:slow=60]"), "rendering")
        eventually(lambda: renderers(gateway, video["id"]), "a renderer runs")
        assert job_folder(gateway, video["id"]) is not None
        reply = http.delete(f"/v1/videos/{video['id']}")
        assert reply.json() == {"id": video["id"], "object": "video.deleted", "deleted": True}
        assert_failure(http.get(f"/v1/videos/{video['id']}"), 404, code="not_found", param="id")
        query = "SELECT 1 FROM video WHERE id = %s"
        eventually(lambda: not sql(gateway, query, video["id"]), "the row is gone")
        assert not renderers(gateway, video["id"])
        assert job_folder(gateway, video["id"]) is None
        assert not sql(gateway, "SELECT 1 FROM video_event WHERE video_id = %s", video["id"])

    def test_a_completed_video_is_deleted(self, gateway: Gateway, client: openai.OpenAI, http: httpx.Client) -> None:
        video = completed(http)
        assert client.videos.delete(video["id"]).deleted
        for path in ("", "/content", "/events"):
            assert http.get(f"/v1/videos/{video['id']}{path}").status_code == 404
        with pytest.raises(openai.NotFoundError):
            client.videos.delete(video["id"])
        eventually(lambda: job_folder(gateway, video["id"]) is None, "the outputs are gone")
        eventually(lambda: not sql(gateway, "SELECT 1 FROM video WHERE id = %s", video["id"]), "the row is gone")

    @pytest.mark.parametrize("word", ["lost", "stuck", "late=60"])
    def test_a_video_is_deleted_whatever_its_provider_does(
        self, gateway: Gateway, http: httpx.Client, word: str
    ) -> None:
        video = create(http, f"[mediagate:{word}]")
        reached(http, video, "rendering" if word == "stuck" else "fate_unknown")
        time.sleep(1)
        http.delete(f"/v1/videos/{video['id']}")
        query = "SELECT 1 FROM video WHERE id = %s"
        eventually(lambda: not sql(gateway, query, video["id"]), "the row is gone")
        assert job_folder(gateway, video["id"]) is None

    def test_videos_deleted_as_soon_as_they_are_asked_for_leave_nothing(
        self, gateway: Gateway, http: httpx.Client
    ) -> None:
        videos = []
        for number in range(12):
            videos.append(create(http, f"never seen {number}"))
            time.sleep(0.01 * number)
            http.delete(f"/v1/videos/{videos[-1]['id']}")
        ids = [video["id"] for video in videos]
        query = "SELECT 1 FROM video WHERE id = ANY(%s)"
        eventually(lambda: not sql(gateway, query, ids), "the rows are gone")
        assert not [video_id for video_id in ids if job_folder(gateway, video_id) is not None]
        assert not sql(gateway, "SELECT 1 FROM procrastinate_jobs WHERE lock = ANY(%s)", ids)


class TestWords:
    """Each end that `providers/local/words.py` documents."""

    @pytest.mark.parametrize(
        ("word", "failure"),
        [
            (
                "refuse-input",
                {
                    "stage": "input",
                    "code": "content_policy_violation",
                    "retryable": False,
                    "charged": False,
                    "field": "prompt",
                },
            ),
            (
                "unknown",
                {
                    "stage": "input",
                    "code": "unknown_magic_word",
                    "retryable": False,
                    "charged": False,
                    "field": "prompt",
                },
            ),
            ("reject", {"stage": "output", "code": "content_policy_violation", "retryable": False, "charged": False}),
            ("crash", {"stage": "provider", "code": "render_failed", "retryable": True, "charged": False}),
        ],
    )
    def test_a_verdict_is_typed(
        self, http: httpx.Client, started: dict[str, Json], word: str, failure: dict[str, Any]
    ) -> None:
        video = finished(http, started[word])
        found = video["mediagate"]["failure"]
        message = found.pop("message")
        assert found == failure
        assert video["error"] == {"code": failure["code"], "message": message}
        assert (video["status"], video["mediagate"]["phase"]) == ("failed", "failed")

    def test_slow_is_slow_and_completes(self, http: httpx.Client, started: dict[str, Json]) -> None:
        video = finished(http, started["slow"])
        assert video["status"] == "completed"
        assert video["completed_at"] - video["created_at"] >= 2

    def test_late_reads_as_unknown_and_then_as_if_nothing_had_been(
        self, http: httpx.Client, started: dict[str, Json]
    ) -> None:
        video = finished(http, started["late"])
        assert video["status"] == "completed"
        seen = phases(http, video)
        assert "fate_unknown" in seen
        assert seen[-1] == "ready"

    def test_stuck_is_ended_by_its_deadline(
        self, gateway: Gateway, http: httpx.Client, started: dict[str, Json]
    ) -> None:
        video = finished(http, started["stuck"])
        failure = video["mediagate"]["failure"]
        assert (failure["stage"], failure["code"], failure["retryable"]) == ("deadline", "deadline_exceeded", True)
        assert 0 <= seconds_past_the_deadline(gateway, video) < 8
        assert video["progress"] == 42

    @pytest.mark.parametrize("word", ["lost", "cancelled-lost"])
    def test_lost_is_ended_by_its_deadline_and_says_so(
        self, gateway: Gateway, http: httpx.Client, started: dict[str, Json], word: str
    ) -> None:
        video = finished(http, started[word])
        failure = video["mediagate"]["failure"]
        assert (failure["stage"], failure["code"], failure["retryable"]) == ("deadline", "provider_unreachable", False)
        assert 0 <= seconds_past_the_deadline(gateway, video) < 8
        assert "fate_unknown" in phases(http, video)
        stopped = video["mediagate"].get("cancellation", {}).get("stopped")
        assert stopped == ("local_only" if word == "cancelled-lost" else None)


def test_every_word_together_is_read_as_one(http: httpx.Client) -> None:
    video = finished(
        http, http.post("/v1/videos", json={**SMALL, "prompt": "[mediagate:late=1][mediagate:reject]"}).json()
    )
    assert video["error"]["code"] == "content_policy_violation"
    assert phases(http, video)[-1] == "failed"
