"""A reverse proxy that does to some requests what networks and overloaded servers do, and keeps a journal of all."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import aiohttp
from aiohttp import web
from yarl import URL

from tests.doubles.serving import end

SLOW_S: Final = 0.5
PAUSE_S: Final = 1
_HOPS: Final = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "content-length", "expect", "date", "server")
)
_PAGE: Final = "<html><body>the front has no good day</body></html>"


class Fault(StrEnum):
    """What happens to a request."""

    ERROR = "500"
    AWAY = "503"
    BUSY = "429"
    """With a Retry-After."""
    UNAUTHORIZED = "401"
    LOST = "cut before it was forwarded"
    UNHEARD = "cut in the place of the answer"
    GARBLED = "half of the answer, as if that were all"
    TORN = "cut in the middle of the answer's body"
    SLOW = "answered late"


STATUSES: Final = {Fault.ERROR: 500, Fault.AWAY: 503, Fault.BUSY: 429, Fault.UNAUTHORIZED: 401}
FORWARDED: Final = frozenset((Fault.UNHEARD, Fault.GARBLED, Fault.TORN, Fault.SLOW))
"""Faults of requests that reach the server all the same."""


@dataclass
class Met:
    """One request. `target` is its path with its query; `at` is in seconds of the monotonic clock."""

    method: str
    target: str
    body: bytes
    at: float
    fault: Fault | None = None

    @property
    def is_forwarded(self) -> bool:
        """Whether the server has seen it."""
        return self.fault is None or self.fault in FORWARDED

    def names(self, word: str) -> bool:
        """Whether its path or its body holds `word`."""
        return word in self.target or word.encode() in self.body


Choose = Callable[[Met], Fault | None]


@dataclass
class Proxy:
    """One place in front of one server on this machine. `met` is its journal."""

    upstream: int
    choose: Choose
    port: int = 0
    met: list[Met] = field(default_factory=list)


class Chaos:
    """All proxies of a test, in one thread with an event loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._runners: list[web.ServerRunner] = []
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Chaos]:
        """Run until the block ends."""
        made = cls()
        thread = threading.Thread(target=made._loop.run_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            asyncio.run_coroutine_threadsafe(made._close(), made._loop).result(30)
            made._loop.call_soon_threadsafe(made._loop.stop)
            thread.join(10)
            made._loop.close()

    def before(self, port: int, choose: Choose) -> Proxy:
        """A proxy in front of what listens on `port`. `choose` says what happens to each request."""
        proxy = Proxy(port, choose)
        asyncio.run_coroutine_threadsafe(self._open(proxy), self._loop).result(30)
        return proxy

    async def _open(self, proxy: Proxy) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=1.0),
                auto_decompress=False,
                skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
            )

        async def handle(request: Any) -> web.StreamResponse:
            return await self._answer(proxy, request)

        runner = web.ServerRunner(web.Server(handle, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        proxy.port = runner.addresses[0][1]
        self._runners.append(runner)

    async def _close(self) -> None:
        for runner in self._runners:
            await end(runner)
        if self._session is not None:
            await self._session.close()

    async def _answer(self, proxy: Proxy, request: web.BaseRequest) -> web.StreamResponse:
        met = Met(request.method, request.raw_path, await request.read(), time.monotonic())
        met.fault = proxy.choose(met)
        proxy.met.append(met)
        if met.fault is Fault.LOST:
            return _cut(request)
        if met.fault in STATUSES:
            headers = {"retry-after": str(PAUSE_S)} if met.fault is Fault.BUSY else {}
            return web.Response(status=STATUSES[met.fault], text=_PAGE, content_type="text/html", headers=headers)
        if met.fault is Fault.SLOW:
            await asyncio.sleep(SLOW_S)
        return await self._forwarded(proxy, request, met)

    async def _forwarded(self, proxy: Proxy, request: web.BaseRequest, met: Met) -> web.StreamResponse:
        assert self._session is not None
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOPS]
        url = URL(f"http://127.0.0.1:{proxy.upstream}{met.target}", encoded=True)
        sent = met.body if met.body or "content-length" in request.headers else None
        async with self._session.request(met.method, url, headers=headers, data=sent, allow_redirects=False) as answer:
            body = await answer.read()
            kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _HOPS]
            length = answer.headers.get("content-length")
        if met.fault is Fault.UNHEARD:
            return _cut(request)
        if met.fault is Fault.GARBLED:
            body = body[: len(body) // 2]
        response = web.StreamResponse(status=answer.status, headers=kept)
        response.content_length = int(length or 0) if met.method == "HEAD" else len(body)
        await response.prepare(request)
        if met.fault is Fault.TORN:
            # Another place each time, as it is with connections; an output that always ends at one place ends there.
            await response.write(body[: int(met.at * 1e6) % max(1, len(body))])
            return _cut(request, response)
        if met.method != "HEAD":
            await response.write(body)
        await response.write_eof()
        return response


def _cut(request: web.BaseRequest, response: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return response or web.Response()
