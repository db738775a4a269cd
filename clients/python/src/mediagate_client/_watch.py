"""Watches that mend themselves: a cut is followed by a question for what came since, and nothing is told twice."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from mediagate_client._errors import MediagateError, TimedOut
from mediagate_client._transport import Json, Options, Transport, pause_s
from mediagate_client._types import VideoEvent

# How often in a row a watch may be cut without an event, on the way to nowhere.
CUTS_MAX = 8
# A connection that held so long was no failure, whether it had news or not.
STEADY_S = 30.0
PAUSE_S = 0.2
# Videos whose last event is remembered: those of the seconds that the gateway may tell a second time.
REMEMBERED = 10_000


async def one(
    transport: Transport, options: Options, video_id: str, after_seq: int | None
) -> AsyncGenerator[VideoEvent]:
    """Every event of a video, its last one last."""
    seen, begun = after_seq, False

    def asked() -> Json:
        return {"video_id": video_id, **({} if seen is None else {"after_seq": seen})}

    async with aclosing(_mended(transport, options, "WatchVideo", asked)) as events:
        async for event in events:
            if event.type == "snapshot" and begun:
                # The first of a mended watch; what it has is told by the events behind it.
                continue
            begun, seen = True, max(seen or 0, event.seq)
            yield event
            if event.type in ("end", "deleted"):
                return


async def every(
    transport: Transport, options: Options, after: str | None, user: str | None
) -> AsyncGenerator[VideoEvent]:
    """Every event of all videos of the caller, without an end."""
    seen: OrderedDict[str, int] = OrderedDict()
    cursor = after

    def asked() -> Json:
        given = {"after": cursor, "user": user}
        return {name: value for name, value in given.items() if value is not None}

    async with aclosing(_mended(transport, options, "WatchVideos", asked)) as events:
        async for event in events:
            cursor = event.cursor or cursor
            if event.type != "deleted" and event.seq <= seen.get(event.video_id, -1):
                continue
            seen[event.video_id] = event.seq
            seen.move_to_end(event.video_id)
            if len(seen) > REMEMBERED:
                seen.popitem(last=False)
            yield event


async def _mended(
    transport: Transport, options: Options, method: str, asked: Callable[[], Json]
) -> AsyncGenerator[VideoEvent]:
    """The events of as many connections as it takes; each begins with what is `asked` by then."""
    cuts = 0
    while True:
        began = time.monotonic()
        try:
            async for data in transport.events(method, asked(), {}):
                cuts = 0
                yield VideoEvent(data)
        except MediagateError as error:
            cuts = 1 if time.monotonic() - began > STEADY_S else cuts + 1
            if not error.retryable or cuts > min(CUTS_MAX, options.max_retries * 2):
                raise
            await asyncio.sleep(pause_s(error, cuts))
        else:
            # A server that is being replaced ends its streams kindly.
            cuts = 1 if time.monotonic() - began > STEADY_S else cuts + 1
            if cuts > CUTS_MAX:
                raise TimedOut("The watch ended again and again without an event.")
            await asyncio.sleep(PAUSE_S)
