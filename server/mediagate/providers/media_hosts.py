"""Where a provider's finished videos may lie, for providers that run models of anybody.

What such a model calls its output is its author's choice: an address inside the gateway's own network, or one of the
provider's API, which would be asked with the account's credentials. So only known hosts are read.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from mediagate.providers.account import Account
from mediagate.providers.base import Failure, FailureStage

MISPLACED: Final = Failure(
    FailureStage.OUTPUT,
    "output_misplaced",
    "The model has put the video in a place that is not the provider's own.",
    retryable=False,
)
# Two parsers may read these differently.
_DOUBTFUL: Final = frozenset("@\\\r\n\t ")


class MediaHosts:
    """The hosts `known`, where `.example.com` stands for all below it, and those of the account's option `media_hosts`,
    between commas. One that is given with its port is also read without TLS."""

    def __init__(self, account: Account, *known: str) -> None:
        given = (account.option("media_hosts") or "").split(",")
        self._hosts = (*known, *(host.strip().lower() for host in given if host.strip()))

    def has(self, url: str) -> bool:
        """Whether `url` leads to one of them."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError:
            return False
        if _DOUBTFUL & set(url) or parts.scheme not in ("https", "http"):
            return False
        if port is not None and f"{host}:{port}" in self._hosts:
            return True
        known = any(host.endswith(name) if name.startswith(".") else host == name for name in self._hosts)
        return known and parts.scheme == "https" and port in (None, 443)
