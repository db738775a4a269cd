"""Steps that are not cut off where their caller goes away.

gRPC cancels a handler wherever it stands: between a commit and the note of it, or beside a thread that goes on and
makes the very file that the clean-up looked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from mediagate.core.errors import MediagateError

log = structlog.get_logger(__name__)
T = TypeVar("T")
# The event loop holds its tasks weakly.
_running: set[asyncio.Task[Any]] = set()


class Steps:
    """Runs one step after the other, each to its end.

    A caller that is cancelled learns so at once. The step it waited for goes on, and the next one waits for it: so a
    clean-up that is a step meets no work that is still under way.
    """

    def __init__(self) -> None:
        self._last: asyncio.Task[Any] | None = None

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` once the step before it has ended, however that was."""
        task = self._last = asyncio.create_task(_behind(self._last, work))
        _running.add(task)
        task.add_done_callback(_running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_note)
            raise


async def _behind(previous: asyncio.Task[Any] | None, work: Coroutine[Any, Any, T]) -> T:
    if previous is not None and not previous.done():
        await asyncio.wait([previous])
    return await work


def _note(task: asyncio.Task[Any]) -> None:
    """Nobody is left to whom a failure could be told."""
    failure = None if task.cancelled() else task.exception()
    if failure is not None and not isinstance(failure, MediagateError):
        log.error("step_failed", exc_info=failure)
