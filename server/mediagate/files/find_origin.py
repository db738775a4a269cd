"""Choose where the bytes of a file come from, for an edge that can fetch them by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from mediagate.core.clock import Clock
from mediagate.core.errors import MediagateError, Unavailable
from mediagate.core.lifecycle import FileState, ReplicaState
from mediagate.core.objects import File, Principal, Replica
from mediagate.providers.files import ForgetsLinks, Origin, ProviderFile, ServesDirectly
from mediagate.routing.places import Places

log = structlog.get_logger(__name__)
# A copy that failed is asked last for this long; then it has another chance.
ILL_S = 10.0
ILL_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """A copy that the edge can stream, and the account that has it."""

    account: str
    origin: Origin


def as_file(found: ProviderFile, account: str, who: Principal) -> File | None:
    """A provider's own file as one with one copy; None where the provider does not tell its size."""
    if found.size_bytes is None:
        return None
    return File(
        id=found.ref,
        owner_id=who.owner_id,
        end_user=who.end_user,
        filename=found.filename,
        purpose=found.purpose,
        size_bytes=found.size_bytes,
        sha256="",
        content_type=found.content_type or "application/octet-stream",
        state=FileState.PROCESSED,
        created_at=found.created_at or datetime.fromtimestamp(0, UTC),
        replicas=(Replica(found.ref, account, account, found.ref, ReplicaState.READY),),
    )


class Health:
    """What failed a moment ago: whole accounts, and single copies as `(account, ref)`. Known to this process alone."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._ill_until: dict[object, float] = {}

    def note(self, what: object) -> None:
        """It failed just now."""
        if len(self._ill_until) >= ILL_MAX:
            self._ill_until.clear()
        self._ill_until[what] = self._now() + ILL_S

    def is_ill(self, what: object) -> bool:
        """Whether it failed within the last `ILL_S` seconds."""
        until = self._ill_until.get(what)
        if until is not None and until <= self._now():
            del self._ill_until[what]
            return False
        return until is not None


class FindOrigin:
    """Prefers copies that the edge can stream to those that pass this process, and healthy ones to those that failed a
    moment ago; a copy that passes this process is better than one that failed."""

    def __init__(self, stores: Places, clock: Clock, health: Health | None = None) -> None:
        self._stores = stores
        self._clock = clock
        self._health = health or Health()
        self._without_ranges: set[str] = set()

    async def run(self, file: File, *, ranged: bool = False, tried: Collection[str] = ()) -> Found | None:
        """The best copy outside the accounts `tried`; None where the bytes, or the reason why there are none, come
        through this process. `ranged` passes over accounts that only send the whole.

        Raises `Unavailable` where everything that could be read was tried.
        """
        direct: list[tuple[Replica, ServesDirectly]] = []
        here = False
        for replica, provider in self._readable(file):
            if not isinstance(provider, ServesDirectly) or (ranged and replica.account in self._without_ranges):
                here = True
            elif replica.account not in tried:
                direct.append((replica, provider))
        direct.sort(key=lambda candidate: self._is_ill(candidate[0]))
        for replica, provider in direct:
            if here and self._is_ill(replica):
                return None
            origin = await self._origin(replica, provider)
            if origin is not None:
                return Found(replica.account, origin)
        if here or direct or not tried:
            return None
        raise Unavailable("The file's content cannot be read at the moment. Try again later.", file_id=file.id)

    def title(self, account: str) -> str:
        """What messages call the account's provider."""
        return self._stores.account(account).spec.title

    def note_without_ranges(self, account: str) -> None:
        """The edge asked for a range and was sent the whole."""
        self._without_ranges.add(account)

    def note_failure(self, file: File, account: str, status: str, *, whole_account: bool) -> None:
        """The edge could not stream the copy in `account`, which answered `status`: it is bad, or all there is."""
        log.warning("origin_failed", file_id=file.id, account=account, status=status)
        for replica in file.replicas:
            if replica.account == account:
                self._health.note(account if whole_account else (account, replica.ref))

    def forget_link(self, file: File, account: str) -> bool:
        """Have the provider in `account` asked anew where the content is; False where it does not remember that."""
        forgot = False
        for replica in file.replicas:
            provider = self._stores.account(account) if replica.account == account else None
            if isinstance(provider, ForgetsLinks):
                provider.forget(replica.ref or "")
                forgot = True
        return forgot

    async def _origin(self, replica: Replica, provider: ServesDirectly) -> Origin | None:
        """None where the provider does not hand this copy out, or cannot tell how."""
        try:
            return await provider.origin(replica.ref or "", method="GET")
        except FileNotFoundError:
            self._health.note((replica.account, replica.ref))
        except MediagateError as error:
            if error.retryable:
                self._health.note(replica.account)
        return None

    def _readable(self, file: File) -> Iterator[tuple[Replica, object]]:
        now = self._clock.now()
        for replica in file.replicas:
            expired = replica.expires_at is not None and replica.expires_at <= now
            if replica.state is not ReplicaState.READY or replica.ref is None or expired:
                continue
            try:
                yield replica, self._stores.account(replica.account)
            except (KeyError, MediagateError):
                continue

    def _is_ill(self, replica: Replica) -> bool:
        return self._health.is_ill(replica.account) or self._health.is_ill((replica.account, replica.ref))
