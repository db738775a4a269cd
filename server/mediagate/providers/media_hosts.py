"""Where a provider's finished videos may lie.

A link, and each redirect behind it, is somebody else's word: it may name an address inside the gateway's own network.
Of providers that run models of anybody, a link is the word of a model's author, and may also name the provider's API,
which would be asked with the account's credentials: of these only known hosts are read.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Final
from urllib.parse import urlsplit

from mediagate.core.addresses import is_public
from mediagate.providers.account import Account
from mediagate.providers.base import Failure, FailureStage

MISPLACED: Final = Failure(
    FailureStage.OUTPUT,
    "output_misplaced",
    "The model has put the video in a place that is not the provider's own.",
    retryable=False,
)
# Two parsers may read these differently.
_TREACHEROUS: Final = frozenset("\\\r\n\t ")
_DOUBTFUL: Final = _TREACHEROUS | {"@"}


class MediaHosts:
    """The hosts `known`, where `.example.com` stands for all below it, and those of the account's option `media_hosts`,
    between commas. One that is given with its port is also read without TLS; `example.com:*` stands for any port, with
    TLS."""

    def __init__(self, account: Account | None, *known: str) -> None:
        given = ((account and account.option("media_hosts")) or "").split(",")
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
        if parts.scheme == "https" and f"{host}:*" in self._hosts:
            return True
        known = any(host.endswith(name) if name.startswith(".") else host == name for name in self._hosts)
        return known and parts.scheme == "https" and port in (None, 443)

    async def allow(self, url: str, base_url: str) -> bool:
        """Whether `url`, a link or what one leads to, may be read for the account at `base_url`. Raises `OSError` where
        a name has to be looked up and cannot be."""
        del base_url
        return self.has(url)


class PublicHosts(MediaHosts):
    """The account's own host, every public host over TLS, and those of the account's option `media_hosts`."""

    async def allow(self, url: str, base_url: str) -> bool:
        """See `MediaHosts.allow`."""
        if self.has(url):
            return True
        if _TREACHEROUS & set(url):
            return False
        try:
            if endpoint_of(url) == endpoint_of(base_url):
                return True
            parts = urlsplit(url)
            port = parts.port or 443
        except ValueError:
            return False
        if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
            return False
        return all(map(is_public, await _addresses(parts.hostname, port)))


def endpoint_of(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL. Raises `ValueError`."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)


async def _addresses(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise OSError("no name that can be looked up") from error
    return [str(address[0]) for *_, address in found]
