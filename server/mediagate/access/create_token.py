"""Make a token that may be given to a browser."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from mediagate.access.secrets import digest_of, hint_of, new_token
from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.end_users import FIELD, settled_end_user
from mediagate.core.errors import InvalidField
from mediagate.core.handles import HandleKind, Token, UploadTerms
from mediagate.core.objects import File, Principal, Video
from mediagate.store.database import Database, Transaction
from mediagate.store.files import FileLookup
from mediagate.store.tokens import TokenRepository
from mediagate.store.videos import VideoLookup

LIFETIME_S_MIN = 1.0
OBJECTS = {HandleKind.WATCH: ("video_id",), HandleKind.PLAYBACK: ("video_id", "file_id")}
"""The members of which a token of this kind needs exactly one."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """How long tokens may live, in seconds. `master_mark` tells this master key from any other."""

    lifetime_s: float
    lifetime_s_max: float
    playback_lifetime_s_max: float
    master_mark: bytes


@dataclass(frozen=True, slots=True)
class TokenWish:
    """What a caller asks for. None is the default; `terms` are those of a token for an upload, checked."""

    kind: HandleKind
    video_id: str | None = None
    file_id: str | None = None
    end_user: str | None = None
    lifetime_s: float | None = None
    terms: UploadTerms | None = None
    reserves: bool = False
    """Whether there shall be room for the upload from now on."""


class Reserve(Protocol):
    """Reserves room for one upload."""

    async def run(
        self, tx: Transaction, who: Principal, end_user: str | None, terms: UploadTerms, expires_at: datetime
    ) -> str | None:
        """What holds the room; None where nothing bounds it. Raises `StorageQuotaExceeded`."""
        ...


@dataclass(frozen=True, slots=True)
class CreateToken:
    """Keep the digest of a new secret, which the caller alone gets."""

    db: Database
    videos: VideoLookup
    files: FileLookup
    clock: Clock
    rules: TokenRules
    reserve: Reserve

    async def run(self, who: Principal, wish: TokenWish) -> tuple[Token, str]:
        """Returns the token and its secret. Raises `InvalidField`, `NotFound` for what is no video or file of the
        caller's, and `StorageQuotaExceeded` where there is no room for what it shall take."""
        thing = await self._object(who, wish)
        end_user = settled_end_user(who, wish.end_user)
        if thing is not None:
            if wish.end_user and thing.end_user != wish.end_user:
                raise InvalidField("The object is of another end user. Leave 'user' out.", param=FIELD)
            end_user = thing.end_user
        elif wish.kind is HandleKind.END_USER and end_user is None:
            raise InvalidField("A token of this kind needs 'user': the end user for whom it acts.", param=FIELD)
        now, secret = self.clock.now(), new_token()
        token = Token(
            id=ids.TOKEN.new(),
            owner_id=who.owner_id,
            kind=wish.kind,
            hint=hint_of(secret),
            created_at=now,
            expires_at=now + timedelta(seconds=self._lifetime_s(wish)),
            end_user=end_user,
            key_id=who.key_id,
            object_id=None if thing is None else thing.id,
            terms=wish.terms,
        )
        mark = self.rules.master_mark if who.key_id is None else None
        async with self.db.transaction() as tx:
            room = None
            if wish.terms is not None and wish.reserves:
                room = await self.reserve.run(tx, who, end_user, wish.terms, token.expires_at)
            await TokenRepository(tx.connection).add(token, digest_of(secret), mark, room)
        return token, secret

    async def _object(self, who: Principal, wish: TokenWish) -> Video | File | None:
        given = {name: id_ for name, id_ in (("video_id", wish.video_id), ("file_id", wish.file_id)) if id_}
        allowed = OBJECTS.get(wish.kind, ())
        wrong = next((name for name in given if name not in allowed), None)
        if wrong is not None:
            raise InvalidField(f"A token of the kind '{wish.kind.value}' is not for one object.", param=wrong)
        if len(given) != (1 if allowed else 0):
            raise InvalidField(
                f"A token of the kind '{wish.kind.value}' needs exactly one of: {', '.join(allowed)}.", param=allowed[0]
            )
        if not given:
            return None
        kind, id_ = (ids.VIDEO, wish.video_id) if wish.video_id else (ids.FILE, wish.file_id or "")
        kind.parse(id_)
        found: Video | File | None
        if kind is ids.VIDEO:
            found = await self.videos.get(who, id_)
        else:
            found = await self.files.get(who, id_, now=self.clock.now())
        if found is None:
            raise kind.not_found(id_)
        return found

    def _lifetime_s(self, wish: TokenWish) -> float:
        plays = wish.kind is HandleKind.PLAYBACK
        most = self.rules.playback_lifetime_s_max if plays else self.rules.lifetime_s_max
        asked = min(self.rules.lifetime_s, most) if wish.lifetime_s is None else wish.lifetime_s
        if not LIFETIME_S_MIN <= asked <= most:
            raise InvalidField(
                f"'expires_in' must be {LIFETIME_S_MIN:g}s to {most:g}s for a token of the kind '{wish.kind.value}'.",
                param="expires_in",
                max_s=most,
            )
        return asked
