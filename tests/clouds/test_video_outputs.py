"""Finished videos of a provider whose links die: proven, archived in a cloud, streamed by the edge, drawn, copied."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest
from PIL import Image

from tests.api.videos_kit import finished, measured
from tests.api.wire import field, file_part, post_form
from tests.clouds.studio import DIGEST, S3_BUCKET, VIDEO, Studio

VOLATILE = {"date", "x-request-id", "openai-processing-ms"}
PREFIXES = ("/v1", "", "/openai", "/openai/v1")
IN_GCS = pytest.param("vertex_ai", marks=pytest.mark.soak)
ARCHIVES = ("none", "bedrock", IN_GCS)


@pytest.fixture
def studio(studios: Callable[[str], Studio], request: pytest.FixtureRequest) -> Studio:
    """The gateway of this test."""
    return studios(getattr(request, "param", "none"))


@pytest.fixture
def http(studio: Studio) -> Iterator[httpx.Client]:
    """A plain HTTP client with the master key."""
    with studio.gateway.http() as client:
        yield client


everywhere = pytest.mark.parametrize("studio", ARCHIVES, indirect=True)
archived = pytest.mark.parametrize("studio", ["bedrock", IN_GCS], indirect=True)
in_s3 = pytest.mark.parametrize("studio", ["bedrock"], indirect=True)


@everywhere
def test_content_is_streamed_by_the_edge(studio: Studio, http: httpx.Client) -> None:
    done, _ = studio.make(http)
    output = done["mediagate"]["output"]
    assert output == {"duration_seconds": 8, "width": 640, "height": 360, "bytes": len(VIDEO), "has_audio": True}
    life_s = done["expires_at"] - done["completed_at"]
    assert abs(life_s - (86_400 if studio.archive == "none" else 2 * 86_400)) < 60

    path = f"/v1/videos/{done['id']}/content"
    before = studio.fetched()
    whole = http.get(path)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    # Content credentials and all.
    assert hashlib.sha256(whole.content).hexdigest() == DIGEST
    assert studio.fetched() == before + 1
    assert whole.headers["etag"] == f'"{DIGEST}"'
    assert whole.headers["content-length"] == str(len(VIDEO))
    assert whole.headers["content-disposition"] == f'attachment; filename="{done["id"]}.mp4"'
    assert not [name for name in whole.headers if name.startswith(("x-amz", "x-goog", "server", "x-edge"))]
    assert measured(whole.content).codec == "h264"

    head = http.head(path)
    assert {k: v for k, v in head.headers.items() if k not in VOLATILE} == {
        k: v for k, v in whole.headers.items() if k not in VOLATILE
    }
    assert http.get(path, headers={"if-none-match": f'"{DIGEST}"'}).status_code == 304
    assert http.get(path, headers={"range": f"bytes={len(VIDEO)}-"}).status_code == 416


@everywhere
def test_a_browser_can_seek(studio: Studio, http: httpx.Client) -> None:
    done, _ = studio.make(http)
    before = studio.fetched()
    ranges = [("bytes=0-", slice(0, None)), ("bytes=1000-1999", slice(1000, 2000)), ("bytes=-500", slice(-500, None))]
    for prefix in PREFIXES:
        for asked, part in ranges:
            reply = http.get(
                f"{prefix}/videos/{done['id']}/content",
                headers={"range": asked, "if-range": f'"{DIGEST}"', "origin": "https://app.example"},
            )
            assert (reply.status_code, reply.content) == (206, VIDEO[part]), (prefix, asked)
            assert reply.headers["accept-ranges"] == "bytes"
            assert reply.headers["access-control-allow-origin"] == "https://app.example"
    assert studio.fetched() == before + len(PREFIXES) * len(ranges)
    old = http.get(f"/v1/videos/{done['id']}/content", headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert (old.status_code, len(old.content)) == (200, len(VIDEO))


def test_nobody_else_gets_it(studio: Studio, http: httpx.Client) -> None:
    done, _ = studio.make(http)
    path = f"/v1/videos/{done['id']}/content"
    assert httpx.get(f"{studio.gateway.url}{path}").status_code == 401
    assert http.get("/v1/videos/video_01jd0000000000000000000000/content").status_code == 404
    assert http.get(f"{path}?variant=hologram").status_code == 400
    video, job = studio.begin(http)
    early = http.get(f"/v1/videos/{video['id']}/content")
    assert (early.status_code, early.json()["error"]["code"]) == (400, "video_not_ready")
    studio.deliver(job)
    finished(http, video)


def test_credentials_stay_with_the_providers_own_host(studio: Studio, http: httpx.Client) -> None:
    done, _ = studio.make(http)
    assert http.get(f"/v1/videos/{done['id']}/content").content == VIDEO
    assert studio.host.asked
    for asked in studio.host.asked:
        assert not {"authorization", "api-key", "cookie"} & set(asked.headers), asked


def test_a_link_that_died_is_asked_for_again(studio: Studio, http: httpx.Client) -> None:
    done, _ = studio.make(http)
    path = f"/v1/videos/{done['id']}/content"
    assert http.get(path).content == VIDEO
    studio.api.outputs.expire()
    before = studio.fetched()
    again = http.get(path, headers={"range": "bytes=10-19"})
    assert (again.status_code, again.content) == (206, VIDEO[10:20])
    assert studio.fetched() == before + 1


def test_an_output_that_is_gone_is_told(studio: Studio, http: httpx.Client) -> None:
    done, job = studio.make(http)
    studio.api.outputs.remove(job)
    studio.api.states[job] = 200, {"status": "done", "video": {}, "progress": 100}
    path = f"/v1/videos/{done['id']}/content"
    assert http.get(path).status_code == 503
    with psycopg.connect(studio.gateway.database_url) as connection:
        connection.execute("UPDATE video SET expires_at = now() - interval '1 minute' WHERE id = %s", (done["id"],))
    over = http.get(path)
    assert (over.status_code, over.json()["error"]["code"]) == (404, "content_expired")


@archived
def test_the_archive_outlives_the_provider(studio: Studio, http: httpx.Client) -> None:
    done, job = studio.make(http)
    studio.api.outputs.remove(job)
    before = studio.downloads()
    path = f"/v1/videos/{done['id']}/content"
    assert http.get(path).content == VIDEO
    assert studio.downloads() == before
    assert [key for key in studio.stored() if studio.archived(done["id"]) in key]
    # Our copies are no files of the caller's list.
    assert studio.archived(done["id"]) not in [file["id"] for file in http.get("/v1/files").json()["data"]]


@in_s3
def test_what_the_archive_lost_comes_from_the_provider(studio: Studio, http: httpx.Client) -> None:
    done, _ = studio.make(http)
    key = next(key for key in studio.stored() if studio.archived(done["id"]) in key)
    studio.s3.delete_object(Bucket=S3_BUCKET, Key=key)
    reply = http.get(f"/v1/videos/{done['id']}/content")
    assert (reply.status_code, reply.content) == (200, VIDEO)


@everywhere
def test_pictures_are_made_once_and_kept(studio: Studio, http: httpx.Client) -> None:
    done, job = studio.make(http)
    path = f"/v1/videos/{done['id']}/content"
    variants = ["thumbnail", "spritesheet"] * 3
    with ThreadPoolExecutor(6) as many:
        replies = list(many.map(lambda variant: http.get(path, params={"variant": variant}), variants))
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.content for reply in replies}) == 2
    thumbnail, sheet = replies[:2]
    assert Image.open(io.BytesIO(thumbnail.content)).size == (480, 270)
    assert Image.open(io.BytesIO(sheet.content)).size == (5 * 256, 4 * 144)
    assert thumbnail.headers["content-type"] == "image/webp"
    assert sheet.headers["content-type"] == "image/jpeg"
    kept = studio.rows("SELECT variant, file_id FROM video_picture WHERE video_id = %s", done["id"])
    assert {variant for variant, _ in kept} == {"thumbnail", "spritesheet"}
    internal = studio.rows("SELECT count(*) FROM file WHERE filename LIKE %s", f"{done['id']}-%")
    assert internal == [(2,)]

    studio.api.outputs.remove(job)
    before, fetched = studio.downloads(), studio.fetched()
    again = http.get(path, params={"variant": "thumbnail"})
    assert again.content == thumbnail.content
    assert again.headers["etag"] == f'"{hashlib.sha256(again.content).hexdigest()}"'
    assert again.headers["content-disposition"] == f'attachment; filename="{done["id"]}-thumbnail.webp"'
    part = http.get(path, params={"variant": "thumbnail"}, headers={"range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, thumbnail.content[:10])
    assert (
        http.get(path, params={"variant": "thumbnail"}, headers={"if-none-match": again.headers["etag"]}).status_code
        == 304
    )
    head = http.head(path, params={"variant": "thumbnail"})
    assert head.headers["content-length"] == str(len(thumbnail.content))
    assert studio.downloads() == before
    assert studio.fetched() - fetched == (0 if studio.archive == "none" else 2)


@everywhere
def test_a_video_becomes_a_file(studio: Studio, http: httpx.Client) -> None:
    done, _ = studio.make(http)
    before = studio.downloads()
    reply = http.post(
        "/v1/files", json={"source": done["id"], "purpose": "user_data", "custom_llm_provider": "bedrock"}
    )
    assert reply.status_code == 200, reply.text
    file = reply.json()
    assert (file["filename"], file["bytes"], file["purpose"]) == (f"{done['id']}.mp4", len(VIDEO), "user_data")
    assert (file["mediagate"]["content_type"], file["mediagate"]["source"]) == ("video/mp4", done["id"])
    assert file["mediagate"]["sha256"] == DIGEST
    assert http.get(f"/v1/files/{file['id']}/content").content == VIDEO
    if studio.archive == "bedrock":
        # The store copied it by itself.
        assert studio.downloads() == before
    # It is the caller's own, whatever becomes of the video.
    assert http.delete(f"/v1/videos/{done['id']}").status_code == 200
    assert http.get(f"/v1/files/{file['id']}/content").content == VIDEO


def test_only_a_finished_video_of_the_caller_becomes_a_file(studio: Studio, http: httpx.Client) -> None:
    video, job = studio.begin(http)
    early = http.post("/v1/files", json={"source": video["id"]})
    assert (early.status_code, early.json()["error"]["code"]) == (400, "video_not_ready")
    assert early.json()["error"]["param"] == "source"
    for unknown in ("video_01jd0000000000000000000000", "video_", "video_'; DROP TABLE video"):
        missing = http.post("/v1/files", json={"source": unknown})
        assert (missing.status_code, missing.json()["error"]["param"]) == (404, "source"), missing.text
    studio.deliver(job)
    finished(http, video)


@archived
def test_a_deleted_video_leaves_nothing(studio: Studio, http: httpx.Client) -> None:
    known = set(studio.stored())
    done, _ = studio.make(http)
    assert http.get(f"/v1/videos/{done['id']}/content?variant=thumbnail").status_code == 200
    assert len(set(studio.stored()) - known) == 3
    assert http.delete(f"/v1/videos/{done['id']}").status_code == 200
    assert http.get(f"/v1/videos/{done['id']}/content").status_code == 404
    end = time.monotonic() + 30
    while set(studio.stored()) - known:
        assert time.monotonic() < end, set(studio.stored()) - known
        time.sleep(0.1)
    assert studio.rows("SELECT count(*) FROM video_picture WHERE video_id = %s", done["id"]) == [(0,)]


@pytest.mark.parametrize(
    "data",
    [b"<html>sorry</html>", VIDEO[:-1000], b"\x89PNG\r\n\x1a\n" + bytes(5000)],
    ids=["page", "cut_off", "png"],
)
def test_an_output_that_is_no_video_is_a_failure(studio: Studio, http: httpx.Client, data: bytes) -> None:
    video, job = studio.begin(http)
    studio.deliver(job, data)
    done = finished(http, video)
    assert (done["status"], done["error"]["code"]) == ("failed", "invalid_output")
    failure = done["mediagate"]["failure"]
    assert (failure["stage"], failure["charged"]) == ("output", True)
    assert http.get(f"/v1/videos/{done['id']}/content").status_code == 400


def test_a_transfer_that_breaks_is_no_verdict(studio: Studio, http: httpx.Client) -> None:
    video, job = studio.begin(http)
    studio.api.outputs.videos[job] = VIDEO
    studio.api.outputs.cut(job, -1)
    studio.deliver(job)
    time.sleep(2)
    found = http.get(f"/v1/videos/{video['id']}").json()
    assert (found["status"], found["mediagate"]["phase"]) == ("in_progress", "archiving")
    del studio.api.outputs.cuts[job]
    studio.api.outputs.expire()
    assert finished(http, video)["status"] == "completed"


@in_s3
def test_a_source_that_is_archived_makes_the_next_video(studio: Studio, http: httpx.Client) -> None:
    done, job = studio.make(http)
    studio.api.outputs.remove(job)
    known = set(studio.api.bodies)
    reply = http.post("/v1/videos/edits", json={"video": {"id": done["id"]}, "prompt": "at night"})
    assert reply.status_code == 200, reply.text
    end = time.monotonic() + 20
    while not (new := set(studio.api.bodies) - known):
        assert time.monotonic() < end, http.get(f"/v1/videos/{reply.json()['id']}").text
        time.sleep(0.05)
    video, second = reply.json(), new.pop()
    studio.deliver(second)
    assert finished(http, video)["status"] == "completed"


def test_files_of_the_same_gateway_are_served_as_before(studio: Studio, http: httpx.Client) -> None:
    made = post_form(
        http, field("purpose", "batch"), field("custom_llm_provider", "bedrock"), file_part(b"{}", "a.jsonl")
    )
    assert http.get(f"/v1/files/{made.json()['id']}/content").content == b"{}"


@in_s3
@pytest.mark.timeout(240)
@pytest.mark.soak
def test_a_worker_that_dies_while_it_archives_leaves_one_copy(studio: Studio, http: httpx.Client) -> None:
    known = set(studio.stored())
    video, job = studio.begin(http)
    studio.deliver(job)
    worker = studio.gateway.child("worker")
    with psycopg.connect(studio.gateway.database_url, autocommit=True) as connection:
        end = time.monotonic() + 30
        query = "SELECT archive_file_id, phase FROM video WHERE id = %s"
        while (row := connection.execute(query, (video["id"],)).fetchone()) is None or row[0] is None:
            assert time.monotonic() < end
    os.kill(worker, signal.SIGKILL)
    done = finished(http, video, timeout_s=120)
    assert done["status"] == "completed"
    content = http.get(f"/v1/videos/{video['id']}/content").content
    assert hashlib.sha256(content).hexdigest() == DIGEST
    copy = studio.archived(video["id"])
    end = time.monotonic() + 90
    while len(left := set(studio.stored()) - known) > 1:
        assert time.monotonic() < end, left
        time.sleep(0.5)
    assert copy in left.pop()
    assert studio.rows("SELECT id FROM file WHERE filename = %s", f"{video['id']}.mp4") == [(copy,)]


def test_a_host_that_breaks_off_before_the_first_byte_is_asked_again(studio: Studio, http: httpx.Client) -> None:
    done, job = studio.make(http)
    path = f"/v1/videos/{done['id']}/content"
    assert http.get(path).content == VIDEO
    (held,) = (held for name, held in studio.host.objects.items() if job in name)
    for breaks in (1, 2):
        held.reset_at, held.resets = -1, breaks
        assert http.get(path).content == VIDEO
        part = http.get(path, headers={"range": "bytes=5-14"})
        assert (part.status_code, part.content) == (206, VIDEO[5:15])


def test_a_host_that_has_other_bytes_by_now_is_not_believed(studio: Studio, http: httpx.Client) -> None:
    done, job = studio.make(http)
    path = f"/v1/videos/{done['id']}/content"
    assert http.get(path).content == VIDEO
    studio.api.outputs.videos[job] = VIDEO + b"more"
    (held,) = (held for name, held in studio.host.objects.items() if job in name)
    held.data = VIDEO + b"more"
    assert http.get(path).status_code == 503
