"""The accounts whose models are asked, and the provider behind each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import structlog

from mediagate.core.errors import ProviderRefused
from mediagate.providers.account import Account
from mediagate.providers.chat import ChatProvider
from mediagate.providers.registry import build_chat

log = structlog.get_logger(__name__)


class Closes(Protocol):
    """What holds connections."""

    async def close(self) -> None:
        """Close them."""
        ...


P = TypeVar("P", bound=Closes)


class ModelAccounts(Mapping[str, P], Generic[P]):
    """Every account by its id. A provider is built when it is first used, once; `purpose` is what it is for, as in
    "cannot make videos".

    Looking one up raises `KeyError` where nobody knows it any more, `ProviderRefused` where it lacks what the provider
    needs. Retired ones can be looked up and are otherwise not there: they serve what they have.
    """

    def __init__(self, accounts: Sequence[Account], *, build: Callable[[Account], P], purpose: str) -> None:
        self._accounts = {account.id: account for account in accounts}
        self._retired: dict[str, Account] = {}
        self._build = build
        self._purpose = purpose
        self._built: dict[str, P] = {}
        self._lacking: dict[str, ProviderRefused] = {}

    @property
    def accounts(self) -> Mapping[str, Account]:
        """Every account, in the order of the configuration."""
        return self._accounts

    def retire(self, accounts: Iterable[Account]) -> None:
        """Keep accounts that the configuration no longer has; those that it has stay as they are."""
        self._retired.update({account.id: account for account in accounts if account.id not in self._accounts})

    def known(self, account_id: str) -> Account | None:
        """One account, retired ones too."""
        return self._accounts.get(account_id) or self._retired.get(account_id)

    def __contains__(self, account_id: object) -> bool:
        return account_id in self._accounts

    def __getitem__(self, account_id: str) -> P:
        provider = self._built.get(account_id)
        if provider is None and account_id in self._lacking:
            raise self._lacking[account_id].with_traceback(None)
        if provider is None:
            account = self._accounts.get(account_id) or self._retired[account_id]
            try:
                provider = self._built[account_id] = self._build(account)
            except ValueError as error:
                log.error("account_incomplete", account=account_id, provider=account.provider, missing=str(error))
                lacking = self._lacking[account_id] = ProviderRefused(
                    f"The account '{account_id}' cannot {self._purpose}: {error}. The gateway's operator has to add "
                    "it.",
                    code="provider_not_configured",
                    account=account_id,
                )
                raise lacking from None
        return provider

    def __iter__(self) -> Iterator[str]:
        return iter(self._accounts)

    def __len__(self) -> int:
        return len(self._accounts)

    async def close(self) -> None:
        """Close every provider that was built."""
        for provider in self._built.values():
            await provider.close()


class ChatAccounts(ModelAccounts[ChatProvider]):
    """Those that answer chats."""

    def __init__(self, accounts: Sequence[Account], *, build: Callable[[Account], ChatProvider] = build_chat) -> None:
        super().__init__(accounts, build=build, purpose="answer chats")
