"""Videos behind links that the provider gives anew with every answer about a job, and that die soon."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from mediagate.core.errors import MediagateError, ProviderRefused
from mediagate.providers.base import (
    Content,
    Failure,
    FailureStage,
    MediaInput,
    ProviderBusy,
    SubmitRefused,
    VideoRequest,
    VideoVariant,
)
from mediagate.providers.files import Origin
from mediagate.providers.http import ProviderHttp
from mediagate.providers.media_hosts import MediaHosts, PublicHosts
from mediagate.providers.video_calls import remote_video, settled
from mediagate.providers.video_spool import VideoSpool

# A player asks for a video in many ranges, so a link is asked for once in this time.
LINK_S: Final = 60.0
LINKS_MAX: Final = 1024
_NO_SOURCE: Final = Failure(
    FailureStage.INPUT, "missing_video", "The source video is gone.", retryable=False, field="video"
)


class LinkedVideos:
    """What `open`, `origin` and `close` are for such a provider; a subclass gives `link`. `hosts` are where its videos
    may lie, `spool` where those wait of which no range can be asked."""

    def __init__(
        self,
        http: ProviderHttp,
        hosts: MediaHosts | None = None,
        spool: VideoSpool | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._hosts = hosts or PublicHosts(None)
        self._spool = spool or VideoSpool()
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Origin]] = OrderedDict()

    async def link(self, ref: str) -> str:
        """A fresh link to the finished video. Raises `FileNotFoundError` where there is none, and the provider's
        errors."""
        raise NotImplementedError

    async def open(self, ref: str, variant: VideoVariant) -> Content:
        """The finished video. A link that has died meanwhile is asked for again. Raises `FileNotFoundError` where the
        output is gone, and for pictures of the video: the provider makes none."""
        if variant is not VideoVariant.VIDEO:
            raise FileNotFoundError("the provider makes no pictures of a video")
        remembered = self._remembered(ref)
        if remembered is not None:
            try:
                return await self._opened(remembered)
            except FileNotFoundError:
                self.forget(ref)
        return await self._opened(await self.origin(ref, method="GET"))

    async def origin(self, ref: str, *, method: str) -> Origin:
        """Where the video is in the end, with the headers that may go there. One link serves both methods."""
        remembered = self._remembered(ref)
        if remembered is not None:
            return remembered
        link = await self.link(ref)
        try:
            origin = await settled(self._http, link, self._hosts)
        except ProviderRefused:
            raise _gone() from None
        self._known[ref] = (self._clock() + LINK_S, origin)
        if len(self._known) > LINKS_MAX:
            self._known.popitem(last=False)
        return origin

    async def source(self, request: VideoRequest) -> str | MediaInput:
        """What a new video starts from: the link to the video of `source_ref` while it lives, which spares the bytes
        their way, else the bytes. Raises `SubmitRefused` where there is neither, `ProviderBusy` where that is not known
        now."""
        missing: Exception = SubmitRefused(_NO_SOURCE)
        if request.source_ref is not None:
            try:
                origin = await self.origin(request.source_ref, method="GET")
                if not origin.headers:
                    return origin.url
            except FileNotFoundError:
                pass
            except MediagateError as error:
                missing = ProviderBusy(error.message, error.retry_after_s)
        if request.source_video is None:
            raise missing
        return request.source_video

    async def _opened(self, origin: Origin) -> Content:
        try:
            return await remote_video(self._http, origin.url, self._hosts)
        except ProviderRefused:
            # A signed link that is too old, or whose object is gone, is answered with 403.
            raise _gone() from None

    def _remembered(self, ref: str) -> Origin | None:
        until, origin = self._known.get(ref, (0.0, None))
        return origin if self._clock() < until else None

    def forget(self, ref: str) -> None:
        """Ask for a fresh link the next time."""
        self._known.pop(ref, None)
        self._spool.forget(ref)

    async def close(self) -> None:
        """Close every connection."""
        self._spool.close()
        await self._http.close()


def _gone() -> FileNotFoundError:
    return FileNotFoundError("the video is no longer where the provider says it is")
