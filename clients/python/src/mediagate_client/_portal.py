"""How the sync client waits: the async operations run on one event loop in a thread, for all clients of the process."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from mediagate_client._errors import UploadStopped

Answer = TypeVar("Answer")
# What is under way gets so long to tidy up behind a Ctrl-C; an upload is cancelled in it.
TIDY_S = 8.0
FAREWELL_S = 2.0
# The system may hand a signal to any thread. The main one, which alone hears of it, is not woken then, so it looks.
LOOK_S = 0.05

_lock = threading.Lock()
_portal: Portal | None = None


class Portal:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mediagate-client", daemon=True)
        self._thread.start()

    @classmethod
    def shared(cls) -> Portal:
        """The portal of this process; a fork gets one of its own."""
        global _portal
        with _lock:
            if _portal is None or _portal._pid != os.getpid():
                _portal = cls()
            return _portal

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Wait for it. Ctrl-C cancels it and waits until it has tidied up."""
        if self._pid != os.getpid():
            work.close()
            raise RuntimeError("This client was made before a fork; make one in the child.")
        ended: list[asyncio.CancelledError] = []
        future = asyncio.run_coroutine_threadsafe(_watched(work, ended), self._loop)
        try:
            while not concurrent.futures.wait([future], LOOK_S).done:
                pass
            return future.result()
        except BaseException as error:
            if not future.done():
                # A future that is cancelled says so at once: the task behind it is waited for through a second one.
                future.cancel()
                with contextlib.suppress(Exception, concurrent.futures.CancelledError):
                    asyncio.run_coroutine_threadsafe(self._settled(), self._loop).result(TIDY_S)
            if isinstance(error, KeyboardInterrupt) and ended and hasattr(ended[0], "resume"):
                raise UploadStopped(ended[0].__notes__[0], ended[0].resume) from None
            raise

    def close_forgotten(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run what a client that nobody has closed leaves to do, when it is collected or the process ends."""
        if self._pid != os.getpid() or not self._thread.is_alive():
            return
        future = asyncio.run_coroutine_threadsafe(work(), self._loop)
        # Collected in the loop's own thread, it cannot be waited for.
        if threading.current_thread() is not self._thread:
            with contextlib.suppress(Exception):
                future.result(FAREWELL_S)

    async def _settled(self) -> None:
        """Return once every task that is being cancelled has ended."""
        while any(  # noqa: ASYNC110
            task.cancelling() for task in asyncio.all_tasks(self._loop)
        ):
            await asyncio.sleep(0.02)

    def iterate(self, items: AsyncIterator[Answer]) -> Iterator[Answer]:
        """The items one by one; leaving the loop closes the stream."""

        async def following() -> tuple[bool, Any]:
            try:
                return True, await anext(items)
            except StopAsyncIteration:
                return False, None

        try:
            while True:
                more, item = self.run(following())
                if not more:
                    return
                yield item
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                with contextlib.suppress(RuntimeError):
                    self.run(close())


async def _watched(work: Coroutine[Any, Any, Answer], ended: list[asyncio.CancelledError]) -> Answer:
    """The work; where it is cancelled, what it says to that."""
    try:
        return await work
    except asyncio.CancelledError as error:
        ended.append(error)
        raise
