"""One request to one host, over a connection that can only go to addresses which were checked before."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from mediagate.core.addresses import is_public
from mediagate.net.errors import not_allowed, not_reachable
from mediagate.net.urls import NOT_PUBLIC, FetchRules, Target

USER_AGENT: Final = "mediagate"
READ_BYTES: Final = 1 << 18

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, as text. Raises `OSError` where it has none."""

# Of their own: a name server that does not answer must not hold up the threads that others need.
_threads: Final = ThreadPoolExecutor(max_workers=8, thread_name_prefix="resolve")


async def system_resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(
        _threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    )
    return [str(sockaddr[0]) for *_, sockaddr in found]


async def checked_addresses(target: Target, resolve: Resolve, within_s: float, *, param: str) -> tuple[str, ...]:
    """The addresses of a target, looked up once, each one checked: a single one that is refused refuses the target.

    Raises `InvalidField`.
    """
    if target.is_address:
        return (target.host,)
    try:
        async with asyncio.timeout(within_s):
            found = tuple(dict.fromkeys(await resolve(target.host, target.port)))
    except (OSError, UnicodeError):
        found = ()
    if not found:
        raise not_reachable(param, "its host has no address")
    if not target.trusted and not all(map(is_public, found)):
        raise not_allowed(param, NOT_PUBLIC)
    return found


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer; its body is read from `response`."""

    target: Target
    response: aiohttp.ClientResponse
    session: aiohttp.ClientSession

    async def close(self) -> None:
        """Close the connection, whatever is still to come on it."""
        self.response.close()
        await self.session.close()


def session_to(
    addresses: Sequence[str], rules: FetchRules, tls: ssl.SSLContext | None, *, read_bytes: int = READ_BYTES
) -> aiohttp.ClientSession:
    """A session for one request, which can reach `addresses` and no others. `read_bytes` is what it reads ahead."""
    connector = aiohttp.TCPConnector(
        resolver=_Pinned(addresses),
        socket_factory=lambda info: _open_socket(info, frozenset(addresses)),
        ssl=True if tls is None else tls,
        use_dns_cache=False,
        force_close=True,
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=read_bytes,
        timeout=aiohttp.ClientTimeout(total=None, connect=rules.connect_s),
        headers={"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"},
    )


async def get(
    target: Target,
    addresses: Sequence[str],
    rules: FetchRules,
    headers: Mapping[str, str],
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """Send one GET to one of `addresses`; redirects are not followed. Raises what aiohttp raises, and
    `TimeoutError`."""
    session = session_to(addresses, rules, tls)
    try:
        async with asyncio.timeout(rules.connect_s + rules.silence_s):
            response = await session.get(target.url, headers=headers, allow_redirects=False)
    except BaseException:
        await session.close()
        raise
    return Answer(target, response, session)


class _Pinned(AbstractResolver):
    """Knows the checked addresses and no others, so that a second look-up cannot give other ones."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


def _open_socket(info: tuple[Any, ...], addresses: frozenset[str]) -> socket.socket:
    """The last gate: whatever an HTTP client makes of a URL, no socket exists for an address that was not checked."""
    family, kind, protocol, _, sockaddr = info
    if sockaddr[0] not in addresses:
        raise OSError("the address was not checked")
    return socket.socket(family=family, type=kind, proto=protocol)
