"""Inputs at fal: put into its storage, because every model takes a link and only some take a `data:` URI."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Final

from mediagate.core.errors import MediagateError
from mediagate.providers.answers import reading
from mediagate.providers.base import FateUnknown, MediaInput, ProviderBusy
from mediagate.providers.http import ProviderHttp
from mediagate.providers.media_body import MediaBody, extension
from mediagate.providers.video_calls import submitting

# Long enough for a job that waits for its turn. Without it the file would stay for ever.
LIFE_S: Final = 86_400


class _Object(MediaBody):
    """The bytes alone."""

    def __init__(self, media: MediaInput) -> None:
        super().__init__()
        self._media = media

    def headers(self) -> dict[str, str]:
        """Type and length; the link's signature covers the type."""
        return {"content-type": self._media.content_type, "content-length": str(self._media.size_bytes)}

    def pieces(self) -> AsyncIterator[bytes]:
        """The bytes, counted."""
        return self.media(self._media)

    async def put(self, http: ProviderHttp, url: str) -> None:
        """Put them where the link says, which carries its own credentials. Raises as `ProviderHttp.call` does, and
        what the reading raised."""
        try:
            await http.call("PUT", url, repeatable=False, anonymous=True, content=self.pieces(), headers=self.headers())
        except MediagateError:
            # The transport says only that the body broke off.
            if self._lost is not None:
                raise self._lost from None
            raise


async def uploaded(storage: ProviderHttp, media: MediaInput) -> str:
    """The link to `media` there. Raises as a submit that started nothing: `SubmitRefused`, `ProviderBusy`."""
    try:
        return await submitting(_uploaded(storage, media))
    except (FateUnknown, OSError) as error:
        # Nobody has asked for a video yet: what became of the upload is of no consequence.
        raise ProviderBusy("An input of the video cannot be handed to fal at the moment.") from error


async def _uploaded(storage: ProviderHttp, media: MediaInput) -> str:
    answer = await storage.json(
        "POST",
        "/storage/upload/initiate",
        params={"storage_type": "gcs"},
        json={"file_name": f"input{extension(media.content_type)}", "content_type": media.content_type},
        headers={"x-fal-object-lifecycle-preference": json.dumps({"expiration_duration_seconds": LIFE_S})},
    )
    with reading(storage.title):
        upload_url, file_url = str(answer["upload_url"]), str(answer["file_url"])
    await _Object(media).put(storage, upload_url)
    return file_url
