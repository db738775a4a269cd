"""Inputs that are too large for a request, as files of the project. They go with the API's own 48 hours."""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import Final

from mediagate.core.errors import MediagateError
from mediagate.providers.base import Failure, FailureStage, MediaInput, ProviderBusy, SubmitRefused
from mediagate.providers.files import NewFile, ObjectState
from mediagate.providers.gemini.files import GeminiFiles
from mediagate.providers.gemini.spec import VIDEOS
from mediagate.providers.media_body import extension
from mediagate.providers.video_inputs import stored

# A model takes a file only once the API has looked through it.
READY_S_MAX: Final = 300.0
LOOK_S: Final = 2.0


class GeminiInputs:
    """The project's files, as inputs."""

    def __init__(self, files: GeminiFiles) -> None:
        self._files = files

    async def keep(self, token: str, field: str, media: MediaInput) -> str:
        """Make a file of `media` and wait until it can be used; its URI. Raises as `stored`, and `SubmitRefused` where
        the API cannot read it."""
        # The same for every attempt, so that a later one takes the place of an earlier one.
        key = f"in-{hashlib.sha256(f'{token} {field}'.encode()).hexdigest()[:32]}"
        new = NewFile(
            key=key,
            filename=f"{field}{extension(media.content_type)}",
            content_type=media.content_type,
            size_bytes=media.size_bytes,
        )
        blob = await stored(self._files, new, media)
        try:
            return await self._ready(blob.ref, field)
        except (MediagateError, OSError) as error:
            raise ProviderBusy("An input of the video cannot be stored at the moment.") from error

    async def _ready(self, ref: str, field: str) -> str:
        until = time.monotonic() + READY_S_MAX
        while True:
            tree = await self._files.fetch(ref)
            state = self._files.record(tree).state
            if state is ObjectState.READY:
                return str(tree.get("uri") or ref)
            if state is ObjectState.FAILED:
                raise SubmitRefused(
                    Failure(
                        FailureStage.INPUT,
                        "provider_rejected_file",
                        f"{VIDEOS.title} cannot read this input.",
                        retryable=False,
                        field=field,
                    )
                )
            if time.monotonic() >= until:
                raise ProviderBusy(f"{VIDEOS.title} takes long to look through an input of the video.")
            await asyncio.sleep(LOOK_S)
