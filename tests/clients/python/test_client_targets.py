"""Where a download is written to: two that meet there, what is no file, and a caller who leaves at the last moment."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from mediagate_client import AsyncClient, Client, LocalFileError
from tests.clients.python.conftest import MAINLY_GRPC
from tests.conftest import Gateway

MIB = 1 << 20


@MAINLY_GRPC
async def test_two_downloads_to_one_place_are_both_whole(gateway: Gateway, wire: str, tmp_path: Path) -> None:
    data = os.urandom(20 * MIB)
    path = tmp_path / "met.bin"
    async with AsyncClient(gateway.url, gateway.key, transport=wire) as client:  # type: ignore[arg-type]
        file = await client.files.upload(data, filename="met.bin")
        await asyncio.gather(*(client.files.download(file.id, path, resume=True) for _ in range(3)))
        assert path.read_bytes() == data
        path.unlink()
        # A name that is there by the end is kept, as one that was there before.
        ends = await asyncio.gather(
            *(client.files.download(file.id, tmp_path, resume=True, overwrite=False) for _ in range(2)),
            return_exceptions=True,
        )
    assert sorted(type(end).__name__ for end in ends) == ["LocalFileError", type(path).__name__]
    assert [one.name for one in tmp_path.iterdir()] == ["met.bin"]
    assert path.read_bytes() == data


@MAINLY_GRPC
def test_a_caller_who_leaves_at_the_very_end_gets_no_file(
    gateway: Gateway, wire: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(MIB)
    path, durable, go_on = tmp_path / "late.bin", threading.Event(), threading.Event()
    fsync = os.fsync

    def slowly(descriptor: int) -> None:
        fsync(descriptor)
        durable.set()
        go_on.wait(60)

    async def leave() -> str:
        async with AsyncClient(gateway.url, gateway.key, transport=wire) as client:  # type: ignore[arg-type]
            file = await client.files.upload(data, filename="late.bin")
            monkeypatch.setattr(os, "fsync", slowly)
            download = asyncio.create_task(client.files.download(file.id, path, resume=True))
            await asyncio.to_thread(durable.wait, 60)
            download.cancel()
            with pytest.raises(asyncio.CancelledError):
                await download
            go_on.set()
            return file.id

    # Waits for the threads of its loop, the one that would give the file its name among them.
    file_id = asyncio.run(leave())
    monkeypatch.undo()
    assert not path.exists()
    assert len(list(tmp_path.iterdir())) == 2
    with Client(gateway.url, gateway.key) as other:
        other.files.download(file_id, path, resume=True)
    assert path.read_bytes() == data
    assert [one.name for one in tmp_path.iterdir()] == ["late.bin"]


@MAINLY_GRPC
def test_what_is_no_file_is_not_replaced(media: Client, tmp_path: Path) -> None:
    file = media.files.upload(b"bytes", filename="bytes.bin")
    os.mkfifo(tmp_path / "pipe")
    for target, why in ((tmp_path / "pipe", "no file"), (tmp_path / ("x" * 300), "too long")):
        with pytest.raises(LocalFileError, match=why):
            media.files.download(file.id, target)
    assert [one.is_fifo() for one in tmp_path.iterdir()] == [True]
