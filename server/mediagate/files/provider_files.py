"""A provider's own files, by the provider's own ids: what an account holds, whoever put it there."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.core import ids
from mediagate.core.errors import NotFound, PermissionDenied
from mediagate.core.limits import echo
from mediagate.core.objects import Page, Principal
from mediagate.providers.base import Content
from mediagate.providers.files import FileOperation, FileProvider, ListQuery, ProviderFile
from mediagate.routing.allowed import require_provider
from mediagate.routing.stores import FileStores
from mediagate.routing.targets import Named, Targets

LIMIT_MAX = 10_000


@dataclass(frozen=True, slots=True)
class ProviderFiles:
    """Reads and deletes at a provider. Every call raises `PermissionDenied` for a caller without the right,
    `InvalidField` for an unknown provider, `Unsupported` for what it cannot do, and what the provider raises."""

    stores: FileStores
    targets: Targets

    def names(self, named: Named, file_id: str) -> bool:
        """Whether a call is about a provider's own file: it names a provider, and an id that is not one of ours."""
        return named.first is not None and not ids.FILE.matches(file_id)

    async def get(self, who: Principal, named: Named, ref: str) -> ProviderFile:
        """Raises `NotFound` for a file that the account does not have."""
        provider = self._provider(who, named, FileOperation.GET)
        try:
            return await provider.get(ref)
        except (FileNotFoundError, ValueError):
            raise _not_found(ref) from None

    async def list(self, who: Principal, named: Named, query: ListQuery) -> Page[ProviderFile]:
        """One page of what the account holds."""
        return await self._provider(who, named, FileOperation.LIST).list(query)

    async def delete(self, who: Principal, named: Named, ref: str) -> None:
        """Remove it at the provider; what is absent is `NotFound`, as everywhere."""
        provider = self._provider(who, named, FileOperation.DELETE)
        await self.get(who, named, ref)
        await provider.delete(ref)

    async def open(self, who: Principal, named: Named, ref: str) -> tuple[ProviderFile, Content]:
        """Raises `NotFound` for a file that the account does not have."""
        provider = self._provider(who, named, FileOperation.CONTENT)
        try:
            return await provider.get(ref), await provider.open(ref)
        except (FileNotFoundError, ValueError):
            raise _not_found(ref) from None

    def account(self, who: Principal, named: Named) -> str:
        """The account that the call names."""
        if not who.uses_providers:
            raise PermissionDenied(
                "This key may not use a provider's own files. Use the ids that this gateway gave.",
                param="custom_llm_provider",
            )
        account = self.targets.account(named.first or "")
        require_provider(who, self.stores.accounts[account].provider)
        return account

    def _provider(self, who: Principal, named: Named, operation: FileOperation) -> FileProvider:
        provider = self.stores.account(self.account(who, named))
        provider.spec.require(operation)
        return provider


def _not_found(ref: str) -> NotFound:
    return NotFound(f"No such File object: {echo(ref)}", param="id", id=echo(ref))
