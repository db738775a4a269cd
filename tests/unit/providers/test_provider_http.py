"""HTTP to providers: what is sent how often, what a broken connection means, and what a reader gets of a range."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mediagate.core.errors import MediagateError, ProviderFailed, ProviderTimeout, RateLimited, Unavailable
from mediagate.providers import http
from mediagate.providers.http import ProviderHttp
from mediagate.providers.http_content import HttpContent
from mediagate.providers.http_failures import pause_of
from tests.doubles.faulty import FaultyServer, answer, faulty_server
from tests.doubles.origin import running_origin

MIB = 1 << 20


async def credentials() -> dict[str, str]:
    return {"authorization": "Bearer k"}


@asynccontextmanager
async def calling(
    fault: str, answers: dict[str, bytes] | None = None, silence_s: float = 0.3
) -> AsyncIterator[tuple[ProviderHttp, FaultyServer]]:
    async with faulty_server(fault, answers) as server:
        client = ProviderHttp("The store", server.url, credentials, silence_s=silence_s)
        try:
            yield client, server
        finally:
            await client.close()


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BACK_OFF_S", 0.001)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "POST"])
@pytest.mark.parametrize(("repeatable", "sent"), [(True, 3), (False, 1)])
async def test_a_call_that_broke_is_sent_as_often_as_it_may_be(method: str, repeatable: bool, sent: int) -> None:
    async with calling("reset") as (client, server):
        with pytest.raises(ProviderFailed) as failed:
            await client.call(method, "x", repeatable=repeatable, content=b"y" * 10)
        assert failed.value.code == "provider_connection_lost"
        assert len(server.requests) == sent


async def test_a_long_pause_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PAUSE_S_MAX", 5.0)
    async with calling("429") as (client, server):
        with pytest.raises(RateLimited) as failed:
            await client.call("GET", "x")
        assert failed.value.retry_after_s == 7
        assert len(server.requests) == 1


async def test_a_server_that_stops_reading_is_a_silent_one() -> None:
    stop = asyncio.Event()

    async def never_reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await stop.wait()
        writer.transport.abort()

    server = await asyncio.start_server(never_reads, "127.0.0.1", 0, limit=1 << 16)
    client = ProviderHttp(
        "The store", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", credentials, silence_s=0.3
    )
    before = len(os.listdir("/proc/self/fd"))
    began = time.monotonic()
    with pytest.raises(ProviderTimeout):
        await client.call("PUT", "x", repeatable=False, content=b"y" * 40 * MIB)
    assert time.monotonic() - began < 20
    await client.close()
    # The connection itself ends too, though its last bytes were never taken. The server's own end is the one left.
    while len(os.listdir("/proc/self/fd")) > before + 1:
        assert time.monotonic() - began < 40
        await asyncio.sleep(0.05)
    stop.set()
    server.close()
    await asyncio.sleep(0.05)


async def test_a_body_that_takes_its_time_is_no_silence() -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(2):
            await asyncio.sleep(0.4)
            yield b"y"

    async with calling("500", {"PUT /x": answer({})}) as (client, _):
        assert (await client.call("PUT", "x", content=slow())).status_code == 200


async def test_an_empty_body_is_sent() -> None:
    async with calling("500", {"PUT /x": answer({"taken": True})}) as (client, _):
        assert await client.json("PUT", "x", content=b"") == {"taken": True}


# With a member that only httpx knows, a GET goes another way.
@pytest.mark.parametrize("more", [{}, {"timeout": 5.0}], ids=["plain", "httpx"])
async def test_cookies_are_not_kept(more: dict[str, float]) -> None:
    with running_origin() as origin:
        origin.hold("/x", b"x", headers={"set-cookie": "session=1"})
        client = ProviderHttp("Test", origin.url, credentials)
        for _ in range(2):
            assert "set-cookie" in (await client.call("GET", "x", **more)).headers
        assert ["cookie" in asked.headers for asked in origin.asked] == [False, False]
        await client.close()


async def test_where_nobody_listens_nothing_was_sent() -> None:
    async with calling("refused") as (client, _):
        with pytest.raises(Unavailable) as failed:
            await client.call("GET", "x")
        assert failed.value.code == "provider_unavailable"


DATA = bytes(range(256)) * 40


def partly(start: int, end: int, *, told: str | None = None) -> bytes:
    body = DATA[start:end]
    head = f"HTTP/1.1 206 Partial Content\r\ncontent-range: {told or f'bytes {start}-{end - 1}/{len(DATA)}'}\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


async def read(client: ProviderHttp, start: int, end: int) -> bytes:
    content = HttpContent(client, "x", size_bytes=len(DATA), content_type="text/plain")
    return b"".join([chunk async for chunk in content.read(start, end)])


@pytest.mark.parametrize("reply", [partly(100, 200), answer(DATA)], ids=["range", "no range"])
async def test_a_range_is_the_same_whether_the_server_has_ranges_or_not(reply: bytes) -> None:
    async with calling("500", {"GET /x": reply}) as (client, _):
        assert await read(client, 100, 200) == DATA[100:200]


@pytest.mark.parametrize(
    "reply",
    [partly(101, 201), partly(100, 150), answer(DATA[:150])],
    ids=["another range", "less of the range", "less of the whole"],
)
async def test_other_bytes_than_were_asked_for_are_an_error(reply: bytes) -> None:
    async with calling("500", {"GET /x": reply}) as (client, _):
        with pytest.raises(OSError, match=r"range|content"):
            await read(client, 100, 200)


@pytest.mark.parametrize("fault", ["401", "403", "429", "500", "503", "stall", "reset", "garbage", "truncated"])
async def test_no_message_tells_of_the_provider_s_insides(fault: str) -> None:
    async with calling(fault) as (client, server):
        with pytest.raises(MediagateError) as failed:
            await client.json("GET", "x")
        assert str(server.port) not in failed.value.message
        assert "10.0.0.7" not in failed.value.message


@pytest.mark.parametrize(
    ("header", "pause_s"),
    [(None, None), ("", None), ("7", 7.0), ("0.5", 0.5), ("-3", 0.0), ("soon", None)],
)
def test_what_a_pause_means(header: str | None, pause_s: float | None) -> None:
    assert pause_of(header) == pause_s


def test_a_pause_may_be_a_date() -> None:
    assert pause_of("Sat, 01 Jan 2000 00:00:00 GMT") == 0.0
    assert (pause_of("Fri, 01 Jan 2100 00:00:00 GMT") or 0) > 1e9
