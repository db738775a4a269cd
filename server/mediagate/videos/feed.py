"""Events of videos, fanned out to any number of watchers in this process: one read of the database per event, not per
watcher."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import structlog

from mediagate.core.errors import RateLimited, Unavailable
from mediagate.core.objects import Principal, Video, VideoEvent
from mediagate.store.database import VIDEO_CHANNEL, Database
from mediagate.store.videos import EventLookup, VideoLookup

log = structlog.get_logger(__name__)
# A slow reader's backlog: phases are few, progress is coalesced, so this many means a reader that does not read.
BACKLOG_MAX = 256
DELETED = "deleted"
"""The type of the event that ends a video in a watch of all: nothing else is known of it any more."""


class FeedItem:
    """One event on its way to watchers. `video` is set for events that show the whole object; `encoded` keeps each wire
    form, so that a thousand watchers cost one encoding."""

    __slots__ = ("encoded", "event", "video")

    def __init__(self, event: VideoEvent, video: Video | None = None) -> None:
        self.event = event
        self.video = video
        self.encoded: dict[str, Any] = {}


class Subscription:
    """One watcher's queue."""

    __slots__ = ("_closed", "_items", "_nudged", "_overflowed", "_wake", "seq")
    backlog_max = BACKLOG_MAX

    def __init__(self) -> None:
        self._items: deque[FeedItem] = deque()
        self._wake = asyncio.Event()
        self._nudged = False
        self._closed = False
        self._overflowed = False
        self.seq = 0

    def push(self, items: Iterable[FeedItem]) -> None:
        """Queue items; progress that was not read yet gives way to newer progress, nothing else does.

        Past `backlog_max` nothing is kept any more: the reader has stopped reading, and learns that in `next`.
        """
        for item in items:
            if self._overflowed:
                return
            waiting = self._items
            last = waiting[-1].event if waiting else None
            if (
                item.event.type == "progress"
                and last is not None
                and (last.type, last.video_id)
                == (
                    "progress",
                    item.event.video_id,
                )
            ):
                waiting.pop()
            waiting.append(item)
            if len(waiting) > self.backlog_max:
                waiting.clear()
                self._overflowed = True
        self._wake.set()

    def _is_new(self, event: VideoEvent) -> bool:
        if event.seq <= self.seq:
            return False
        self.seq = event.seq
        return True

    def nudge(self) -> None:
        """End a wait without an item: something happened to the video that is no event."""
        self._nudged = True
        self._wake.set()

    def close(self) -> None:
        """End this and every later wait."""
        self._closed = True
        self._wake.set()

    async def next(self, timeout_s: float | None = None) -> FeedItem | None:
        """The next item that is newer than `seq`, or None where it is worth while to look at the video itself.

        That is so when the time is over, or the video is gone. Raises `RateLimited` for a reader that was too slow, and
        `Unavailable` once this process stops.
        """
        while True:
            if self._overflowed:
                raise RateLimited(
                    "Events were not read as fast as they came. Resume from the last one.", retry_after_s=1
                )
            while self._items:
                item = self._items.popleft()
                if self._is_new(item.event):
                    return item
            if self._closed:
                raise Unavailable("The service is shutting down. Resume from the last event.", retry_after_s=1)
            if self._nudged:
                self._nudged = False
                return None
            self._wake.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError:
                return None


class OwnersSubscription(Subscription):
    """The queue of a watcher of all videos that a caller sees. `seqs` holds the newest number of each."""

    __slots__ = ("_end_user", "seqs")
    # Many videos may move at once.
    backlog_max = 16 * BACKLOG_MAX

    def __init__(self, end_user: str | None = None) -> None:
        super().__init__()
        self._end_user = end_user
        self.seqs: dict[str, int] = {}

    def wants(self, end_user: str | None) -> bool:
        """Whether it gets what happens to the videos of an end user."""
        return self._end_user in (None, end_user)

    def renew(self, seqs: Mapping[str, int]) -> None:
        """Know these videos alone, and those of which events still wait to be read."""
        waiting = {item.event.video_id for item in self._items}
        self.seqs = {**{known: seq for known, seq in self.seqs.items() if known in waiting}, **seqs}

    def _is_new(self, event: VideoEvent) -> bool:
        if event.seq <= self.seqs.get(event.video_id, 0):
            return False
        self.seqs[event.video_id] = event.seq
        return True


@dataclass(slots=True)
class Due:
    """News of one video that were told and not yet delivered: the events from `first` to `last`."""

    first: int
    last: int
    owner_id: str
    end_user: str | None = None
    deleted: bool = False

    def merged(self, other: Due | None) -> Due:
        """Both at once."""
        if other is None:
            return self
        return Due(
            min(self.first, other.first),
            max(self.last, other.last),
            self.owner_id,
            self.end_user,
            self.deleted or other.deleted,
        )


class VideoFeed:
    """Hears of events by NOTIFY and hands them to the watchers of this process."""

    def __init__(self, db: Database) -> None:
        self._events, self._videos = EventLookup(db), VideoLookup(db)
        self._watched: dict[str, set[Subscription]] = {}
        self._delivered: dict[str, int] = {}
        self._owners: dict[str, set[OwnersSubscription]] = {}
        self._due: dict[str, Due] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self._listener = db.listener(VIDEO_CHANNEL, on_payload=self._on_payload, on_reconnect=self._on_reconnect)

    async def start(self) -> None:
        """Begin to listen."""
        await self._listener.start()
        self._task = asyncio.create_task(self._deliver_forever(), name="video feed")

    async def close(self) -> None:
        """Stop listening; watchers are told to resume elsewhere."""
        self._closed = True
        for subscription in self._subscriptions():
            subscription.close()
        await self._listener.close()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @contextmanager
    def subscribe(self, video_id: str) -> Iterator[Subscription]:
        """A queue of everything that happens to a video from now on."""
        subscription = Subscription()
        if self._closed:
            subscription.close()
        self._watched.setdefault(video_id, set()).add(subscription)
        try:
            yield subscription
        finally:
            watchers = self._watched[video_id]
            watchers.discard(subscription)
            if not watchers:
                del self._watched[video_id]
                self._delivered.pop(video_id, None)

    @contextmanager
    def subscribe_all(self, who: Principal) -> Iterator[OwnersSubscription]:
        """A queue of everything that happens to any video of a caller's from now on."""
        owner_id, subscription = who.owner_id, OwnersSubscription(who.end_user)
        if self._closed:
            subscription.close()
        self._owners.setdefault(owner_id, set()).add(subscription)
        try:
            yield subscription
        finally:
            watchers = self._owners[owner_id]
            watchers.discard(subscription)
            if not watchers:
                del self._owners[owner_id]

    def _subscriptions(self) -> list[Subscription]:
        return [*chain.from_iterable(self._watched.values()), *chain.from_iterable(self._owners.values())]

    def _on_payload(self, payload: str) -> None:
        video_id, first, last, sign, owner = payload.split(" ", 4)
        owner_id, behind, end_user = owner.partition("\n")
        if video_id not in self._watched and owner_id not in self._owners:
            return
        self._is_due(video_id, Due(int(first), int(last), owner_id, end_user if behind else None, sign == "-"))

    def _is_due(self, video_id: str, news: Due) -> None:
        self._due[video_id] = news.merged(self._due.get(video_id))
        self._wake.set()

    async def _on_reconnect(self) -> None:
        # What was said meanwhile was not heard, deletions included: everybody looks for himself.
        for subscription in self._subscriptions():
            subscription.nudge()

    async def _deliver_forever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            due, self._due = self._due, {}
            try:
                await self._deliver(due)
            except Exception:
                log.exception("feed_delivery_failed", videos=len(due))
                for video_id, what in due.items():
                    self._is_due(video_id, what)
                await asyncio.sleep(1)

    async def _deliver(self, due: Mapping[str, Due]) -> None:
        afters = {video_id: self._known(video_id, what) for video_id, what in due.items()}
        wanted = {video_id: after for video_id, after in afters.items() if due[video_id].last > after}
        found = await self._load(wanted)
        for video_id in wanted:
            self._hand_out(video_id, due[video_id], found.get(video_id, []))

    def _known(self, video_id: str, due: Due) -> int:
        """The number up to which the watchers of a video have had everything."""
        after = due.first - 1
        if video_id in self._watched:
            delivered = self._delivered.get(video_id)
            if delivered is None:
                delivered = min(subscription.seq for subscription in self._watched[video_id])
            # Whoever watches all has had what came before.
            after = min(after, delivered) if due.owner_id in self._owners else delivered
        return after

    def _hand_out(self, video_id: str, due: Due, items: list[FeedItem]) -> None:
        watchers = list(self._watched.get(video_id, ()))
        if items and watchers:
            self._delivered[video_id] = items[-1].event.seq
        for subscription in watchers:
            subscription.push(items)
            if not items or items[-1].event.seq < due.last:
                subscription.nudge()
        if due.deleted:
            items = [FeedItem(VideoEvent(video_id, due.last, datetime.now(UTC), DELETED))]
        for all_of_owner in list(self._owners.get(due.owner_id, ())):
            if all_of_owner.wants(due.end_user):
                all_of_owner.push(items)

    async def _load(self, seqs: Mapping[str, int]) -> dict[str, list[FeedItem]]:
        """What happened to each video behind a number: thousands may move at once, so all with one query."""
        found = await self._events.after(seqs) if seqs else {}
        ended = [video_id for video_id, events in found.items() if any(event.type == "end" for event in events)]
        videos = dict(zip(ended, await asyncio.gather(*map(self._videos.find, ended)), strict=True))
        # An end shows the whole video. One that is gone shows nothing, and its watchers find that out themselves.
        return {
            video_id: [
                FeedItem(event, videos[video_id] if event.type == "end" else None)
                for event in events
                if event.type != "end" or videos[video_id] is not None
            ]
            for video_id, events in found.items()
        }

    async def missed(self, video_id: str, *, after_seq: int) -> list[FeedItem]:
        """What happened to a video after a number, for a watcher that resumes or may have missed something."""
        return (await self._load({video_id: after_seq})).get(video_id, [])
