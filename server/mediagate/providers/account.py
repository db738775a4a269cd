"""An account at a provider: where it is, with which credentials, as the configuration names it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Account:
    """One account. Every verb for what it holds uses the same one.

    `id` is stable across restarts: rows refer to it. `options` holds the other keys that the configuration gives, under
    their own names (`aws_region_name`, `vertex_credentials`, ...); `environ` is the process's environment, for the
    variables that the provider's own SDK reads. Neither shows in a repr: both hold secrets. `labels` is what the
    configuration says the account is like (`region`, `zero_retention`, ...), `storage_cap_bytes` how much it can hold.
    """

    id: str
    provider: str
    api_key: str | None = field(default=None, repr=False)
    api_base: str | None = None
    api_version: str | None = None
    bucket_name: str | None = None
    prefix: str = "mediagate"
    retention_days: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)
    storage_cap_bytes: int | None = None

    def option(self, *names: str) -> str | None:
        """The first of these options that is given and not empty, as text."""
        for name in names:
            value = self.options.get(name)
            if value not in (None, ""):
                return str(value)
        return None

    def env(self, *names: str) -> str | None:
        """The first of these environment variables that is set and not empty."""
        for name in names:
            if self.environ.get(name):
                return self.environ[name]
        return None
