"""Accounts that the configuration no longer names, and that still have jobs or copies of files.

Each start writes down every account that it has, sealed under the master key, and reads back those that it no longer
has. They serve what they hold, and take nothing new.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from mediagate.providers.account import Account
from mediagate.providers.registry import CHAT_PROVIDERS, FILE_PROVIDERS, VIDEO_PROVIDERS
from mediagate.routing.model_accounts import ChatAccounts
from mediagate.routing.stores import LOCAL, FileStores
from mediagate.routing.video_accounts import VideoAccounts
from mediagate.store.account_memory import AccountMemory, SealedAccount
from mediagate.store.database import Database
from mediagate.store.sealing import Seal

log = structlog.get_logger(__name__)
# The variables that the providers' own SDKs read. An account may have its key from one, so they belong to it.
_SDK_VARIABLE: Final = re.compile(
    r"(ANTHROPIC|AWS|AZURE|FAL|GCS|GEMINI|GOOGLE|MISTRAL|OPENAI|OPENROUTER|REPLICATE|RUNWAYML|VERTEX|XAI)_\w+"
    r"|API_ENDPOINT_OVERRIDE|STORAGE_EMULATOR_HOST"
)
_MEMBERS: Final = ("api_key", "api_base", "api_version", "bucket_name", "prefix", "retention_days", "options")


@dataclass(frozen=True, slots=True)
class RecallAccounts:
    """Runs at the start of each process that has accounts. `master_key` is None where the process was given none."""

    db: Database
    stores: FileStores
    makers: VideoAccounts
    chats: ChatAccounts
    master_key: str | None
    environ: Mapping[str, str]

    async def run(self, now: datetime) -> None:
        """Write down the accounts there are, and bring back those that are gone from the configuration. Raises what the
        driver raises."""
        current = {**self.chats.accounts, **self.makers.accounts, **self.stores.accounts}
        named = {account_id: account for account_id, account in current.items() if account.provider != LOCAL}
        async with self.db.reading() as connection:
            known = await AccountMemory(connection).all()
        if not known and not named:
            return
        if self.master_key is None:
            log.warning("accounts_not_remembered", reason="MEDIAGATE_MASTER_KEY is not set")
            return
        seal = Seal(self.master_key)
        opened = _opened(seal, known)
        await self._remember(seal, named, opened, now)
        gone = [self._account(key, values) for key, values in opened.items() if key not in named]
        everybody = [*named.values(), *gone]
        self.stores.retire(account for account in everybody if account.provider in FILE_PROVIDERS)
        self.makers.retire(account for account in everybody if account.provider in VIDEO_PROVIDERS)
        self.chats.retire(account for account in everybody if account.provider in CHAT_PROVIDERS)
        lost = sorted({row.id for row in known} - set(named) - set(opened))
        if lost:
            log.error("accounts_sealed_with_another_key", accounts=lost)
        if gone:
            log.info("accounts_retired", accounts=[account.id for account in gone])

    async def _remember(
        self, seal: Seal, named: Mapping[str, Account], opened: Mapping[str, Mapping[str, Any]], now: datetime
    ) -> None:
        async with self.db.transaction() as tx:
            memory = AccountMemory(tx.connection)
            for account in named.values():
                values = _values(account)
                # Sealed anew it would be other bytes, and a write at each start of each process.
                if opened.get(account.id) != values:
                    sealed = seal.close(json.dumps(values).encode(), account.id)
                    await memory.remember(SealedAccount(account.id, account.provider, sealed), now=now)
            await memory.forget_unused(kept=named, now=now)

    def _account(self, account_id: str, values: Mapping[str, Any]) -> Account:
        return Account(
            id=account_id,
            provider=values["provider"],
            # Those before this version have none; what nobody labels is nothing in particular.
            labels=values.get("labels", {}),
            environ={**_without_sdks(self.environ), **values["environ"]},
            **{name: values[name] for name in _MEMBERS},
        )


def _without_sdks(environ: Mapping[str, str]) -> dict[str, str]:
    """What is no provider's: a key that came with another account opens nothing that this one holds."""
    return {name: text for name, text in environ.items() if not _SDK_VARIABLE.fullmatch(name)}


def _opened(seal: Seal, known: Iterable[SealedAccount]) -> dict[str, dict[str, Any]]:
    """What the sealed ones say; those that another master key sealed are left out."""
    found = {}
    for row in known:
        try:
            found[row.id] = json.loads(seal.open(row.sealed, row.id))
        except ValueError:
            continue
    return found


def _values(account: Account) -> dict[str, Any]:
    """An account as JSON has it."""
    values: dict[str, Any] = {name: getattr(account, name) for name in _MEMBERS}
    values["provider"] = account.provider
    values["labels"] = dict(account.labels)
    values["environ"] = {name: text for name, text in account.environ.items() if _SDK_VARIABLE.fullmatch(name)}
    # As it will be read: options come from YAML, which knows more types than JSON.
    plain: dict[str, Any] = json.loads(json.dumps(values, default=str))
    return plain
