"""What OpenRouter's video API can do."""

from __future__ import annotations

from typing import Final

from mediagate.core.chat import Dialect, MediaKind, Way
from mediagate.core.limits import MIB
from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec
from mediagate.providers.chat import ChatSpec, Taken
from mediagate.providers.media_types import IMAGES, MP3, PDF, WAV

VIDEOS: Final = VideoSpec(
    name="openrouter",
    title="OpenRouter",
    source="https://openrouter.ai/docs/api_reference/videos",
    models={},
    # What a model can is in the list at /videos/models, which changes by the day.
    any_model=VideoModel(
        name="*",
        sizes=(),
        seconds=(),
        default_size="1280x720",
        default_seconds=8,
        prompt_chars_max=32_000,
        inputs=("text", "image", "video"),
        kinds=tuple(VideoKind),
        audio=Audio.OPTIONAL,
        description="Any video model that OpenRouter routes to; it refuses what a model cannot.",
    ),
    reports_cost=True,
    calls_back=True,
    reserved=frozenset({"models", "callback_url", "previous_job_id"}),
)

# https://openrouter.ai/docs/guides/overview/multimodal
CHAT: Final = ChatSpec(
    name="openrouter",
    title="OpenRouter",
    source="https://openrouter.ai/docs/api_reference/chat",
    takes=(
        Taken(MediaKind.DOCUMENT, Way.DATA, PDF, 20 * MIB),
        Taken(MediaKind.DOCUMENT, Way.LINK, PDF),
        Taken(MediaKind.IMAGE, Way.DATA, IMAGES, 20 * MIB),
        Taken(MediaKind.IMAGE, Way.LINK, IMAGES),
        Taken(MediaKind.AUDIO, Way.DATA, (*WAV, *MP3), 20 * MIB),
        Taken(MediaKind.VIDEO, Way.LINK, ("video/*",), None, (Dialect.CHAT,)),
        Taken(MediaKind.VIDEO, Way.DATA, ("video/*",), 20 * MIB, (Dialect.CHAT,)),
    ),
    own_hosts=("openrouter.ai",),
    dialects=(Dialect.CHAT,),
    # It keeps nothing: https://openrouter.ai/docs/client-sdks/typescript/sdks/responses/README
    may_speak=(Dialect.RESPONSES,),
)
