"""How full the accounts are: what lies in each against what it can hold."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from mediagate.core.storage import MadeBy
from mediagate.providers.registry import file_spec
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.storage import HeldAt, StorageRepository

log = structlog.get_logger(__name__)
NEARLY_FULL = 0.8


@dataclass(frozen=True, slots=True)
class Fullness:
    """One account. `cap_bytes` is None where nobody says how much it can hold."""

    held: HeldAt
    cap_bytes: int | None

    @property
    def nearly_full(self) -> bool:
        """Whether four fifths of it are used."""
        return self.cap_bytes is not None and self.held.bytes >= NEARLY_FULL * self.cap_bytes


@dataclass(frozen=True, slots=True)
class WatchAccounts:
    """Looks now and then, and warns before a provider refuses. It knows what this gateway has put there, and nothing of
    what others have."""

    db: Database
    stores: FileStores

    async def run(self) -> None:
        """Log a warning for each account that is nearly full."""
        for account in await self.look():
            if account.nearly_full:
                log.warning(
                    "account_nearly_full",
                    account=account.held.account,
                    provider=account.held.provider,
                    bytes=account.held.bytes,
                    cap_bytes=account.cap_bytes,
                )

    async def look(self) -> list[Fullness]:
        """Every account that keeps files or did."""
        async with self.db.reading() as connection:
            held = {found.account: found for found in await StorageRepository(connection).per_account(MadeBy())}
        for account in self.stores.accounts.values():
            held.setdefault(account.id, HeldAt(account.id, account.provider, 0, 0))
        return [Fullness(held[name], self.cap_of(name)) for name in sorted(held)]

    def cap_of(self, account_id: str) -> int | None:
        """How much an account can hold: what the configuration says, else its provider's own limit."""
        account = self.stores.accounts.get(account_id)
        if account is None:
            return None
        return account.storage_cap_bytes or file_spec(account.provider).storage_bytes_max
