"""Every provider by name. Its code, and the SDK that it needs, is loaded only where an account uses it."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from mediagate.providers.account import Account
from mediagate.providers.base import VideoProvider, VideoSpec
from mediagate.providers.files import FileProvider, FileSpec
from mediagate.telemetry.backends import of_account

FILE_PROVIDERS: Final = (
    "anthropic",
    "azure",
    "bedrock",
    "gemini",
    "local",
    "mistral",
    "openai",
    "openai_compatible",
    "vertex_ai",
    "xai",
)
VIDEO_PROVIDERS: Final = (
    "azure",
    "bedrock",
    "fal",
    "gemini",
    "local",
    "openai",
    "openai_compatible",
    "openrouter",
    "replicate",
    "runwayml",
    "vertex_ai",
    "xai",
)


def file_spec(provider: str) -> FileSpec:
    """What `provider` can do. Raises `KeyError` for a name that is none."""
    if provider not in FILE_PROVIDERS:
        raise KeyError(provider)
    return cast(FileSpec, import_module(f"mediagate.providers.{provider}.spec").FILES)


def build_files(account: Account) -> FileProvider:
    """The provider's file store for one account. Opens no connection. Raises `KeyError` for a name that is none,
    `ValueError` with a sentence for an account that lacks what the provider needs."""
    file_spec(account.provider)
    with of_account(account.id):
        return cast(FileProvider, import_module(f"mediagate.providers.{account.provider}.files").build(account))


def video_spec(provider: str) -> VideoSpec:
    """What `provider` can make. Raises `KeyError` for a name that is none."""
    if provider not in VIDEO_PROVIDERS:
        raise KeyError(provider)
    return cast(VideoSpec, import_module(f"mediagate.providers.{provider}.spec").VIDEOS)


def build_videos(account: Account) -> VideoProvider:
    """The provider's videos for one account; raises as `build_files` does."""
    video_spec(account.provider)
    with of_account(account.id):
        return cast(VideoProvider, import_module(f"mediagate.providers.{account.provider}.videos").build(account))
