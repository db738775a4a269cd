"""Which request reaches which method, and what the others are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from edge_harness import Edge, call_seen

from mediagate.envoy.render import ROUTES

PREFIXES = ["/v1", "", "/openai", "/openai/v1"]
TABLE: dict[str, Any] = json.loads(ROUTES.read_text())
PATHS: list[dict[str, Any]] = TABLE["paths"]


def sample(regex: str) -> str:
    """A path that this regular expression of the route table matches."""
    return regex.replace("[^/]+", "an-id").replace(".+", "a/model").replace("\\", "")


@pytest.fixture(scope="module")
def http(edge: Edge) -> Iterator[httpx.Client]:
    with edge.client() as client:
        yield client


def test_every_path_takes_its_methods(http: httpx.Client) -> None:
    for path in PATHS:
        for method in path["methods"]:
            reply = http.request(method, sample(path["regex"]))
            assert reply.status_code == 200, (method, path)
            assert "x-stub-call" in reply.headers or path["regex"] == "/diagnostics/ping"


def test_every_path_refuses_every_other_method_with_allow(http: httpx.Client) -> None:
    for path in PATHS:
        wrong = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} - set(path["methods"])
        for method in wrong:
            reply = http.request(method, sample(path["regex"]))
            if reply.status_code == 200:  # `/v1/videos/edits` is a `/v1/videos/{video_id}` to GET and DELETE.
                assert method in {"GET", "DELETE"}, (method, path)
                assert call_seen(reply.headers)["method"] in {"GetVideo", "DeleteVideo"}
                continue
            assert reply.status_code == 405, (method, path)
            allowed = set(reply.headers["allow"].split(", "))
            assert allowed >= set(path["methods"])
            assert method not in allowed
            assert reply.headers["x-should-retry"] == "false"
            if method != "HEAD":
                assert reply.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(
    ("method", "path", "rpc", "request_fields"),
    [
        ("GET", "/files", "ListFiles", {}),
        ("GET", "/files?limit=3&order=asc&after=file-0&purpose=batch", "ListFiles", {"limit": 3, "order": "asc"}),
        ("GET", "/files/file-1", "GetFile", {"file_id": "file-1"}),
        ("DELETE", "/files/file-1", "DeleteFile", {"file_id": "file-1"}),
        ("GET", "/files/file-1/content", "GetFileContentHttp", {"file_id": "file-1"}),
        ("HEAD", "/files/file-1/content", "HeadFileContentHttp", {"file_id": "file-1"}),
        ("POST", "/files", "CreateFileHttp", {}),
        ("POST", "/uploads/u/parts", "AddUploadPartHttp", {}),
        ("POST", "/uploads/u/cancel", "CancelUpload", {"upload_id": "u"}),
        ("GET", "/videos/models", "ListVideoModels", {}),
        ("GET", "/videos/video_1", "GetVideo", {"video_id": "video_1"}),
        ("GET", "/videos/video_1/events", "WatchVideoHttp", {"video_id": "video_1"}),
        ("POST", "/videos", "CreateVideoHttp", {}),
        ("POST", "/videos/edits", "EditVideoHttp", {}),
        ("POST", "/videos/extensions", "ExtendVideoHttp", {}),
        ("POST", "/videos/characters", "CreateCharacterHttp", {}),
        ("GET", "/videos/characters/char_1", "GetCharacter", {"character_id": "char_1"}),
        ("POST", "/videos/video_1/remix", "RemixVideoHttp", {}),
        ("GET", "/models", "ListModels", {}),
        ("GET", "/models/team/a:video", "GetModel", {"model": "team/a:video"}),
        ("GET", "/models/team%2Fa%3Avideo", "GetModel", {"model": "team/a:video"}),
        ("GET", "/models/sora:cancel", "GetModel", {"model": "sora:cancel"}),
        ("GET", "/models/content", "GetModel", {"model": "content"}),
    ],
)
def test_paths_and_prefixes(
    http: httpx.Client, prefix: str, method: str, path: str, rpc: str, request_fields: dict[str, Any]
) -> None:
    seen = call_seen(http.request(method, prefix + path).headers)
    assert seen["method"] == rpc
    assert request_fields.items() <= seen["request"].items()


def test_unknown_query_parameters_and_json_fields_are_ignored(http: httpx.Client) -> None:
    reply = http.get("/openai/files?api-version=2025-01-01&limit=2&foo=bar&foo.bar=1")
    assert call_seen(reply.headers)["request"] == {"limit": 2}
    reply = http.post("/v1/uploads", json={"bytes": 5, "filename": None, "unknown": {"a": [1]}, "mimeType": "a/b"})
    assert call_seen(reply.headers)["request"] == {"bytes": 5.0, "mime_type": "a/b"}


def test_an_empty_json_body_is_an_empty_message(http: httpx.Client) -> None:
    reply = http.post("/v1/uploads/u/cancel", headers={"content-type": "application/json"})
    assert call_seen(reply.headers)["request"] == {"upload_id": "u"}
    assert http.delete("/v1/files/file-1", headers={"content-type": "application/json"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/", "/v1/files/", "/v2/files", "/v1/filesx", "/v1/_stainless_unknown_path"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
def test_unknown_paths(http: httpx.Client, path: str, method: str) -> None:
    reply = http.request(method, path, content=b"x" * 100_000 if method in {"POST", "PUT"} else None)
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "unknown_url")


def test_paths_are_normal(edge: Edge) -> None:
    for path in ("/v1//files/file-1", "/v1/x/../files/file-1", "/v1/./files/file-1", "/v1/%66iles/file-1"):
        assert call_seen(edge.get(path).headers)["request"] == {"file_id": "file-1"}, path


def test_escaped_slashes_stay_in_the_id(edge: Edge) -> None:
    assert call_seen(edge.get("/v1/files/a%2Fb").headers)["request"] == {"file_id": "a/b"}
    assert call_seen(edge.get("/v1/files/..%2F..%2Fetc").headers)["request"] == {"file_id": "../../etc"}
    assert call_seen(edge.get("/v1/files/%E4%BD%A0%F0%9F%98%80").headers)["request"] == {"file_id": "你😀"}


def test_json_shape(http: httpx.Client) -> None:
    """Defaults are printed, absent optionals are not, names are as in the proto, numbers are bare."""
    reply = {"id": "file-1", "bytes": 8589934592, "created_at": 1712697600, "mediagate": {"content_type": "a/b"}}
    headers = {"x-stub": json.dumps({"reply": reply})}
    got = http.get("/v1/files/file-1", headers=headers).json()
    assert got == {
        "id": "file-1", "object": "", "bytes": 8589934592, "created_at": 1712697600, "filename": "", "purpose": "",
        "status": "", "replicas": [], "mediagate": {"sha256": "", "content_type": "a/b"},
    }  # fmt: skip
    reply_page: dict[str, Any] = {"data": [], "first_id": None, "last_id": "file-9"}
    got = http.get("/v1/files", headers={"x-stub": json.dumps({"reply": reply_page})}).json()
    assert got == {"object": "", "data": [], "first_id": None, "last_id": "file-9", "has_more": False}


def test_alive_is_the_edges_own_and_ready_is_the_servers(http: httpx.Client) -> None:
    alive = http.get("/livez")
    assert (alive.status_code, alive.json(), alive.headers["content-type"]) == (
        200,
        {"status": "alive"},
        "application/json",
    )
    assert "x-stub-call" not in alive.headers
    assert call_seen(http.get("/readyz").headers)["method"] == "GetReadiness"
