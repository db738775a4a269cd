"""A form on its way: back-pressure, refusals before its end, callers that go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from mediagate.core.errors import InvalidRequest, ProviderTimeout
from mediagate.core.ids import new_file_id
from mediagate.providers import http
from mediagate.providers.account import Account
from mediagate.providers.files import FileProvider, NewFile
from mediagate.providers.registry import build_files
from tests.contract.suite import MIB

REFUSED = b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}"


@dataclass
class Slow:
    """A server that reads the head of a request, then only as much as it is told."""

    may_read: asyncio.Event = field(default_factory=asyncio.Event)
    answer: bytes = b""
    port: int = 0
    taken: int = 0
    broken: asyncio.Event = field(default_factory=asyncio.Event)
    serving: int = 0
    all_served: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serving += 1
        self.all_served.clear()
        try:
            await self._serve(reader, writer)
        finally:
            writer.transport.abort()
            self.serving -= 1
            if self.serving == 0:
                self.all_served.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"POST") and self.answer:
            writer.write(self.answer)
            await writer.drain()
        await self.may_read.wait()
        while data := await reader.read(1 << 16):
            self.taken += len(data)
        self.broken.set()


@asynccontextmanager
async def slow(**options: object) -> AsyncIterator[tuple[Slow, FileProvider]]:
    double = Slow()
    server = await asyncio.start_server(double.serve, "127.0.0.1", 0, limit=1 << 16)
    double.port = server.sockets[0].getsockname()[1]
    provider = build_files(
        Account("x", "xai", api_key="k", api_base=f"http://127.0.0.1:{double.port}", options=options)
    )
    try:
        yield double, provider
    finally:
        # The server reads to the end of each connection, so that neither side of one is left to the collector.
        double.may_read.set()
        await provider.close()
        await asyncio.wait_for(double.all_served.wait(), 40)
        server.close()


async def write_until_held(write: Callable[[bytes], Awaitable[None]], most: int) -> int:
    """How many bytes are taken before a write waits."""
    taken = 0
    while taken < most:
        try:
            await asyncio.wait_for(asyncio.ensure_future(write(b"x" * MIB)), 0.3)
        except TimeoutError:
            return taken
        taken += MIB
    return taken


@pytest.mark.parametrize("size_bytes", [None, 40 * MIB])
async def test_a_provider_that_does_not_read_stops_the_writer(size_bytes: int | None) -> None:
    async with slow(timeout=30) as (double, provider):
        writer = await provider.create(NewFile(key=new_file_id(), size_bytes=size_bytes))
        taken = await write_until_held(writer.write, 40 * MIB)
        # What the feed may hold, and what two sockets do.
        assert taken <= http.FEED_BYTES + 12 * MIB
        double.may_read.set()
        await asyncio.wait_for(writer.write(b"x"), 40)
        await writer.abort()
        await asyncio.wait_for(double.broken.wait(), 40)


async def test_a_provider_that_never_reads_on_is_a_stall() -> None:
    async with slow(timeout=0.5) as (_, provider):
        writer = await provider.create(NewFile(key=new_file_id()))
        with pytest.raises(ProviderTimeout):
            for _ in range(40):
                await writer.write(b"x" * MIB)
        await writer.abort()


async def test_a_refusal_before_the_end_shows_in_the_next_write() -> None:
    async with slow(timeout=20) as (double, provider):
        double.answer = REFUSED
        writer = await provider.create(NewFile(key=new_file_id()))
        with pytest.raises(InvalidRequest) as failed:
            for _ in range(100):
                await writer.write(b"x" * MIB)
        assert failed.value.code == "provider_rejected_file"
        await writer.abort()


@pytest.mark.parametrize("step", ["write", "commit"])
async def test_a_caller_that_goes_away_breaks_the_form_off(step: str) -> None:
    async with slow(timeout=20) as (double, provider):
        writer = await provider.create(NewFile(key=new_file_id()))
        await writer.write(b"x")
        going = asyncio.ensure_future(writer.commit() if step == "commit" else write_all(writer.write))
        await asyncio.sleep(0.1)
        going.cancel()
        with pytest.raises(asyncio.CancelledError):
            await going
        double.may_read.set()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mediagate.providers.form_writer.ABORT_S", 0.2)
            await asyncio.wait_for(writer.abort(), 20)
        await asyncio.wait_for(double.broken.wait(), 20)


async def write_all(write: Callable[[bytes], Awaitable[None]]) -> None:
    for _ in range(100):
        await write(b"x" * MIB)
