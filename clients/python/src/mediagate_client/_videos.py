"""Videos: asked for once, watched instead of polled."""

from __future__ import annotations

import asyncio
import base64
import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediagate_client import _watch
from mediagate_client._errors import InvalidRequest, TimedOut, VideoFailed
from mediagate_client._files import described
from mediagate_client._source import Readable, Source
from mediagate_client._transport import Headers, Json, Options, Transport, with_retries
from mediagate_client._types import Deleted, Page, Record, Video, VideoEvent

if TYPE_CHECKING:
    from mediagate_client._download import Progress
    from mediagate_client._portal import Portal

OVER = ("completed", "failed")
IMAGE_BYTES_MAX = 20 << 20
# What the client itself knows how to send; what is more goes into `extra_body`.
Reference = Readable | Mapping[str, Any]


class AsyncVideos:
    """`client.videos` of an AsyncClient."""

    def __init__(self, transport: Transport, options: Options, lifeline: object = None) -> None:
        # Connections are let go of when nobody holds this any more: a call that runs does.
        self._lifeline = lifeline
        self._transport = transport
        self._options = options

    async def _call(self, method: str, body: Json, headers: Headers | None, timeout_s: float | None = None) -> Json:
        return await with_retries(
            self._options.max_retries,
            lambda: self._transport.call(method, body, headers or {}, timeout_s or self._options.timeout_s),
        )

    async def create(
        self,
        prompt: str,
        *,
        model: str | None = None,
        seconds: int | str | None = None,
        size: str | None = None,
        input_reference: Reference | None = None,
        aspect_ratio: str | None = None,
        resolution: str | None = None,
        generate_audio: bool | None = None,
        max_cost: float | None = None,
        start_timeout: str | None = None,
        cancel_after: str | None = None,
        characters: Sequence[str] = (),
        user: str | None = None,
        placement: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
    ) -> Video:
        """Ask for a video; answers at once with `queued`. Repeats by themselves pay for nothing twice.

        `input_reference` is an image: a path, bytes, an `https:` or `data:` URL, the id of a file, or OpenAI's object.
        """
        body = described(
            prompt=prompt,
            model=model,
            seconds=None if seconds is None else str(seconds),
            size=size,
            input_reference=None if input_reference is None else await reference(input_reference),
            aspect_ratio=aspect_ratio,
            resolution=resolution,
            generate_audio=generate_audio,
            max_cost=max_cost,
            start_timeout=start_timeout,
            cancel_after=cancel_after,
            characters=list(characters),
            user=user,
            placement=dict(placement) if placement else None,
            extra_body=dict(extra_body) if extra_body else None,
        )
        given = {"idempotency-key": str(uuid.uuid4()), **(headers or {})}
        return Video(await self._call("CreateVideo", body, given))

    async def estimate(
        self, prompt: str, *, model: str | None = None, seconds: int | str | None = None, size: str | None = None
    ) -> Record:
        """What a video would cost (`cost_usd`), and how long it would take. Nothing is made."""
        length = None if seconds is None else str(seconds)
        return Record(
            await self._call("EstimateVideo", described(prompt=prompt, model=model, seconds=length, size=size), None)
        )

    async def get(self, video_id: str, *, headers: Headers | None = None) -> Video:
        """What is known of a video."""
        return Video(await self._call("GetVideo", {"video_id": video_id}, headers))

    async def list(
        self,
        *,
        after: str | None = None,
        limit: int | None = None,
        order: str | None = None,
        user: str | None = None,
        headers: Headers | None = None,
    ) -> Page[Video]:
        """One page, newest first unless `order` is `asc`."""
        body = described(after=after, limit=limit, order=order, user=user)
        return Page(await self._call("ListVideos", body, headers), Video)

    async def watch(self, video_id: str, *, after_seq: int | None = None) -> AsyncIterator[VideoEvent]:
        """Every event of a video as it happens: a snapshot first, `end` last.

        A cut is mended by itself; no event is lost or told twice.
        """
        async with aclosing(_watch.one(self._transport, self._options, video_id, after_seq)) as events:
            async for event in events:
                yield event

    async def watch_all(self, *, after: str | None = None, user: str | None = None) -> AsyncIterator[VideoEvent]:
        """Every event of all videos of the caller, without an end; `event.cursor` as `after` goes on behind it.

        A cut is mended as that of `watch` is. What a video went through meanwhile may come as one snapshot.
        """
        async with aclosing(_watch.every(self._transport, self._options, after, user)) as events:
            async for event in events:
                yield event

    async def wait(
        self,
        video_id: str,
        *,
        timeout_s: float | None = None,
        on_event: Callable[[VideoEvent], None] | None = None,
    ) -> Video:
        """The video once it is completed. Raises VideoFailed where it becomes none, TimedOut after `timeout_s`, behind
        which the video goes on."""
        try:
            async with asyncio.timeout(timeout_s):
                async for event in self.watch(video_id):
                    if on_event is not None:
                        on_event(event)
                    if event.type == "end" and event.video is not None:
                        return _completed(event.video)
                return _completed(await self.get(video_id))
        except TimeoutError:
            raise TimedOut(f"The video {video_id} is not finished after {timeout_s} s; it goes on.") from None

    async def download(
        self,
        video_id: str,
        path: str | os.PathLike[str],
        *,
        variant: str | None = None,
        parallel: int = 4,
        resume: bool = False,
        overwrite: bool = True,
        on_progress: Progress | None = None,
        headers: Headers | None = None,
    ) -> Path:
        """Fetch the video, or its `thumbnail` or `spritesheet`, as AsyncFiles.download does."""
        from mediagate_client._download import Downloader

        downloader = Downloader(
            self._transport,
            self._options,
            "DownloadVideo",
            described(video_id=video_id, variant=variant),
            headers or {},
            parallel=parallel,
            progress=on_progress,
        )
        return await downloader.to_path(path, resume=resume, overwrite=overwrite)

    async def content(self, video_id: str, *, variant: str | None = None, headers: Headers | None = None) -> bytes:
        """All of its bytes, in memory."""
        body = described(video_id=video_id, variant=variant)
        async with self._transport.open("DownloadVideo", body, 0, None, headers or {}) as content:
            return b"".join([chunk async for chunk in content.chunks])

    async def remix(
        self,
        video_id: str,
        prompt: str,
        *,
        max_cost: float | None = None,
        extra_body: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
    ) -> Video:
        """A new video from a finished one."""
        body = described(
            video_id=video_id,
            prompt=prompt,
            max_cost=max_cost,
            extra_body=dict(extra_body) if extra_body else None,
        )
        given = {"idempotency-key": str(uuid.uuid4()), **(headers or {})}
        return Video(await self._call("RemixVideo", body, given))

    async def cancel(self, video_id: str) -> Video:
        """Stop a video; `mediagate.cancellation` says who stopped."""
        return Video(await self._call("CancelVideo", {"video_id": video_id}, {"idempotency-key": str(uuid.uuid4())}))

    async def delete(self, video_id: str) -> Deleted:
        """Delete a video, and stop it where it still runs."""
        return Deleted(await self._call("DeleteVideo", {"video_id": video_id}, {"idempotency-key": str(uuid.uuid4())}))


def _completed(video: Video) -> Video:
    if video.status != "failed":
        return video
    failure = video.mediagate.failure
    message = failure.message if failure else "The video failed."
    raise VideoFailed(
        f"The video {video.id} failed: {message}",
        video,
        code=failure.code if failure else None,
        retryable=bool(failure and failure.retryable),
    )


async def reference(given: Reference) -> Json:
    """An image as both transports say it."""
    if isinstance(given, Mapping):
        return dict(given)
    if isinstance(given, str):
        if given.startswith(("https:", "http:", "data:")):
            return {"image_url": given}
        if given.startswith("file-") and "." not in given:
            return {"file_id": given}
    source = Source(given, None)
    try:
        size = source.size if source.size is not None else IMAGE_BYTES_MAX
        if size > IMAGE_BYTES_MAX:
            raise InvalidRequest("An image may have 20 MiB.", reason="PAYLOAD_TOO_LARGE", param="input_reference")
        data = await source.read_at(0, size) if source.size is not None else await source.read_next(size)
    finally:
        source.close()
    return {"image_url": f"data:{_media_type(data)};base64,{base64.b64encode(data).decode()}"}


def _media_type(data: bytes) -> str:
    signs = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}
    return next((kind for sign, kind in signs.items() if data.startswith(sign)), "application/octet-stream")


class Videos:
    """`client.videos` of a Client: AsyncVideos, waited for."""

    def __init__(self, videos: AsyncVideos, portal: Portal) -> None:
        self._videos = videos
        self._run = portal.run
        self._iterate = portal.iterate

    def create(
        self,
        prompt: str,
        *,
        model: str | None = None,
        seconds: int | str | None = None,
        size: str | None = None,
        input_reference: Reference | None = None,
        aspect_ratio: str | None = None,
        resolution: str | None = None,
        generate_audio: bool | None = None,
        max_cost: float | None = None,
        start_timeout: str | None = None,
        cancel_after: str | None = None,
        characters: Sequence[str] = (),
        user: str | None = None,
        placement: Mapping[str, str] | None = None,
        extra_body: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
    ) -> Video:
        """Ask for a video; answers at once with `queued`. See AsyncVideos.create."""
        return self._run(
            self._videos.create(
                prompt,
                model=model,
                seconds=seconds,
                size=size,
                input_reference=input_reference,
                aspect_ratio=aspect_ratio,
                resolution=resolution,
                generate_audio=generate_audio,
                max_cost=max_cost,
                start_timeout=start_timeout,
                cancel_after=cancel_after,
                characters=characters,
                user=user,
                placement=placement,
                extra_body=extra_body,
                headers=headers,
            )
        )

    def estimate(
        self, prompt: str, *, model: str | None = None, seconds: int | str | None = None, size: str | None = None
    ) -> Record:
        """What a video would cost (`cost_usd`), and how long it would take. Nothing is made."""
        return self._run(self._videos.estimate(prompt, model=model, seconds=seconds, size=size))

    def get(self, video_id: str, *, headers: Headers | None = None) -> Video:
        """What is known of a video."""
        return self._run(self._videos.get(video_id, headers=headers))

    def list(
        self,
        *,
        after: str | None = None,
        limit: int | None = None,
        order: str | None = None,
        user: str | None = None,
        headers: Headers | None = None,
    ) -> Page[Video]:
        """One page, newest first unless `order` is `asc`."""
        return self._run(self._videos.list(after=after, limit=limit, order=order, user=user, headers=headers))

    def watch(self, video_id: str, *, after_seq: int | None = None) -> Iterator[VideoEvent]:
        """Every event of a video as it happens; see AsyncVideos.watch."""
        return self._iterate(self._videos.watch(video_id, after_seq=after_seq))

    def watch_all(self, *, after: str | None = None, user: str | None = None) -> Iterator[VideoEvent]:
        """Every event of all videos of the caller, without an end; see AsyncVideos.watch_all."""
        return self._iterate(self._videos.watch_all(after=after, user=user))

    def wait(
        self,
        video_id: str,
        *,
        timeout_s: float | None = None,
        on_event: Callable[[VideoEvent], None] | None = None,
    ) -> Video:
        """The video once it is completed; see AsyncVideos.wait."""
        return self._run(self._videos.wait(video_id, timeout_s=timeout_s, on_event=on_event))

    def download(
        self,
        video_id: str,
        path: str | os.PathLike[str],
        *,
        variant: str | None = None,
        parallel: int = 4,
        resume: bool = False,
        overwrite: bool = True,
        on_progress: Progress | None = None,
        headers: Headers | None = None,
    ) -> Path:
        """Fetch the video, or its `thumbnail` or `spritesheet`; see AsyncFiles.download."""
        return self._run(
            self._videos.download(
                video_id,
                path,
                variant=variant,
                parallel=parallel,
                resume=resume,
                overwrite=overwrite,
                on_progress=on_progress,
                headers=headers,
            )
        )

    def content(self, video_id: str, *, variant: str | None = None, headers: Headers | None = None) -> bytes:
        """All of its bytes, in memory."""
        return self._run(self._videos.content(video_id, variant=variant, headers=headers))

    def remix(
        self,
        video_id: str,
        prompt: str,
        *,
        max_cost: float | None = None,
        extra_body: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
    ) -> Video:
        """A new video from a finished one."""
        return self._run(
            self._videos.remix(video_id, prompt, max_cost=max_cost, extra_body=extra_body, headers=headers)
        )

    def cancel(self, video_id: str) -> Video:
        """Stop a video; `mediagate.cancellation` says who stopped."""
        return self._run(self._videos.cancel(video_id))

    def delete(self, video_id: str) -> Deleted:
        """Delete a video, and stop it where it still runs."""
        return self._run(self._videos.delete(video_id))
