"""The seam between the operations and the wire: what both transports do, and the methods by name."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import urlsplit

from mediagate_client._errors import InvalidRequest, LocalFileError, MediagateError, TlsFailed

Json = dict[str, Any]
Headers = Mapping[str, str]
Bytes = bytes | memoryview
Chunks = Callable[[], AsyncIterator[Bytes]]
Answer = TypeVar("Answer")

CHUNK_BYTES = 2 << 20
# What would end a header's line, and halves of characters, which are no text.
UNSENDABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
# What stores may take to make a file their own behind its last byte.
STORED_S = 900.0
BACKOFF_S = 0.4
BACKOFF_MAX_S = 8.0
# Of answers that ask to wait longer than this, callers hear at once, and decide themselves.
RETRY_AFTER_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class Method:
    """One method: its gRPC service, request and response message, and its REST verb and path."""

    service: str
    request: str
    response: str
    verb: str
    path: str


METHODS = {
    "GetFile": Method("FileService", "GetFileRequest", "File", "GET", "/v1/files/{file_id}"),
    "ListFiles": Method("FileService", "ListFilesRequest", "ListFilesResponse", "GET", "/v1/files"),
    "DeleteFile": Method("FileService", "DeleteFileRequest", "DeleteFileResponse", "DELETE", "/v1/files/{file_id}"),
    "CopyFile": Method("FileService", "CopyFileRequest", "File", "POST", "/v1/files"),
    "DownloadFile": Method("FileService", "DownloadFileRequest", "", "GET", "/v1/files/{file_id}/content"),
    "CreateUpload": Method("UploadService", "CreateUploadRequest", "Upload", "POST", "/v1/uploads"),
    "CompleteUpload": Method(
        "UploadService", "CompleteUploadRequest", "Upload", "POST", "/v1/uploads/{upload_id}/complete"
    ),
    "CancelUpload": Method("UploadService", "CancelUploadRequest", "Upload", "POST", "/v1/uploads/{upload_id}/cancel"),
    "CreateVideo": Method("VideoService", "CreateVideoRequest", "Video", "POST", "/v1/videos"),
    "EstimateVideo": Method("VideoService", "CreateVideoRequest", "VideoEstimate", "POST", "/v1/videos/estimate"),
    "GetVideo": Method("VideoService", "GetVideoRequest", "Video", "GET", "/v1/videos/{video_id}"),
    "ListVideos": Method("VideoService", "ListVideosRequest", "ListVideosResponse", "GET", "/v1/videos"),
    "CancelVideo": Method("VideoService", "CancelVideoRequest", "Video", "POST", "/v1/videos/{video_id}/cancel"),
    "DeleteVideo": Method(
        "VideoService", "DeleteVideoRequest", "DeleteVideoResponse", "DELETE", "/v1/videos/{video_id}"
    ),
    "RemixVideo": Method("VideoService", "RemixVideoRequest", "Video", "POST", "/v1/videos/{video_id}/remix"),
    "DownloadVideo": Method("VideoService", "DownloadVideoRequest", "", "GET", "/v1/videos/{video_id}/content"),
    "WatchVideo": Method("VideoService", "WatchVideoRequest", "", "GET", "/v1/videos/{video_id}/events"),
    "WatchVideos": Method("VideoService", "WatchVideosRequest", "", "GET", "/v1/videos/events"),
}


@dataclass(frozen=True, slots=True)
class Options:
    """Where the gateway is, and how patient its client is.

    `timeout_s` is what a call may take, in seconds; of an upload or a download it is how long no byte may move.
    """

    url: str
    key: str = field(repr=False)
    timeout_s: float = 60.0
    max_retries: int = 2
    ca_file: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            # Looked at, so that one that is none is refused here.
            _ = parts.port
        except ValueError as error:
            raise ValueError(f"The URL {self.url!r} is none of a gateway's: {error}.") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"The URL {self.url!r} is none of a gateway's: write it as http://HOST:PORT or https://HOST."
            )
        if parts.query or parts.fragment or parts.username:
            raise ValueError("The gateway's URL has neither query nor user name; the key is an argument of its own.")
        if not self.key:
            raise ValueError("No key: give `key`, or set MEDIAGATE_API_KEY.")
        if not self.key.isascii() or not self.key.isprintable() or " " in self.key:
            raise ValueError("The key has characters that no key has; was it pasted with a line break?")
        if self.ca_file is not None and not os.path.isfile(os.path.expanduser(self.ca_file)):
            raise ValueError(f"`ca_file` {self.ca_file!r} is no file.")
        if not self.timeout_s > 0:
            raise ValueError("`timeout_s` must be more than 0.")
        if self.max_retries < 0:
            raise ValueError("`max_retries` must not be negative.")

    @property
    def secure(self) -> bool:
        """Whether the gateway speaks TLS."""
        return urlsplit(self.url).scheme == "https"

    @property
    def base_url(self) -> str:
        """The URL that paths such as `/v1/files` follow."""
        return self.url.rstrip("/").removesuffix("/v1")

    @property
    def target(self) -> str:
        """Host and port for gRPC. Raises `ValueError` for a URL with a path, which gRPC has not."""
        parts = urlsplit(self.base_url)
        if parts.path.strip("/"):
            raise ValueError(f"gRPC knows no path such as {parts.path!r}; use transport='rest' behind that URL.")
        port = parts.port or (443 if self.secure else 80)
        host = parts.hostname or ""
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def roots(self) -> bytes | None:
        """The CA certificates to trust in place of the usual ones."""
        if self.ca_file is None:
            return None
        with _readable(self.ca_file), open(os.path.expanduser(self.ca_file), "rb") as file:
            return file.read()

    def tls(self) -> ssl.SSLContext:
        """How HTTP's connections are proven."""
        with _readable(self.ca_file or "the system's certificates"):
            return ssl.create_default_context(cafile=os.path.expanduser(self.ca_file) if self.ca_file else None)

    def sent(self, headers: Headers) -> dict[str, str]:
        """All headers of a call, by their names in lower case. Raises InvalidRequest for what no header can carry."""
        said = {"authorization": f"Bearer {self.key}", **self.headers, **headers}
        known = {name.lower(): value for name, value in said.items()}
        for name, value in known.items():
            if UNSENDABLE.search(value):
                raise InvalidRequest(
                    f"The header {name!r} has characters that no header can carry.", reason="INVALID_REQUEST"
                )
        return known


@contextlib.contextmanager
def _readable(ca_file: str) -> Iterator[None]:
    """The package's errors for certificates that cannot be used."""
    try:
        yield
    except ssl.SSLError:
        raise TlsFailed(f"There are no certificates in {ca_file!r}.") from None
    except OSError as error:
        raise LocalFileError(f"{ca_file!r} cannot be read: {error.strerror or error}.") from None


@dataclass(slots=True)
class Content:
    """What a download brings: the whole content's size and tag, and the bytes from `offset` on.

    The end of `chunks` is proven: by the length that was announced, and over gRPC by a checksum too.
    """

    filename: str
    content_type: str
    size: int
    offset: int
    length: int
    etag: str
    chunks: AsyncIterator[Bytes]


class Transport(Protocol):
    """The wire. Every failure is one of the package's errors."""

    async def call(self, method: str, body: Json, headers: Headers, timeout_s: float) -> Json:
        """One request, one answer."""

    async def send_file(self, meta: Json, chunks: Chunks, size: int | None, digest: Any, headers: Headers) -> Json:
        """A whole file in one call. `digest` is a hash that `chunks` keeps up to date."""

    async def send_part(self, upload_id: str, data: bytes, headers: Headers) -> Json:
        """One part of an upload."""

    def open(
        self, method: str, body: Json, offset: int, length: int | None, headers: Headers, *, proven: bool = False
    ) -> AbstractAsyncContextManager[Content]:
        """Bytes of a file or video. `proven` says that the caller compares a checksum of the whole."""

    def events(self, method: str, body: Json, headers: Headers) -> AsyncIterator[Json]:
        """A watch, until it ends or breaks."""

    def lent(self, options: Options) -> Transport:
        """The same connections with other patience. Closing it closes nothing."""

    async def close(self) -> None:
        """Let go of all connections."""


def pause_s(error: MediagateError, attempt: int) -> float:
    """How long to wait before attempt `attempt` (from 1)."""
    backoff = min(BACKOFF_MAX_S, BACKOFF_S * 2 ** (attempt - 1)) * (0.75 + random.random() / 2)  # noqa: S311
    return float(max(error.retry_after_s or 0.0, backoff))


async def with_retries(max_retries: int, call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Make a call that may be repeated, until it has an answer that repeating would not change."""
    attempt = 0
    while True:
        try:
            return await call()
        except MediagateError as error:
            attempt += 1
            if not error.retryable or attempt > max_retries or (error.retry_after_s or 0) > RETRY_AFTER_MAX_S:
                raise
            await asyncio.sleep(pause_s(error, attempt))
