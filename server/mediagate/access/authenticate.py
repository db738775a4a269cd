"""Who is calling."""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from mediagate.access.links import SignedLinks
from mediagate.access.secrets import digest_of
from mediagate.core.clock import Clock, SystemClock
from mediagate.core.errors import InvalidRequest, PermissionDenied, Unauthenticated
from mediagate.core.handles import HANDLE_PREFIX
from mediagate.core.objects import Principal
from mediagate.store.database import Database
from mediagate.store.keys import ACCESS_CHANNEL, Grant
from mediagate.store.listener import Listener

log = structlog.get_logger(__name__)
OWNER_OF_MASTER_KEY: Final = "master"
KNOWN_S: Final = 2.0
"""A key that was changed is refused by then even where nobody hears of it."""
UNKNOWN_S: Final = 1.0
KNOWN_MAX: Final = 50_000
UNKNOWN_MAX: Final = 2_000
"""Of their own, so that a flood of made-up keys cannot push out a real one."""
KEY_CHARS_MAX: Final = 512


class Grants(Protocol):
    """Where keys are looked up."""

    async def get(self, digest: bytes) -> Grant | None:
        """The grant of the key whose SHA-256 is `digest`."""
        ...


class NoGrants:
    """Knows no key."""

    async def get(self, digest: bytes) -> Grant | None:
        """None."""
        return None


@dataclass(slots=True)
class _Seen:
    grant: Grant | None
    until_s: float


class Authenticate:
    """Turns the key of a request into a principal. Keys are compared as digests, in constant time; what a digest stands
    for is remembered for a moment, and forgotten when a NOTIFY says that it changed."""

    def __init__(
        self,
        master_key: str,
        keys: Grants | None = None,
        tokens: Grants | None = None,
        links: SignedLinks | None = None,
        *,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._digest = digest_of(master_key)
        self._master = Principal(OWNER_OF_MASTER_KEY, uses_providers=True, is_admin=True)
        self.master_mark = master_mark(self._digest)
        self._keys: Grants = keys or NoGrants()
        self._tokens: Grants = tokens or NoGrants()
        self._links = links
        self._clock = clock or SystemClock()
        self._monotonic = monotonic
        self._known: OrderedDict[bytes, _Seen] = OrderedDict()
        self._unknown: OrderedDict[bytes, _Seen] = OrderedDict()
        self._changes = 0

    async def run(self, authorization: str | None, api_key: str | None, in_query: str | None = None) -> Principal:
        """`authorization` is `Bearer KEY`; Azure's clients send `api-key` instead. A token may stand in a key's place,
        or in the query. Raises `Unauthenticated`, and `PermissionDenied` for a key that is blocked."""
        key = _key(authorization, api_key) if in_query is None else _token(in_query, authorization or api_key)
        is_token = key.startswith(HANDLE_PREFIX)
        if is_token and self._links is not None and self._links.are(key):
            return await self._links.who(key)
        digest = digest_of(key)
        if hmac.compare_digest(digest, self._digest):
            return self._master
        seen = self._known.get(digest) or self._unknown.get(digest)
        if seen is not None and seen.until_s > self._monotonic():
            return self._judged(seen.grant, is_token=is_token)
        if len(key) > KEY_CHARS_MAX:
            raise _unknown(is_token=is_token)
        changes = self._changes
        grant = await (self._tokens if is_token else self._keys).get(digest)
        if changes == self._changes:
            # Otherwise it may have been read just before what it says became untrue.
            self._remember(digest, grant)
        return self._judged(grant, is_token=is_token)

    def _judged(self, grant: Grant | None, *, is_token: bool) -> Principal:
        if grant is None or grant.master_mark not in (None, self.master_mark):
            raise _unknown(is_token=is_token)
        if is_token:
            return self._judged_token(grant)
        if grant.expires_at is not None and grant.expires_at <= self._clock.now():
            raise Unauthenticated("This API key has expired. Ask for a new one.", code="key_expired")
        if grant.is_blocked:
            raise PermissionDenied("This API key, its user or its team is blocked.", code="key_blocked")
        return grant.who

    def _judged_token(self, grant: Grant) -> Principal:
        if grant.is_revoked:
            raise Unauthenticated("This token was revoked. Ask for a new one.", code="token_revoked")
        if grant.expires_at is not None and grant.expires_at <= self._clock.now():
            raise Unauthenticated("This token has expired. Ask for a new one.", code="token_expired")
        if grant.is_blocked:
            raise PermissionDenied("The key that made this token, its user or its team is blocked.", code="key_blocked")
        return grant.who

    def _remember(self, digest: bytes, grant: Grant | None) -> None:
        kept, lasts_s, most = (
            (self._unknown, UNKNOWN_S, UNKNOWN_MAX) if grant is None else (self._known, KNOWN_S, KNOWN_MAX)
        )
        kept[digest] = _Seen(grant, self._monotonic() + lasts_s)
        kept.move_to_end(digest)
        if len(kept) > most:
            kept.popitem(last=False)

    def forget(self, payload: str = "") -> None:
        """Something changed: `KIND ID`, or anything where nothing is known of what it was."""
        self._changes += 1
        self._unknown.clear()
        kind, _, id_ = payload.partition(" ")
        stale = [
            digest
            for digest, seen in self._known.items()
            if seen.grant is None or not id_ or _concerns(seen.grant.who, kind, id_)
        ]
        for digest in stale:
            del self._known[digest]

    def listener(self, db: Database) -> Listener:
        """What hears of changes; to be started and closed with the process."""

        async def forget_all() -> None:
            self.forget()

        return db.listener(ACCESS_CHANNEL, on_payload=self.forget, on_reconnect=forget_all)


def master_mark(digest: bytes) -> bytes:
    """What tells tokens of this master key from those of another: nothing leads back from it."""
    return hmac.digest(digest, b"tokens", "sha256")[:16]


def _concerns(who: Principal, kind: str, id_: str) -> bool:
    if kind == "token":
        return who.handle is not None and who.handle.id == id_
    return any(scope.kind == kind and scope.id == id_ for scope in who.scopes)


def _unknown(*, is_token: bool) -> Unauthenticated:
    if is_token:
        return Unauthenticated("This token is not known, or the key that made it is gone.", code="invalid_token")
    return Unauthenticated("Incorrect API key provided.")


def _token(in_query: str, beside: str | None) -> str:
    if beside is not None:
        raise InvalidRequest(
            "The request has a token in its query and a key in its headers. Send one of them.", code="two_credentials"
        )
    if not in_query.startswith(HANDLE_PREFIX):
        raise Unauthenticated(
            f"'token' takes tokens alone, which begin with '{HANDLE_PREFIX}'. Send an API key as "
            "'Authorization: Bearer YOUR_KEY', and never in a URL: those are logged, and shared.",
            code="invalid_token",
        )
    return in_query


def require_admin(who: Principal) -> None:
    """Raises `PermissionDenied` for whoever does not administer the gateway."""
    if not who.is_admin:
        raise PermissionDenied("This needs an admin key.", code="admin_only")


def _key(authorization: str | None, api_key: str | None) -> str:
    key = api_key
    if authorization is not None:
        scheme, _, token = authorization.partition(" ")
        key = token.strip() if scheme.lower() == "bearer" else None
    if not key:
        raise Unauthenticated(
            "You didn't provide an API key. Send it as 'Authorization: Bearer YOUR_KEY' or 'api-key: YOUR_KEY'."
        )
    return key
