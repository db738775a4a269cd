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
TURNS = 10


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
        await end(runner)

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


async def end(runner: web.BaseRunner) -> None:
    """Stop a server of aiohttp's and everything that it accepted."""
    servers = [site._server for site in runner.sites]  # type: ignore[attr-defined]
    ports = [port_of(server) for server in servers]
    for server in servers:
        await stop_accepting(server)
    await runner.cleanup()
    await break_off(*ports)


async def close(server: asyncio.Server) -> None:
    """The same for a server of asyncio's."""
    port = port_of(server)
    await stop_accepting(server)
    server.close()
    await break_off(port)


def port_of(server: asyncio.Server) -> int:
    """Where it listens; 0 where it does no more."""
    return int(server.sockets[0].getsockname()[1]) if server.sockets else 0


async def stop_accepting(server: asyncio.Server) -> None:
    """Accept nothing from here on. CPython never closes what it accepts in the turn of the loop in which the server is
    closed: its transport refuses to be made (`Server._attach`)."""
    for listening in server.sockets:
        asyncio.get_running_loop().remove_reader(listening.fileno())
    # What was accepted before becomes a connection.
    for _ in range(TURNS):
        await asyncio.sleep(0)


async def break_off(*ports: int) -> None:
    """End what is left of the connections to servers that were on these ports of this event loop."""
    for transport in list(asyncio.get_running_loop()._transports.values()):  # type: ignore[attr-defined]
        if (transport.get_extra_info("sockname") or ("", 0))[1] in ports:
            transport.abort()
    # What is being closed needs another turn of the loop.
    await asyncio.sleep(0.01)
