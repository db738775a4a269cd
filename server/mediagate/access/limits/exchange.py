"""The one conversation of a process with the database about limits: everything that is asked meanwhile goes together.

What this process last wrote is remembered, so that alone it needs one statement. A write over a version that somebody
else has replaced does nothing: it is read again and decided again. A refusal is never decided on what is remembered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog

from mediagate.store.limits import StateKey, Version

log = structlog.get_logger(__name__)
BATCH_MAX: Final = 500
NOBODY: Final[frozenset[str]] = frozenset()


class States(Protocol):
    """Where states are kept; `mediagate.store.limits`."""

    async def read(self, keys: Sequence[StateKey]) -> tuple[dict[StateKey, Version], float]:
        """The newest versions, and the time there."""
        ...

    async def swap(
        self, changes: Collection[tuple[StateKey, int, Mapping[str, Any]]]
    ) -> tuple[set[StateKey], float | None]:
        """Write over the versions named; those that were written, and the time there."""
        ...

    async def alive(self, holders: Collection[str]) -> set[str]:
        """Those of these processes that live."""
        ...

    async def renew(self, holder: str, lease_s: float) -> None:
        """Say that a process lives."""
        ...

    async def leave(self, holder: str) -> None:
        """Say that it holds nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a meter would write. `state` is None where nothing changes, `is_short` where not all that is asked for can
    be had, `doubts` the other processes that hold what is short."""

    state: Mapping[str, Any] | None
    is_short: bool = False
    doubts: frozenset[str] = NOBODY


class Meter(Protocol):
    """One limit of one scope, as this process sees it."""

    @property
    def key(self) -> StateKey:
        """Its row."""
        ...

    def begin(self) -> None:
        """Take up what is asked for now; what is asked from now on waits for the next time."""
        ...

    def propose(self, stored: Mapping[str, Any] | None, now_s: float, gone: Collection[str]) -> Proposal:
        """Decide. May be asked again with something newer; only the last proposal counts. `gone` are processes that no
        longer live."""
        ...

    def settle(self, now_s: float) -> None:
        """The last proposal has become true."""
        ...

    def fail(self, error: Exception) -> None:
        """Nobody knows whether it has."""
        ...


class Exchange:
    """Carries the meters of this process to the database and back, one batch after the other."""

    def __init__(self, states: States, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.states = states
        self.monotonic = monotonic
        self._ahead_s = 0.0
        self._seen: dict[StateKey, Version] = {}
        self._marked: dict[int, Meter] = {}
        self._task: asyncio.Task[None] | None = None

    def now_s(self) -> float:
        """The database's clock as Unix seconds, as far as it has been heard of."""
        return self.monotonic() + self._ahead_s

    def mark(self, meter: Meter) -> None:
        """Have a meter settled, soon."""
        # By itself and not by its key: one that was dropped while a call still counts on it may have a successor.
        self._marked[id(meter)] = meter
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="limits")

    def later(self, meter: Meter, delay_s: float) -> None:
        """Have a meter settled after a while."""
        asyncio.get_running_loop().call_later(delay_s, self.mark, meter)

    def forget(self, key: StateKey) -> None:
        """Drop what is remembered of a meter that is no more."""
        self._seen.pop(key, None)

    async def idle(self) -> None:
        """Wait until nothing is under way."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._marked:
                # Calls that have already arrived get their turn first, and come along.
                await asyncio.sleep(0)
                batch: dict[StateKey, Meter] = {}
                for meter in list(self._marked.values())[:BATCH_MAX]:
                    if batch.setdefault(meter.key, meter) is meter:
                        del self._marked[id(meter)]
                for meter in batch.values():
                    meter.begin()
                try:
                    await _Round(self, batch).run()
                except Exception as error:
                    for key, meter in batch.items():
                        self._seen.pop(key, None)
                        meter.fail(error)
        finally:
            self._task = None

    async def load(self, keys: Sequence[StateKey]) -> None:
        """Read what is not remembered."""
        versions, now_s = await self.states.read(keys)
        self._seen.update(versions)
        self._hear(now_s)

    def seen(self, key: StateKey) -> Version | None:
        """What is remembered."""
        return self._seen.get(key)

    async def write(self, states: Mapping[StateKey, Mapping[str, Any]]) -> set[StateKey]:
        """Write over what is remembered; returns what was still true. The rest is forgotten."""
        changes = [(key, self._seen[key].number, state) for key, state in states.items()]
        won, now_s = await self.states.swap(changes)
        if now_s is not None:
            self._hear(now_s)
        for key, number, state in changes:
            if key in won:
                self._seen[key] = Version(number + 1, state)
            else:
                del self._seen[key]
        return won

    def _hear(self, now_s: float) -> None:
        self._ahead_s = now_s - self.monotonic()


class _Round:
    """One batch, until each of its meters is settled. Those that are settled leave `open`."""

    def __init__(self, exchange: Exchange, open_: dict[StateKey, Meter]) -> None:
        self._exchange = exchange
        self._open = open_
        self._fresh: set[StateKey] = set()
        self._gone: set[str] = set()
        self._asked: set[str] = set()

    async def run(self) -> None:
        while self._open:
            unseen = [key for key in self._open if self._exchange.seen(key) is None]
            if unseen:
                await self._exchange.load(unseen)
                self._fresh.update(unseen)
            now_s = self._exchange.now_s()
            changes: dict[StateKey, Mapping[str, Any]] = {}
            doubts: set[str] = set()
            for key, meter in list(self._open.items()):
                version = self._exchange.seen(key)
                assert version is not None
                proposal = meter.propose(version.state, now_s, self._gone)
                if proposal.is_short and key not in self._fresh:
                    self._exchange.forget(key)
                elif proposal.is_short and proposal.doubts - self._asked:
                    doubts |= proposal.doubts - self._asked
                elif proposal.state is None:
                    self._settle(key, now_s)
                else:
                    changes[key] = proposal.state
            if changes:
                won = await self._exchange.write(changes)
                self._fresh -= changes.keys() - won
                for key in won:
                    self._settle(key, now_s)
            if doubts:
                self._asked |= doubts
                self._gone |= doubts - await self._exchange.states.alive(doubts)

    def _settle(self, key: StateKey, now_s: float) -> None:
        self._open.pop(key).settle(now_s)
