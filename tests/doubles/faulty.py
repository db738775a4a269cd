"""A server that fails in one chosen way, for every request or for those behind the first few that another answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

FAULTS = ("401", "403", "404", "429", "500", "503", "stall", "reset", "truncated", "garbage")
_JSON = b"content-type: application/json\r\n"


@dataclass
class FaultyServer:
    """What it met: one line, such as `GET /v1/files`, for each request."""

    fault: str
    port: int = 0
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("latin-1").split("\r\n")
                self.requests.append(" ".join(lines[0].split(" ")[:2]))
                if self.fault == "reset":
                    await reader.read(1000)
                    writer.transport.abort()
                    return
                await self._body(
                    reader, {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines}, writer
                )
                if self.fault == "stall":
                    await asyncio.sleep(3600)
                writer.write(self._answer())
                await writer.drain()
                if self.fault == "truncated":
                    writer.close()
                    return
        writer.close()

    async def _body(self, reader: asyncio.StreamReader, headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        if headers.get("expect", "").lower() == "100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            while size := int((await reader.readline()).split(b";")[0], 16):
                await reader.readexactly(size + 2)
            await reader.readline()
        else:
            await reader.readexactly(int(headers.get("content-length") or 0))

    def _answer(self) -> bytes:
        if self.fault == "garbage":
            return b"HTTP/1.1 200 OK\r\n" + _JSON + b"content-length: 9\r\n\r\n<html>no!"[:-1]
        if self.fault == "truncated":
            return b"HTTP/1.1 200 OK\r\n" + _JSON + b'content-length: 500\r\n\r\n{"id": "file-'
        body = b'{"error": {"message": "secret-host-10.0.0.7 says no", "type": "x", "code": "y"}}'
        more = b"retry-after: 7\r\n" if self.fault == "429" else b""
        return (
            f"HTTP/1.1 {self.fault} Fault\r\n".encode()
            + more
            + _JSON
            + f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )


@asynccontextmanager
async def faulty_server(fault: str) -> AsyncIterator[FaultyServer]:
    """A server that fails like `fault`; `refused` is a port where nobody listens."""
    double = FaultyServer(fault)
    server = await asyncio.start_server(double.serve, "127.0.0.1", 0)
    double.port = server.sockets[0].getsockname()[1]
    if fault == "refused":
        server.close()
        await server.wait_closed()
    try:
        yield double
    finally:
        server.close()
        server.close_clients() if hasattr(server, "close_clients") else None
