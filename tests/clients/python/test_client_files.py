"""Files through the Python client: what is sent is what is there, whatever is wrong with it or on its way."""

from __future__ import annotations

import asyncio
import copy
import hashlib
import io
import os
import pickle
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from mediagate_client import (
    AsyncClient,
    Client,
    File,
    FileChanged,
    InvalidRequest,
    LocalFileError,
    NotFound,
    UploadInterrupted,
)
from mediagate_client._upload import UploadState
from tests.api.wire import sql
from tests.clients.python.conftest import MAINLY_REST
from tests.conftest import Gateway

MIB = 1 << 20
NAMES = (
    *("a.txt", 'with "quotes" and spaces.txt', "línea ñ 漢字 🎬.txt", "percent%22%0D.txt", "e\u0301.txt", "-rf.txt"),
    *("שלום עולם.txt", "👩‍👩‍👧.txt", "single 'quotes'; and=more, (of) [it].txt"),
)
# What a name shall not have: the gateway drops folders and control characters.
CLEANED = {"two\nlines\t.txt": "twolines.txt", "back\\slash.txt": "slash.txt", "../../up/there.txt": "there.txt"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 70 MB that does not compress and ends in the middle of a part."""
    path = tmp_path_factory.mktemp("large") / "large.bin"
    path.write_bytes(os.urandom(70 * MIB + 17))
    return path


def test_a_small_file_goes_there_and_back(media: Client, tmp_path: Path) -> None:
    path = tmp_path / "report.txt"
    path.write_bytes(b"numbers\n" * 1000)
    told: list[tuple[int, int | None]] = []
    file = media.files.upload(path, to=["local"], on_progress=lambda sent, size: told.append((sent, size)))
    assert (file.filename, file.bytes, file["purpose"], file.object) == ("report.txt", 8000, "user_data", "file")
    assert isinstance(file.bytes, int)
    assert file.mediagate.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told == [(8000, 8000)]
    assert media.files.get(file.id) == file
    assert media.files.content(file.id) == path.read_bytes()
    assert b"".join(media.files.stream(file.id, offset=8, length=7)) == b"numbers"
    (replica,) = media.files.replicas(file.id)
    assert (replica.provider, replica.state) == ("local", "ready")
    into = tmp_path / "folder"
    into.mkdir()
    assert media.files.download(file.id, into) == into / "report.txt"
    assert (into / "report.txt").read_bytes() == path.read_bytes()
    assert names(into) == {"report.txt"}
    page = media.files.list(limit=1)
    assert [one.id for one in page] == [file.id]
    deleted = media.files.delete(file.id)
    assert (deleted.id, deleted.deleted) == (file.id, True)
    with pytest.raises(NotFound) as caught:
        media.files.get(file.id)
    assert (caught.value.reason, caught.value.http_status) == ("NOT_FOUND", 404)
    assert caught.value.request_id
    assert caught.value.request_id in str(caught.value)


def test_both_wires_answer_the_same(gateway: Gateway) -> None:
    with Client(gateway.url, gateway.key) as grpc, Client(gateway.url, gateway.key, transport="rest") as rest:
        file = grpc.files.upload(b"same", filename="same.txt")
        assert rest.files.get(file.id).to_json() == grpc.files.get(file.id).to_json() == file.to_json()


def test_answers_are_copied_and_pickled(media: Client) -> None:
    file = media.files.upload(b"copied", filename="copied.txt")
    assert copy.deepcopy(file) == pickle.loads(pickle.dumps(file)) == File(file.to_dict()) == file
    assert file.expires_at is None
    with pytest.raises(KeyError):
        file["expires_at"]
    with pytest.raises(AttributeError, match="has no 'nothing'"):
        file.nothing  # noqa: B018


@pytest.mark.parametrize("name", NAMES)
def test_any_name_comes_back(media: Client, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"named")
    file = media.files.upload(path)
    assert file.filename == name
    into = tmp_path / "into"
    into.mkdir()
    media.files.download(file.id, into)
    assert names(into) == {name}


def test_folders_and_control_characters_are_no_part_of_a_name(media: Client, tmp_path: Path) -> None:
    for name, cleaned in CLEANED.items():
        file = media.files.upload(b"named", filename=name)
        assert file.filename == cleaned
        assert media.files.download(file.id, tmp_path) == tmp_path / cleaned


def test_an_empty_file_goes_there_and_back(media: Client, tmp_path: Path) -> None:
    file = media.files.upload(b"", filename="empty.txt")
    assert file.bytes == 0
    assert media.files.content(file.id) == b""
    assert media.files.download(file.id, tmp_path / "empty").read_bytes() == b""


def test_a_pipe_is_sent_without_a_length(media: Client) -> None:
    reader, writer = os.pipe()
    data = os.urandom(3 * MIB + 5)

    def fill() -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(data)

    thread = threading.Thread(target=fill)
    thread.start()
    with os.fdopen(reader, "rb") as file:
        stored = media.files.upload(file, filename="pipe.bin")
    thread.join()
    assert media.files.content(stored.id) == data


def test_a_file_is_sent_from_where_it_stands(media: Client) -> None:
    opened = io.BytesIO(b"skipped, sent")
    opened.seek(9)
    assert media.files.content(media.files.upload(opened, filename="rest.txt").id) == b"sent"


def test_a_large_file_goes_in_parts_and_comes_in_ranges(media: Client, large: Path, tmp_path: Path) -> None:
    sent: list[int] = []
    file = media.files.upload(large, parts=True, on_progress=lambda done, size: sent.append(done))
    assert file.bytes == large.stat().st_size
    assert sent[-1] == large.stat().st_size
    assert sent == sorted(sent)
    assert len(sent) == 5
    received: list[int] = []
    path = media.files.download(file.id, tmp_path / "back", on_progress=lambda done, size: received.append(done))
    assert path.read_bytes() == large.read_bytes()
    assert received[-1] == large.stat().st_size
    assert names(tmp_path) == {"back"}
    media.files.delete(file.id)


def test_a_large_file_on_a_quick_way_goes_in_one_call(media: Client, large: Path, gateway: Gateway) -> None:
    sent: list[int] = []
    file = media.files.upload(large, filename="quick.bin", on_progress=lambda done, size: sent.append(done))
    assert file.mediagate.sha256 == hashlib.sha256(large.read_bytes()).hexdigest()
    assert sent == sorted(sent)
    assert sent[-1] == large.stat().st_size
    assert sql(gateway, "SELECT state FROM upload WHERE filename = 'quick.bin'") == []
    media.files.delete(file.id)


def test_a_file_that_is_not_there_says_so(media: Client, tmp_path: Path) -> None:
    with pytest.raises(LocalFileError, match=r"nowhere.txt' cannot be read: No such file"):
        media.files.upload(tmp_path / "nowhere.txt")
    with pytest.raises(LocalFileError, match="cannot be read"):
        media.files.upload(tmp_path)
    with pytest.raises(TypeError, match="'rb'"):
        media.files.upload(io.StringIO("text"))  # type: ignore[arg-type]


def test_a_wrong_field_is_named(media: Client) -> None:
    with pytest.raises(InvalidRequest) as caught:
        media.files.upload(b"x", filename="x.txt", purpose="decoration")
    assert caught.value.http_status == 400
    assert "purpose" in str(caught.value)
    with pytest.raises(InvalidRequest):
        media.files.upload(b"x", filename="x.txt", to="nobody")


@pytest.mark.parametrize("size", [5 * MIB, 40 * MIB])
def test_a_file_that_is_written_to_meanwhile_is_not_kept(media: Client, tmp_path: Path, size: int) -> None:
    path = tmp_path / f"growing-{size}-{type(media).__name__}.bin"
    path.write_bytes(bytes(size))

    def write(sent: int, _: int | None) -> None:
        with path.open("r+b") as file:
            file.truncate(size // 2)

    with pytest.raises(FileChanged, match="nobody writes"):
        media.files.upload(path, on_progress=write)
    assert path.name not in {file.filename for file in media.files.list(limit=20)}


def test_a_file_that_vanishes_meanwhile_is_stored_whole(media: Client, tmp_path: Path) -> None:
    path = tmp_path / "vanishing.bin"
    path.write_bytes(os.urandom(5 * MIB))
    data = path.read_bytes()
    file = media.files.upload(path, on_progress=lambda *_: path.unlink(missing_ok=True))
    assert media.files.content(file.id) == data


STOPS = """
import asyncio, os, signal, sys, time
from mediagate_client import AsyncClient, Client, UploadStopped
url, key, wire, path, name, parts = sys.argv[1:]
given = {"filename": name, "parts": parts == "parts"}
told = []

def stop(sent, size):
    told.append(sent)
    if len(told) == 2:
        os.kill(os.getpid(), signal.SIGINT)
    # Where another thread takes the signal, the main one hears of it when it looks.
    time.sleep(0.02)

def wait():
    Client(url, key, transport=wire).files.upload(path, on_progress=stop, **given)

async def go():
    async with AsyncClient(url, key, transport=wire) as client:
        await client.files.upload(path, on_progress=stop, **given)

"""


@pytest.mark.parametrize("call", ["wait()", "asyncio.run(go())"])
@MAINLY_REST
def test_ctrl_c_leaves_parts_that_an_upload_goes_on_with(
    gateway: Gateway, media: Client, wire: str, large: Path, call: str
) -> None:
    name = f"stopped-{wire}-{call[:4]}.bin"
    given = (gateway.url, gateway.key, wire, str(large), name, "parts")
    done = subprocess.run([sys.executable, "-c", STOPS + call, *given], capture_output=True, text=True, timeout=60)
    assert "KeyboardInterrupt" in done.stderr or "UploadStopped" in done.stderr, done.stderr
    assert "never retrieved" not in done.stderr
    assert "`files.discard` drops them" in done.stderr
    found = re.search(r"resume='({.*})'", done.stderr)
    assert found, done.stderr
    assert 0 < len(UploadState.parse(found[1]).parts) < 5
    if call == "wait()":
        file = media.files.upload(large, filename=name, resume=found[1])
        assert file.bytes == large.stat().st_size
        media.files.delete(file.id)
        return
    media.files.discard(found[1])
    assert [row[0] for row in sql(gateway, "SELECT state FROM upload WHERE filename = %s", name)] == ["cancelled"]


def test_ctrl_c_leaves_nothing_of_one_call(gateway: Gateway, wire: str, large: Path) -> None:
    script = STOPS + "try:\n    wait()\nexcept UploadStopped:\n    pass\n"
    given = (gateway.url, gateway.key, wire, str(large), f"left-{wire}.bin", "whole")
    done = subprocess.run([sys.executable, "-c", script, *given], capture_output=True, text=True, timeout=60)
    assert done.stderr.endswith("KeyboardInterrupt\n"), done.stderr
    query = "SELECT state FROM file WHERE filename = %s AND state = 'processed'"
    assert list(sql(gateway, query, f"left-{wire}.bin")) == []


async def test_a_caller_who_leaves_at_the_very_end_leaves_no_file(gateway: Gateway, wire: str, large: Path) -> None:
    name = f"late-{wire}.bin"
    kept = []
    loop = asyncio.get_running_loop()
    async with AsyncClient(gateway.url, gateway.key, transport=wire) as client:  # type: ignore[arg-type]
        for wait_s in (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 30):
            uploads: list[asyncio.Task[File]] = []

            def leave(sent: int, size: int | None, wait_s: float = wait_s, uploads: list[Any] = uploads) -> None:
                if sent == size:
                    loop.call_later(wait_s, uploads[0].cancel)

            uploads.append(loop.create_task(client.files.upload(large, filename=name, parts=False, on_progress=leave)))
            with suppress(asyncio.CancelledError):
                kept.append((await uploads[0]).id)
    assert 1 <= len(kept) < 7
    left = sql(gateway, "SELECT id FROM file WHERE filename = %s AND state = 'processed'", name)
    assert sorted(row[0] for row in left) == sorted(kept)


async def test_the_async_client_does_the_same(gateway: Gateway, wire: str, tmp_path: Path) -> None:
    async with AsyncClient(gateway.url, gateway.key, transport=wire) as client:  # type: ignore[arg-type]
        file = await client.files.upload(b"async", filename="async.txt")
        copied = await client.files.copy(file.id, to="local")
        assert copied.id != file.id
        assert await client.files.content(copied.id) == b"async"
        assert (await client.files.download(copied.id, tmp_path / "x")).read_bytes() == b"async"
        assert copied.id in [one.id for one in await client.files.list()]
        await client.files.delete(copied.id)


@MAINLY_REST
def test_what_on_progress_raises_comes_as_it_is(media: Client, large: Path, tmp_path: Path) -> None:
    class Enough(Exception): ...

    def stop(_: int, __: int | None) -> None:
        raise Enough

    file = media.files.upload(large, filename="enough.bin", parts=False)
    for transfer in (
        lambda: media.files.upload(b"enough", filename="no-more.bin", on_progress=stop),
        lambda: media.files.upload(large, filename="no-more.bin", on_progress=stop, parts=True),
        lambda: media.files.download(file.id, tmp_path / "no-more.bin", on_progress=stop),
    ):
        with pytest.raises(Enough):
            transfer()
    assert "no-more.bin" not in {one.filename for one in media.files.list(limit=20)}
    assert names(tmp_path) == set()


@MAINLY_REST
async def test_a_named_pipe_without_a_writer_holds_nobody_up(gateway: Gateway, wire: str, tmp_path: Path) -> None:
    named = tmp_path / "named"
    os.mkfifo(named)
    async with AsyncClient(gateway.url, gateway.key, transport=wire) as client:  # type: ignore[arg-type]
        upload = asyncio.create_task(client.files.upload(named))
        assert not (await asyncio.wait([upload], timeout=0.1))[0]
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        # Lets the thread go that still opens it.
        os.close(os.open(named, os.O_RDWR))
        os.mkfifo(tmp_path / "written")
        upload = asyncio.create_task(client.files.upload(tmp_path / "written"))
        await asyncio.to_thread((tmp_path / "written").write_bytes, b"piped")
        assert await client.files.content((await upload).id) == b"piped"


def test_resume_of_an_upload_that_nobody_knows(media: Client, large: Path) -> None:
    with pytest.raises(ValueError, match="no state"):
        media.files.upload(large, resume="{}")
    assert UploadInterrupted.retryable


async def test_an_idempotency_key_may_be_written_as_http_does(gateway: Gateway, wire: str) -> None:
    headers = {"Idempotency-Key": f"written-{wire}-{time.time_ns()}"}
    async with AsyncClient(gateway.url, gateway.key, transport=wire) as client:  # type: ignore[arg-type]
        files = [await client.files.upload(b"once", filename="once.txt", headers=headers) for _ in range(2)]
        assert files[0].id == files[1].id
        answers = [
            await client.files.delete(files[0].id, headers={"Idempotency-Key": f"{wire}-gone"}) for _ in range(2)
        ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("parts", [True, False])
def test_headers_of_an_upload_count_however_it_goes(media: Client, large: Path, parts: bool) -> None:
    file = media.files.upload(large, parts=parts, headers={"X-Mediagate-User": "zoe"})
    assert file.mediagate.user == "zoe"
    media.files.delete(file.id)


def test_a_header_of_any_text_goes_over_rest_alone(media: Client, wire: str) -> None:
    if wire == "rest":
        assert media.files.upload(b"1", filename="1", headers={"x-mediagate-user": "Zoë ☃"}).mediagate.user == "Zoë ☃"
        return
    with pytest.raises(InvalidRequest, match="which gRPC cannot carry"):
        media.files.list(headers={"x-mediagate-user": "Zoë ☃"})
    assert media.files.upload(b"1", filename="1", user="Zoë ☃").mediagate.user == "Zoë ☃"


def test_an_upload_with_a_key_of_the_callers_stays_one_call(media: Client, wire: str, large: Path) -> None:
    headers = {"Idempotency-Key": f"large-{wire}-{time.time_ns()}"}
    first, again = (
        media.files.upload(large, headers=headers, on_progress=lambda *_: time.sleep(0.03)) for _ in range(2)
    )
    assert first.id == again.id
    media.files.delete(first.id)
