"""Lines of requests, pushed to a server of the operator's in batches. Whatever that server does, no request waits."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from mediagate.telemetry import metrics

log = structlog.get_logger(__name__)
EVENT_TYPE: Final = "requests.logged"
PAUSE_S: Final = 0.5
PAUSE_S_MAX: Final = 30.0
CLOSE_S: Final = 3.0

Post = Callable[[str, bytes], Awaitable[bool]]
"""Sends one batch by its id; True where it was taken. Raises nothing."""


@dataclass(frozen=True, slots=True)
class SinkRules:
    """Sizes are lines, times are seconds."""

    batch_lines_max: int
    queue_lines_max: int
    wait_s: float
    retry_s_max: float


class RequestSink:
    """Collects lines and sends them. A batch keeps its id and its bytes however often it is sent, so that whoever gets
    it twice can tell."""

    def __init__(self, post: Post, rules: SinkRules, new_id: Callable[[], str]) -> None:
        self._post = post
        self._rules = rules
        self._new_id = new_id
        self._waiting: deque[str] = deque()
        self._news = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def add(self, line: str) -> None:
        """Take a line of JSON; one for which there is no room is dropped, and counted."""
        if len(self._waiting) >= self._rules.queue_lines_max:
            metrics.log_lines_dropped(1, "queue_full")
            return
        self._waiting.append(line)
        if len(self._waiting) >= self._rules.batch_lines_max:
            self._news.set()

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run(), name="request-sink")

    async def close(self, within_s: float = CLOSE_S) -> None:
        """Send what waits, as far as that is possible in this time; the rest is counted as dropped."""
        if self._task is None:
            return
        self._closing.set()
        self._news.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._task
        if self._waiting:
            metrics.log_lines_dropped(len(self._waiting), "shutdown")
            log.warning("request_log_lost", lines=len(self._waiting))
        self._waiting.clear()

    async def _run(self) -> None:
        while self._waiting or not self._closing.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._rules.wait_s):
                    await self._news.wait()
            if not self._closing.is_set():
                self._news.clear()
            while self._waiting:
                await self._send()
                if len(self._waiting) < self._rules.batch_lines_max and not self._closing.is_set():
                    break

    async def _send(self) -> None:
        # They stay in the queue until they are taken: what waits is bounded as a whole.
        lines = [self._waiting[at] for at in range(min(len(self._waiting), self._rules.batch_lines_max))]
        body = f'{{"type":"{EVENT_TYPE}","timestamp":{int(time.time())},"data":[{",".join(lines)}]}}'.encode()
        reason = await self._delivered(self._new_id(), body)
        for _ in lines:
            self._waiting.popleft()
        if reason is None:
            metrics.log_lines_sent(len(lines))
        else:
            metrics.log_lines_dropped(len(lines), reason)
            log.warning("request_log_lost", lines=len(lines))

    async def _delivered(self, batch_id: str, body: bytes) -> str | None:
        """None where it was; else why it was given up."""
        give_up_at, pause_s = time.monotonic() + self._rules.retry_s_max, PAUSE_S
        while True:
            if await self._post(batch_id, body):
                return None
            pause_s = min(PAUSE_S_MAX, pause_s * 2)
            wait_s = pause_s * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)
            if time.monotonic() + wait_s > give_up_at:
                return "undelivered"
            if self._closing.is_set():
                await asyncio.sleep(min(wait_s, PAUSE_S))
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._closing.wait()
