"""A URL of a file's content that a provider can fetch for some minutes, without a key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from mediagate.core.clock import Clock
from mediagate.core.errors import MediagateError, Unavailable
from mediagate.core.lifecycle import ReplicaState
from mediagate.core.objects import File, Replica
from mediagate.providers.files import SignsLinks
from mediagate.routing.stores import FileStores

SignPath = Callable[[File, datetime], str]
"""The path of a file's content at this gateway, with a token that lives until then."""


@dataclass(frozen=True, slots=True)
class LinkFile:
    """Links to this gateway where `base` says how it is reached and `sign` can sign; else to a store that has a copy
    and signs URLs, where `uses_stores` allows it."""

    stores: FileStores
    clock: Clock
    base: str | None
    sign: SignPath | None
    life_s: float
    uses_stores: bool = True

    def can(self, file: File) -> bool:
        """Whether there is a link to this file."""
        return self._here or next(self._signing(file), None) is not None

    async def run(self, file: File) -> str:
        """Raises `Unavailable` where there is none now."""
        if self.base is not None and self.sign is not None:
            return self.base + self.sign(file, self.clock.now() + timedelta(seconds=self.life_s))
        for replica, provider in self._signing(file):
            try:
                return await provider.signed_link(replica.ref or "", self.life_s)
            except (FileNotFoundError, MediagateError):
                continue
        raise Unavailable("No copy of the file can be linked to at the moment. Try again later.", file_id=file.id)

    @property
    def _here(self) -> bool:
        return self.base is not None and self.sign is not None

    def _signing(self, file: File) -> Iterator[tuple[Replica, SignsLinks]]:
        now = self.clock.now()
        for replica in file.replicas if self.uses_stores else ():
            expired = replica.expires_at is not None and replica.expires_at <= now
            if replica.state is not ReplicaState.READY or replica.ref is None or expired:
                continue
            try:
                provider = self.stores.account(replica.account)
            except (KeyError, MediagateError):
                continue
            if isinstance(provider, SignsLinks) and provider.signs_links:
                yield replica, provider
