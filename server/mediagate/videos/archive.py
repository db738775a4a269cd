"""Our own copies of finished videos, so that they outlive the provider's links, byte for byte.

The id of the copy is written into the video's row before its first byte is stored: whoever takes the video up after a
crash finds the copy, or knows that there is none, and never makes a second one that stays.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

import structlog

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import MediagateError
from mediagate.core.objects import File, Principal, Video
from mediagate.files.ahead import ahead
from mediagate.files.facts import FileFacts, Placement
from mediagate.files.intake import Intake
from mediagate.files.proof import Proof
from mediagate.files.spool import Spool
from mediagate.providers.base import FateUnknown, VideoOutput
from mediagate.videos.find_kept import FindKept
from mediagate.videos.journal import Journal
from mediagate.videos.opened import output_name

log = structlog.get_logger(__name__)
# A store that takes no video for so long does without it: the caller waits, and the provider's copy is there.
PATIENCE_S: Final = 900.0
FILE_PURPOSE: Final = "user_data"


@dataclass(frozen=True, slots=True)
class ArchiveRules:
    """Where copies go and how long they stay. `account` is None where only what nobody else can serve is kept."""

    account: str | None = None
    life_s: int | None = None


@dataclass(frozen=True, slots=True)
class Archive:
    """Keeps finished videos as internal files of their owners."""

    intake: Intake
    find_kept: FindKept
    journal: Journal
    clock: Clock
    rules: ArchiveRules
    _failing_since: dict[str, float] = field(default_factory=dict)

    async def kept(self, video: Video) -> File | None:
        """The copy of a video, where it is whole and not over."""
        return await self.find_kept.run(video.archive_file_id)

    async def keep(
        self, video: Video, spool: Spool, output: VideoOutput, until: datetime | None, *, anyway: bool
    ) -> tuple[Video, File | None]:
        """Copy a video that was proven to be whole, where the rules say so. `anyway` is for one that the edge cannot
        fetch by itself: it stays `until` the provider's would go. Returns the row as it is written, and the copy.

        Raises `FateUnknown` while the store may come to take it, and where somebody else changed the video meanwhile.
        """
        account, life_s = self.rules.account, self.rules.life_s
        if account is None:
            if not anyway:
                return await self._named(video, None), None
            # Its bytes come through this process, once and not with every download.
            account = self.intake.stores.scratch_account
            life_s = None if until is None else max(1, round((until - self.clock.now()).total_seconds()))
        video = await self._named(video, ids.new_file_id())
        try:
            file = await self._store(video, account, life_s, spool, output)
        except (MediagateError, KeyError) as error:
            self._bear(video, account, error)
            return await self._named(video, None), None
        self._failing_since.pop(video.id, None)
        return video, file

    async def _store(self, video: Video, account: str, life_s: int | None, spool: Spool, output: VideoOutput) -> File:
        name = output_name(video.id, output.content_type)
        placement = Placement(
            targets=(account,),
            filename=name,
            purpose=FILE_PURPOSE,
            life_s=life_s,
            size_bytes=output.size_bytes,
            required=video.required or {},
        )
        incoming = await self.intake.begin(
            Principal(video.owner_id, end_user=video.end_user),
            size_bytes_max=output.size_bytes,
            placement=placement,
            internal=True,
            file_id=video.archive_file_id,
        )
        try:
            async for chunk in ahead(spool.read()):
                await incoming.write(chunk)
            received = await incoming.store(Proof(output.size_bytes, output.sha256))
            return await incoming.finish(received, FileFacts(name, FILE_PURPOSE, life_s))
        except BaseException:
            await incoming.abort()
            raise

    def _bear(self, video: Video, account: str, error: Exception) -> None:
        """Raises `FateUnknown` where another attempt may go better."""
        now = time.monotonic()
        since = self._failing_since.setdefault(video.id, now)
        if isinstance(error, MediagateError) and error.retryable and now < since + PATIENCE_S:
            log.warning("archive_unreachable", video_id=video.id, account=account, error=type(error).__name__)
            raise FateUnknown("the archive does not take the video") from error
        self._failing_since.pop(video.id, None)
        log.error("video_not_archived", video_id=video.id, account=account, error=str(error))

    async def _named(self, video: Video, file_id: str | None) -> Video:
        """Write down which file is the copy."""
        if video.archive_file_id == file_id:
            return video
        written = await self.journal.write(video, replace(video, archive_file_id=file_id), [])
        if written is None:
            raise FateUnknown("the video was changed meanwhile")
        return written
