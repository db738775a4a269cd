"""The accounts that can keep files, and the provider behind each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import structlog

from mediagate.core.errors import ProviderRefused
from mediagate.providers.account import Account
from mediagate.providers.files import FileProvider
from mediagate.providers.registry import build_files

log = structlog.get_logger(__name__)
LOCAL = "local"


class FileStores:
    """Every account by its id. A provider is built when it is first used, once.

    `default` are the accounts that a file goes to where the caller names none, `scratch` is the one for bytes on their
    way. The first account of a provider in the configuration is the one that the provider's name stands for. A retired
    account serves the copies that it has, and has no name by which it could be given new ones.
    """

    def __init__(
        self,
        accounts: Sequence[Account],
        *,
        default: Sequence[str] = (LOCAL,),
        scratch: str = LOCAL,
        build: Callable[[Account], FileProvider] = build_files,
    ) -> None:
        self._accounts = {account.id: account for account in accounts}
        self._retired: dict[str, Account] = {}
        self._build = build
        self._built: dict[str, FileProvider] = {}
        self.default = tuple(default)
        self.scratch_account = scratch

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Every account, in the order of the configuration."""
        return self._accounts

    def retire(self, accounts: Iterable[Account]) -> None:
        """Keep accounts that the configuration no longer has; those that it has stay as they are."""
        self._retired.update({account.id: account for account in accounts if account.id not in self._accounts})

    def account(self, account_id: str) -> FileProvider:
        """The provider of one account. Raises `KeyError` where nobody knows it any more, `ProviderRefused` where it
        lacks what the provider needs."""
        provider = self._built.get(account_id)
        if provider is None:
            account = self._known(account_id)
            try:
                provider = self._built[account_id] = self._build(account)
            except ValueError as error:
                log.error("account_incomplete", account=account_id, provider=account.provider, missing=str(error))
                raise ProviderRefused(
                    f"The account '{account_id}' cannot keep files: {error}. The gateway's operator has to add it.",
                    code="provider_not_configured",
                    account=account_id,
                ) from None
        return provider

    def build_all(self) -> None:
        """Build every provider now, so that no call pays for it; one that lacks something is logged, and refused when
        it is used."""
        for account_id in self._accounts:
            with suppress(ProviderRefused):
                self.account(account_id)

    def named(self, name: str) -> str | None:
        """The id of the account that `name` stands for: an account's id, or a provider's first account."""
        if name in self._accounts:
            return name
        return next((account.id for account in self._accounts.values() if account.provider == name), None)

    def names(self) -> list[str]:
        """What `named` knows, for messages."""
        return sorted({*self._accounts, *(account.provider for account in self._accounts.values())})

    def scratch(self) -> FileProvider:
        """Where bytes wait that nobody can read yet, such as parts of uploads."""
        return self.account(self.scratch_account)

    def replica_end(self, account_id: str, created_at: datetime, expires_at: datetime | None) -> datetime | None:
        """When a copy is gone by the rules of its store: what the store says of it (`expires_at`), how long it keeps
        any file, and the account's retention."""
        account, spec = self._known(account_id), self.account(account_id).spec
        ends = [] if expires_at is None else [expires_at]
        if spec.life_s is not None:
            ends.append(created_at + timedelta(seconds=spec.life_s))
        if account.retention_days is not None:
            ends.append(created_at + timedelta(days=account.retention_days))
        return min(ends, default=None)

    def _known(self, account_id: str) -> Account:
        return self._accounts.get(account_id) or self._retired[account_id]

    async def close(self) -> None:
        """Close every provider that was built."""
        for provider in self._built.values():
            await provider.close()
