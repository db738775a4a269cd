"""One resumable upload to Google's upload server, over the protocol of the `X-Goog-Upload-*` headers.

The protocol is documented at https://developers.google.com/streetview/publish/resumable-uploads; what the Gemini API
makes of it is in docs/providers/gemini.md.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from mediagate.core.errors import MediagateError, ProviderFailed
from mediagate.providers import http
from mediagate.providers.answers import Tree, bad_answer, reading

CHUNK_BYTES: Final = 8 << 20
# What a server may make us hold in memory for one chunk.
GRANULARITY_MAX: Final = 32 << 20


class Session:
    """An upload that the server waits for. `answer` is the server's last word, where it was heard. `ended` is True
    once the server may have made the file."""

    def __init__(self, account: http.ProviderHttp, url: str, size_bytes: int, granularity: int) -> None:
        self._account = account
        self._url = url
        self.size_bytes = size_bytes
        # Every chunk but the last has to be a multiple of the granularity.
        self.chunk_bytes = granularity * max(1, CHUNK_BYTES // granularity)
        self.ended = False
        self.answer: Tree | None = None

    async def send(self, offset: int, data: bytes) -> None:
        """Send the chunk that begins at `offset`; the one that reaches `size_bytes` ends the upload.

        A chunk that breaks is taken up where the server says that it stopped; three attempts in all. Sending it again
        makes no second file, because the server knows the upload and the offset.
        """
        end = offset + len(data)
        again = False

        async def once() -> None:
            nonlocal again
            at = await self._received(offset, end) if again else offset
            if at is None:
                return
            again = True
            await self._post(at, data[at - offset :])

        try:
            await http.repeated(once, self._account.budget)
        except FileNotFoundError:
            raise self._lost() from None

    async def _post(self, at: int, data: bytes) -> None:
        last = at + len(data) == self.size_bytes
        self.ended = self.ended or last
        command = "upload, finalize" if last else "upload"
        response = await self._command(command, {"x-goog-upload-offset": str(at)}, data)
        if _status(response) != ("final" if last else "active"):
            raise self._lost()
        if last:
            self.answer = http.json_of(response, self._account.title)

    async def _received(self, offset: int, end: int) -> int | None:
        """Where to go on in a chunk whose answer was not heard; None where nothing of it is left to send."""
        response = await self._command("query")
        if _status(response) == "final" and end == self.size_bytes:
            with contextlib.suppress(ProviderFailed):
                self.answer = http.json_of(response, self._account.title)
            return None
        with reading(self._account.title):
            received = int(response.headers["x-goog-upload-size-received"])
        if _status(response) != "active" or not offset <= received <= end:
            raise self._lost()
        return None if received == end < self.size_bytes else received

    async def cancel(self) -> None:
        """Tell the server to forget the upload; where it does not hear, it forgets it by itself."""
        with contextlib.suppress(MediagateError, FileNotFoundError):
            await self._command("cancel")

    async def _command(self, command: str, more: Mapping[str, str] | None = None, data: bytes = b"") -> httpx.Response:
        headers = {"x-goog-upload-command": command, **(more or {})}
        return await self._account.call("POST", self._url, repeatable=False, content=data, headers=headers)

    def _lost(self) -> ProviderFailed:
        return ProviderFailed(f"{self._account.title} lost the upload. Try again.", code="provider_upload_lost")


async def start(
    account: http.ProviderHttp, path: str, file: Mapping[str, Any], *, size_bytes: int, content_type: str
) -> Session:
    """Announce a file. Nothing exists at the provider before its last chunk. Raises `FileNotFoundError` for a `path`
    that is none."""
    response = await account.call(
        "POST",
        path,
        repeatable=False,
        json={"file": dict(file)},
        headers={
            "x-goog-upload-protocol": "resumable",
            "x-goog-upload-command": "start",
            "x-goog-upload-header-content-length": str(size_bytes),
            "x-goog-upload-header-content-type": content_type,
        },
    )
    with reading(account.title):
        url = at_account(account, response.headers["x-goog-upload-url"])
        granularity = int(response.headers.get("x-goog-upload-chunk-granularity", CHUNK_BYTES))
    if not 0 < granularity <= GRANULARITY_MAX:
        raise bad_answer(account.title)
    return Session(account, url, size_bytes, granularity)


def at_account(account: http.ProviderHttp, url: str) -> str:
    """The URL at the account's own host, whichever host it names: the key goes nowhere else, and a proxy stays in
    between. Google's own SDK does the same."""
    there = urlsplit(url)
    base = urlsplit(account.base_url)
    return urlunsplit((base.scheme, base.netloc, there.path, there.query, ""))


def _status(response: httpx.Response) -> str:
    return str(response.headers.get("x-goog-upload-status", "")).lower()
