"""Say what a video would cost and how long it would take, and make nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediagate.core.objects import Principal
from mediagate.core.progress import Percentiles
from mediagate.store.database import Database
from mediagate.store.video_line import VideoLine
from mediagate.videos.create_video import CreateVideo
from mediagate.videos.fate import Usual
from mediagate.videos.start_video import Intent


@dataclass(frozen=True, slots=True)
class Forecast:
    """What would come of a request. `waiting` is how many videos wait for the same account, or deployment; `usual` is
    what finished videos of this shape took, in seconds, None where there are too few of them."""

    intent: Intent
    waiting: int
    usual: Percentiles | None


@dataclass(frozen=True, slots=True)
class EstimateVideo:
    """Reads and checks what `CreateVideo` does, up to the point where a video would begin."""

    db: Database
    create: CreateVideo

    async def run(self, who: Principal, fields: Mapping[str, Any]) -> Forecast:
        """`fields` as in `CreateVideo`, and raises as that does; nothing that came with them is kept."""
        draft = await self.create.draft(who, fields)
        try:
            intent = await self.create.start.intent(who, draft)
        finally:
            await self.create.drop(draft)
        async with self.db.reading() as connection:
            line = self.create.start.catalog.line_of(intent.video.deployment, intent.video.account)
            waiting = await VideoLine(connection, line.of, line.name).waiting()
        return Forecast(intent, waiting, await Usual(self.db).of(intent.video))
