"""Copy in place of upload: inside a cloud without a byte through the gateway, across clouds piped."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import grpc
import httpx
import pytest

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
from tests.api.wire import eventually, field, file_part, post_form
from tests.clouds.conftest import GCS_BUCKET, SOURCES, Clouds

Json = dict[str, Any]
MIB = 1 << 20


@pytest.fixture(scope="module")
def lying(clouds: Clouds) -> bytes:
    """Objects in both clouds that nobody sent through the gateway."""
    data = os.urandom(9 * MIB + 7)
    for key in ("films/a film+é%20.mp4", "small.txt"):
        clouds.s3.put_object(Bucket=SOURCES, Key=key, Body=data if "film" in key else b"hello", ContentType="video/mp4")
    for name, body in (("shared/film.mp4", data), ("private/film.mp4", data)):
        reply = httpx.post(
            f"{clouds.gcs_url}/upload/storage/v1/b/{GCS_BUCKET}/o",
            params={"uploadType": "media", "name": name},
            content=body,
            headers={"content-type": "video/mp4"},
        )
        assert reply.status_code == 200, reply.text
    return data


def copy(http: httpx.Client, source: str, *targets: str, path: str = "/v1/files", **more: Any) -> httpx.Response:
    body = {"source": source, "custom_llm_provider": list(targets), **more} if targets else {"source": source, **more}
    return http.post(path, json=body)


@pytest.mark.parametrize("path", ["/v1/files", "/files", "/upload", "/v1/upload", "/openai/files"])
def test_from_s3_to_gcs(clouds: Clouds, http: httpx.Client, lying: bytes, path: str) -> None:
    reply = copy(http, f"bedrock://{SOURCES}/films/a film+é%20.mp4", "vertex_ai", path=path, purpose="user_data")
    assert reply.status_code == 200, reply.text
    file = reply.json()
    assert [replica["account"] for replica in file["replicas"]] == ["vertex_ai"]
    assert (file["bytes"], file["filename"]) == (len(lying), "a film+é%20.mp4")
    assert file["mediagate"]["sha256"] == hashlib.sha256(lying).hexdigest()
    assert file["mediagate"]["source"].startswith("bedrock://")
    assert clouds.gcs_bytes(file["replicas"][0]["reference"].split("/", 3)[3]) == lying
    assert http.get(f"/v1/files/{file['id']}/content").content == lying


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (f"s3://{SOURCES}/films/a film+é%20.mp4", "bedrock"),
        (f"gs://{GCS_BUCKET}/shared/film.mp4", "vertex_ai"),
        (f"vertex_ai://{GCS_BUCKET}/shared/film.mp4", "vertex_ai"),
        (f"gs://{GCS_BUCKET}/shared/film.mp4", "bedrock"),
        (f"s3://{SOURCES}/films/a film+é%20.mp4", "local"),
    ],
)
def test_inside_a_cloud_and_back(http: httpx.Client, lying: bytes, source: str, target: str) -> None:
    file = copy(http, source, target).json()
    assert file["status"] == "processed", file
    assert file["bytes"] == len(lying)
    inside = source.split(":")[0] in ("s3", "bedrock") and target == "bedrock"
    inside |= source.split(":")[0] in ("gs", "vertex_ai") and target == "vertex_ai"
    assert file["mediagate"]["sha256"] == ("" if inside else hashlib.sha256(lying).hexdigest())
    assert http.get(f"/v1/files/{file['id']}/content").content == lying
    ranged = http.get(f"/v1/files/{file['id']}/content", headers={"range": "bytes=5-9"})
    assert (ranged.status_code, ranged.content) == (206, lying[5:10])


def test_a_copy_inside_and_across_at_once(http: httpx.Client, lying: bytes) -> None:
    file = copy(http, f"s3://{SOURCES}/films/a film+é%20.mp4", "bedrock", "vertex_ai", "local").json()
    assert {replica["state"] for replica in file["replicas"]} == {"ready"}
    assert file["mediagate"]["sha256"] == hashlib.sha256(lying).hexdigest()


@pytest.mark.parametrize("targets", [["bedrock"], ["vertex_ai"], ["openai", "local"]])
def test_one_of_ours_to_a_new_place(http: httpx.Client, targets: list[str]) -> None:
    data = os.urandom(MIB)
    fields = field("purpose", "user_data"), field("custom_llm_provider", "bedrock")
    first = post_form(http, *fields, file_part(data)).json()
    second = copy(http, first["id"], *targets).json()
    assert second["id"] != first["id"]
    assert (second["bytes"], second["filename"]) == (first["bytes"], first["filename"])
    assert second["mediagate"]["sha256"] == first["mediagate"]["sha256"]
    http.delete(f"/v1/files/{first['id']}")
    assert http.get(f"/v1/files/{second['id']}/content").content == data


def test_the_content_of_a_url(clouds: Clouds, http: httpx.Client) -> None:
    clouds.s3.put_object(Bucket=SOURCES, Key="public.csv", Body=b"a,b\n" * 1000)
    url = clouds.s3.generate_presigned_url("get_object", Params={"Bucket": SOURCES, "Key": "public.csv"})
    reply = copy(http, url, "bedrock")
    assert reply.status_code == 200, reply.text
    file = reply.json()
    assert (file["bytes"], file["filename"]) == (4000, "public.csv"), file
    assert "Signature" not in str(http.get(f"/v1/files/{file['id']}").json()["mediagate"])


class TestLater:
    """`Prefer: respond-async`."""

    def test_the_answer_does_not_wait(self, http: httpx.Client, lying: bytes) -> None:
        body = {"source": f"s3://{SOURCES}/films/a film+é%20.mp4", "custom_llm_provider": "vertex_ai"}
        reply = http.post("/v1/files", json=body, headers={"prefer": "respond-async"})
        assert reply.status_code == 202, reply.text
        assert reply.headers["preference-applied"] == "respond-async"
        file = reply.json()
        assert file["status"] == "uploaded"
        assert file["bytes"] == len(lying)
        assert file["mediagate"]["copied_bytes"] == 0
        early = http.get(f"/v1/files/{file['id']}/content")
        assert early.status_code in (200, 400)
        path = f"/v1/files/{file['id']}"
        eventually(lambda: http.get(path).json()["status"] == "processed", "it is copied", 30)
        done = http.get(path).json()
        assert "copied_bytes" not in done["mediagate"]
        assert done["created_at"] == file["created_at"]
        assert http.get(f"{path}/content").content == lying

    def test_what_cannot_be_copied_says_why(self, clouds: Clouds, http: httpx.Client) -> None:
        clouds.s3.put_object(Bucket=SOURCES, Key="gone.txt", Body=b"x" * 100)
        clouds.gemini.key, key = "another", clouds.gemini.key
        try:
            file = http.post(
                "/v1/files",
                json={"source": f"s3://{SOURCES}/gone.txt", "custom_llm_provider": "gemini"},
                headers={"prefer": "respond-async"},
            ).json()
            path = f"/v1/files/{file['id']}"
            eventually(lambda: http.get(path).json()["status"] == "error", "it fails", 30)
        finally:
            clouds.gemini.key = key
        assert "credentials" in http.get(path).json()["status_details"]
        assert http.get(f"{path}/content").status_code == 400
        assert http.delete(path).json()["deleted"]
        eventually(lambda: http.get(path).status_code == 404, "it is gone")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"source": f"s3://{SOURCES}/nothing"}, 400, "source_not_found"),
        ({"source": "s3://other-bucket/x"}, 403, "source_not_allowed"),
        ({"source": f"gs://{GCS_BUCKET}/private/film.mp4"}, 403, "source_not_allowed"),
        ({"source": f"gs://{GCS_BUCKET}/mediagate/x"}, 403, "source_not_allowed"),
        ({"source": "s3://"}, 400, None),
        ({"source": ""}, 400, None),
        ({}, 400, None),
        ({"source": 7}, 400, None),
        ({"source": "file-00000000000000000000000000"}, 404, "not_found"),
        ({"source": "ftp://host/x"}, 400, None),
        ({"source": "https://169.254.169.254/latest/meta-data"}, 400, "url_not_allowed"),
        ({"source": "https://localhost/x"}, 400, "url_not_allowed"),
        ({"source": f"s3://{SOURCES}/small.txt", "purpose": "nonsense"}, 400, "invalid_field"),
        ({"source": f"s3://{SOURCES}/small.txt", "custom_llm_provider": "nobody"}, 400, "unknown_provider"),
        ({"source": f"s3://{SOURCES}/small.txt", "custom_llm_provider": {"a": 1}}, 400, "invalid_field"),
        ({"source": f"s3://{SOURCES}/small.txt", "expires_after": {"anchor": "x"}}, 400, "invalid_field"),
        ({"source": f"s3://{SOURCES}/small.txt", "on_partial": "x"}, 400, "invalid_field"),
    ],
)
def test_what_is_no_source_is_refused(
    http: httpx.Client, lying: bytes, body: Json, status: int, code: str | None
) -> None:
    reply = http.post("/v1/files", json=body)
    assert reply.status_code == status, reply.text
    if code:
        assert reply.json()["error"]["code"] == code
    assert reply.headers["x-should-retry"] == "false"


def test_a_generated_client_copies(clouds: Clouds, lying: bytes) -> None:
    with clouds.gateway.channel() as channel:
        files = files_pb2_grpc.FileServiceStub(channel)
        request = files_pb2.CopyFileRequest(
            source=f"s3://{SOURCES}/small.txt", custom_llm_provider=["vertex_ai"], purpose="user_data"
        )
        file = files.CopyFile(request, metadata=clouds.gateway.metadata)
        assert (file.bytes, file.filename, file.replicas[0].provider) == (5, "small.txt", "vertex_ai")
        with pytest.raises(grpc.RpcError) as refused:
            files.CopyFile(files_pb2.CopyFileRequest(source="s3://other/x"), metadata=clouds.gateway.metadata)
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
