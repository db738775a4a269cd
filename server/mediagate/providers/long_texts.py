"""JSON with texts in it that are too long for memory, such as videos in base64: these go into a file as they come."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import re
from contextlib import aclosing
from typing import IO, Any, Final

import httpx

from mediagate.core.errors import ProviderFailed, ProviderTimeout
from mediagate.core.limits import MIB
from mediagate.providers.answers import Tree, bad_answer
from mediagate.providers.http import ANSWER_BYTES_MAX, READ_BYTES, ProviderHttp
from mediagate.providers.http_session import at_pace

LONG_BYTES: Final = 1 * MIB
# A video of 256 MiB in base64, and what else an answer says.
LONG_ANSWER_BYTES_MAX: Final = 256 * MIB * 4 // 3 + ANSWER_BYTES_MAX
_MARK: Final = re.compile(rb'["\\]')
_PLACE: Final = re.compile("\0([0-9]+)")
# A multiple of 4, so that each piece of the text is whole bytes.
_PIECE_BYTES: Final = 4 << 18


class LongTexts:
    """Takes JSON piece by piece. A text of more than `long_bytes` goes into `file`, or nowhere where there is none;
    `tree` has a place-holder for it, which `decode` takes."""

    def __init__(self, file: IO[bytes] | None = None, *, long_bytes: int = LONG_BYTES) -> None:
        self._file = file
        self._long_bytes = long_bytes
        self._text = bytearray()
        self._inside = self._escaped = self._long = False
        self._string = bytearray()
        self._places: list[tuple[int, int]] = []
        self._written = 0
        self.headers = httpx.Headers()

    @property
    def text_bytes(self) -> int:
        """What is in memory."""
        return len(self._text)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        at = 0
        while at < len(chunk):
            if self._escaped:
                self._take(chunk[at : at + 1])
                self._escaped = False
                at += 1
                continue
            mark = _MARK.search(chunk, at)
            end = len(chunk) if mark is None else mark.start()
            self._take(chunk[at:end])
            at = end if mark is None else mark.end()
            if mark is not None:
                self._turn(mark[0])

    def _turn(self, mark: bytes) -> None:
        if mark == b"\\":
            self._take(mark)
            self._escaped = True
        elif not self._inside:
            self._inside = True
        else:
            self._close()

    def _take(self, piece: bytes) -> None:
        if not self._inside:
            self._text += piece
            return
        self._string += piece
        if self._long or len(self._string) > self._long_bytes:
            if not self._long:
                self._long = True
                self._places.append((self._written, 0))
            self._put()

    def _put(self) -> None:
        start, size = self._places[-1]
        self._places[-1] = (start, size + len(self._string))
        self._written += len(self._string)
        if self._file is not None:
            self._file.write(self._string)
        self._string.clear()

    def _close(self) -> None:
        if self._long:
            self._text += b'"\\u0000%d"' % (len(self._places) - 1)
        else:
            self._text += b'"' + self._string + b'"'
        self._string.clear()
        self._inside = self._long = False

    def tree(self) -> Any:
        """What came. Raises `ValueError` and `RecursionError` for what is no JSON."""
        return json.loads(self._text)

    def decode(self, text: str, into: IO[bytes]) -> None:
        """Write what the base64 of a text of `tree` stands for. Raises `ProviderFailed` for one that is none."""
        place = _PLACE.fullmatch(text)
        try:
            if place is None:
                into.write(base64.b64decode(text, validate=True))
            else:
                self._decode(*self._places[int(place[1])], into)
        except (binascii.Error, LookupError, ValueError):
            raise ProviderFailed("The provider sent a video that cannot be read.", code="provider_bad_answer") from None

    def _decode(self, start: int, size: int, into: IO[bytes]) -> None:
        assert self._file is not None
        self._file.seek(start)
        rest = b""
        while size > 0:
            piece = self._file.read(min(_PIECE_BYTES, size))
            if not piece:
                raise ValueError("the file ends early")
            size -= len(piece)
            # JSON may write a slash with a backslash before it.
            rest += piece.replace(b"\\", b"")
            whole = len(rest) if size == 0 else len(rest) // 4 * 4
            into.write(base64.b64decode(rest[:whole], validate=True))
            rest = rest[whole:]


async def long_json(http: ProviderHttp, path: str, file: IO[bytes] | None = None) -> tuple[Tree, LongTexts]:
    """The JSON object at `path`, asked for once, its long texts in `file`. Raises as `ProviderHttp.json`."""
    texts, read = LongTexts(file), 0
    try:
        async with (
            http.stream("GET", path) as response,
            aclosing(at_pace(response.aiter_bytes(READ_BYTES))) as chunks,
        ):
            async for chunk in chunks:
                read += len(chunk)
                await asyncio.to_thread(texts.feed, chunk)
                if texts.text_bytes > ANSWER_BYTES_MAX or read > LONG_ANSWER_BYTES_MAX:
                    raise bad_answer(http.title)
    except TimeoutError as error:
        raise ProviderTimeout(f"{http.title} answers too slowly.", code="provider_timeout") from error
    texts.headers = response.headers
    try:
        tree = await asyncio.to_thread(texts.tree)
    except (ValueError, RecursionError):
        raise bad_answer(http.title) from None
    if not isinstance(tree, dict):
        raise bad_answer(http.title)
    return tree, texts
