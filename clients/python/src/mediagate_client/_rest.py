"""The wire by HTTP and JSON, for where gRPC does not pass."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import secrets
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import quote, unquote

import aiohttp
from yarl import URL

from mediagate_client._errors import (
    ConnectionFailed,
    MediagateError,
    TimedOut,
    TlsFailed,
    api_error,
    reason_of,
)
from mediagate_client._transport import CHUNK_BYTES, METHODS, STORED_S, Chunks, Content, Headers, Json, Options
from mediagate_client._types import normal

CONNECT_S = 30
# A watch that is silent for so long is broken: it has a sign of life every 15 seconds.
SILENT_S = 90
# How soon a sender notices that the other side has hung up.
HUNG_UP_S = 0.25
TOTAL_OF_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+)")


def as_error(error: BaseException) -> MediagateError:
    """The error of the tree for a connection that failed."""
    if isinstance(error, aiohttp.ClientSSLError):
        return TlsFailed("The gateway's TLS cannot be trusted, or it speaks none.")
    if isinstance(error, asyncio.TimeoutError):
        return TimedOut("The gateway did not answer in time.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectionFailed("The gateway cannot be reached.")
    return ConnectionFailed("The connection to the gateway broke.", reason="CONNECTION_LOST")


async def refusal(response: aiohttp.ClientResponse) -> MediagateError:
    """The error of the tree for an answer that is none of success."""
    try:
        body = await response.read()
        envelope = json.loads(body)["error"]
        message, code, param = str(envelope["message"]), envelope.get("code"), envelope.get("param")
    except (ValueError, KeyError, TypeError, AttributeError, aiohttp.ClientError):
        # A proxy's page, or a host that is no gateway.
        message, code, param = f"The server answered HTTP {response.status}, and not as a gateway does.", None, None
    headers = response.headers
    wait = headers.get("retry-after-ms")
    seconds = float(wait) / 1000 if wait and wait.isdigit() else None
    if seconds is None and headers.get("retry-after", "").isdigit():
        seconds = float(headers["retry-after"])
    should_retry = headers.get("x-should-retry")
    return api_error(
        message,
        reason=reason_of(response.status, code, param),
        http_status=response.status,
        code=code,
        param=param,
        request_id=headers.get("x-request-id"),
        retry_after_s=seconds,
        retryable=None if should_retry is None else should_retry == "true",
    )


class Sender(aiohttp.ClientRequest):
    """A request that notices while it is sent that nobody reads it any more.

    A connection whose other side has ended is closed once everything is sent, which may be never: the rest is only
    dropped where somebody says so.
    """

    async def write_bytes(self, writer: Any, conn: Any, content_length: int | None = None) -> None:
        """Send the body."""
        listening = asyncio.ensure_future(_hang_up(conn.protocol))
        try:
            await super().write_bytes(writer, conn, content_length)
        finally:
            listening.cancel()


async def _hang_up(protocol: Any) -> None:
    while protocol is not None and protocol.transport is not None:
        if protocol.transport.is_closing():
            protocol.transport.abort()
            return
        await asyncio.sleep(HUNG_UP_S)


class _Patience:
    """A limit that moves with what is going on; over once the answer is there, which may be before all is sent."""

    def __init__(self) -> None:
        self.limit = asyncio.timeout(None)

    def until(self, seconds: float | None) -> None:
        """From now on so long, or without end."""
        with contextlib.suppress(RuntimeError):
            self.limit.reschedule(None if seconds is None else asyncio.get_running_loop().time() + seconds)


class RestTransport:
    """Transport over HTTP/1.1, with a connection for each part that is under way."""

    def __init__(self, options: Options, lender: RestTransport | None = None) -> None:
        self._options = options
        self._lender = lender
        self._opened: aiohttp.ClientSession | None = None

    def lent(self, options: Options) -> RestTransport:
        """The same connections with other patience. Closing it closes nothing."""
        return RestTransport(options, self)

    @property
    def _session(self) -> aiohttp.ClientSession:
        if self._lender is not None:
            return self._lender._session
        if self._opened is None:
            connector = aiohttp.TCPConnector(limit=64, ssl=self._options.tls() if self._options.secure else True)
            self._opened = aiohttp.ClientSession(
                connector=connector,
                request_class=Sender,
                timeout=self._quiet(self._options.timeout_s),
                read_bufsize=1 << 20,
                auto_decompress=False,
                trust_env=True,
            )
        return self._opened

    @staticmethod
    def _quiet(seconds: float | None) -> aiohttp.ClientTimeout:
        """As long as bytes come."""
        return aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=seconds)

    @asynccontextmanager
    async def _request(
        self, verb: str, path: str, headers: Headers, timeout: aiohttp.ClientTimeout | None = None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        given = self._options.sent(headers)
        if timeout is not None:
            options["timeout"] = timeout
        try:
            async with self._session.request(
                verb, URL(self._options.base_url + path, encoded=True), headers=given, allow_redirects=False, **options
            ) as response:
                if response.status >= 300:
                    raise await refusal(response)
                yield response
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            raise as_error(error) from None

    async def _json(self, response: aiohttp.ClientResponse) -> Json:
        try:
            answer = json.loads(await response.read())
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ConnectionFailed(
                "The server's answer is none of a gateway's.", reason="NOT_A_GATEWAY", retryable=False
            )
        whole: Json = normal(answer)
        return whole

    async def call(self, method: str, body: Json, headers: Headers, timeout_s: float) -> Json:
        """One request, one answer."""
        known = METHODS[method]
        path, rest = _path(known.path, body)
        options: dict[str, Any] = {}
        if known.verb == "GET":
            options["params"] = {name: str(value) for name, value in rest.items()}
        elif known.verb == "POST":
            if rest.pop("respond_async", False):
                headers = {**headers, "prefer": "respond-async"}
            options["json"] = rest
        async with self._request(
            known.verb, path, headers, aiohttp.ClientTimeout(total=timeout_s, sock_connect=CONNECT_S), **options
        ) as response:
            return await self._json(response)

    async def send_file(self, meta: Json, chunks: Chunks, size: int | None, digest: Any, headers: Headers) -> Json:
        """A whole file as a form, with the fields before the file so that its bytes go through at once."""
        fields = [
            *((name, meta[name]) for name in ("purpose", "on_partial", "user") if name in meta),
            *(("custom_llm_provider", name) for name in meta.get("custom_llm_provider", ())),
            *(("target_model_names", name) for name in meta.get("target_model_names", ())),
            *((f"expires_after[{name}]", str(value)) for name, value in meta.get("expires_after", {}).items()),
        ]
        if "placement" in meta:
            fields.append(("placement", json.dumps(meta["placement"])))
        return await self._form("/v1/files", fields, "file", meta["filename"], chunks, size, headers)

    async def send_part(self, upload_id: str, data: bytes, headers: Headers) -> Json:
        """One part as a form."""

        async def chunks() -> AsyncIterator[memoryview]:
            view = memoryview(data)
            for start in range(0, len(data), CHUNK_BYTES):
                yield view[start : start + CHUNK_BYTES]

        path = f"/v1/uploads/{quote(upload_id, safe='')}/parts"
        return await self._form(path, [], "data", "part", chunks, len(data), headers)

    async def _form(
        self,
        path: str,
        fields: list[tuple[str, str]],
        name: str,
        filename: str,
        chunks: Chunks,
        size: int | None,
        headers: Headers,
    ) -> Json:
        boundary = secrets.token_hex(16)
        head = "".join(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
            for field, value in fields
        )
        head += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename={_quoted(filename)}\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        before, after = head.encode(), f"\r\n--{boundary}--\r\n".encode()

        # What goes wrong with our own bytes, or in `on_progress`, would be hidden by aiohttp in an error of the
        # connection.
        own: list[BaseException] = []

        patience, silent = _Patience(), self._options.timeout_s

        async def body() -> AsyncIterator[bytes | memoryview]:
            try:
                patience.until(silent)
                yield before
                # A slow source is nobody's failure: only what the gateway does not take counts.
                patience.until(None)
                async for chunk in chunks():
                    patience.until(silent)
                    yield chunk
                    patience.until(None)
            except Exception as error:
                own.append(error)
                raise
            patience.until(silent)
            yield after
            patience.until(max(silent, STORED_S))

        given = {**headers, "content-type": f"multipart/form-data; boundary={boundary}"}
        if size is not None:
            given["content-length"] = str(len(before) + size + len(after))
        try:
            async with patience.limit, self._request("POST", path, given, self._quiet(None), data=body()) as response:
                return await self._json(response)
        except TimeoutError:
            raise TimedOut("The gateway took no more bytes, or did not say what became of them.") from None
        except MediagateError:
            if own:
                raise own[0] from None
            raise

    def open(
        self, method: str, body: Json, offset: int, length: int | None, headers: Headers, *, proven: bool = False
    ) -> AbstractAsyncContextManager[Content]:
        """Bytes of a file or video, proven by the length that was announced."""
        return self._opened_content(method, body, offset, length, headers)

    @asynccontextmanager
    async def _opened_content(
        self, method: str, body: Json, offset: int, length: int | None, headers: Headers
    ) -> AsyncIterator[Content]:
        path, rest = _path(METHODS[method].path, body)
        last = "" if length is None else str(offset + length - 1)
        given = {**headers, "range": f"bytes={offset}-{last}"} if offset or length is not None else headers
        async with self._request("GET", path, given, self._quiet(self._options.timeout_s), params=rest) as response:
            told = response.headers
            announced = int(told.get("content-length", "-1"))
            found = TOTAL_OF_RANGE.match(told.get("content-range", ""))
            start, size = (int(found[1] or 0), int(found[2])) if response.status == 206 and found else (0, announced)
            yield Content(
                _filename(told.get("content-disposition", "")),
                told.get("content-type", ""),
                size,
                start,
                announced,
                told.get("etag", ""),
                self._chunks(response, announced),
            )

    async def _chunks(self, response: aiohttp.ClientResponse, announced: int) -> AsyncIterator[bytes]:
        received = 0
        try:
            async for chunk, _ in response.content.iter_chunks():
                received += len(chunk)
                yield chunk
        except (TimeoutError, aiohttp.ClientError, ConnectionError) as error:
            raise as_error(error) from None
        if announced >= 0 and received != announced:
            raise ConnectionFailed("The download stopped half-way.", reason="CONNECTION_LOST")

    async def events(self, method: str, body: Json, headers: Headers) -> AsyncIterator[Json]:
        """A watch, until it ends or breaks."""
        path, rest = _path(METHODS[method].path, body)
        params = {name: str(value) for name, value in rest.items()}
        async with self._request("GET", path, headers, self._quiet(SILENT_S), params=params) as response:
            data: list[str] = []
            async for line in response.content:
                text = line.decode().rstrip("\r\n")
                if text.startswith("data:"):
                    data.append(text[5:].removeprefix(" "))
                elif not text and data:
                    yield normal(json.loads("\n".join(data)))
                    data.clear()

    async def close(self) -> None:
        """Let go of all connections."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None


def _path(template: str, body: Json) -> tuple[str, Json]:
    """The path with its ids put in, and the members that are not in it."""
    rest = dict(body)
    for name in re.findall(r"{(\w+)}", template):
        value = str(rest.pop(name))
        if not value:
            raise api_error(f"`{name}` is empty.", reason="INVALID_FIELD", param=name)
        # A dot segment would be resolved by whoever is on the way.
        written = value.replace(".", "%2E") if value in (".", "..") else quote(value, safe="", errors="replace")
        template = template.replace(f"{{{name}}}", written)
    return template, rest


def _quoted(filename: str) -> str:
    """A name as browsers write it; one that could be misread is written a second, unmistakable way."""
    quoted = filename.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    return f'"{quoted}"' + (f"; filename*=UTF-8''{quote(filename, safe='')}" if "%" in quoted else "")


def _filename(disposition: str) -> str:
    extended = re.search(r"filename\*=UTF-8''([^;]+)", disposition, re.IGNORECASE)
    if extended:
        return unquote(extended[1])
    plain = re.search(r'filename="([^"]*)"', disposition)
    return plain[1] if plain else ""
