"""Calls to the provider of a video: waited for, but not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, NoReturn, TypeVar

import structlog

from mediagate.providers.base import FateUnknown, ProviderBusy, SubmitRefused, VideoProvider, VideoSpec
from mediagate.videos.provider_request import InputLost

log = structlog.get_logger(__name__)
T = TypeVar("T")


async def answer(call: Awaitable[T], within_s: float) -> T:
    """Wait for a provider, but not for ever.

    Raises `SubmitRefused`, `ProviderBusy`, what reading an input raises, and `FateUnknown` for whatever else it raises:
    an adapter that stumbles over an answer has learnt nothing about the job either.
    """
    try:
        async with asyncio.timeout(within_s):
            return await call
    except (SubmitRefused, ProviderBusy, FateUnknown, InputLost):
        raise
    except TimeoutError as error:
        raise FateUnknown("the provider did not answer in time") from error
    except Exception as error:
        log.warning("provider_call_failed", error=type(error).__name__, exc_info=True)
        raise FateUnknown("the call to the provider failed") from error


class _Nobody:
    """Its job can be neither asked for nor stopped."""

    spec = VideoSpec(name="nobody", title="", source="", models={})

    async def _unknown(self, *_: object) -> NoReturn:
        raise FateUnknown("the account is not configured any more")

    submit = poll = cancel = delete = open = _unknown

    async def close(self) -> None:
        """Nothing is open."""


NOBODY: Final[VideoProvider] = _Nobody()
"""Stands for a provider that the configuration no longer has, once it is too late to wait for it."""
