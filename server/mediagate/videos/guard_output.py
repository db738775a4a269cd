"""What guardrails say of a finished video, before anybody is told that it is ready."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from mediagate.core.errors import ProviderRefused
from mediagate.core.guardrails import Picture, Stage, Subject
from mediagate.core.objects import Video
from mediagate.files.spool import Spool
from mediagate.guardrails.ask import told
from mediagate.guardrails.check_picture import CheckPicture
from mediagate.guardrails.rules import Guardrails
from mediagate.media.containers import BadVideo
from mediagate.media.tools import NotLookedInto, VideoTools
from mediagate.providers.base import Failure, FailureStage, FateUnknown

BLOCKED: Final = "content_policy_violation"
# Before the video is given back to its tracker, for which all of it has to be read again.
PAUSES_S: Final = (0.0, 1.0, 4.0)


class GuardsOutputs(Protocol):
    """What `FinishVideo` wants of `GuardOutput`."""

    async def run(self, video: Video, spool: Spool) -> Failure | None:
        """See `GuardOutput.run`."""
        ...


class NoOutputGuard:
    """Lets everything pass."""

    async def run(self, video: Video, spool: Spool) -> Failure | None:
        """None."""
        return None


@dataclass(frozen=True, slots=True)
class GuardOutput:
    """Checks a picture from the middle of the video, which is its thumbnail."""

    guardrails: Guardrails
    tools: VideoTools

    async def run(self, video: Video, spool: Spool) -> Failure | None:
        """Why the video may not pass; None where it may. `spool` holds all of it. Raises `FateUnknown` where that
        cannot be found out now and may not be left open: the provider has been paid, and somebody may be back soon."""
        try:
            rules = self.guardrails.chain(Stage.THUMBNAIL, models=[video.model], names=video.guardrails or ())
        except ProviderRefused as error:
            raise FateUnknown(error.message) from error
        if not rules:
            return None
        picture = await self._picture(spool)
        subject = Subject(Stage.THUMBNAIL, model=video.model, end_user=video.end_user or "", object_id=video.id)
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            outcome = await CheckPicture(self.guardrails.outcomes).run(rules, subject, picture)
            if outcome is None:
                return None
            if outcome.said != "failed":
                return Failure(FailureStage.OUTPUT, BLOCKED, told(outcome), retryable=False, charged=True)
        raise FateUnknown("a guardrail could not be asked")

    async def _picture(self, spool: Spool) -> Picture | None:
        try:
            return Picture((await self.tools.draw(spool.fileno())).thumbnail, "image/webp")
        except BadVideo:
            return None
        except NotLookedInto as error:
            raise FateUnknown(str(error)) from error
