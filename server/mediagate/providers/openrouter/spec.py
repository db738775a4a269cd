"""What OpenRouter's video API can do."""

from __future__ import annotations

from typing import Final

from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec

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
