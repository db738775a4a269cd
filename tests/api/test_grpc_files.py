"""Files, uploads and models for a client that was generated from the protos and knows nothing else of us."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.api.wire import LEAKS, eventually, sql, stored, unfinished
from tests.conftest import Gateway

ROOT = Path(__file__).resolve().parents[2]
DATA_BYTES = 2_560_000
SHA = hashlib.sha256(bytes(range(256)) * 10_000).hexdigest()


@pytest.fixture(scope="module")
def seen(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `generated_client.py` saw, scenario by scenario."""
    stubs = tmp_path_factory.mktemp("stubs")
    proto = ROOT / "proto"
    names = [path.relative_to(proto).as_posix() for path in (proto / "mediagate").rglob("*.proto")]
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"-I{proto}", f"-I{proto / 'third_party'}"),
            *(f"--python_out={stubs}", f"--grpc_python_out={stubs}", *names, "buf/validate/validate.proto"),
        ],
        check=True,
    )
    # Beside our own package, which this environment has installed, only a whole package is found.
    for folder in ("mediagate", "mediagate/v1"):
        (stubs / folder / "__init__.py").touch()
    client = subprocess.run(
        [
            *(sys.executable, "-P", str(ROOT / "tests/api/generated_client.py"), str(stubs)),
            *(f"127.0.0.1:{gateway.port}", gateway.key),
        ],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert client.returncode == 0, client.stderr.decode()[-2000:]
    found: dict[str, Any] = json.loads(client.stdout)
    assert found["DATA"] == [DATA_BYTES, SHA]
    return found


@pytest.mark.parametrize("name", ["size", "sha256", "checksum at the end", "all proofs"])
def test_a_proven_upload_is_a_file(seen: dict[str, Any], gateway: Gateway, name: str) -> None:
    file = seen[name]
    assert (file["bytes"], file["sha256"], file["filename"]) == (DATA_BYTES, SHA, "a.bin")
    with gateway.http() as http:
        assert hashlib.sha256(http.get(f"/v1/files/{file['id']}/content").content).hexdigest() == SHA


@pytest.mark.parametrize(
    ("name", "size", "filename"),
    [
        ("chunks of 4 MiB", 8 << 20, "a.bin"),
        ("nothing, proven", 0, "a.bin"),
        ("empty chunks", 3, "a.bin"),
        ("a path in the name", 0, "naïve.txt"),
    ],
)
def test_odd_uploads_are_files_too(seen: dict[str, Any], name: str, size: int, filename: str) -> None:
    assert (seen[name]["bytes"], seen[name]["filename"]) == (size, filename)


FAILURES = [
    # Scenario, gRPC code, reason, field.
    ("no proof", "INVALID_ARGUMENT", "INVALID_FIELD", "metadata.size_bytes"),
    ("no proof, no bytes", "INVALID_ARGUMENT", "INVALID_FIELD", "metadata.size_bytes"),
    ("too short", "INVALID_ARGUMENT", "UPLOAD_TRUNCATED", "size_bytes"),
    ("too long", "INVALID_ARGUMENT", "UPLOAD_TRUNCATED", "size_bytes"),
    ("wrong sha256", "INVALID_ARGUMENT", "CHECKSUM_MISMATCH", "sha256"),
    ("wrong checksum", "INVALID_ARGUMENT", "CHECKSUM_MISMATCH", "sha256"),
    ("right size, wrong checksum", "INVALID_ARGUMENT", "CHECKSUM_MISMATCH", "sha256"),
    ("wrong sha256, right checksum", "INVALID_ARGUMENT", "CHECKSUM_MISMATCH", "checksum.sha256"),
    ("garbled checksum", "INVALID_ARGUMENT", "INVALID_FIELD", "checksum.sha256"),
    ("upper-case sha256", "INVALID_ARGUMENT", "INVALID_FIELD", "metadata.sha256"),
    ("chunk first", "INVALID_ARGUMENT", "INVALID_FIELD", "chunk"),
    ("checksum first", "INVALID_ARGUMENT", "INVALID_FIELD", "checksum"),
    ("two metadata", "INVALID_ARGUMENT", "INVALID_FIELD", "metadata"),
    ("two checksums", "INVALID_ARGUMENT", "INVALID_FIELD", "checksum"),
    ("chunk behind the checksum", "INVALID_ARGUMENT", "INVALID_FIELD", "chunk"),
    ("an empty message", "INVALID_ARGUMENT", "INVALID_FIELD", "payload"),
    ("no message", "INVALID_ARGUMENT", "INVALID_REQUEST", None),
    ("a chunk above 4 MiB", "INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE", "chunk"),
    ("another purpose", "INVALID_ARGUMENT", "INVALID_FIELD", "metadata.purpose"),
    ("no name", "INVALID_ARGUMENT", "INVALID_FIELD", "metadata.filename"),
    ("a batch of text", "INVALID_ARGUMENT", "INVALID_FIELD", "file"),
    ("a short life", "INVALID_ARGUMENT", "INVALID_FIELD", "metadata.expires_after.seconds"),
    ("an offset at the end", "OUT_OF_RANGE", "RANGE_NOT_SATISFIABLE", "offset"),
    ("an offset beyond the end", "OUT_OF_RANGE", "RANGE_NOT_SATISFIABLE", "offset"),
    ("a length of 0", "INVALID_ARGUMENT", "INVALID_FIELD", "length"),
    ("NUL in a purpose", "INVALID_ARGUMENT", "INVALID_REQUEST", None),
    ("no such file", "NOT_FOUND", "NOT_FOUND", "id"),
    ("not even UTF-8", "INVALID_ARGUMENT", "INVALID_REQUEST", None),
    ("not even a message", "INVALID_ARGUMENT", "INVALID_REQUEST", None),
    ("part too short", "INVALID_ARGUMENT", "UPLOAD_TRUNCATED", "size_bytes"),
    ("part without its size", "INVALID_ARGUMENT", "UPLOAD_TRUNCATED", "size_bytes"),
    ("part with a wrong sum", "INVALID_ARGUMENT", "CHECKSUM_MISMATCH", "sha256"),
    ("part without metadata", "INVALID_ARGUMENT", "INVALID_FIELD", "metadata"),
    ("part with two metadata", "INVALID_ARGUMENT", "INVALID_FIELD", "metadata"),
    ("part of nothing", "INVALID_ARGUMENT", "INVALID_FIELD", "metadata"),
    ("part for no upload", "NOT_FOUND", "NOT_FOUND", "id"),
    ("part in a giant chunk", "INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE", "chunk"),
    ("upload of no known size", "INVALID_ARGUMENT", "INVALID_FIELD", "bytes"),
    ("upload of half a byte", "INVALID_ARGUMENT", "INVALID_FIELD", "bytes"),
    ("upload too large", "INVALID_ARGUMENT", "PAYLOAD_TOO_LARGE", "bytes"),
    ("deleted", "NOT_FOUND", "NOT_FOUND", "id"),
    ("no key", "UNAUTHENTICATED", "INVALID_API_KEY", None),
    ("wrong key", "UNAUTHENTICATED", "INVALID_API_KEY", None),
    ("no such model", "NOT_FOUND", "NOT_FOUND", "model"),
]


@pytest.mark.parametrize(("name", "code", "reason", "field"), FAILURES, ids=[row[0] for row in FAILURES])
def test_a_failure_has_its_details(seen: dict[str, Any], name: str, code: str, reason: str, field: str | None) -> None:
    failure = seen[name]
    assert failure["code"] == code, failure
    assert failure["info"][:2] == [reason, "mediagate"]
    assert failure.get("field") == field
    assert failure["same"]
    assert failure["retry"] == "false"
    assert not LEAKS.search(failure["message"].encode())
    for value in failure["info"][2].values():
        assert value in failure["message"] or value.startswith("bytes */")


@pytest.mark.parametrize("name", ["no such method", "no such service"])
def test_what_is_not_there_is_unimplemented(seen: dict[str, Any], name: str) -> None:
    assert seen[name]["code"] == "UNIMPLEMENTED"
    assert not LEAKS.search(seen[name]["message"].encode())


@pytest.mark.parametrize(
    ("name", "offset", "length"),
    [
        ("the whole", 0, DATA_BYTES),
        ("from an offset", 1_500_001, DATA_BYTES - 1_500_001),
        ("a length", 5, 10),
        ("a length beyond the end", DATA_BYTES - 1, 1),
    ],
)
def test_a_download_proves_itself(seen: dict[str, Any], name: str, offset: int, length: int) -> None:
    download = seen[name]
    assert download["right"]
    assert download["proven"]
    assert download["order"] == ["metadata", "chunk", "end"]
    assert download["metadata"] == {
        "filename": "a.bin",
        "content_type": "application/octet-stream",
        "size_bytes": DATA_BYTES,
        "offset": offset,
        "length": length,
        "etag": f'"{SHA}"',
    }


def test_a_download_of_nothing_proves_itself(seen: dict[str, Any]) -> None:
    download = seen["an empty file"]
    assert download["order"] == ["metadata", "end"]
    assert download["end"] == [0, hashlib.sha256(b"").hexdigest()]


def test_an_upload_in_parts(seen: dict[str, Any]) -> None:
    assert seen["completed"] == {"status": "completed", "right": True}
    assert seen["cancelled upload"] == {"status": "cancelled"}


def test_a_cancelled_call_leaves_nothing(seen: dict[str, Any], gateway: Gateway) -> None:
    for name in ("cancel at once", "cancel in the middle", "cancel behind all bytes", "cancel of a part"):
        assert seen[name] == {"cancelled": True}
    eventually(lambda: not unfinished(gateway), "no file is being received")
    eventually(lambda: not sql(gateway, "SELECT 1 FROM upload_part WHERE size_bytes < 0"), "no part is being received")
    known = {row[0] for row in sql(gateway, "SELECT id FROM file UNION SELECT id FROM upload_part")}
    assert {path.name for path in stored(gateway)} <= known
    assert not sql(gateway, "SELECT 1 FROM file WHERE filename = 'cut.bin'")


def test_lists_and_models(seen: dict[str, Any]) -> None:
    assert seen["listed"] == {"first": True, "more": True, "null": ["null_value", "null_value", 0]}
    assert seen["model"] == "team/a:video"
    assert seen["key in api-key"] == "list"
    assert seen["an edge's header from outside"] is True


def test_health_and_reflection_answer(seen: dict[str, Any]) -> None:
    assert seen["health"] == {"status": "SERVING"}
    assert {
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "mediagate.v1.FileService",
        "mediagate.v1.ModelService",
        "mediagate.v1.UploadService",
        "mediagate.v1.VideoService",
    } <= set(seen["reflection"]["services"])
    assert seen["reflection"]["files"] >= 1
