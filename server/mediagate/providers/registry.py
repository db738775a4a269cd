"""Every provider by name. Its code, and the SDK that it needs, is loaded only where an account uses it."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Final, cast

from mediagate.core.chat import Dialect
from mediagate.providers.account import Account
from mediagate.providers.base import VideoProvider, VideoSpec
from mediagate.providers.batches import BatchProvider, BatchSpec
from mediagate.providers.chat import ChatProvider, ChatSpec
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
CHAT_PROVIDERS: Final = (
    "anthropic",
    "azure",
    "bedrock",
    "gemini",
    "mistral",
    "openai",
    "openai_compatible",
    "openrouter",
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

BATCH_PROVIDERS: Final = (
    "anthropic",
    "azure",
    "bedrock",
    "gemini",
    "mistral",
    "openai",
    "openai_compatible",
    "vertex_ai",
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


def batch_spec(provider: str) -> BatchSpec:
    """What `provider` does with batches. Raises `KeyError` for a name that is none."""
    if provider not in BATCH_PROVIDERS:
        raise KeyError(provider)
    return cast(BatchSpec, import_module(f"mediagate.providers.{provider}.spec").BATCHES)


def build_batches(account: Account) -> BatchProvider:
    """The provider's batches for one account; raises as `build_files` does."""
    batch_spec(account.provider)
    with of_account(account.id):
        return cast(BatchProvider, import_module(f"mediagate.providers.{account.provider}.batches").build(account))


def chat_spec(provider: str) -> ChatSpec:
    """How a provider's models are asked. Raises `KeyError` for a name that is none."""
    if provider not in CHAT_PROVIDERS:
        raise KeyError(provider)
    return cast(ChatSpec, import_module(f"mediagate.providers.{provider}.spec").CHAT)


@cache
def responses_hosts() -> tuple[str, ...]:
    """The providers that have a Responses API."""
    return tuple(name for name in CHAT_PROVIDERS if Dialect.RESPONSES in chat_spec(name).dialects)


def build_chat(account: Account) -> ChatProvider:
    """The provider's chat models for one account; raises as `build_files` does."""
    chat_spec(account.provider)
    with of_account(account.id):
        return cast(ChatProvider, import_module(f"mediagate.providers.{account.provider}.chat").build(account))
