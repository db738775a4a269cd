"""Videos of which no range can be asked: these wait on disk, in files without names.

A player asks for a video in many ranges, and several players for the same one, so a copy serves all of them and is kept
for a while after it was asked for.
"""

from __future__ import annotations

import asyncio
import errno
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Final

from mediagate.core.errors import Unavailable
from mediagate.providers.account import Account
from mediagate.providers.inline_video import InlineVideo

COPIES_MAX: Final = 8
KEPT_S: Final = 60.0
_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT)

Fill = Callable[[IO[bytes]], Awaitable[str]]
"""Writes a video, and returns its media type."""


class VideoSpool:
    """The copies of one account, in `folder`, or where the system has its temporary files. At most `copies_max` are on
    disk at once, those that are being written and those that are still being read among them; one that nobody reads
    goes `kept_s` seconds after it came, or when another one wants its room."""

    def __init__(self, folder: str | None = None, *, copies_max: int = COPIES_MAX, kept_s: float = KEPT_S) -> None:
        self._folder = Path(folder) if folder else None
        self._copies_max = copies_max
        self._kept_s = kept_s
        self._writing = 0
        self._live: weakref.WeakSet[InlineVideo] = weakref.WeakSet()
        self._kept: OrderedDict[str, tuple[InlineVideo, asyncio.TimerHandle]] = OrderedDict()
        self._turns: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    @classmethod
    def of(cls, account: Account) -> VideoSpool:
        """The spool of an account, by its option `spool_dir`."""
        return cls(account.option("spool_dir"))

    def kept(self, key: str) -> InlineVideo | None:
        """The copy that is there."""
        found = self._kept.get(key)
        return None if found is None else found[0]

    async def copy(self, key: str, fill: Fill) -> InlineVideo:
        """The copy of `key`, made by `fill` where there is none; who comes meanwhile waits for it. Raises `Unavailable`
        where there is no room, and what `fill` raises."""
        turn = self._turns.setdefault(key, asyncio.Lock())
        async with turn:
            video = self.kept(key)
            if video is None:
                video = await self._made(fill)
                self._keep(key, video)
            return video

    def forget(self, key: str) -> None:
        """Make the next copy anew."""
        found = self._kept.pop(key, None)
        if found is not None:
            found[1].cancel()

    def close(self) -> None:
        """Give every copy up that nobody reads."""
        for key in list(self._kept):
            self.forget(key)

    async def _made(self, fill: Fill) -> InlineVideo:
        while self._kept and self._full():
            self.forget(next(iter(self._kept)))
        if self._full():
            raise _no_room()
        self._writing += 1
        try:
            file = await asyncio.to_thread(self.opened)
            try:
                content_type = await fill(file)
                await asyncio.to_thread(file.flush)
                video = InlineVideo(file, content_type)
            except BaseException:
                file.close()
                raise
        except OSError as error:
            if error.errno in _DISK_FULL:
                raise _no_room() from error
            raise
        finally:
            self._writing -= 1
        self._live.add(video)
        return video

    def _full(self) -> bool:
        return self._writing + len(self._live) >= self._copies_max

    def opened(self) -> IO[bytes]:
        """A new file without a name."""
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryFile(dir=self._folder)

    def _keep(self, key: str, video: InlineVideo) -> None:
        self.forget(key)
        timer = asyncio.get_running_loop().call_later(self._kept_s, self.forget, key)
        self._kept[key] = (video, timer)


def _no_room() -> Unavailable:
    return Unavailable(
        "The gateway has no room for another copy of a video. Try again later.", code="gateway_storage_full"
    )
