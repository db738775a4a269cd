"""What is read of a video: the object, lists, polling by every way to wait, and the bytes."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import openai
import pytest
from PIL import Image

from mediagate._gen.mediagate.v1 import videos_pb2
from tests.api.videos_kit import (
    NOBODYS_VIDEO,
    SMALL,
    Json,
    completed,
    create,
    finished,
    get,
    measured,
    reached,
    stub,
    wrong_field,
)
from tests.api.wire import assert_failure, sql
from tests.conftest import Gateway

QUICK = "[mediagate:refuse-input]"
SLOW = "[mediagate:slow=8]"


@pytest.fixture(scope="module")
def done(gateway: Gateway) -> Json:
    """A video that is completed."""
    with gateway.http() as http:
        return completed(http, "a paper boat", seconds="2", user="u-7")


@pytest.fixture(scope="module")
def slow(gateway: Gateway) -> Iterator[Json]:
    """A video that renders for the length of this module."""
    with gateway.http() as http:
        video = create(http, "[mediagate:stuck]")
        yield reached(http, video, "rendering")
        http.delete(f"/v1/videos/{video['id']}")


FREE = {"estimate_usd": 0, "held_usd": 0, "charged_usd": 0}
SETTLED = {**FREE, "source": "table"}


class TestObject:
    def test_golden_queued(self, http: httpx.Client) -> None:
        before = int(time.time())
        response = http.post("/v1/videos", json={**SMALL, "prompt": QUICK})
        video = response.json()
        assert before <= video["created_at"] <= time.time() + 1
        assert len(video["id"]) <= 64
        assert json.dumps(video) == json.dumps(
            {
                "id": video["id"],
                "object": "video",
                "model": "local-video",
                "status": "queued",
                "progress": 0,
                "created_at": video["created_at"],
                "completed_at": None,
                "expires_at": None,
                "prompt": QUICK,
                "size": "320x180",
                "seconds": "1",
                "remixed_from_video_id": None,
                "error": None,
                "mediagate": {"seq": 1, "phase": "held", "kind": "create", "cost": FREE},
            }
        )

    def test_golden_completed(self, done: Json, http: httpx.Client) -> None:
        video = get(http, done["id"])
        assert video == {
            "id": done["id"],
            "object": "video",
            "model": "local-video",
            "status": "completed",
            "progress": 100,
            "created_at": done["created_at"],
            "completed_at": done["completed_at"],
            "expires_at": None,
            "prompt": "a paper boat",
            "size": "320x180",
            "seconds": "2",
            "remixed_from_video_id": None,
            "error": None,
            "usage": {"duration_seconds": 2, "cost_usd": 0},
            "mediagate": {
                "seq": done["mediagate"]["seq"],
                "phase": "ready",
                "kind": "create",
                "progress_source": "reported",
                "output": {
                    "duration_seconds": 2,
                    "width": 320,
                    "height": 180,
                    "bytes": done["mediagate"]["output"]["bytes"],
                    "has_audio": False,
                },
                "user": "u-7",
                "cost": SETTLED,
            },
        }
        assert video["created_at"] <= video["completed_at"] <= video["created_at"] + 60

    def test_golden_failed(self, http: httpx.Client) -> None:
        video = finished(http, create(http, QUICK))
        message = "The prompt was rejected by the content policy."
        assert video["error"] == {"code": "content_policy_violation", "message": message}
        assert (video["status"], video["completed_at"], video["progress"]) == ("failed", None, 0)
        assert video["mediagate"] == {
            "seq": video["mediagate"]["seq"],
            "phase": "failed",
            "kind": "create",
            "failure": {
                "stage": "input",
                "code": "content_policy_violation",
                "message": message,
                "retryable": False,
                "charged": False,
                "field": "prompt",
            },
            "cost": FREE,
        }

    def test_every_number_is_a_json_number(self, done: Json, http: httpx.Client) -> None:
        text = http.get(f"/v1/videos/{done['id']}").text
        for name in ("progress", "created_at", "completed_at", "seq", "duration_seconds", "width", "height", "bytes"):
            value = text.split(f'"{name}":')[1].lstrip()[0]
            assert value.isdigit(), name

    def test_the_sdk_validates_it_strictly(self, gateway: Gateway) -> None:
        strict = gateway.openai(_strict_response_validation=True)
        video = strict.videos.create(prompt=QUICK, model="sora-2", seconds="8", size="1280x720")
        assert (video.completed_at, video.error, video.expires_at) == (None, None, None)
        over = strict.videos.poll(video.id, poll_interval_ms=100)
        assert over.error is not None
        assert over.error.code == "content_policy_violation"
        assert over.model_extra is not None
        assert over.model_extra["mediagate"]["phase"] == "failed"
        assert strict.videos.delete(over.id).object == "video.deleted"

    @pytest.mark.parametrize("video_id", [NOBODYS_VIDEO, "video_1", "file-1", "x" * 600, "video_%00"])
    def test_an_unknown_id_reads_the_same_everywhere(self, http: httpx.Client, video_id: str) -> None:
        for method, path in (
            *(("GET", ""), ("DELETE", ""), ("GET", "/content"), ("POST", "/cancel"), ("GET", "/events")),
            ("POST", "/remix"),
        ):
            body = {"json": {"prompt": "x"}} if method == "POST" else {}
            response = http.request(method, f"/v1/videos/{video_id}{path}", **body)  # type: ignore[arg-type]
            if "%00" in video_id or len(video_id) > 512:
                assert response.status_code == 400
            else:
                assert "No such Video object" in assert_failure(response, 404, code="not_found", param="id")

    def test_somebody_elses_video_does_not_exist(self, gateway: Gateway, http: httpx.Client) -> None:
        video = finished(http, create(http, QUICK))
        sql(gateway, "UPDATE video SET owner_id = 'somebody else' WHERE id = %s", video["id"])
        for method, path in (("GET", ""), ("GET", "/content"), ("GET", "/events"), ("POST", "/cancel"), ("DELETE", "")):
            response = http.request(method, f"/v1/videos/{video['id']}{path}")
            assert_failure(response, 404, code="not_found", param="id")
        response = http.post(f"/v1/videos/{video['id']}/remix", json={"prompt": "x"})
        assert response.status_code == 404
        assert video["id"] not in [listed["id"] for listed in http.get("/v1/videos?limit=100").json()["data"]]

    def test_the_path_names_the_video_whatever_the_query_and_the_body_say(
        self, http: httpx.Client, done: Json, slow: Json
    ) -> None:
        assert http.get(f"/v1/videos/{done['id']}?video_id={slow['id']}").json()["id"] == done["id"]
        response = http.post(f"/v1/videos/{done['id']}/cancel", json={"video_id": slow["id"]})
        assert_failure(response, 400, code="state_conflict", param="video_id")
        assert get(http, slow["id"])["mediagate"]["phase"] == "rendering"


@pytest.fixture
def three(http: httpx.Client) -> list[str]:
    """The three newest videos, the oldest of them first."""
    return [create(http, QUICK)["id"] for _ in range(3)]


class TestList:
    def test_the_newest_come_first_in_openais_envelope(self, http: httpx.Client, three: list[str]) -> None:
        page = http.get("/v1/videos", params={"limit": 2}).json()
        assert set(page) == {"object", "data", "first_id", "last_id", "has_more"}
        assert [video["id"] for video in page["data"]] == three[:0:-1]
        assert (page["object"], page["first_id"], page["last_id"]) == ("list", three[2], three[1])
        assert page["has_more"] is True
        assert page["data"][0] == get(http, three[2]) or page["data"][0]["status"] == "queued"

    def test_the_oldest_come_first_when_asked_for(self, http: httpx.Client, three: list[str]) -> None:
        page = http.get("/v1/videos", params={"order": "asc", "after": three[0], "limit": 100}).json()
        assert [video["id"] for video in page["data"]][:2] == three[1:]
        assert page["has_more"] is False

    def test_a_page_of_none(self, http: httpx.Client, three: list[str]) -> None:
        page = http.get("/v1/videos", params={"limit": 0}).json()
        assert (page["data"], page["first_id"], page["last_id"], page["has_more"]) == ([], None, None, True)
        page = http.get("/v1/videos", params={"after": three[2], "order": "asc"}).json()
        assert (page["data"], page["first_id"], page["last_id"], page["has_more"]) == ([], None, None, False)

    def test_the_sdk_pages_through_all(self, client: openai.OpenAI, three: list[str]) -> None:
        found = []
        for video in client.videos.list(limit=1, order="desc"):
            found.append(video.id)
            if video.id == three[0]:
                break
        assert found == three[::-1]

    def test_a_page_goes_on_behind_a_video_that_was_deleted(self, http: httpx.Client, three: list[str]) -> None:
        extra = create(http, QUICK)["id"]
        http.delete(f"/v1/videos/{extra}")
        page = http.get("/v1/videos", params={"after": extra, "limit": 1}).json()
        assert page["first_id"] == three[2]

    @pytest.mark.parametrize(
        ("query", "status", "param", "code"),
        [
            ({"limit": 101}, 400, "limit", "invalid_field"),
            ({"limit": -1}, 400, "limit", "invalid_value"),
            ({"limit": "many"}, 400, "limit", "invalid_value"),
            ({"order": "up"}, 400, "order", "invalid_field"),
            ({"after": "video_1"}, 404, "id", "not_found"),
            ({"after": "x" * 300}, 400, "after", "invalid_field"),
        ],
        ids=str,
    )
    def test_a_wrong_query_is_named(
        self, http: httpx.Client, query: dict[str, Any], status: int, param: str, code: str
    ) -> None:
        assert_failure(http.get("/v1/videos", params=query), status, code=code, param=param)

    def test_a_limit_of_a_hundred_and_none_given(self, http: httpx.Client) -> None:
        assert len(http.get("/v1/videos", params={"limit": 100}).json()["data"]) <= 100
        assert len(http.get("/v1/videos").json()["data"]) <= 20


class TestPolling:
    def test_the_sdk_polls_to_the_end(self, client: openai.OpenAI) -> None:
        video = client.videos.create_and_poll(prompt=QUICK, model="sora-2", poll_interval_ms=100)
        assert video.status == "failed"

    def test_the_header_for_pollers_comes_while_there_is_something_to_wait_for(
        self, http: httpx.Client, done: Json, slow: Json
    ) -> None:
        asked = http.post("/v1/videos", json={**SMALL, "prompt": QUICK})
        for response in (asked, http.get(f"/v1/videos/{slow['id']}")):
            header = response.headers["openai-poll-after-ms"]
            assert str(int(header)) == header
            assert 100 <= int(header) <= 10_000
        assert "openai-poll-after-ms" not in http.get(f"/v1/videos/{done['id']}").headers

    def test_a_wait_ends_with_the_next_event(self, http: httpx.Client) -> None:
        video = create(http, SLOW)
        seq, began = video["mediagate"]["seq"], time.monotonic()
        for _ in range(5):
            found = get(http, video["id"], wait="10s", after_seq=seq)
            assert found["mediagate"]["seq"] > seq
            seq = found["mediagate"]["seq"]
        assert time.monotonic() - began < 40
        http.delete(f"/v1/videos/{video['id']}")

    def test_a_wait_without_news_takes_its_time(self, http: httpx.Client, slow: Json) -> None:
        seq, began = get(http, slow["id"])["mediagate"]["seq"], time.monotonic()
        assert get(http, slow["id"], wait="700ms", after_seq=seq)["mediagate"]["seq"] == seq
        assert 0.69 < time.monotonic() - began < 30
        began = time.monotonic()
        assert get(http, slow["id"], wait="0.5s")["mediagate"]["seq"] == seq
        assert 0.49 < time.monotonic() - began < 30

    def test_a_wait_for_what_already_happened_ends_at_once(self, http: httpx.Client, slow: Json, done: Json) -> None:
        began = time.monotonic()
        get(http, slow["id"], wait="30s", after_seq=0)
        get(http, done["id"], wait="30s")
        get(http, done["id"], wait="30s", after_seq=99_999)
        get(http, slow["id"], wait="0s")
        assert time.monotonic() - began < 25

    def test_a_wait_ends_when_the_video_is_deleted(self, http: httpx.Client) -> None:
        video = reached(http, create(http, "[mediagate:stuck]"), "rendering")
        deleting = threading.Timer(0.5, lambda: http.delete(f"/v1/videos/{video['id']}"))
        deleting.start()
        began = time.monotonic()
        response = http.get(f"/v1/videos/{video['id']}", params={"wait": "40s"})
        deleting.join()
        assert_failure(response, 404, code="not_found", param="id")
        assert time.monotonic() - began < 30

    def test_many_wait_for_one_video(self, gateway: Gateway, http: httpx.Client) -> None:
        video = reached(http, create(http, "[mediagate:stuck]"), "rendering")
        seq = get(http, video["id"])["mediagate"]["seq"]
        with gateway.http(limits=httpx.Limits(max_connections=40)) as many, ThreadPoolExecutor(40) as pool:
            waiting = [pool.submit(get, many, video["id"], wait="20s", after_seq=seq) for _ in range(40)]
            time.sleep(0.7)
            http.post(f"/v1/videos/{video['id']}/cancel")
            assert {waiter.result()["mediagate"]["phase"] for waiter in waiting} == {"cancelled"}

    @pytest.mark.parametrize("wait", ["soon", "-1s", "1e3", "61s", "2m", "99999999999", "1h", "1s 2s", "\0"])
    def test_a_bad_wait_is_named(self, http: httpx.Client, done: Json, wait: str) -> None:
        response = http.get(f"/v1/videos/{done['id']}", params={"wait": wait})
        if wait == "\0":
            assert response.status_code == 400
        else:
            assert_failure(response, 400, code="invalid_field", param="wait")

    @pytest.mark.parametrize("after_seq", ["x", "-1", "4294967296"])
    def test_a_bad_number_is_named(self, http: httpx.Client, done: Json, after_seq: str) -> None:
        response = http.get(f"/v1/videos/{done['id']}", params={"wait": "1s", "after_seq": after_seq})
        assert_failure(response, 400, code="invalid_value", param="after_seq")

    def test_a_generated_client_waits_too(self, gateway: Gateway, slow: Json) -> None:
        request = videos_pb2.GetVideoRequest(video_id=slow["id"], wait="soon")
        with gateway.channel() as channel:
            with pytest.raises(grpc.RpcError) as refused:
                stub(gateway, channel).GetVideo(request, metadata=gateway.metadata)
            assert wrong_field(refused.value) == "wait"
            request = videos_pb2.GetVideoRequest(video_id=slow["id"], wait="30s", after_seq=0)
            reply, call = stub(gateway, channel).GetVideo.with_call(request, metadata=gateway.metadata)
        assert reply.mediagate.phase == "rendering"
        assert dict(call.initial_metadata())["openai-poll-after-ms"] == "1000"


class TestContent:
    def test_the_sdk_downloads_a_playable_video(self, client: openai.OpenAI, done: Json) -> None:
        found = measured(client.videos.download_content(done["id"]).read())
        assert (found.seconds, found.width, found.height, found.codec) == (2.0, 320, 180, "h264")

    @pytest.mark.parametrize(
        ("variant", "content_type", "kind", "name"),
        [
            ("thumbnail", "image/webp", "WEBP", "{id}-thumbnail.webp"),
            ("spritesheet", "image/jpeg", "JPEG", "{id}-spritesheet.jpg"),
        ],
    )
    def test_its_pictures_are_real(
        self,
        http: httpx.Client,
        client: openai.OpenAI,
        done: Json,
        variant: Any,
        content_type: str,
        kind: str,
        name: str,
    ) -> None:
        response = http.get(f"/v1/videos/{done['id']}/content", params={"variant": variant})
        with Image.open(io.BytesIO(response.content)) as picture:
            picture.load()
            assert picture.format == kind
            assert picture.width > 100
        assert response.headers["content-type"] == content_type
        assert name.format(id=done["id"]) in response.headers["content-disposition"]
        assert client.videos.download_content(done["id"], variant=variant).read() == response.content

    def test_headers_and_ranges(self, http: httpx.Client, done: Json) -> None:
        path = f"/v1/videos/{done['id']}/content"
        whole = http.get(path)
        data, tag = whole.content, whole.headers["etag"]
        assert len(data) == done["mediagate"]["output"]["bytes"] == int(whole.headers["content-length"])
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["accept-ranges"] == "bytes"
        assert whole.headers["content-disposition"] == f'attachment; filename="{done["id"]}.mp4"'
        assert tag[0] == tag[-1] == '"'
        head = http.head(path)
        assert (head.status_code, head.content) == (200, b"")
        names = ("content-length", "content-type", "etag", "accept-ranges", "content-disposition")
        assert {name: head.headers[name] for name in names} == {name: whole.headers[name] for name in names}
        part = http.get(path, headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, data[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(data)}"
        assert http.get(path, headers={"range": "bytes=-5"}).content == data[-5:]
        assert http.get(path, headers={"range": "bytes=10-19", "if-range": tag}).status_code == 206
        assert http.get(path, headers={"range": "bytes=10-19", "if-range": '"x"'}).content == data
        assert http.get(path, headers={"if-none-match": tag}).status_code == 304
        beyond = http.get(path, headers={"range": f"bytes={len(data)}-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(data)}")

    def test_a_generated_client_downloads_with_a_proof(self, gateway: Gateway, http: httpx.Client, done: Json) -> None:
        request = videos_pb2.DownloadVideoRequest(video_id=done["id"], offset=5)
        with gateway.channel() as channel:
            first, *rest = stub(gateway, channel).DownloadVideo(request, metadata=gateway.metadata)
        data = b"".join(message.chunk for message in rest)
        whole = http.get(f"/v1/videos/{done['id']}/content").content
        assert data == whole[5:]
        assert first.metadata.size_bytes == len(whole)
        assert rest[-1].end.sha256 == hashlib.sha256(data).hexdigest()

    def test_content_before_the_end_is_refused(self, http: httpx.Client, slow: Json) -> None:
        response = http.get(f"/v1/videos/{slow['id']}/content")
        message = assert_failure(response, 400, code="video_not_ready", param="video_id")
        assert "in_progress" in message
        assert http.head(f"/v1/videos/{slow['id']}/content").status_code == 400

    def test_content_of_a_failure_is_refused(self, http: httpx.Client) -> None:
        video = finished(http, create(http, QUICK))
        response = http.get(f"/v1/videos/{video['id']}/content")
        assert "failed" in assert_failure(response, 400, code="video_not_ready", param="video_id")

    @pytest.mark.parametrize("variant", ["", "poster", "VIDEO", "video\0"])
    def test_an_unknown_variant_is_refused(self, http: httpx.Client, done: Json, variant: str) -> None:
        response = http.get(f"/v1/videos/{done['id']}/content", params={"variant": variant})
        if "\0" in variant:
            assert response.status_code == 400
        else:
            assert_failure(response, 400, code="invalid_field", param="variant")
