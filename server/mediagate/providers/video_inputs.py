"""Inputs of a video on their way into a store of the provider's, before the job that reads them is started."""

from __future__ import annotations

from typing import Final

from mediagate.core.errors import InvalidRequest, MediagateError, ProviderRefused, Unsupported
from mediagate.providers.base import Failure, FailureStage, MediaInput, ProviderBusy, SubmitRefused
from mediagate.providers.files import FileProvider, NewFile, StoredBlob
from mediagate.providers.video_calls import refusal

_CHANGED: Final = Failure(
    FailureStage.INPUT, "input_changed", "An input of the video is not as long as it was.", retryable=True
)


async def stored(files: FileProvider, new: NewFile, media: MediaInput) -> StoredBlob:
    """Write `media` as the file `new`.

    No job has begun yet. Raises `ProviderBusy` where the store or the input's own fails, `SubmitRefused` where the
    store refuses, and what the reading raises.
    """
    try:
        return await _written(files, new, media)
    except (InvalidRequest, ProviderRefused, Unsupported) as error:
        raise SubmitRefused(refusal(error)) from error
    except (MediagateError, OSError) as error:
        raise ProviderBusy("An input of the video cannot be stored at the moment.") from error


async def _written(files: FileProvider, new: NewFile, media: MediaInput) -> StoredBlob:
    writer = await files.create(new)
    sent = 0
    try:
        async for chunk in media.open():
            await writer.write(chunk)
            sent += len(chunk)
        if sent != media.size_bytes:
            raise SubmitRefused(_CHANGED)
        return await writer.commit()
    except BaseException:
        await writer.abort()
        raise
