"""Which file providers there are, and which one a new file goes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mediagate.providers.base import FileProvider


@dataclass(frozen=True, slots=True)
class FileStores:
    """The file providers of this configuration by name."""

    providers: Mapping[str, FileProvider]
    default: str = "local"

    def target(self) -> FileProvider:
        """Where a new file goes."""
        return self.providers[self.default]

    def named(self, provider: str) -> FileProvider:
        """The provider that holds a replica. Raises `KeyError` where the configuration no longer has it."""
        return self.providers[provider]
