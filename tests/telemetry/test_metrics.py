"""`/metrics`: every process of the machine in one page, and what the database knows."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress

import httpx

from mediagate import __version__
from tests.api.access_kit import issue_key
from tests.api.wire import NOBODYS_FILE, assert_failure, eventually, field, file_part, post_form
from tests.conftest import TEST_CONFIG, Gateway
from tests.telemetry.kit import metrics, reaches, value

DURATIONS = "mediagate_rpc_duration_seconds_count"


def test_calls_and_bytes_are_counted(gateway: Gateway, http: httpx.Client) -> None:
    before_up = value(gateway, "mediagate_upload_bytes_total", backend="local")
    before_down = value(gateway, "mediagate_download_bytes_total", backend="local", path="server")
    before_missed = value(gateway, DURATIONS, rpc="FileService/GetFile", code="NOT_FOUND")
    data = b"y" * 300_000
    made = post_form(http, field("purpose", "user_data"), file_part(data))
    assert http.get(f"/v1/files/{made.json()['id']}/content").content == data
    for _ in range(3):
        http.get(f"/v1/files/{NOBODYS_FILE}")
    reaches(
        lambda: value(gateway, "mediagate_upload_bytes_total", backend="local"), before_up + 300_000, "uploaded bytes"
    )
    reaches(
        lambda: value(gateway, "mediagate_download_bytes_total", backend="local", path="server"),
        before_down + 300_000,
        "downloaded bytes",
    )
    reaches(lambda: value(gateway, DURATIONS, rpc="FileService/GetFile", code="NOT_FOUND"), before_missed + 3, "missed")
    found = metrics(gateway)
    assert found["mediagate_build_info"] == {(("version", __version__),): 1.0}
    assert found["mediagate_inflight_uploads"][()] >= 0
    assert found["mediagate_outbox_oldest_seconds"][()] >= 0
    buckets = [
        (float(dict(labels)["le"]), count)
        for labels, count in found["mediagate_rpc_duration_seconds_bucket"].items()
        if (dict(labels)["rpc"], dict(labels)["code"]) == ("FileService/GetFile", "NOT_FOUND")
    ]
    assert [count for _, count in sorted(buckets)] == sorted(count for _, count in buckets)


def test_what_the_database_knows(gateway: Gateway, http: httpx.Client) -> None:
    made = http.post("/v1/videos", json={"prompt": "x [mediagate:stuck]", "size": "320x180", "seconds": "1"})

    def running() -> float:
        states = metrics(gateway).get("mediagate_videos", {})
        return sum(count for labels, count in states.items() if dict(labels)["provider"] == "local")

    reaches(running, 1, "the video is counted")
    assert http.delete(f"/v1/videos/{made.json()['id']}").status_code == 200
    post_form(http, field("purpose", "user_data"), file_part(b"z"))
    reaches(
        lambda: value(gateway, "mediagate_replica_state", backend="local", state="ready"), 1, "the replica is counted"
    )
    found = metrics(gateway)
    assert all(age >= 0 for age in found.get("mediagate_jobs_oldest_seconds", {}).values())


def test_the_end_of_a_video_in_the_worker_is_on_the_page_of_the_server(gateway: Gateway, http: httpx.Client) -> None:
    before = value(gateway, "mediagate_videos_ended_total", provider="local", phase="ready")
    http.post("/v1/videos", json={"prompt": "x", "size": "320x180", "seconds": "1"})
    reaches(
        lambda: value(gateway, "mediagate_videos_ended_total", provider="local", phase="ready"), before + 1, "ended"
    )
    reaches(lambda: value(gateway, "mediagate_jobs_run_total", task="maintenance.sweep", outcome="ok"), 1, "swept")


def test_a_limit_that_is_met_is_counted_by_its_kind(gateway: Gateway) -> None:
    key = issue_key(gateway, requests_per_minute=1)
    labels = {"limit": "requests_per_minute", "scope": "key"}
    before = value(gateway, "mediagate_limited_total", **labels)
    statuses = [httpx.get(f"{gateway.url}/v1/models", headers=key.headers).status_code for _ in range(4)]
    assert 429 in statuses
    reaches(lambda: value(gateway, "mediagate_limited_total", **labels), before + statuses.count(429), "the refusals")


def test_no_label_names_a_tenant_or_a_file(gateway: Gateway, http: httpx.Client) -> None:
    key = issue_key(gateway)
    reply = httpx.post(
        f"{gateway.url}/v1/files",
        headers=key.headers,
        data={"purpose": "user_data"},
        files={"file": ("tenants-name.txt", b"abc")},
    )
    http.get("/v1/models/of-somebody")
    text = httpx.get(f"{gateway.url}/metrics").text
    for told in (key.id, key.key, reply.json()["id"], "tenants-name", "of-somebody", "master"):
        assert told not in text


def test_several_processes_answer_with_one_page_and_a_dead_one_loses_nothing(
    own_gateway: Callable[..., Gateway],
) -> None:
    config = {
        **TEST_CONFIG,
        "server": {"api_processes": 2},
        "telemetry": {"metrics_need_key": True, "level": "warning"},
    }
    gateway = own_gateway(config)
    assert_failure(
        httpx.get(f"{gateway.url}/metrics"), 401, code="invalid_api_key", kind="authentication_error", retry="false"
    )
    somebody = issue_key(gateway)
    assert httpx.get(f"{gateway.url}/metrics", headers=somebody.headers).status_code == 403
    auth = {"headers": gateway.auth}

    def listed() -> float:
        return metrics(gateway, **auth).get(DURATIONS, {}).get((("code", "OK"), ("rpc", "ModelService/ListModels")), 0)

    with gateway.http() as http:
        for _ in range(40):
            assert http.get("/v1/models").status_code == 200
    # Whichever process is asked, once its page is older than a second.
    eventually(lambda: [listed() for _ in range(4)] == [40.0] * 4, "all pages count all calls")
    gateway.kill("api-0", signal.SIGKILL)
    gateway.wait_ready()

    def is_still_counted() -> bool:
        # The edge may ask the one that has just died.
        with suppress(AssertionError):
            return listed() >= 40.0
        return False

    eventually(is_still_counted, "what the dead one counted is still counted")
    # At this level requests leave no line.
    assert '"event":"request"' not in "".join(path.read_text() for path in (gateway.data_dir / "logs").glob("api-*"))
