"""Track single videos, as a worker tracks thousands."""

from __future__ import annotations

import asyncio

from mediagate.videos.rounds import Rounds
from mediagate.videos.track_video import TrackVideo

STOP_S = 20.0


class Leash:
    """What a test has in hand of a tracker: to make it look soon, or stop behind the look that runs."""

    def __init__(self) -> None:
        self.rounds: Rounds | None = None
        self.video_id = ""
        self.stopped = asyncio.Event()

    def wake(self) -> None:
        """Look soon."""
        if self.rounds is not None:
            self.rounds.wake(self.video_id)

    def stop(self) -> None:
        """Finish the look that runs."""
        self.stopped.set()


class Tracker:
    """Each video has rounds of its own here, so that it may have several trackers."""

    def __init__(self, track_video: TrackVideo) -> None:
        self.track_video = track_video

    async def run(self, video_id: str, leash: Leash | None = None) -> bool:
        """Whether the video needs no more tracking; False where the leash was stopped before that."""
        leash, ended = leash or Leash(), asyncio.Event()

        async def over(_: str) -> None:
            ended.set()
            held.stop()

        held = leash
        rounds = leash.rounds = Rounds(self.track_video.look, over)
        leash.video_id = video_id
        rounds.add(video_id)
        try:
            await leash.stopped.wait()
        finally:
            await rounds.stop(STOP_S if leash.stopped.is_set() else 0)
        return ended.is_set()
