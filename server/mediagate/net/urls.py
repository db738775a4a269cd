"""Which URLs may be fetched, as far as their text tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from yarl import URL

from mediagate.core.addresses import is_public
from mediagate.core.limits import MIB, echo
from mediagate.net.errors import not_allowed

URL_CHARS_MAX: Final = 8192
DEFAULT_PORTS: Final = frozenset({80, 443})
NOT_PUBLIC: Final = "its host is not on the public internet"

# What a parser may drop, or read as something else, in one place and not in another.
_TREACHEROUS: Final = re.compile(r"[\x00-\x20\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")
_NAME: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_IPV4: Final = re.compile(r"(?:(?:0|[1-9][0-9]{0,2})\.){3}(?:0|[1-9][0-9]{0,2})")
# Names that only mean something inside a machine, a network or a cloud: these are not even looked up.
_LOCAL: Final = frozenset({"localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa"})


@dataclass(frozen=True, slots=True)
class FetchRules:
    """What may be fetched, and within which bounds. Waits are seconds.

    `allowed_hosts` are what `allowed_host` returns: they may be private, and where they name a port, on any port.
    """

    allowed_hosts: frozenset[tuple[str, int | None]] = frozenset()
    allow_http: bool = False
    ports: frozenset[int] = DEFAULT_PORTS
    bytes_max: int = 512 * MIB
    connect_s: float = 10.0
    silence_s: float = 30.0
    whole_s: float = 300.0


@dataclass(frozen=True, slots=True)
class Target:
    """A URL whose text is in order. `trusted` tells that its host stands on the list of allowed hosts."""

    url: URL
    host: str
    port: int
    trusted: bool

    @property
    def is_address(self) -> bool:
        """Whether the host is an address and not a name."""
        return ":" in self.host or _IPV4.fullmatch(self.host) is not None


def allowed_host(entry: str) -> tuple[str, int | None]:
    """Read `host` or `host:port`, an IPv6 address in brackets. Raises `ValueError` for anything else."""
    try:
        if set(entry) & set("/?#@"):
            raise ValueError
        url = _parsed(f"https://{entry}/")
        return _host_of(url), url.explicit_port
    except ValueError:
        raise ValueError(f"{echo(entry)} should be host or host:port") from None


def endpoint_of(text: str) -> tuple[str, int]:
    """The host and the port of an absolute URL, as they are compared with `allowed_host`. Raises `ValueError`."""
    url = _parsed(text)
    host, port = _host_of(url), url.port
    if port is None:
        raise ValueError("it has no port")
    return host, port


def target_of(text: str, rules: FetchRules, *, param: str) -> Target:
    """Judge an absolute URL by its text. A host that is a name must still be judged by its addresses.

    Raises `InvalidField` with the code `url_not_allowed`.
    """
    try:
        url = _parsed(text)
        _require_scheme(url, rules)
        host, port = _host_of(url), url.port
        assert port is not None
        if (host, port) in rules.allowed_hosts:
            return Target(url, host, port, trusted=True)
        if port not in rules.ports:
            raise ValueError(f"port {port} is not open to it")
        if (host, None) in rules.allowed_hosts:
            return Target(url, host, port, trusted=True)
        target = Target(url, host, port, trusted=False)
        if not is_public(host) if target.is_address else _is_local(host):
            raise ValueError(NOT_PUBLIC)
    except ValueError as error:
        raise not_allowed(param, str(error)) from None
    return target


def _parsed(text: str) -> URL:
    """The URL, with path and query left as they are: a signature may cover their spelling."""
    if len(text) > URL_CHARS_MAX:
        raise ValueError(f"it is longer than {URL_CHARS_MAX} characters")
    if _TREACHEROUS.search(text):
        raise ValueError("it holds a space, a control character or a backslash")
    try:
        url, parts = URL(text), urlsplit(text)
    except (ValueError, IndexError):  # yarl's own slip, for an empty host behind brackets
        raise ValueError("it is no absolute URL with a host") from None
    if "@" in parts.netloc:
        raise ValueError("it must not hold a user name or a password")
    if "[" in parts.netloc and ":" not in (url.raw_host or ""):
        raise ValueError("its host is no address")
    if not text.isascii() or not url.raw_host:
        return url.with_fragment(None)
    return URL.build(
        scheme=url.scheme,
        authority=url.raw_authority,
        path=parts.path or "/",
        query_string=parts.query,
        encoded=True,
    )


def _require_scheme(url: URL, rules: FetchRules) -> None:
    if url.scheme == "http" and not rules.allow_http:
        raise ValueError("it must begin with https://")
    if url.scheme not in ("https", "http"):
        raise ValueError("it must begin with https://" + (" or http://" if rules.allow_http else ""))


def _host_of(url: URL) -> str:
    """The host in the one spelling that is compared: lower case, ASCII, an address without brackets."""
    host = (url.raw_host or "").lower()
    if ":" in host:
        if "%" in host:
            raise ValueError("its host has a zone")
        return host
    if not _NAME.fullmatch(host):
        raise ValueError("it has no host")
    host = host.rstrip(".")
    # `inet_aton` reads 2130706433, 0x7f.1 and 0177.0.0.1 as addresses; nobody writes a public one like that.
    if _NUMBER.fullmatch(host.rpartition(".")[2]) and not _IPV4.fullmatch(host):
        raise ValueError("its host is neither a name nor an address with four decimal parts")
    return host


def _is_local(name: str) -> bool:
    return any(name == local or name.endswith(f".{local}") for local in _LOCAL)
