"""HTTP to providers: one client per account, one mapping of what goes wrong.

Calls that change nothing, or that may be repeated, are tried at most `ATTEMPTS_MAX` times; a create is sent once,
because a lost answer says nothing about what the provider took. Of all that an account is sent, a tenth may be repeats
(`mediagate.core.retry_budget`): one that fails is not asked three times as much.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import aiohttp
import httpx
import yarl
from httpx_aiohttp import AiohttpTransport

from mediagate.core.errors import (
    MediagateError,
    ProviderFailed,
    ProviderTimeout,
    Unavailable,
)
from mediagate.core.limits import MIB
from mediagate.core.retry_budget import RetryBudget
from mediagate.providers.http_failures import error_of, transport_error
from mediagate.providers.http_session import PIECE_BYTES as PIECE_BYTES
from mediagate.providers.http_session import at_most, new_session, pieces, trusted, watched
from mediagate.telemetry.backends import BROKEN, TIMEOUT, UNREACHABLE, BackendCall, account_or, backend_call

ATTEMPTS_MAX = 3
BACK_OFF_S = 0.2
# A provider that asks for a longer pause than this is not asked again by the same call.
PAUSE_S_MAX = 5.0
CONNECT_S = 10.0
# No byte in either direction for this long is a stall.
SILENCE_S = 60.0
READ_BYTES = 1 << 20
# What a streamed body holds while the provider reads more slowly than the caller sends.
FEED_BYTES = 4 << 20
# Of an answer that is read whole, which is then in memory at least twice.
ANSWER_BYTES_MAX = 64 * MIB
REFUSAL_BYTES_MAX = 1 * MIB
TOO_LARGE = "provider_answer_too_large"

Answer = TypeVar("Answer")
Headers = Callable[[], Awaitable[Mapping[str, str]]]
Explain = Callable[[httpx.Response, str], Exception]
# A request of which nothing but this is said needs no more than aiohttp.
_PLAIN = frozenset({"params", "headers", "anonymous", "bytes_max"})
_OF_TRANSFER = frozenset({b"content-encoding", b"content-length", b"transfer-encoding"})
_outcomes: dict[type[Exception], str] = {Unavailable: UNREACHABLE, ProviderTimeout: TIMEOUT}


class ProviderHttp:
    """Calls one account of `title`, which is how messages name the provider. `headers` gives the credentials, anew for
    every call. `explain` tells what an answer of 400 or more means, where the provider is not like the others."""

    def __init__(
        self,
        title: str,
        base_url: str,
        headers: Headers,
        *,
        silence_s: float = SILENCE_S,
        connections_max: int = 64,
        explain: Explain | None = None,
    ) -> None:
        self.title = title
        self.account = account_or(title)
        self.base_url = base_url.rstrip("/")
        self._headers = headers
        self._silence_s = silence_s
        self._connections_max = connections_max
        self._explain = explain or error_of
        self.budget = RetryBudget()
        self._client: httpx.AsyncClient | None = None
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> httpx.AsyncClient:
        # Not in the constructor: the session wants the event loop it will run on.
        if self._client is None:
            self._session = new_session(self._connections_max, self._silence_s)
            self._client = httpx.AsyncClient(
                transport=AiohttpTransport(verify=trusted(), client=self._session),
                timeout=httpx.Timeout(self._silence_s, connect=CONNECT_S),
                # What a provider's front sets must not tie the calls of different callers together.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            )
        return self._client

    async def headers(self) -> dict[str, str]:
        """The headers that carry the account's credentials."""
        return dict(await self._headers())

    def url(self, path: str) -> str:
        """`path` at this account; an absolute URL stays as it is."""
        return path if path.startswith(("http://", "https://")) else f"{self.base_url}/{path.lstrip('/')}"

    async def call(self, method: str, path: str, *, repeatable: bool = True, **options: Any) -> httpx.Response:
        """Send a request and read the whole answer.

        `options` are httpx's (`params`, `json`, `content`, `files`, `headers`), and `bytes_max` of the answer. Raises
        `FileNotFoundError` for 404 and 410, and what `error_of` and `transport_error` make of everything else that is
        not 2xx or 3xx; `ProviderFailed` for an answer without an end, `ProviderTimeout` for one that trickles.
        """

        async def once() -> httpx.Response:
            if method == "GET" and options.keys() <= _PLAIN:
                return await self._asked(path, **options)
            more = dict(options)
            bytes_max = more.pop("bytes_max", ANSWER_BYTES_MAX)
            async with self.stream(method, path, **more) as response:
                return _with(response, await self._whole(response.aiter_bytes(), bytes_max))

        return await repeated(once, self.budget, attempts_max=ATTEMPTS_MAX if repeatable else 1)

    async def _whole(self, chunks: AsyncIterable[bytes], bytes_max: int, *, cut: bool = False) -> bytes:
        try:
            found, is_all = await at_most(chunks, bytes_max)
        except TimeoutError as error:
            raise transport_error(httpx.ReadTimeout("the answer trickles"), self.title) from error
        if not (is_all or cut):
            raise ProviderFailed(f"{self.title} gave an answer that is too large.", code=TOO_LARGE)
        return found

    async def _asked(
        self,
        path: str,
        *,
        params: Any = None,
        headers: Mapping[str, str] | None = None,
        anonymous: bool = False,
        bytes_max: int = ANSWER_BYTES_MAX,
    ) -> httpx.Response:
        """A GET without a body, past httpx: thousands of jobs are asked about, and this is most of what that costs."""
        self._opened()
        assert self._session is not None
        self.budget.ask()
        url = self.url(path)
        try:
            target = yarl.URL(str(httpx.URL(url, params=params) if params else httpx.URL(url)), encoded=True)
            given = {**({} if anonymous else await self.headers()), **(headers or {})}
            with self._observed("GET") as seen:
                answer = await self._session.get(
                    target,
                    headers=given,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=self._silence_s),
                )
                seen.answered(answer.status)
            async with answer:
                refused = answer.status >= 400
                most = REFUSAL_BYTES_MAX if refused else bytes_max
                content = await self._whole(answer.content.iter_any(), most, cut=refused)
                # What it is decoded from is no longer true of it.
                kept = [pair for pair in answer.raw_headers if pair[0].lower() not in _OF_TRANSFER]
                response = httpx.Response(answer.status, headers=kept, content=content)
        except (aiohttp.ClientError, httpx.InvalidURL, ValueError) as error:
            raise transport_error(error, self.title) from error
        if response.status_code >= 400:
            response.request = httpx.Request("GET", str(target))
            raise self._explain(response, self.title)
        return response

    async def json(self, method: str, path: str, *, repeatable: bool = True, **options: Any) -> dict[str, Any]:
        """The same for an answer that is a JSON object. Raises `ProviderFailed` for one that is not."""
        response = await self.call(method, path, repeatable=repeatable, **options)
        return json_of(response, self.title)

    @asynccontextmanager
    async def stream(self, method: str, path: str, **options: Any) -> AsyncIterator[httpx.Response]:
        """Send a request once; the body of the answer is not read yet. `anonymous` leaves the credentials out. Raises
        as `call` does."""
        given = options.pop("headers", None) or {}
        headers = dict(given) if options.pop("anonymous", False) else {**await self.headers(), **given}
        try:
            with self._observed(method) as seen:
                response = await self._send(method, self.url(path), headers, options)
                seen.answered(response.status_code)
            try:
                if response.status_code >= 400:
                    said = await self._whole(response.aiter_bytes(), REFUSAL_BYTES_MAX, cut=True)
                    raise self._explain(_with(response, said), self.title)
                yield response
            finally:
                await response.aclose()
        except (httpx.RequestError, httpx.StreamError, aiohttp.ClientError) as error:
            raise transport_error(error, self.title) from error

    async def _send(self, method: str, url: str, headers: dict[str, str], options: dict[str, Any]) -> httpx.Response:
        client = self._opened()
        self.budget.ask()
        content = options.pop("content", None)
        try:
            # aiohttp's own limit for silence begins where the body ends, so a server that stops reading is seen here.
            async with asyncio.timeout(None) as limit:
                if isinstance(content, bytes | bytearray | memoryview):
                    headers.setdefault("content-length", str(len(content)))
                    content = pieces(content)
                if isinstance(content, AsyncIterable):
                    content = watched(content, limit, self._silence_s)
                request = client.build_request(method, url, headers=headers, content=content, **options)
                return await client.send(request, stream=True)
        except TimeoutError as error:
            raise httpx.WriteTimeout("the body was not taken") from error

    @contextmanager
    def _observed(self, method: str) -> Iterator[BackendCall]:
        """Around one attempt, for metrics and traces."""
        with backend_call(self.account, method) as seen:
            try:
                yield seen
            except (httpx.RequestError, aiohttp.ClientError) as error:
                seen.outcome = _outcomes.get(type(transport_error(error, self.title)), BROKEN)
                raise

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()


def _with(response: httpx.Response, content: bytes) -> httpx.Response:
    # Its length stays: a HEAD has one, and no content.
    headers = [pair for pair in response.headers.raw if pair[0].lower() != b"content-encoding"]
    return httpx.Response(response.status_code, headers=headers, content=content, request=response.request)


async def repeated(
    once: Callable[[], Awaitable[Answer]], budget: RetryBudget, *, attempts_max: int = ATTEMPTS_MAX
) -> Answer:
    """Run `once`, which tells `budget` what it asks, until it succeeds: up to `attempts_max` times, with pauses that
    grow. Only what a retry can help is tried again, only where the provider does not ask for a long pause, and only as
    long as the budget lasts."""
    attempt = 1
    while True:
        try:
            return await once()
        except MediagateError as error:
            pause_s = BACK_OFF_S * 4 ** (attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311 (jitter)
            pause_s = max(pause_s, error.retry_after_s or 0.0)
            if attempt >= attempts_max or not error.retryable or pause_s > PAUSE_S_MAX:
                raise
            if not budget.ask_again():
                raise
        attempt += 1
        await asyncio.sleep(pause_s)


def json_of(response: httpx.Response, title: str) -> dict[str, Any]:
    """The body as a JSON object. Raises `ProviderFailed` for anything else, which an answer that was cut is."""
    try:
        tree = response.json()
    except (ValueError, RecursionError):
        raise ProviderFailed(f"{title} gave an answer that cannot be read.", code="provider_bad_answer") from None
    if not isinstance(tree, dict):
        raise ProviderFailed(f"{title} gave an answer that cannot be read.", code="provider_bad_answer")
    return tree


class BodyFeed:
    """A request body that is written while the request runs.

    `send` starts the request with the body as its only argument. A request that ends early, because the provider
    refuses, shows in the next `write`.
    """

    def __init__(self, send: Callable[[AsyncIterator[bytes]], Awaitable[httpx.Response]]) -> None:
        self._waiting: list[bytes] = []
        self._held = 0
        self._closed = False
        self._changed = asyncio.Condition()
        self._request: asyncio.Future[httpx.Response] = asyncio.ensure_future(send(self._body()))
        self._request.add_done_callback(lambda _: asyncio.ensure_future(self._wake()))

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; waits while the provider is behind. Raises what ended the request."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._held < FEED_BYTES or self._request.done())
            if self._request.done():
                self._raise_early_end()
            self._waiting.append(bytes(chunk))
            self._held += len(chunk)
            self._changed.notify_all()

    def _raise_early_end(self) -> None:
        self._request.result()
        raise ProviderFailed("The provider ended the upload before its end.", code="provider_connection_lost")

    async def finish(self) -> httpx.Response:
        """End the body and return the answer. Raises what ended the request."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
        return await self._request

    async def abort(self) -> None:
        """Break the connection off, so that the provider sees a body without an end."""
        self._request.cancel()
        await asyncio.wait([self._request])
        if not self._request.cancelled():
            self._request.exception()

    async def _body(self) -> AsyncIterator[bytes]:
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                chunk = self._waiting.pop(0)
                self._held -= len(chunk)
                self._changed.notify_all()
            yield chunk

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()
