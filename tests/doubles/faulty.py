"""A server that fails in one chosen way, for every request but those that it is told how to answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.doubles.serving import close

FAULTS = ("refused", "401", "403", "404", "429", "500", "503", "stall", "reset", "truncated", "garbage")
_JSON = b"content-type: application/json\r\n"


def answer(
    body: bytes | Mapping[str, object], *, status: str = "200 OK", content_type: str = "application/json"
) -> bytes:
    """A whole HTTP answer, for `answers`."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(data)}\r\n\r\n"
    return head.encode() + data


@dataclass
class FaultyServer:
    """What it met: one line, such as `GET /v1/files`, for each request that it failed.

    `answers` holds what it answers well: a whole answer by the beginning of such a line, of which the longest that
    fits is taken; a key that ends in `$` fits the whole path only.
    """

    fault: str
    answers: Mapping[str, bytes] = field(default_factory=dict)
    port: int = 0
    requests: list[str] = field(default_factory=list)
    handlers: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection, in a task that the end of the test can stop."""
        task = asyncio.ensure_future(self._serve(reader, writer))
        self.handlers.add(task)
        task.add_done_callback(self.handlers.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines[1:]}
                request = " ".join(lines[0].split(" ")[:2])
                if (good := self._good(request)) is not None:
                    await self._body(reader, headers, writer)
                    writer.write(good)
                    continue
                self.requests.append(request)
                if self.fault == "reset":
                    await reader.read(1000) if headers.get("content-length", "0") != "0" else None
                    writer.transport.abort()
                    return
                await self._body(reader, headers, writer)
                if self.fault == "stall":
                    await asyncio.sleep(3600)
                writer.write(self._bad())
                await writer.drain()
                if self.fault == "truncated":
                    break
        writer.close()

    def _good(self, request: str) -> bytes | None:
        path = request.partition("?")[0]
        fits = [key for key in self.answers if (path == key[:-1] if key.endswith("$") else request.startswith(key))]
        return self.answers[max(fits, key=len)] if fits else None

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await reader.readline()).split(b";")[0], 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        else:
            await reader.readexactly(int(headers.get("content-length") or 0))

    def _bad(self) -> bytes:
        if self.fault == "garbage":
            return answer(b"<html>no!")
        if self.fault == "truncated":
            return b"HTTP/1.1 200 OK\r\n" + _JSON + b'content-length: 500\r\n\r\n{"id": "file-'
        body = b'{"error": {"message": "secret-host-10.0.0.7 says no", "type": "x", "code": "y"}}'
        more = b"retry-after: 7\r\n" if self.fault == "429" else b""
        length = f"content-length: {len(body)}\r\n\r\n".encode()
        return f"HTTP/1.1 {self.fault} Fault\r\n".encode() + more + _JSON + length + body


@asynccontextmanager
async def faulty_server(fault: str, answers: Mapping[str, bytes] | None = None) -> AsyncIterator[FaultyServer]:
    """A server that fails like `fault`; `refused` is a port where nobody listens."""
    double = FaultyServer(fault, answers or {})
    server = await asyncio.start_server(double.accept, "127.0.0.1", 0)
    double.port = server.sockets[0].getsockname()[1]
    if fault == "refused":
        server.close()
        await server.wait_closed()
    try:
        yield double
    finally:
        await close(server)
        for task in list(double.handlers):
            task.cancel()
        await asyncio.gather(*double.handlers, return_exceptions=True)
