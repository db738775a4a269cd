"""Calls of providers that say that something happened to a video. They make its tracker look at once and say nothing by
themselves: some providers never call, and anybody may."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from mediagate.core import ids
from mediagate.store.database import Database
from mediagate.videos.tasks import WAKE_CHANNEL

PATH = "/v1/videos/{video_id}/callback/{token}"


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The address that a provider is told for a video, with a token that nobody can make up. `base` is where providers
    reach the gateway; without it they are told nothing."""

    base: str | None
    secret: bytes = field(repr=False)

    def url_of(self, video_id: str) -> str | None:
        """What the provider calls."""
        if self.base is None:
            return None
        return self.base.rstrip("/") + PATH.format(video_id=video_id, token=self._token(video_id))

    def is_valid(self, video_id: str, token: str) -> bool:
        """Whether the token is the one of this video."""
        return hmac.compare_digest(self._token(video_id).encode(), token.encode())

    def _token(self, video_id: str) -> str:
        return hmac.new(self.secret, f"video callback {video_id}".encode(), hashlib.sha256).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class TakeCallback:
    """Wake the tracker of a video, in whatever process it runs."""

    db: Database
    callbacks: Callbacks

    async def run(self, video_id: str, token: str) -> None:
        """Raises `NotFound` for a token that is not the video's, whether or not there is such a video."""
        if not self.callbacks.is_valid(video_id, token):
            raise ids.VIDEO.not_found(video_id)
        async with self.db.transaction() as tx:
            await tx.notify(WAKE_CHANNEL, video_id)
