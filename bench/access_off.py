"""The server of a gateway with nothing in front of its methods: every caller is the master key, nothing is limited,
nothing is logged. For `bench.access`, which compares."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

from mediagate.api.server import ApiServer
from mediagate.composition import build_parts, open_parts
from mediagate.config import Settings
from mediagate.core.objects import Principal
from mediagate.services import build_callers, build_feed, build_limits, build_pipeline, build_servicers


@dataclass(frozen=True)
class Anybody:
    """Knows one caller."""

    who: Principal = field(default_factory=lambda: Principal("master", uses_providers=True, is_admin=True))

    async def of(self, method: str, asked: Any) -> Principal:
        return self.who


async def serve(address: str) -> None:
    parts = build_parts(Settings.from_env())
    feed = build_feed(parts)

    async def ready() -> None: ...

    await open_parts(parts)
    callers = build_callers(parts)
    limits = build_limits(parts)
    servicers = build_servicers(parts, feed, ready, callers, limits)
    whole = build_pipeline(parts, servicers, callers, limits)
    server = ApiServer(servicers, type(whole)(cast(Any, Anybody()), whole.keys, whole.request_s))
    await server.start(address)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()
    await server.stop(grace_s=0)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1]))
