"""What a provider is sent: a video's row with the bytes of its inputs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from mediagate.core.errors import MediagateError
from mediagate.core.lifecycle import ReplicaState
from mediagate.core.objects import Principal, Video
from mediagate.files.open_content import OpenContent
from mediagate.providers.base import Content, InputBusy, MediaInput, VideoKind, VideoRequest
from mediagate.store.videos import VideoLookup
from mediagate.videos.callbacks import Callbacks
from mediagate.videos.open_output import OpenOutput
from mediagate.videos.provider_characters import ProviderCharacters


class InputLost(Exception):
    """An input was gone before it was read to its end, so the provider has no whole request. An `OSError` would be its
    own."""


@dataclass(frozen=True, slots=True)
class MakeRequest:
    """Opens the inputs; their bytes are read by whoever sends them."""

    videos: VideoLookup
    open_file: OpenContent
    open_output: OpenOutput
    callbacks: Callbacks
    characters: ProviderCharacters

    async def run(self, video: Video) -> VideoRequest:
        """Everything that the provider needs, which then knows the video's characters. Raises `FileNotFoundError`
        where an input is gone, `MediagateError` where one cannot be opened at the moment, and as `ProviderCharacters`
        does."""
        owner = Principal(video.owner_id)
        source = await self._source(video)

        async def media(file_id: str) -> MediaInput:
            return await self._media(owner, file_id)

        return VideoRequest(
            token=video.id,
            kind=VideoKind(video.kind),
            model=video.provider_model,
            prompt=video.prompt,
            seconds=video.seconds,
            width=video.width,
            height=video.height,
            image=await self._file(owner, video.image_file_id),
            source_video=await self._file(owner, video.source_file_id)
            if source is None
            else await self._output(source),
            source_ref=source.provider_ref if source is not None and source.account == video.account else None,
            characters=await self.characters.run(video, media),
            audio=video.audio,
            extra=video.extra or {},
            callback_url=self.callbacks.url_of(video.id),
        )

    async def _source(self, video: Video) -> Video | None:
        if video.source_video_id is None:
            return None
        source = await self.videos.get(Principal(video.owner_id), video.source_video_id)
        if source is None:
            raise FileNotFoundError(video.source_video_id)
        return source

    async def _file(self, owner: Principal, file_id: str | None) -> MediaInput | None:
        return None if file_id is None else await self._media(owner, file_id)

    async def _media(self, owner: Principal, file_id: str) -> MediaInput:
        file, content = await self.open_file.find(owner, file_id)
        ready = (replica.ref for replica in file.replicas if replica.state is ReplicaState.READY)
        return _as_input(content, file.content_type, tuple(ref for ref in ready if ref and "://" in ref))

    async def _output(self, source: Video) -> MediaInput:
        try:
            content = await self.open_output.run(source)
        except KeyError:
            raise FileNotFoundError(source.id) from None
        return _as_input(content, content.content_type)


def _as_input(content: Content, content_type: str, uris: tuple[str, ...] = ()) -> MediaInput:
    async def read() -> AsyncIterator[bytes]:
        try:
            async for chunk in content.read(0, content.size_bytes):
                yield chunk
        except FileNotFoundError as error:
            raise InputLost from error
        except (OSError, MediagateError) as error:
            # No server takes half a request: it is made once more when the store is back.
            raise InputBusy("An input of the video cannot be read at the moment.") from error

    return MediaInput(content_type=content_type, size_bytes=content.size_bytes, open=read, uris=uris)
