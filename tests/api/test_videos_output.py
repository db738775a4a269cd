"""A finished video of the local provider: measured, downloaded, seen in pictures, made a file, and gone."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import openai
import psycopg
import pytest

from mediagate._gen.mediagate.v1 import videos_pb2
from tests.api.videos_kit import Json, create, finished, measured, stub
from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway

CONTENT = ("/v1/videos/{}/content", "/videos/{}/content", "/openai/videos/{}/content", "/openai/v1/videos/{}/content")


@pytest.fixture(scope="module")
def archiving() -> Iterator[Gateway]:
    """A gateway that archives on its own disk."""
    config = {**TEST_CONFIG, "archive": {"store": "local", "expires_after_days": 1}}
    with data_folder() as folder, start_gateway(folder, config) as running:
        yield running


@pytest.fixture
def kept(archiving: Gateway) -> Iterator[httpx.Client]:
    """A client of that one."""
    with archiving.http() as client:
        yield client


@pytest.fixture(scope="module")
def boat(archiving: Gateway) -> Json:
    """A finished video there."""
    with archiving.http() as http:
        return finished(http, create(http, "a boat"))


def rows(gateway: Gateway, query: str, *values: object) -> list[tuple[Any, ...]]:
    """What the database has."""
    with psycopg.connect(gateway.database_url) as connection:
        return connection.execute(query, values).fetchall()  # type: ignore[arg-type]


def test_the_output_is_what_a_decoder_finds(kept: httpx.Client, boat: Json) -> None:
    content = kept.get(f"/v1/videos/{boat['id']}/content").content
    seen = measured(content)
    assert boat["mediagate"]["output"] == {
        "duration_seconds": seen.seconds,
        "width": seen.width,
        "height": seen.height,
        "bytes": len(content),
        "has_audio": False,
    }
    assert boat["expires_at"] - boat["completed_at"] == pytest.approx(86_400, abs=5)


def test_the_archive_holds_what_the_provider_made(archiving: Gateway, kept: httpx.Client, boat: Json) -> None:
    (original,) = (archiving.data_dir / "videos").glob(f"{boat['id']}-*/video.mp4")
    [(file_id, sha256, internal)] = rows(
        archiving,
        "SELECT f.id, f.sha256, f.internal FROM file f JOIN video v ON v.archive_file_id = f.id WHERE v.id = %s",
        boat["id"],
    )
    assert internal
    assert sha256 == hashlib.sha256(original.read_bytes()).hexdigest()
    assert file_id not in [file["id"] for file in kept.get("/v1/files").json()["data"]]


def test_every_path_serves_it_with_ranges(kept: httpx.Client, boat: Json) -> None:
    whole = kept.get(CONTENT[0].format(boat["id"]))
    tag = whole.headers["etag"]
    assert tag == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    for path in CONTENT:
        url = path.format(boat["id"])
        part = kept.get(url, headers={"range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, whole.content[100:200])
        assert kept.get(url, headers={"range": "bytes=-10"}).content == whole.content[-10:]
        assert kept.get(url, headers={"if-none-match": tag}).status_code == 304
        head = kept.head(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))
        assert head.headers["etag"] == tag


def test_the_archive_serves_it_when_the_provider_no_longer_does(archiving: Gateway, kept: httpx.Client) -> None:
    video = finished(kept, create(kept, "a balloon"))
    before = kept.get(f"/v1/videos/{video['id']}/content").content
    (original,) = (archiving.data_dir / "videos").glob(f"{video['id']}-*/video.mp4")
    original.unlink()
    assert kept.get(f"/v1/videos/{video['id']}/content").content == before
    file = kept.post(
        "/v1/files", json={"source": video["id"], "purpose": "user_data", "filename": "balloon.mp4"}
    ).json()
    assert kept.get(f"/v1/files/{file['id']}/content").content == before
    assert file["filename"] == "balloon.mp4"


def test_a_finished_video_is_a_file_and_the_file_a_source(http: httpx.Client) -> None:
    video = finished(http, create(http, "a kite"))
    content = http.get(f"/v1/videos/{video['id']}/content").content
    file = http.post("/v1/files", json={"source": video["id"]}).json()
    assert file["filename"] == f"{video['id']}.mp4"
    assert http.get(f"/v1/files/{file['id']}/content").content == content
    edited = http.post("/v1/videos/edits", json={"prompt": "at night", "video": {"file_id": file["id"]}})
    assert edited.status_code == 200, edited.text
    assert finished(http, edited.json())["status"] == "completed"


def test_a_copy_may_be_promised(http: httpx.Client) -> None:
    video = finished(http, create(http, "a swan"))
    reply = http.post("/v1/files", json={"source": video["id"]}, headers={"prefer": "respond-async"})
    assert reply.status_code == 202, reply.text
    end = time.monotonic() + 20
    while (file := http.get(f"/v1/files/{reply.json()['id']}").json())["status"] != "processed":
        assert time.monotonic() < end, file
        time.sleep(0.1)
    assert file["bytes"] == video["mediagate"]["output"]["bytes"]


def test_what_is_not_finished_is_no_file(http: httpx.Client) -> None:
    video = create(http, "[mediagate:stuck] a boat")
    reply = http.post("/v1/files", json={"source": video["id"]})
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "video_not_ready")
    assert http.post(f"/v1/videos/{video['id']}/cancel").status_code == 200


def test_the_sdk_and_grpc_get_the_same(archiving: Gateway, boat: Json) -> None:
    client: openai.OpenAI = archiving.openai()
    content = client.videos.download_content(boat["id"]).content
    with archiving.channel() as channel:
        request = videos_pb2.DownloadVideoRequest(video_id=boat["id"], offset=10)
        messages = list(stub(archiving, channel).DownloadVideo(request, metadata=archiving.metadata, timeout=60))
        assert messages[0].metadata.etag == f'"{hashlib.sha256(content).hexdigest()}"'
        assert b"".join(message.chunk for message in messages) == content[10:]
        with pytest.raises(grpc.RpcError) as raised:
            list(
                stub(archiving, channel).DownloadVideo(
                    videos_pb2.DownloadVideoRequest(video_id="video_01jd0000000000000000000000"),
                    metadata=archiving.metadata,
                )
            )
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


def test_a_deleted_video_takes_its_copy_along(archiving: Gateway, kept: httpx.Client) -> None:
    video = finished(kept, create(kept, "a cloud"))
    [(file_id,)] = rows(archiving, "SELECT archive_file_id FROM video WHERE id = %s", video["id"])
    stored = list((archiving.data_dir / "files").rglob(f"*{file_id}*"))
    assert stored
    assert kept.delete(f"/v1/videos/{video['id']}").status_code == 200
    end = time.monotonic() + 20
    while rows(archiving, "SELECT id FROM file WHERE id = %s", file_id) or any(path.exists() for path in stored):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_nothing_waits_on_disk(archiving: Gateway, boat: Json) -> None:
    assert list((archiving.data_dir / "spool").glob("*")) == []
