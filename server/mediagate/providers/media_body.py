"""Request bodies with an image or a video in them: as the file of a form, or as `data:` URIs in JSON.

The media pass through in pieces, and the length of the whole is known before the first, because not every server takes
a body in chunks.
"""

from __future__ import annotations

import base64
import json
import mimetypes
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any, Final

from mediagate.core.errors import MediagateError
from mediagate.providers.answers import Tree
from mediagate.providers.base import Failure, FailureStage, InputBusy, MediaInput, SubmitRefused
from mediagate.providers.http import ProviderHttp
from mediagate.providers.multipart_body import MultipartBody

# A multiple of 3, so that what is encoded piece by piece is one text.
_ENCODE_BYTES: Final = 3 << 16
_CHANGED: Final = Failure(
    FailureStage.INPUT, "input_changed", "An input of the video is not as long as it was.", retryable=True
)
_EXTENSIONS: Final = {"image/jpeg": ".jpg", "image/webp": ".webp", "video/mp4": ".mp4", "video/webm": ".webm"}


class MediaBody(ABC):
    """A body that can be sent once more where the first attempt was refused: its media are opened anew each time."""

    def __init__(self) -> None:
        self._lost: Exception | None = None

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """The request's headers that tell of the body."""

    @abstractmethod
    def pieces(self) -> AsyncIterator[bytes]:
        """The body."""

    async def media(self, media: MediaInput) -> AsyncIterator[bytes]:
        """The bytes of `media`. Raises `SubmitRefused` where they are not as many as the request's length says."""
        sent = 0
        try:
            async for chunk in media.open():
                sent += len(chunk)
                yield bytes(chunk)
            if sent != media.size_bytes:
                raise SubmitRefused(_CHANGED)
        except Exception as error:
            self._lost = error
            raise

    async def send(self, http: ProviderHttp, path: str, *, headers: Mapping[str, str] | None = None) -> Tree:
        """Post the body once and return the JSON object that is answered.

        Raises as `ProviderHttp.json` does. No server takes half a body, so media that could not be read to their end
        are no unknown fate: `InputBusy` where the store failed, else what the reading raised.
        """
        self._lost = None
        try:
            return await http.json(
                "POST", path, repeatable=False, content=self.pieces(), headers={**(headers or {}), **self.headers()}
            )
        except MediagateError:
            # The transport says only that the body broke off.
            if isinstance(self._lost, MediagateError | OSError):
                raise InputBusy("An input of the video cannot be read at the moment.") from self._lost
            if self._lost is not None:
                raise self._lost from None
            raise


class FormBody(MediaBody):
    """A form with `fields`, and with `media` as the file `file_field` behind them."""

    def __init__(self, fields: Mapping[str, str], *, file_field: str = "", media: MediaInput | None = None) -> None:
        super().__init__()
        self._media = media
        self._form = MultipartBody(
            fields,
            None if media is None else f"{file_field}{extension(media.content_type)}",
            file_field=file_field,
            content_type="" if media is None else media.content_type,
        )

    def headers(self) -> dict[str, str]:
        """With the length of the whole."""
        return self._form.headers(0 if self._media is None else self._media.size_bytes)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Fields, file, end."""
        yield self._form.head
        if self._media is not None:
            async for chunk in self.media(self._media):
                yield chunk
        yield self._form.tail


class JsonBody(MediaBody):
    """A JSON object. What `data_uri` returns stands in `tree` for the media until the body is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.tree: dict[str, Any] = {}
        self._media: dict[str, MediaInput] = {}

    def data_uri(self, media: MediaInput) -> str:
        """A text that becomes `data:TYPE;base64,...` on the wire."""
        # No text of a caller holds it by chance, and none can know it before.
        mark = f"mediagate-media-{secrets.token_hex(16)}"
        self._media[mark] = media
        return mark

    def base64(self, media: MediaInput) -> str:
        """A text that becomes the bytes in base64, and nothing before them."""
        return self.data_uri(replace(media, content_type=""))

    def headers(self) -> dict[str, str]:
        """With the length of the whole."""
        length = sum(len(part) if isinstance(part, bytes) else _encoded_bytes(part) for part in self._parts())
        return {"content-type": "application/json", "content-length": str(length)}

    async def pieces(self) -> AsyncIterator[bytes]:
        """The text of the object, with the media where they belong."""
        for part in self._parts():
            if isinstance(part, bytes):
                yield part
                continue
            yield _scheme(part)
            async for chunk in _encoded(self.media(part)):
                yield chunk

    def _parts(self) -> list[bytes | MediaInput]:
        rest = json.dumps(self.tree).encode()
        parts: list[bytes | MediaInput] = []
        # The order of the tree, which need not be that of the calls.
        for mark in sorted(
            (mark for mark in self._media if mark.encode() in rest), key=lambda m: rest.index(m.encode())
        ):
            before, _, rest = rest.partition(mark.encode())
            parts += [before, self._media[mark]]
        return [*parts, rest]


def extension(content_type: str) -> str:
    """The ending of a name for such content, with its dot; servers go by it."""
    return _EXTENSIONS.get(content_type) or mimetypes.guess_extension(content_type) or ".bin"


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the members of `over` in their place; objects in both are merged, and a null takes a member out."""
    result = dict(base)
    for name, value in over.items():
        known = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(known, Mapping) and isinstance(value, Mapping):
            result[name] = merged(known, value)
        else:
            result[name] = value
    return result


def _scheme(media: MediaInput) -> bytes:
    return f"data:{media.content_type};base64,".encode() if media.content_type else b""


def _encoded_bytes(media: MediaInput) -> int:
    return len(_scheme(media)) + (media.size_bytes + 2) // 3 * 4


async def _encoded(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    held = bytearray()
    async for chunk in chunks:
        held += chunk
        whole = len(held) - len(held) % _ENCODE_BYTES
        if whole:
            yield base64.b64encode(held[:whole])
            del held[:whole]
    if held:
        yield base64.b64encode(held)
