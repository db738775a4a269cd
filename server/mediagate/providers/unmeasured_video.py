"""Videos whose server may not tell their length: these wait in a file, so that ranges of them can be told."""

from __future__ import annotations

import asyncio
import tempfile
from typing import IO, Final

from mediagate.core.errors import ProviderFailed
from mediagate.core.limits import GIB
from mediagate.providers.base import Content
from mediagate.providers.http import READ_BYTES, ProviderHttp
from mediagate.providers.inline_video import InlineVideo
from mediagate.providers.video_calls import NO_LENGTH, remote_video, settled

VIDEO_BYTES_MAX: Final = 8 * GIB


async def video_at(http: ProviderHttp, url: str) -> Content:
    """The video behind a link of the provider's, read to its end first where its length is not told. Raises as
    `remote_video` does."""
    try:
        return await remote_video(http, url)
    except ProviderFailed as error:
        if error.code != NO_LENGTH:
            raise
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the content that holds it)
    try:
        size_bytes, content_type = await _copied(http, url, file)
    except BaseException:
        file.close()
        raise
    return InlineVideo(file, size_bytes, content_type)


async def _copied(http: ProviderHttp, url: str, file: IO[bytes]) -> tuple[int, str]:
    origin = await settled(http, url)
    headers = {**origin.headers, "accept-encoding": "identity"}
    size_bytes = 0
    async with http.stream("GET", origin.url, headers=headers, anonymous=not origin.headers) as response:
        async for chunk in response.aiter_bytes(READ_BYTES):
            size_bytes += len(chunk)
            if size_bytes > VIDEO_BYTES_MAX:
                raise ProviderFailed(f"{http.title} sends a video without an end.", code="provider_bad_answer")
            await asyncio.to_thread(file.write, chunk)
        await asyncio.to_thread(file.flush)
        return size_bytes, response.headers.get("content-type", "").partition(";")[0].strip()
