"""The clients: where the gateway is, with which key, over which wire."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

from mediagate_client._files import AsyncFiles, Files
from mediagate_client._portal import Portal
from mediagate_client._transport import Options, Transport
from mediagate_client._videos import AsyncVideos, Videos

if TYPE_CHECKING:
    from types import TracebackType

Wire = Literal["grpc", "rest"]
DEFAULT_URL = "http://127.0.0.1:4000"


def _options(
    url: str | None,
    key: str | None,
    user: str | None,
    timeout_s: float,
    max_retries: int,
    ca_file: str | None,
    headers: Mapping[str, str] | None,
) -> Options:
    return Options(
        url=url or os.environ.get("MEDIAGATE_URL") or DEFAULT_URL,
        key=key or os.environ.get("MEDIAGATE_API_KEY") or "",
        timeout_s=timeout_s,
        max_retries=max_retries,
        ca_file=ca_file,
        headers={**({"x-mediagate-user": user} if user else {}), **(headers or {})},
    )


def _patient(options: Options, timeout_s: float | None, max_retries: int | None) -> Options:
    return replace(
        options,
        timeout_s=options.timeout_s if timeout_s is None else timeout_s,
        max_retries=options.max_retries if max_retries is None else max_retries,
    )


def _wire(transport: str, options: Options) -> Transport:
    # Each wire's library is loaded only where it is used: both take longer than everything else here.
    if transport == "grpc":
        from mediagate_client._grpc import GrpcTransport

        return GrpcTransport(options)
    if transport == "rest":
        from mediagate_client._rest import RestTransport

        return RestTransport(options)
    raise ValueError(f"`transport` is {transport!r}; it can be 'grpc' or 'rest'.")


class AsyncClient:
    """A gateway, for `async` code.

    `url` and `key` default to the environment's MEDIAGATE_URL (else `http://127.0.0.1:4000`) and MEDIAGATE_API_KEY.
    `transport` is `grpc` or `rest`. With `user`, all calls act for that end user. Calls that fail in a way that
    repeating can mend are repeated `max_retries` times, and change nothing twice. `timeout_s` is what a call may take,
    of an upload or download how long no byte may move. `ca_file` is a CA to trust in place
    of the usual ones. Nothing is connected before the first call.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        transport: Wire = "grpc",
        user: str | None = None,
        timeout_s: float = 60.0,
        max_retries: int = 2,
        ca_file: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        options = _options(url, key, user, timeout_s, max_retries, ca_file, headers)
        self._begin(_wire(transport, options), options)

    def _begin(self, transport: Transport, options: Options) -> None:
        self._transport = transport
        self._options = options
        self.files = AsyncFiles(transport, options)
        self.videos = AsyncVideos(transport, options)

    def with_options(self, *, timeout_s: float | None = None, max_retries: int | None = None) -> Self:
        """The same client over the same connections, with other patience: `client.with_options(timeout_s=5).files`."""
        options = _patient(self._options, timeout_s, max_retries)
        other = type(self).__new__(type(self))
        other._begin(self._transport.lent(options), options)
        return other

    async def close(self) -> None:
        """Let go of all connections; not of those that another client has lent."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._options.url!r})"


class _Lifeline:
    """What a client, and whatever runs for it, holds: when it goes, the connections do."""


class Client:
    """A gateway, for code that waits. The same as AsyncClient; any number of threads may share one."""

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        transport: Wire = "grpc",
        user: str | None = None,
        timeout_s: float = 60.0,
        max_retries: int = 2,
        ca_file: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        options = _options(url, key, user, timeout_s, max_retries, ca_file, headers)
        wire, lifeline = _wire(transport, options), _Lifeline()
        closer = weakref.finalize(lifeline, Portal.shared().close_forgotten, wire.close)
        self._begin(wire, options, lifeline, closer)

    def _begin(
        self,
        transport: Transport,
        options: Options,
        lifeline: _Lifeline,
        closer: weakref.finalize[Any, _Lifeline] | None,
    ) -> None:
        self._transport = transport
        self._options = options
        self._lifeline = lifeline
        self._portal = Portal.shared()
        self._closer = closer
        self.files = Files(AsyncFiles(transport, options, lifeline), self._portal)
        self.videos = Videos(AsyncVideos(transport, options, lifeline), self._portal)

    def with_options(self, *, timeout_s: float | None = None, max_retries: int | None = None) -> Self:
        """The same client over the same connections, with other patience: `client.with_options(timeout_s=5).files`."""
        options = _patient(self._options, timeout_s, max_retries)
        other = type(self).__new__(type(self))
        other._begin(self._transport.lent(options), options, self._lifeline, None)
        return other

    def close(self) -> None:
        """Let go of all connections; not of those that another client has lent."""
        if self._closer is not None and self._closer.detach() is not None:
            self._portal.run(self._transport.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._options.url!r})"
