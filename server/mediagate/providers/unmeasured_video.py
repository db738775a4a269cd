"""Videos whose server may not tell their length: these wait in a file, so that ranges of them can be told."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import IO, Final

from mediagate.core.errors import ProviderFailed, ProviderTimeout
from mediagate.core.limits import GIB
from mediagate.providers.base import Content
from mediagate.providers.http import READ_BYTES, ProviderHttp
from mediagate.providers.http_session import at_pace
from mediagate.providers.media_hosts import MediaHosts
from mediagate.providers.video_calls import NO_LENGTH, remote_video, settled
from mediagate.providers.video_spool import VideoSpool

VIDEO_BYTES_MAX: Final = 8 * GIB


async def video_at(
    http: ProviderHttp, url: str, spool: VideoSpool, *, key: str, hosts: MediaHosts | None = None
) -> Content:
    """The video behind a link of the provider's, read to its end first where its length is not told; `key` names it in
    the spool. Raises as `remote_video` does, and as `VideoSpool.copy`."""
    kept = spool.kept(key)
    if kept is not None:
        return kept
    try:
        return await remote_video(http, url, hosts)
    except ProviderFailed as error:
        if error.code != NO_LENGTH:
            raise

    async def fill(file: IO[bytes]) -> str:
        return await _copied(http, url, hosts, file)

    return await spool.copy(key, fill)


async def _copied(http: ProviderHttp, url: str, hosts: MediaHosts | None, file: IO[bytes]) -> str:
    origin = await settled(http, url, hosts)
    headers = {**origin.headers, "accept-encoding": "identity"}
    size_bytes = 0
    try:
        async with (
            http.stream("GET", origin.url, headers=headers, anonymous=not origin.headers) as response,
            aclosing(at_pace(response.aiter_bytes(READ_BYTES))) as chunks,
        ):
            async for chunk in chunks:
                size_bytes += len(chunk)
                if size_bytes > VIDEO_BYTES_MAX:
                    raise ProviderFailed(f"{http.title} sends a video without an end.", code="provider_bad_answer")
                await asyncio.to_thread(file.write, chunk)
    except TimeoutError as error:
        raise ProviderTimeout(f"{http.title} sends the video too slowly.", code="provider_timeout") from error
    return str(response.headers.get("content-type", "")).partition(";")[0].strip()
