"""Content over REST of files that lie elsewhere: as if it lay here, and without passing the server's process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
from tests.api.wire import field, file_part, post_form, sql
from tests.clouds.conftest import S3_BUCKET, Clouds

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 17)
PLACES = ["local", "bedrock", "vertex_ai", "openai", "azure", "openai_compatible", "mistral", "xai"]
LEAKS = ("x-amz", "x-goog", "x-guploader", "werkzeug", "python", "127.0.0.1", "s3://", "x-edge", "x-mediagate-origin")


def kept(http: httpx.Client, *places: str, data: bytes = DATA, name: str = "rows.jsonl") -> str:
    fields = [field("custom_llm_provider", place) for place in places]
    reply = post_form(http, field("purpose", "batch"), *fields, file_part(data, name))
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


@pytest.mark.parametrize("place", PLACES)
class TestEveryPlace:
    """The same answers wherever the bytes lie."""

    def test_whole(self, http: httpx.Client, place: str) -> None:
        file_id = kept(http, place)
        whole = http.get(f"/v1/files/{file_id}/content")
        assert (whole.status_code, whole.content == DATA) == (200, True)
        assert whole.headers["content-length"] == str(len(DATA))
        assert whole.headers["content-disposition"].startswith("attachment")
        assert "rows.jsonl" in whole.headers["content-disposition"]
        assert whole.headers["accept-ranges"] == "bytes"
        assert whole.headers["etag"].strip('"') == http.get(f"/v1/files/{file_id}").json()["mediagate"]["sha256"]
        shown = str(whole.headers).lower()
        assert [word for word in LEAKS if word in shown] == []
        assert (
            http.get(f"/v1/files/{file_id}/content", headers={"if-none-match": whole.headers["etag"]}).status_code
            == 304
        )

    @pytest.mark.parametrize(
        ("asked", "start", "end"),
        [("bytes=0-0", 0, 1), ("bytes=100-299", 100, 300), ("bytes=3145728-", 3 * MIB, None), ("bytes=-5", -5, None)],
    )
    def test_part(self, http: httpx.Client, place: str, asked: str, start: int, end: int | None) -> None:
        file_id = kept(http, place)
        part = http.get(f"/v1/files/{file_id}/content", headers={"range": asked})
        expected = DATA[start:end]
        assert (part.status_code, part.content) == (206, expected)
        first = start if start >= 0 else len(DATA) + start
        assert part.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{len(DATA)}"

    def test_nothing_of_it(self, http: httpx.Client, place: str) -> None:
        file_id = kept(http, place)
        outside = http.get(f"/v1/files/{file_id}/content", headers={"range": f"bytes={len(DATA)}-"})
        assert outside.status_code == 416
        assert outside.json()["error"]["code"] == "range_not_satisfiable"
        head = http.head(f"/v1/files/{file_id}/content")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(DATA))
        with httpx.Client(base_url=str(http.base_url)) as stranger:
            assert stranger.get(f"/v1/files/{file_id}/content").status_code == 401

    def test_a_generated_client_reads_it(self, clouds: Clouds, http: httpx.Client, place: str) -> None:
        file_id = kept(http, place)
        with clouds.gateway.channel() as channel:
            files = files_pb2_grpc.FileServiceStub(channel)
            request = files_pb2.DownloadFileRequest(file_id=file_id, offset=7, length=2 * MIB)
            chunks = [message.chunk for message in files.DownloadFile(request, metadata=clouds.gateway.metadata)]
        assert b"".join(chunks) == DATA[7 : 7 + 2 * MIB]


def read_by(process: int) -> int:
    """Bytes that a process has read so far, from sockets too."""
    (line,) = (line for line in Path(f"/proc/{process}/io").read_text().splitlines() if line.startswith("rchar"))
    return int(line.split()[1])


@pytest.mark.parametrize("place", ["bedrock", "vertex_ai", "openai"])
def test_the_bytes_do_not_pass_the_server(clouds: Clouds, http: httpx.Client, place: str) -> None:
    data = os.urandom(24 * MIB)
    file_id = kept(http, place, data=data)
    server = clouds.gateway.child("api-0")
    before = read_by(server)
    assert http.get(f"/v1/files/{file_id}/content").content == data
    assert read_by(server) - before < MIB


class TestCopies:
    """More than one copy."""

    def test_one_that_is_gone_is_passed_over(self, clouds: Clouds, http: httpx.Client) -> None:
        file_id = kept(http, "bedrock", "vertex_ai")
        (key,) = clouds.s3_keys(f"mediagate/{file_id}/")
        clouds.s3.delete_object(Bucket=S3_BUCKET, Key=key)
        for _ in range(3):
            assert http.get(f"/v1/files/{file_id}/content").content == DATA
        (name,) = clouds.gcs_keys(f"mediagate/{file_id}/")
        httpx.delete(f"{clouds.gcs_url}/storage/v1/b/test-bucket/o/{name.replace('/', '%2F')}")
        lost = http.get(f"/v1/files/{file_id}/content")
        assert lost.status_code in (404, 503), lost.text
        assert set(lost.json()) == {"error"}

    def test_one_here_helps_where_the_others_are_gone(self, clouds: Clouds, http: httpx.Client) -> None:
        file_id = kept(http, "bedrock", "local")
        (key,) = clouds.s3_keys(f"mediagate/{file_id}/")
        clouds.s3.delete_object(Bucket=S3_BUCKET, Key=key)
        assert http.get(f"/v1/files/{file_id}/content").content == DATA


@pytest.mark.parametrize("path", ["/v1/files", "/files", "/openai/files", "/openai/v1/files", "/bedrock/v1/files"])
def test_every_path_leads_there(http: httpx.Client, path: str) -> None:
    file_id = kept(http, "bedrock")
    assert http.get(f"{path}/{file_id}/content").content == DATA


def test_what_has_expired_is_not_served(clouds: Clouds, http: httpx.Client) -> None:
    file_id = kept(http, "bedrock")
    sql(clouds.gateway, "UPDATE file SET expires_at = now() - interval '1 second' WHERE id = %s", file_id)
    for reply in (http.get(f"/v1/files/{file_id}/content"), http.get(f"/v1/files/{file_id}")):
        assert reply.status_code == 404


def test_a_client_cannot_choose_the_origin(clouds: Clouds, http: httpx.Client) -> None:
    clouds.s3.put_object(Bucket=S3_BUCKET, Key="secret", Body=b"secret")
    file_id = kept(http, "bedrock")
    hostile: dict[str, Any] = {
        "x-edge-cluster": "origins-http",
        "x-mediagate-cluster": "origins-http",
        "x-envoy-original-path": f"/{S3_BUCKET}/secret",
        ":path": "/x",
        "x-edge-again": "1",
        "x-edge-failure": "bedrock",
        "x-edge-origin": f"{clouds.moto_url}/{S3_BUCKET}/secret",
        "x-forwarded-host": "127.0.0.1",
    }
    hostile.pop(":path")
    assert http.get(f"/v1/files/{file_id}/content", headers=hostile).content == DATA
