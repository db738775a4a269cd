"""A server that answers what a test tells it to, byte for byte, and a spy on every connection of this process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from mediagate.net.fetcher import Fetched, Fetcher
from mediagate.net.urls import FetchRules
from tests.doubles.serving import close

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]] | bytes


@dataclass
class Site:
    """Answers the n-th request with the n-th reply, the last one for ever, and closes."""

    replies: Sequence[Reply]
    port: int = 0
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def header(self, name: str, request: int = -1) -> str | None:
        """The value of a header that a request had."""
        for line in self.requests[request].split("\r\n")[1:]:
            key, _, value = line.partition(": ")
            if key.lower() == name:
                return value
        return None

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            reply = self.replies[min(len(self.requests), len(self.replies)) - 1]
            if isinstance(reply, bytes):
                writer.write(reply)
                await writer.drain()
            else:
                await reply(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*replies: Reply, **options: Any) -> AsyncIterator[Site]:
    """Serve on a port of 127.0.0.1. `options` are asyncio's, for TLS."""
    site = Site(replies)
    server = await asyncio.start_server(site.answer, "127.0.0.1", 0, **options)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        await close(server)


def reply(
    body: bytes = b"", *headers: str, status: str = "200 OK", length: int | None = None, chunked: bool = False
) -> bytes:
    """An answer. `length` is what it announces, where that is not the truth."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:]) if part) + b"0\r\n\r\n"
    else:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def redirect(location: str, status: str = "302 Found") -> bytes:
    return reply(b"elsewhere", f"Location: {location}", "Set-Cookie: a=b", status=status)


def fetcher_for(
    *sites: Site, hosts: Sequence[tuple[str, int | None]] = (), resolve: Any = None, **rules: Any
) -> Fetcher:
    """A fetcher that may go to these sites, and by http."""
    allowed = frozenset([*hosts, *(("127.0.0.1", site.port) for site in sites)])
    options = {"resolve": resolve} if resolve else {}
    return Fetcher(FetchRules(**{"allow_http": True, "allowed_hosts": allowed, **rules}), **options)


async def content_of(fetcher: Fetcher, url: str, **options: Any) -> tuple[Fetched, bytes]:
    """Fetch the whole content."""
    async with fetcher.open(url, param="source", **options) as found:
        return found, b"".join([chunk async for chunk in found.read()])


_connects: list[str] | None = None
_hooked = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _connects is not None and isinstance(arguments[1], tuple):
        host = arguments[1][0]
        _connects.append(host)
        if host != "127.0.0.1":
            raise ConnectionRefusedError("no test leaves this machine")


@contextmanager
def spying() -> Iterator[list[str]]:
    """The address of every connection that this process tries to open; those that would leave the machine fail."""
    global _connects, _hooked
    if not _hooked:
        # An audit hook stays for ever, so there is one, which sleeps most of the time.
        sys.addaudithook(_hook)
        _hooked = True
    seen: list[str] = []
    _connects = seen
    try:
        yield seen
    finally:
        _connects = None
