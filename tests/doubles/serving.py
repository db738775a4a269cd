"""A double's server, in a thread with an event loop of its own, of which nothing is left behind the block."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from aiohttp import web

READY_S = 60.0
GONE_S = 10.0


@contextmanager
def serving(
    new_runner: Callable[[], web.BaseRunner], *, port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Serve on 127.0.0.1, on a free port where none is given. Requests that are still being answered are broken off."""
    ports: list[int] = []
    ready, stop, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        runner = new_runner()
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
        ports.append(runner.addresses[0][1])
        ready.set()
        await stop.wait()
        await runner.cleanup()
        await break_off(ports[0])

    def run() -> None:
        # Ends the tasks that still wait, too.
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(READY_S)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(GONE_S)


async def break_off(*ports: int) -> None:
    """End what is left of the connections to servers that were on these ports of this event loop: one that was accepted
    in the last moment belongs to nobody any more."""
    # What was accepted, and what is being closed, needs another turn of the loop.
    await asyncio.sleep(0.01)
    for transport in list(asyncio.get_running_loop()._transports.values()):  # type: ignore[attr-defined]
        if (transport.get_extra_info("sockname") or ("", 0))[1] in ports:
            transport.abort()
    await asyncio.sleep(0.01)
