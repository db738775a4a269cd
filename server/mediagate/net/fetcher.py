"""Fetch a URL that a caller gave.

The rules: https (http and private hosts only where the configuration names them); every address of a name is checked
and only a checked one is connected to, again at each redirect and each resumption; at most `REDIRECTS_MAX` redirects;
bounds for bytes and time; nothing of ours goes along: no proxy, cookie, credential or referrer. Content counts as whole
only where the server said where it ends.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Final
from urllib.parse import unquote, urljoin

import aiohttp
import structlog

from mediagate.core.disposition import safe_filename
from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.net.connection import Answer, Resolve, checked_addresses, get, system_resolve
from mediagate.net.errors import TransferBroken, not_reachable, too_large
from mediagate.net.urls import FetchRules, target_of

log = structlog.get_logger(__name__)
REDIRECTS_MAX: Final = 3
ATTEMPTS_MAX: Final = 3
BACK_OFF_S: Final = 0.2

_REDIRECTS: Final = (301, 302, 303, 307, 308)
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_BROKEN: Final = (aiohttp.ClientError, OSError)


class Fetcher:
    """Opens URLs under one set of rules."""

    def __init__(
        self, rules: FetchRules, *, resolve: Resolve = system_resolve, tls: ssl.SSLContext | None = None
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._tls = tls

    @asynccontextmanager
    async def open(
        self, url: str, *, param: str, bytes_max: int | None = None, whole_s: float | None = None
    ) -> AsyncIterator[Fetched]:
        """Ask for the content of `url`, the value of the field `param`; the connection ends with the context.

        `bytes_max` and `whole_s` narrow the rules' own bounds; the time counts from here to the last byte. Raises
        `InvalidField` with the code `url_not_allowed` or `url_not_reachable`, `PayloadTooLarge` with `url_too_large`.
        """
        rules = self._rules
        bytes_max = rules.bytes_max if bytes_max is None else min(bytes_max, rules.bytes_max)
        whole_s = rules.whole_s if whole_s is None else min(whole_s, rules.whole_s)
        walk = _Walk(rules, self._resolve, self._tls, param, asyncio.get_running_loop().time() + whole_s)
        answer = await walk.first(url)
        fetched = Fetched(walk, answer, bytes_max)
        try:
            fetched.check()
            yield fetched
        finally:
            await fetched.close()


class _Walk:
    """The way to one content: what every request of one fetch shares."""

    def __init__(
        self, rules: FetchRules, resolve: Resolve, tls: ssl.SSLContext | None, param: str, deadline: float
    ) -> None:
        self._rules = rules
        self._resolve = resolve
        self._tls = tls
        self._redirects_left = REDIRECTS_MAX
        self.param = param
        self.deadline = deadline
        self.silence_s = rules.silence_s

    async def first(self, url: str) -> Answer:
        """The answer of the content's server. Raises `InvalidField`."""
        try:
            async with asyncio.timeout_at(self.deadline):
                answer = await self.request(url, {})
        except TimeoutError:
            raise not_reachable(self.param, "it took too long") from None
        except _BROKEN as error:
            log.info("url_not_reachable", error=type(error).__name__)
            raise not_reachable(self.param, "the connection failed") from None
        if answer.response.status != 200:
            await answer.close()
            raise not_reachable(self.param, f"the server answered {answer.response.status}")
        return answer

    async def request(self, url: str, headers: Mapping[str, str]) -> Answer:
        """Ask, and follow redirects, each one checked like the first URL."""
        while True:
            answer = await self._once(url, headers)
            if answer.response.status not in _REDIRECTS:
                return answer
            await answer.close()
            location = answer.response.headers.get("Location")
            if not location:
                raise not_reachable(self.param, "it is redirected to nowhere")
            if self._redirects_left == 0:
                raise not_reachable(self.param, f"it is redirected more than {REDIRECTS_MAX} times")
            self._redirects_left -= 1
            url = _joined(str(answer.target.url), location)

    async def _once(self, url: str, headers: Mapping[str, str]) -> Answer:
        target = None
        try:
            target = target_of(url, self._rules, param=self.param)
            addresses = await checked_addresses(target, self._resolve, self._rules.connect_s, param=self.param)
        except InvalidField as refused:
            log.warning("url_refused", code=refused.code, host=echo(target.host) if target else None)
            raise
        return await get(target, addresses, self._rules, headers, self._tls)


class Fetched:
    """Content that a server has begun to send. What it says of itself is not to be trusted.

    `size_bytes` is None where the server does not say it before the end. `etag` is empty where there is none.
    """

    def __init__(self, walk: _Walk, answer: Answer, bytes_max: int) -> None:
        response = answer.response
        self._walk = walk
        self._answer = answer
        self._bytes_max = bytes_max
        self._attempts = 1
        self._offset = 0
        self._at_end = False
        self.content_type = response.content_type
        self.size_bytes = None if _is_chunked(response) else response.content_length
        self.filename = _filename(response)
        self.etag = response.headers.get("ETag", "")

    def check(self) -> None:
        """Raises `InvalidField` for content that is encoded, `PayloadTooLarge` where its announced size is."""
        if not _is_plain(self._answer.response):
            raise not_reachable(self._walk.param, "the server sends it compressed")
        if self.size_bytes is not None and self.size_bytes > self._bytes_max:
            raise too_large(self._walk.param, self._bytes_max)

    async def read(self) -> AsyncIterator[bytes]:
        """Yield the content once, from its beginning to its proven end.

        A connection that breaks is taken up where it broke, where the server can do that. Raises `TransferBroken` (an
        `OSError`) where the end does not come, and `PayloadTooLarge` past the limit.
        """
        if not _tells_its_end(self._answer.response):
            raise TransferBroken("the server does not say where the content ends")
        while chunk := await self._next():
            self._offset += len(chunk)
            if self._offset > self._bytes_max:
                raise too_large(self._walk.param, self._bytes_max)
            yield chunk
        if self.size_bytes is not None and self._offset != self.size_bytes:
            raise TransferBroken(f"the content ended at {self._offset} of {self.size_bytes} bytes")

    async def _next(self) -> bytes:
        """The next bytes; empty at the end. Time that the reader spends between two counts as well."""
        while True:
            # A bound of ours: after garbage between two chunks aiohttp's own one does not fire (measured).
            silent_at = asyncio.get_running_loop().time() + self._walk.silence_s
            try:
                async with asyncio.timeout_at(min(silent_at, self._walk.deadline)):
                    return await self._answer.response.content.readany()
            except _BROKEN as error:
                await self._resume(error)

    async def _resume(self, cause: Exception) -> None:
        """Go on behind the last byte with a new connection. Raises `TransferBroken` where that cannot be done."""
        while self._attempts < ATTEMPTS_MAX and self._can_resume():
            pause_s = BACK_OFF_S * 4 ** (self._attempts - 1)
            self._attempts += 1
            await self._answer.close()
            try:
                async with asyncio.timeout_at(self._walk.deadline):
                    await asyncio.sleep(pause_s)
                    headers = {"Range": f"bytes={self._offset}-", "If-Range": self.etag}
                    answer = await self._walk.request(str(self._answer.target.url), headers)
            except (*_BROKEN, InvalidField) as error:
                cause = error
                continue
            self._answer = answer
            if self._goes_on(answer.response):
                return
            if answer.response.status < 500:
                break
        raise TransferBroken(f"the content broke off at {self._offset} bytes") from cause

    def _can_resume(self) -> bool:
        left_s = self._walk.deadline - asyncio.get_running_loop().time()
        ranges = self._answer.response.headers.get("Accept-Ranges", "")
        return left_s > 0 and self.etag.startswith('"') and ranges.lower() != "none"

    def _goes_on(self, response: aiohttp.ClientResponse) -> bool:
        """Whether an answer holds exactly what is missing, of the same version."""
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status != 206 or match is None or not _is_plain(response) or not _tells_its_end(response):
            return False
        first, last, whole = int(match[1]), int(match[2]), match[3]
        size_bytes = self.size_bytes if whole == "*" else int(whole)
        return (
            first == self._offset
            and last + 1 == size_bytes
            and self.size_bytes in (None, size_bytes)
            and response.headers.get("ETag", self.etag) == self.etag
        )

    async def close(self) -> None:
        """Close the connection."""
        await self._answer.close()


def _joined(base: str, location: str) -> str:
    try:
        return urljoin(base, location)
    except ValueError:
        return location


def _is_chunked(response: aiohttp.ClientResponse) -> bool:
    return response.headers.get("Transfer-Encoding", "").lower() == "chunked"


def _tells_its_end(response: aiohttp.ClientResponse) -> bool:
    return _is_chunked(response) or response.content_length is not None


def _is_plain(response: aiohttp.ClientResponse) -> bool:
    """Whether the bytes are the content itself: nothing is unpacked here, so nothing can be blown up."""
    coded = [response.headers.get("Content-Encoding", "identity"), response.headers.get("Transfer-Encoding", "chunked")]
    return [coding.lower() for coding in coded] == ["identity", "chunked"]


def _filename(response: aiohttp.ClientResponse) -> str:
    """The name by RFC 6266, or the last segment of the path; always a safe one."""
    header = Message()
    header["content-disposition"] = response.headers.get("Content-Disposition", "")
    given = [value for name, value in header.get_params(failobj=[], header="content-disposition") if name == "filename"]
    # `filename*` comes as a tuple, and beats a plain one beside it.
    given.sort(key=lambda value: not isinstance(value, tuple))
    name = collapse_rfc2231_value(given[0]) if given else ""
    return safe_filename(name or unquote(response.url.raw_path).rstrip("/").rpartition("/")[2])
