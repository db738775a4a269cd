"""A server that answers every request with one script: pieces of a body, and points where it waits for the test."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.serving import close


@dataclass(frozen=True)
class Seen:
    """A request as it came; header names in lower case. `target` is the path as it was sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class StreamServer:
    """`script` holds the body's pieces; at an event it waits until the test sets it. `cut` breaks the connection off
    behind the last, instead of ending the body. `gone` is set when a client goes away in the middle."""

    script: Sequence[bytes | asyncio.Event]
    content_type: str
    status: str = "200 OK"
    headers: Sequence[tuple[str, str]] = ()
    cut: bool = False
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    handlers: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection, in a task that the end of the test can stop."""
        self.connections += 1
        task = asyncio.ensure_future(self._serve(reader, writer))
        self.handlers.add(task)
        task.add_done_callback(self.handlers.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines[1:-2]}
                method, target, _ = lines[0].split(" ")
                self.seen.append(Seen(method, target, headers, await _body(reader, headers)))
                more = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
                writer.write(
                    f"HTTP/1.1 {self.status}\r\ncontent-type: {self.content_type}\r\n{more}"
                    "transfer-encoding: chunked\r\n\r\n".encode()
                )
                if not await self._play(reader, writer):
                    return
        writer.close()

    async def _play(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Tell whether the connection may be used again."""
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            for piece in self.script:
                if isinstance(piece, asyncio.Event):
                    waiting = asyncio.ensure_future(piece.wait())
                    await asyncio.wait([waiting, leaving], return_when=asyncio.FIRST_COMPLETED)
                    waiting.cancel()
                    if leaving.done():
                        self.gone.set()
                        writer.close()
                        return False
                elif piece:
                    writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    await writer.drain()
            if self.cut:
                # What was written has to leave first.
                await asyncio.sleep(0.05)
                writer.transport.abort()
                return False
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        finally:
            leaving.cancel()
            # The stream takes no second reader before the first has left.
            await asyncio.wait([leaving])
        return True


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length") or 0))
    body = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return bytes(body)


@asynccontextmanager
async def stream_server(
    *script: bytes | asyncio.Event, content_type: str = "text/event-stream", **options: Any
) -> AsyncIterator[StreamServer]:
    """The server, on a free port of this event loop."""
    double = StreamServer(script, content_type, **options)
    server = await asyncio.start_server(double.accept, "127.0.0.1", 0)
    double.port = server.sockets[0].getsockname()[1]
    try:
        yield double
    finally:
        await close(server)
        for task in list(double.handlers):
            task.cancel()
        await asyncio.gather(*double.handlers, return_exceptions=True)
