"""What lies under the calls to providers: connections, and bodies that are watched while they are sent."""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, Final

import aiohttp
import httpx

from mediagate.core.pace import transfer_s_max

# Shorter than the shortest that common servers keep an idle connection for.
KEEP_ALIVE_S: Final = 4.0
PIECE_BYTES: Final = 1 << 18


@functools.cache
def trusted() -> ssl.SSLContext:
    """One for all accounts: reading the certificates takes tens of milliseconds."""
    return httpx.create_ssl_context()


def new_session(connections_max: int, silence_s: float) -> aiohttp.ClientSession:
    """A session that sends everything once, keeps no cookies, and drops a connection that has been dead for
    `silence_s`."""

    def opened(address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        if sys.platform == "linux":
            # A connection is closed only when its last bytes are taken: by a server that does not read, never.
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(silence_s * 1000))
        return made

    connector = aiohttp.TCPConnector(
        limit=connections_max, ssl=trusted(), keepalive_timeout=KEEP_ALIVE_S, socket_factory=opened
    )
    session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
    # It repeats what a broken connection carried, also a PUT whose body is used up. `repeated` counts what is sent.
    session._retry_connection = False
    return session


async def pieces(content: bytes | bytearray | memoryview) -> AsyncIterator[bytes | memoryview]:
    """The body in pieces, so that each that is taken shows that the server reads on."""
    view = memoryview(content)
    for at in range(0, len(view), PIECE_BYTES):
        yield view[at : at + PIECE_BYTES]


async def watched(content: AsyncIterable[Any], limit: asyncio.Timeout, silence_s: float) -> AsyncIterator[Any]:
    """The same body; `limit` ends the request where a piece of it is not taken in time. The time that it takes to
    make the next piece does not count."""
    loop = asyncio.get_running_loop()
    async for piece in content:
        _reschedule(limit, loop.time() + silence_s)
        yield piece
        _reschedule(limit, None)


async def at_pace(
    chunks: AsyncIterable[bytes], *, longest_s: Callable[[int], float] = transfer_s_max
) -> AsyncGenerator[bytes, None]:
    """The same chunks. Raises `TimeoutError` where so many bytes take longer than `longest_s`, which counts the time
    of whoever takes them too."""
    loop = asyncio.get_running_loop()
    began, read = loop.time(), 0
    iterator = aiter(chunks)
    while True:
        async with asyncio.timeout_at(began + longest_s(read)):
            chunk = await anext(iterator, None)
        if chunk is None:
            return
        read += len(chunk)
        yield chunk


async def at_most(chunks: AsyncIterable[bytes], bytes_max: int) -> tuple[bytes, bool]:
    """All of a body, and whether that was all: at most `bytes_max` are read. Raises as `at_pace` does."""
    found = bytearray()
    async with aclosing(at_pace(chunks)) as paced:
        async for chunk in paced:
            found += chunk
            if len(found) > bytes_max:
                return bytes(found[:bytes_max]), False
    return bytes(found), True


def _reschedule(limit: asyncio.Timeout, when: float | None) -> None:
    # A server may answer before it has read the body: then the limit is over while the rest is still being sent.
    try:
        limit.reschedule(when)
    except RuntimeError:
        return
