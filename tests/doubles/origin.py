"""An HTTP origin that holds objects and fails in every way an origin can: refuses, stalls, lies, breaks off.

It runs in a thread with an event loop of its own, keeps what it was asked, and serves ranges as RFC 9110 says.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.serving import serving

PIECE_BYTES = 1 << 16


@dataclass
class Held:
    """One object and what is wrong with it.

    `status` answers with that and no content. `wait_s` passes before the first byte. `reset_at` breaks the connection
    after so many bytes of the body, before the headers where it is -1; `resets` how often, always where it is None.
    `declared` is the length that the headers claim.
    `chunked` tells no length. `ignores_range` always sends the whole.
    """

    data: bytes = b""
    status: int = 200
    wait_s: float = 0.0
    reset_at: int | None = None
    resets: int | None = None
    declared: int | None = None
    chunked: bool = False
    ignores_range: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request as it came. `headers` has lower-case names; `raw_path` is the target with its query."""

    method: str
    raw_path: str
    headers: dict[str, str]
    body: bytes


class Origin:
    """Objects by path, and every request so far."""

    def __init__(self) -> None:
        self.objects: dict[str, Held] = {}
        self.asked: list[Asked] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Where it answers over HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def hold(self, path: str, data: bytes, **faults: Any) -> Held:
        """Put an object there."""
        self.objects[path] = Held(data, **faults)
        return self.objects[path]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Serve or fail as the object says."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append(Asked(request.method, request.raw_path, headers, await request.read()))
        held = self.objects.get(request.path, Held(status=404))
        await asyncio.sleep(held.wait_s)
        if held.reset_at == -1 and held.resets != 0:
            held.resets = None if held.resets is None else held.resets - 1
            return _broken(request)
        if held.status != 200:
            return web.Response(status=held.status, text="<Secret>bucket-of-origin</Secret>", headers=held.headers)
        return await _send(request, held)


async def _send(request: web.Request, held: Held) -> web.StreamResponse:
    size, asked_range = len(held.data), request.http_range
    ranged = "range" in request.headers and not held.ignores_range
    start, end, _ = asked_range.indices(size) if ranged else (0, size, 1)
    if ranged and start >= end:
        return web.Response(status=416, headers={"content-range": f"bytes */{size}"})
    response = web.StreamResponse(status=206 if ranged else 200, headers=held.headers)
    if ranged:
        response.headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    if not held.chunked:
        response.content_length = (end - start) if held.declared is None else held.declared
    await response.prepare(request)
    if request.method != "HEAD":
        stop = end if held.reset_at is None or held.reset_at < 0 else min(end, start + held.reset_at)
        for at in range(start, stop, PIECE_BYTES):
            await response.write(held.data[at : min(stop, at + PIECE_BYTES)])
        if stop < end:
            await asyncio.sleep(0.05)
            return _broken(request, response)
        if held.declared is not None and held.declared != end - start:
            assert request.transport is not None
            request.transport.close()
            return response
    await response.write_eof()
    return response


def _broken(request: web.Request, response: web.StreamResponse | None = None) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return response or web.Response()


@contextmanager
def running_origin(tls: ssl.SSLContext | None = None) -> Iterator[Origin]:
    """An origin on a free port of 127.0.0.1, gone behind the block."""
    origin = Origin()
    with serving(lambda: web.ServerRunner(web.Server(_handler(origin)), shutdown_timeout=0.1), tls=tls) as origin.port:
        yield origin


def _handler(origin: Origin) -> Any:
    async def handle(request: Any) -> web.StreamResponse:
        return await origin.answer(request)

    return handle
