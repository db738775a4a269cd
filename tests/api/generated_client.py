"""A client that has nothing but the generated stubs: runs every scenario and prints what it saw, as JSON.

Run as `generated_client.py STUBS TARGET KEY`; it must not import mediagate.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

sys.path.insert(0, sys.argv[1])

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from mediagate.v1 import files_pb2, files_pb2_grpc, models_pb2, models_pb2_grpc, uploads_pb2, uploads_pb2_grpc

OPTIONS = (("grpc.max_receive_message_length", 8 << 20),)
CHANNEL = grpc.insecure_channel(sys.argv[2], options=OPTIONS)
KEY = (("authorization", f"Bearer {sys.argv[3]}"),)
FILES = files_pb2_grpc.FileServiceStub(CHANNEL)
UPLOADS = uploads_pb2_grpc.UploadServiceStub(CHANNEL)
MODELS = models_pb2_grpc.ModelServiceStub(CHANNEL)
DATA = bytes(range(256)) * 10_000
SHA = hashlib.sha256(DATA).hexdigest()
WRONG = "0" * 64

Request = files_pb2.UploadFileRequest
Meta = files_pb2.UploadFileMetadata


def meta(**members: Any) -> Any:
    return Request(metadata=Meta(**{"filename": "a.bin", "purpose": "user_data", **members}))


def chunks(data: bytes = DATA, size: int = 1 << 20) -> list[Any]:
    return [Request(chunk=data[start : start + size]) for start in range(0, len(data), size)]


def end(sha256: str = SHA) -> Any:
    return Request(checksum=files_pb2.UploadFileChecksum(sha256=sha256))


def upload(*messages: Any) -> dict[str, Any]:
    file = FILES.UploadFile(iter(messages), metadata=KEY, timeout=20)
    return {"id": file.id, "bytes": file.bytes, "sha256": file.mediagate.sha256, "filename": file.filename}


def stored(data: bytes = DATA) -> str:
    return str(FILES.UploadFile(iter([meta(size_bytes=len(data)), *chunks(data)]), metadata=KEY).id)


def download(file_id: str, **more: Any) -> dict[str, Any]:
    kinds: list[str] = []
    data = b""
    found: dict[str, Any] = {}
    for message in FILES.DownloadFile(files_pb2.DownloadFileRequest(file_id=file_id, **more), metadata=KEY):
        kind = message.WhichOneof("payload")
        kinds.append(kind)
        if kind == "metadata":
            first = message.metadata
            found["metadata"] = {name: getattr(first, name) for name in first.DESCRIPTOR.fields_by_name}
        elif kind == "chunk":
            assert 0 < len(message.chunk) <= 1 << 20
            data += message.chunk
        else:
            found["end"] = [message.end.sent_bytes, message.end.sha256]
    start = more.get("offset", 0)
    expected = DATA[start : start + more["length"]] if "length" in more else DATA[start:]
    found["proven"] = found["end"] == [len(data), hashlib.sha256(data).hexdigest()]
    found["right"] = data == expected
    found["order"] = sorted(set(kinds), key=kinds.index)
    return found


def new_upload(size: int) -> str:
    request = uploads_pb2.CreateUploadRequest(bytes=size, filename="a.bin", mime_type="x/y", purpose="user_data")
    return str(UPLOADS.CreateUpload(request, metadata=KEY).id)


PartRequest = uploads_pb2.AddUploadPartRequest


def part_meta(upload_id: str, **members: Any) -> Any:
    return PartRequest(metadata=uploads_pb2.UploadPartMetadata(upload_id=upload_id, **members))


def add_part(*messages: Any) -> dict[str, Any]:
    part = UPLOADS.AddUploadPart(iter(messages), metadata=KEY, timeout=20)
    return {"id": part.id, "object": part.object, "upload_id": part.upload_id}


def part_chunk(data: bytes) -> Any:
    return PartRequest(chunk=data)


def completed() -> dict[str, Any]:
    upload_id = new_upload(len(DATA))
    half = len(DATA) // 2
    second = add_part(
        part_meta(upload_id, size_bytes=half, sha256=hashlib.sha256(DATA[half:]).hexdigest()), part_chunk(DATA[half:])
    )
    first = add_part(
        part_meta(upload_id, size_bytes=half),
        *[part_chunk(DATA[i : i + 99_999]) for i in range(0, half - 99_999, 99_999)],
        part_chunk(DATA[(half // 99_999) * 99_999 : half]),
    )
    request = uploads_pb2.CompleteUploadRequest(
        upload_id=upload_id, part_ids=[first["id"], second["id"]], md5=hashlib.md5(DATA).hexdigest()
    )
    done = UPLOADS.CompleteUpload(request, metadata=KEY)
    return {"status": done.status, "right": download(done.file.id)["right"]}


def cancelled_upload() -> dict[str, Any]:
    upload_id = new_upload(3)
    return {"status": UPLOADS.CancelUpload(uploads_pb2.CancelUploadRequest(upload_id=upload_id), metadata=KEY).status}


def cut_by_cancel(after: int) -> dict[str, Any]:
    """Cancels in the middle of an upload whose proof is in its metadata."""

    def messages() -> Iterator[Any]:
        yield meta(size_bytes=len(DATA), filename="cut.bin")
        yield from chunks()[:after]
        time.sleep(0.1)
        call.cancel()
        yield from chunks()[after:]

    call = FILES.UploadFile.future(messages(), metadata=KEY)
    try:
        call.result()
    except (grpc.FutureCancelledError, grpc.RpcError):
        return {"cancelled": True}
    return {"cancelled": False}


def cut_part_by_cancel() -> dict[str, Any]:
    upload_id = new_upload(3)

    def messages() -> Iterator[Any]:
        yield part_meta(upload_id, size_bytes=3)
        yield part_chunk(b"abc")
        time.sleep(0.1)
        call.cancel()

    call = UPLOADS.AddUploadPart.future(messages(), metadata=KEY)
    try:
        call.result()
    except (grpc.FutureCancelledError, grpc.RpcError):
        return {"cancelled": True}
    return {"cancelled": False}


def health() -> dict[str, Any]:
    reply = health_pb2_grpc.HealthStub(CHANNEL).Check(health_pb2.HealthCheckRequest())
    return {"status": health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status)}


def reflection() -> dict[str, Any]:
    stub = reflection_pb2_grpc.ServerReflectionStub(CHANNEL)
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="mediagate.v1.FileService"),
    ]
    listed, described = stub.ServerReflectionInfo(iter(asked), metadata=KEY)
    return {
        "services": sorted(service.name for service in listed.list_services_response.service),
        "files": len(described.file_descriptor_response.file_descriptor_proto),
    }


def listed() -> dict[str, Any]:
    one = stored(b"abc")
    page = FILES.ListFiles(files_pb2.ListFilesRequest(limit=1), metadata=KEY)
    empty = FILES.ListFiles(files_pb2.ListFilesRequest(purpose="none"), metadata=KEY)
    return {
        "first": page.data[0].id == one == page.first_id.string_value == page.last_id.string_value,
        "more": page.has_more,
        "null": [empty.first_id.WhichOneof("kind"), empty.last_id.WhichOneof("kind"), len(empty.data)],
    }


def deleted() -> dict[str, Any]:
    one = stored(b"abc")
    reply = FILES.DeleteFile(files_pb2.DeleteFileRequest(file_id=one), metadata=KEY)
    FILES.GetFile(files_pb2.GetFileRequest(file_id=one), metadata=KEY)
    return {"deleted": reply.deleted}


def keyed(*metadata: tuple[str, str]) -> Any:
    return MODELS.ListModels(models_pb2.ListModelsRequest(), metadata=metadata).object


def native_path(file_id: str, other: str) -> str:
    """A header that only the edge may set does not change which file is meant."""
    header = (("x-envoy-original-path", f"/v1/files/{other}"),)
    return str(FILES.GetFile(files_pb2.GetFileRequest(file_id=file_id), metadata=KEY + header).id)


ONE = stored()
EMPTY = stored(b"")
SCENARIOS: dict[str, Callable[[], Any]] = {
    "size": lambda: upload(meta(size_bytes=len(DATA)), *chunks()),
    "sha256": lambda: upload(meta(sha256=SHA), *chunks()),
    "checksum at the end": lambda: upload(meta(), *chunks(size=12_345), end()),
    "all proofs": lambda: upload(meta(size_bytes=len(DATA), sha256=SHA), *chunks(), end()),
    "chunks of 4 MiB": lambda: upload(
        meta(sha256=hashlib.sha256(bytes(8 << 20)).hexdigest()), *chunks(bytes(8 << 20), 4 << 20)
    ),
    "nothing, proven": lambda: upload(meta(size_bytes=0)),
    "empty chunks": lambda: upload(meta(size_bytes=3), Request(chunk=b""), Request(chunk=b"abc"), Request(chunk=b"")),
    "a path in the name": lambda: upload(meta(size_bytes=0, filename="../../naïve.txt")),
    "no proof": lambda: upload(meta(), *chunks()),
    "no proof, no bytes": lambda: upload(meta()),
    "too short": lambda: upload(meta(size_bytes=len(DATA) + 1), *chunks()),
    "too long": lambda: upload(meta(size_bytes=len(DATA) - 1), *chunks()),
    "wrong sha256": lambda: upload(meta(sha256=WRONG), *chunks()),
    "wrong checksum": lambda: upload(meta(), *chunks(), end(WRONG)),
    "right size, wrong checksum": lambda: upload(meta(size_bytes=len(DATA)), *chunks(), end(WRONG)),
    "wrong sha256, right checksum": lambda: upload(meta(sha256=WRONG), *chunks(), end()),
    "garbled checksum": lambda: upload(meta(), *chunks(), end("x")),
    "upper-case sha256": lambda: upload(meta(sha256=SHA.upper()), *chunks()),
    "chunk first": lambda: upload(*chunks(), meta(size_bytes=3)),
    "checksum first": lambda: upload(end(), meta(), *chunks()),
    "two metadata": lambda: upload(meta(size_bytes=3), meta(size_bytes=3), *chunks(b"abc")),
    "two checksums": lambda: upload(meta(), *chunks(), end(), end()),
    "chunk behind the checksum": lambda: upload(meta(), *chunks(), end(), *chunks(b"abc")),
    "an empty message": lambda: upload(meta(size_bytes=3), Request(), *chunks(b"abc")),
    "no message": lambda: upload(),
    "a chunk above 4 MiB": lambda: upload(meta(size_bytes=(4 << 20) + 1), Request(chunk=bytes((4 << 20) + 1))),
    "another purpose": lambda: upload(meta(purpose="answers", size_bytes=0)),
    "no name": lambda: upload(meta(filename="", size_bytes=0)),
    "a batch of text": lambda: upload(meta(purpose="batch", size_bytes=0)),
    "a short life": lambda: upload(meta(expires_after=files_pb2.ExpiresAfter(anchor="created_at", seconds=1))),
    "the whole": lambda: download(ONE),
    "from an offset": lambda: download(ONE, offset=1_500_001),
    "a length": lambda: download(ONE, offset=5, length=10),
    "a length beyond the end": lambda: download(ONE, offset=len(DATA) - 1, length=1 << 60),
    "an offset at the end": lambda: download(ONE, offset=len(DATA)),
    "an offset beyond the end": lambda: download(ONE, offset=1 << 60),
    "a length of 0": lambda: download(ONE, length=0),
    "an empty file": lambda: {**download(EMPTY), "right": None},
    "NUL in a purpose": lambda: FILES.ListFiles(files_pb2.ListFilesRequest(purpose="a\0b"), metadata=KEY),
    "no such file": lambda: download("file-none"),
    "not even UTF-8": lambda: FILES_RAW(b"\x0a\x02\xff\xfe"),
    "not even a message": lambda: FILES_RAW(b"\xff\xff\xff"),
    "completed": completed,
    "cancelled upload": cancelled_upload,
    "part too short": lambda: add_part(part_meta(new_upload(3), size_bytes=4), part_chunk(b"abc")),
    "part without its size": lambda: add_part(part_meta(new_upload(3)), part_chunk(b"abc")),
    "part with a wrong sum": lambda: add_part(part_meta(new_upload(3), size_bytes=3, sha256=WRONG), part_chunk(b"abc")),
    "part without metadata": lambda: add_part(part_chunk(b"abc")),
    "part with two metadata": lambda: add_part(*[part_meta(new_upload(3), size_bytes=3)] * 2),
    "part of nothing": lambda: add_part(),
    "part for no upload": lambda: add_part(part_meta("upload_none", size_bytes=0)),
    "part in a giant chunk": lambda: add_part(part_meta(new_upload(3), size_bytes=3), part_chunk(bytes((4 << 20) + 1))),
    "upload of no known size": lambda: UPLOADS.CreateUpload(
        uploads_pb2.CreateUploadRequest(filename="a", mime_type="b", purpose="vision"), metadata=KEY
    ),
    "upload of half a byte": lambda: new_upload(1.5),  # type: ignore[arg-type]
    "upload too large": lambda: new_upload(1 << 40),
    "cancel at once": lambda: cut_by_cancel(0),
    "cancel in the middle": lambda: cut_by_cancel(1),
    "cancel behind all bytes": lambda: cut_by_cancel(99),
    "cancel of a part": cut_part_by_cancel,
    "listed": listed,
    "deleted": deleted,
    "health": health,
    "reflection": reflection,
    "key in api-key": lambda: keyed(("api-key", sys.argv[3])),
    "no key": lambda: keyed(),
    "wrong key": lambda: keyed(("authorization", "Bearer no")),
    "an edge's header from outside": lambda: native_path(ONE, EMPTY) == ONE,
    "no such model": lambda: MODELS.GetModel(models_pb2.GetModelRequest(model="none"), metadata=KEY),
    "model": lambda: MODELS.GetModel(models_pb2.GetModelRequest(model="team/a:video"), metadata=KEY).id,
    "no such method": lambda: CHANNEL.unary_unary("/mediagate.v1.FileService/Nothing")(b"", metadata=KEY),
    "no such service": lambda: CHANNEL.unary_unary("/mediagate.v1.Nothing/Nothing")(b"", metadata=KEY),
}


def FILES_RAW(data: bytes) -> Any:
    return CHANNEL.unary_unary("/mediagate.v1.FileService/GetFile")(data, metadata=KEY)


def failure(error: grpc.RpcError) -> dict[str, Any]:
    """All that a caller can read of a failure."""
    seen: dict[str, Any] = {"code": error.code().name, "message": error.details()}
    trailing = dict(error.trailing_metadata() or ())
    seen["retry"] = trailing.get("x-should-retry")
    details = trailing.get("grpc-status-details-bin")
    if details is not None:
        status = status_pb2.Status.FromString(details)
        seen["same"] = (status.code, status.message) == (error.code().value[0], error.details())
        for packed in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if packed.Unpack(info):
                seen["info"] = [info.reason, info.domain, dict(info.metadata)]
            elif packed.Unpack(bad):
                seen["field"] = bad.field_violations[0].field
    return seen


def main() -> None:
    results: dict[str, Any] = {"DATA": [len(DATA), SHA]}
    for name, run in SCENARIOS.items():
        try:
            results[name] = run()
            if hasattr(results[name], "DESCRIPTOR"):
                results[name] = "message"
        except grpc.RpcError as error:
            results[name] = failure(error)
    assert not any(name == "mediagate" and "server" in str(sys.modules[name]) for name in sys.modules)
    json.dump(results, sys.stdout)
    sys.stdout.flush()
    os._exit(0)


main()
