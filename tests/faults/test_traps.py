"""Traps that were met once: each would come back silently, so each has a test."""

from __future__ import annotations

import ast
import asyncio
import concurrent.futures
import hashlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

import mediagate
from mediagate._gen.mediagate.v1 import (
    files_pb2,
    files_pb2_grpc,
    models_pb2,
    system_pb2,
    uploads_pb2,
    uploads_pb2_grpc,
    videos_pb2,
    webhooks_pb2,
)
from mediagate.core.clock import SystemClock
from mediagate.core.forms import FieldEnd, FileData, FileStart, FormEvent
from mediagate.core.objects import Principal
from mediagate.files.create_file import CreateFile
from mediagate.files.intake import Intake
from mediagate.providers.account import Account
from mediagate.providers.files import NewFile
from mediagate.providers.local.files import LocalFiles
from mediagate.routing.catalog import ModelCatalog
from mediagate.routing.stores import FileStores
from mediagate.routing.targets import Targets
from mediagate.store.database import Database
from tests.api.wire import (
    FORM_TYPE,
    PURPOSES,
    connected,
    eventually,
    field,
    file_part,
    form,
    leaving_nothing,
    read_reply,
    request_head,
    sql,
    unfinished,
)
from tests.conftest import Gateway

MIB = 1 << 20
PRODUCT = Path(mediagate.__file__).parent
LONGER_THAN_A_DEFAULT_S = 17.0
file_service: Any = files_pb2_grpc.FileServiceStub
upload_service: Any = uploads_pb2_grpc.UploadServiceStub


def metadata_message(**members: Any) -> files_pb2.UploadFileRequest:
    return files_pb2.UploadFileRequest(
        metadata=files_pb2.UploadFileMetadata(filename="a.bin", purpose=PURPOSES[4], **members)
    )


def chunk(data: bytes) -> files_pb2.UploadFileRequest:
    return files_pb2.UploadFileRequest(chunk=data)


# The end of a stream is not the end of an upload.


def test_a_native_upload_that_its_client_cancels_leaves_nothing(gateway: Gateway) -> None:
    """The server's iterator ends as quietly as after the last chunk: without a proof a cut file would be stored."""
    with leaving_nothing(gateway), gateway.channel() as channel:
        for proof in ({"size_bytes": 3 * MIB}, {"sha256": hashlib.sha256(bytes(3 * MIB)).hexdigest()}, {}):
            hold = threading.Event()

            def messages(proof: dict[str, Any] = proof, hold: threading.Event = hold) -> Iterator[Any]:
                yield metadata_message(**proof)
                yield chunk(bytes(MIB))
                hold.wait(120)

            call = file_service(channel).UploadFile.future(messages(), metadata=gateway.metadata)
            eventually(lambda: unfinished(gateway), "it is being received")
            call.cancel()
            eventually(lambda: not unfinished(gateway), "it is dropped")
            hold.set()
            assert call.code() == grpc.StatusCode.CANCELLED


def test_a_native_part_that_its_client_cancels_leaves_nothing_and_its_upload_open(gateway: Gateway) -> None:
    """A part that was cut would make a file that was cut."""
    client = gateway.openai()
    upload = client.uploads.create(bytes=MIB, filename="a.bin", mime_type="b", purpose="user_data")
    hold = threading.Event()

    def messages() -> Iterator[Any]:
        metadata = uploads_pb2.UploadPartMetadata(upload_id=upload.id, size_bytes=MIB)
        yield uploads_pb2.AddUploadPartRequest(metadata=metadata)
        yield uploads_pb2.AddUploadPartRequest(chunk=bytes(1000))
        hold.wait(120)

    rows = "SELECT 1 FROM upload_part WHERE upload_id = %s"
    with leaving_nothing(gateway), gateway.channel() as channel:
        call = upload_service(channel).AddUploadPart.future(messages(), metadata=gateway.metadata)
        eventually(lambda: sql(gateway, rows, upload.id), "it is being received")
        call.cancel()
        eventually(lambda: not sql(gateway, rows, upload.id), "it is dropped")
        hold.set()
    part = client.uploads.parts.create(upload.id, data=bytes(MIB))
    assert client.uploads.complete(upload.id, part_ids=[part.id]).status == "completed"


@pytest.mark.parametrize(
    "end",
    ["os.kill(os.getpid(), 9)", *(pytest.param(one, marks=pytest.mark.soak) for one in ("os._exit(1)", "sys.exit(0)"))],
)
def test_a_native_upload_whose_client_dies_leaves_nothing(gateway: Gateway, end: str) -> None:
    """Death looks like the end of the stream, too."""
    program = f"""
import os, sys, time, grpc
from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
def messages():
    yield files_pb2.UploadFileRequest(metadata=files_pb2.UploadFileMetadata(
        filename="a.bin", purpose="user_data", size_bytes=3 << 20))
    yield files_pb2.UploadFileRequest(chunk=bytes(1 << 20))
    time.sleep(60)
stub = files_pb2_grpc.FileServiceStub(grpc.insecure_channel("127.0.0.1:{gateway.port}"))
call = stub.UploadFile.future(messages(), metadata=(("authorization", "Bearer {gateway.key}"),))
sys.stdin.readline()
{end}
"""
    with leaving_nothing(gateway):
        process = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            eventually(lambda: unfinished(gateway), "it is being received")
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.close()
            eventually(lambda: not unfinished(gateway), "it is dropped")
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"size_bytes": 4}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"size_bytes": 2}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"sha256": "0" * 64}, grpc.StatusCode.INVALID_ARGUMENT),
    ],
    ids=["no proof", "too few", "too many", "other bytes"],
)
def test_a_native_upload_that_ends_without_its_proof_is_refused(
    gateway: Gateway, members: dict[str, Any], code: grpc.StatusCode
) -> None:
    """A client whose source broke half-way closes its stream in good order."""
    with leaving_nothing(gateway), gateway.channel() as channel, pytest.raises(grpc.RpcError) as refused:
        file_service(channel).UploadFile(iter([metadata_message(**members), chunk(b"abc")]), metadata=gateway.metadata)
    assert refused.value.code() == code


# Cancellation.


def python_files(*words: str) -> Iterator[tuple[Path, ast.AST]]:
    """Our own modules that have one of these words, each with its tree: to parse all of them takes seconds."""
    for path in PRODUCT.rglob("*.py"):
        source = path.read_text()
        if "_gen" not in path.parts and any(word in source for word in words):
            yield path, ast.parse(source)


def test_nothing_of_ours_raises_a_cancellation() -> None:
    """A handler that raises one by itself leaves its caller waiting for ever: calls are ended by an abort."""
    assert [
        f"{path}:{node.lineno}"
        for path, tree in python_files("CancelledError")
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and node.exc is not None and "CancelledError" in ast.unparse(node.exc)
    ] == []


def test_nothing_of_ours_swallows_a_cancellation_with_everything_else() -> None:
    """A bare `except`, or one of BaseException, that does not raise again makes a process that cannot be stopped."""
    found = []
    for path, tree in python_files("BaseException", "KeyboardInterrupt", "except:"):
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler):
                continue
            caught = ast.unparse(node.type) if node.type else "BaseException"
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            if ("BaseException" in caught or "KeyboardInterrupt" in caught) and not raises:
                found.append(f"{path}:{node.lineno}")
    assert found == []


class Interruption(BaseException):
    """What is no `Exception`: a cancellation, an interrupt."""


@pytest.mark.parametrize("where", ["before the bytes", "in the bytes", "behind the bytes"])
async def test_an_interruption_that_is_no_exception_leaves_nothing_either(gateway: Gateway, where: str) -> None:
    """`except Exception` would leave the row, and the bytes until its lease is over."""

    async def events() -> AsyncIterator[FormEvent]:
        yield FieldEnd("purpose", "user_data")
        yield FileStart("file", "a.bin", "application/octet-stream")
        for place in ("before the bytes", "in the bytes", "behind the bytes"):
            if place == where:
                raise Interruption
            yield FileData(bytes(5 * MIB))

    db = Database(gateway.database_url)
    store = LocalFiles(gateway.data_dir / "files", fsync=False)
    stores = FileStores([Account("local", "local")], build=lambda _: store)
    targets = Targets(stores, ModelCatalog([], {}))
    spool = gateway.data_dir / "spool"
    intake = Intake(db, stores, SystemClock())
    create = CreateFile(intake, targets, spool, 64 * MIB, 64 * MIB)
    with leaving_nothing(gateway):
        with pytest.raises(Interruption):
            await create.run(Principal("somebody"), events())
        assert not unfinished(gateway)
    await intake.leases.close()
    await db.close()


# Threads go on where their caller was cancelled.


class Slow:
    """Holds a call in its thread until it is let go."""

    def __init__(self, patch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
        self.entered, self.go = threading.Event(), threading.Event()
        real = getattr(owner, name)

        def held(*arguments: Any, **options: Any) -> Any:
            self.entered.set()
            self.go.wait(60)
            return real(*arguments, **options)

        patch.setattr(owner, name, held)

    async def cancel_inside(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task while its thread is inside the call."""
        while not self.entered.is_set():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def open_below(folder: Path) -> list[str]:
    """What this process holds open below a folder."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = os.readlink(entry)
        except OSError:
            continue
        if target.startswith(str(folder)):
            found.append(target)
    return found


async def gone(folder: Path) -> None:
    """Wait until nothing is stored and nothing is held open."""
    end = time.monotonic() + 30
    while time.monotonic() < end and (open_below(folder) or [path for path in folder.rglob("*") if path.is_file()]):
        await asyncio.sleep(0.01)
    assert open_below(folder) == []
    assert [path for path in folder.rglob("*") if path.is_file()] == []


async def test_a_writer_that_is_cancelled_while_a_thread_opens_it_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread makes the file when nobody knows of it any more."""
    store = LocalFiles(tmp_path, fsync=False)
    slow = Slow(monkeypatch, os, "open")
    opening = asyncio.create_task(store.create(NewFile("file-slow")))
    await slow.cancel_inside(opening)
    slow.go.set()
    await asyncio.sleep(0.05)
    monkeypatch.undo()
    await gone(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "replace"])
async def test_a_commit_that_is_cancelled_while_a_thread_publishes_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """The thread publishes behind the clean-up, or works with a descriptor that is another file's by then."""
    store = LocalFiles(tmp_path, fsync=True)
    writer = await store.create(NewFile("file-slow"))
    await writer.write(b"abc")
    slow = Slow(monkeypatch, os, call)
    committing = asyncio.create_task(writer.commit())
    await slow.cancel_inside(committing)
    aborting = asyncio.create_task(writer.abort())
    await asyncio.sleep(0.05)
    assert not aborting.done()
    slow.go.set()
    await aborting
    monkeypatch.undo()
    await gone(tmp_path)


async def test_a_reader_that_is_cancelled_while_a_thread_opens_it_holds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A descriptor that nobody was told of stays open for ever."""
    store = LocalFiles(tmp_path, fsync=False)
    writer = await store.create(NewFile("file-slow"))
    await writer.write(b"abc")
    await writer.commit()
    content = await store.open("file-slow")
    slow = Slow(monkeypatch, os, "open")

    async def read() -> bytes:
        return b"".join([piece async for piece in content.read(0, 3)])

    await slow.cancel_inside(asyncio.create_task(read()))
    slow.go.set()
    await asyncio.sleep(0.05)
    monkeypatch.undo()
    end = time.monotonic() + 30
    while open_below(tmp_path) and time.monotonic() < end:
        await asyncio.sleep(0.01)
    assert open_below(tmp_path) == []


# What is decoded outside of every handler.


def methods() -> list[tuple[str, bool, bool]]:
    """Every method, and whether its requests and replies are streams."""
    return [
        (f"/{service.full_name}/{method.name}", method.client_streaming, method.server_streaming)
        for module in (files_pb2, uploads_pb2, videos_pb2, webhooks_pb2, models_pb2, system_pb2)
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


@pytest.mark.parametrize(("method", "streams_in", "streams_out"), methods())
def test_bytes_that_are_no_message_are_the_callers_mistake(
    gateway: Gateway, method: str, streams_in: bool, streams_out: bool
) -> None:
    """They fail before any handler runs, which by default is an internal error that shows the exception."""
    broken = b"\x0a\xff\xff\xff\xff\x0f\xff"
    with gateway.channel() as channel:
        kind = ("stream_" if streams_in else "unary_") + ("stream" if streams_out else "unary")
        call = getattr(channel, kind)(method)

        def ask() -> None:
            reply = call(iter([broken]) if streams_in else broken, metadata=gateway.metadata, timeout=60)
            if streams_out:
                list(reply)

        with pytest.raises(grpc.RpcError) as refused:
            ask()
    assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    said = str(refused.value.details())
    assert not [word for word in ("Error", "Exception", "parsing", "xff", "<class", "Decode") if word in said], said


# A connection that listens.


def test_only_connections_of_their_own_listen(gateway: Gateway) -> None:
    """One from the pool is given to others, or closed as idle, and hears nothing more."""
    listening = sql(
        gateway, "SELECT application_name, count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%%' GROUP BY 1"
    )
    names = {str(name): int(count) for name, count in listening}
    assert names.get("mediagate listener", 0) >= 2, "the server's feed and the worker's wake-ups"
    assert not {"mediagate", "mediagate look-up"} & set(names)


def test_a_watch_hears_on_after_every_pooled_connection_was_cut(gateway: Gateway) -> None:
    """And after its own was: what was said meanwhile is read again."""
    prompt = "[mediagate:slow=3] a boat"
    with gateway.http() as http:
        video = http.post("/v1/videos", json={"model": "local-video", "prompt": prompt, "seconds": "4"}).json()
        with http.stream("GET", f"/v1/videos/{video['id']}/events") as reply:
            lines = reply.iter_lines()
            assert next(line for line in lines if line.startswith("event:")) == "event: snapshot"
            with psycopg.connect(gateway.database_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'mediagate%'"
                )
            assert [line for line in lines if line == "event: end"] == ["event: end"]


# Time-outs that others chose.


def paced(data: bytes) -> Iterator[bytes]:
    """Pieces of `data`, at a pace at which all of them take longer than a default time-out."""
    step = len(data) // 17 + 1
    for start in range(0, len(data), step):
        yield data[start : start + step]
        time.sleep(LONGER_THAN_A_DEFAULT_S / 17)


def slow_upload(gateway: Gateway, data: bytes) -> int:
    body = form(field("purpose", "user_data"), file_part(data))
    with gateway.http() as http:
        reply = http.post("/v1/files", content=paced(body), headers={"content-type": FORM_TYPE})
        return int(reply.json()["bytes"])


def slow_native_upload(gateway: Gateway, data: bytes) -> int:
    messages = itertools.chain([metadata_message(size_bytes=len(data))], map(chunk, paced(data)))
    with gateway.channel() as channel:
        return int(file_service(channel).UploadFile(messages, metadata=gateway.metadata).bytes)


def slow_download(gateway: Gateway, data: bytes) -> int:
    file = gateway.openai().files.create(file=("a.bin", data), purpose="user_data")
    with gateway.http() as http, http.stream("GET", f"/v1/files/{file.id}/content") as reply:
        received = 0
        for piece in reply.iter_raw(len(data) // 17 + 1):
            received += len(piece)
            time.sleep(LONGER_THAN_A_DEFAULT_S / 17)
        return received


@pytest.mark.soak
def test_what_takes_longer_than_a_default_time_out_goes_through(gateway: Gateway) -> None:
    """Envoy ends a request after 15 s unless its route says otherwise, and a long one may well be an upload."""
    data = os.urandom(32 * MIB)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        running = [pool.submit(act, gateway, data) for act in (slow_upload, slow_native_upload, slow_download)]
        assert [act.result() for act in running] == [len(data)] * 3


# A body that waits to be asked for.


@pytest.mark.parametrize("path", ["/v1/files", "/v1/videos", "/v1/uploads/upload_01jd0000000000000000000000/parts"])
def test_a_wrong_key_is_told_before_the_body_is_sent(gateway: Gateway, path: str) -> None:
    """The edge says `100 Continue` before anybody looks at the key: the refusal must not wait for the body."""
    headers = [("content-type", FORM_TYPE), ("content-length", str(100 * MIB)), ("expect", "100-continue")]
    head = request_head(gateway, "POST", path, headers).replace(gateway.key.encode(), b"sk-wrong")
    with leaving_nothing(gateway), connected(gateway) as connection:
        connection.sendall(head)
        reply = read_reply(connection)
    assert reply is not None
    assert (reply.status, reply.json()["error"]["code"]) == (401, "invalid_api_key")
