"""Where content can lie: in the accounts that keep files, and in those that made videos."""

from __future__ import annotations

from typing import Final, Protocol

from mediagate.providers.base import VideoProvider
from mediagate.providers.files import FileProvider
from mediagate.routing.catalog import ModelCatalog
from mediagate.routing.stores import FileStores

MAKER: Final = "video:"
"""What the name of an account begins with where its videos are meant, and not its files."""


class Places(Protocol):
    """Accounts by name."""

    def account(self, account_id: str) -> FileProvider | VideoProvider:
        """Raises `KeyError` where nobody knows it any more, `ProviderRefused` where it lacks what it needs."""
        ...


class ContentPlaces:
    """Both kinds by one name."""

    def __init__(self, stores: FileStores, catalog: ModelCatalog) -> None:
        self._stores = stores
        self._catalog = catalog

    def account(self, account_id: str) -> FileProvider | VideoProvider:
        """See `Places.account`."""
        if account_id.startswith(MAKER):
            return self._catalog.provider(account_id.removeprefix(MAKER))
        return self._stores.account(account_id)
