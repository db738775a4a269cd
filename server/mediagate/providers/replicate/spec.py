"""What Replicate's models can make. Which members a model takes is in its own schema, asked for at run time."""

from __future__ import annotations

from typing import Final

from mediagate.core.sizes import size_of
from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec

# The models whose lengths are not those that most others take by themselves.
_VEO: Final = ("google/veo-3.1", "google/veo-3.1-fast")


def _veo(name: str) -> VideoModel:
    return VideoModel(
        name=name,
        sizes=tuple(size_of(ratio, resolution) for resolution in ("720p", "1080p") for ratio in ("16:9", "9:16")),
        seconds=(4, 6, 8),
        default_size="1280x720",
        default_seconds=8,
        prompt_chars_max=32_000,
        inputs=("text", "image"),
        kinds=(VideoKind.CREATE,),
        audio=Audio.OPTIONAL,
        description="Google's Veo 3.1 at Replicate.",
    )


VIDEOS: Final = VideoSpec(
    name="replicate",
    title="Replicate",
    source="https://replicate.com/docs/reference/http#models.predictions.create",
    models={name: _veo(name) for name in _VEO},
    any_model=VideoModel(
        name="",
        sizes=(),
        seconds=(),
        default_size="1280x720",
        default_seconds=5,
        prompt_chars_max=32_000,
        inputs=("text", "image", "video"),
        kinds=tuple(VideoKind),
        audio=Audio.OPTIONAL,
        description="Any video model of Replicate's: `owner/name`, `owner/name:version` or `deployments/owner/name`.",
    ),
    cancels=True,
    calls_back=True,
    output_life_s=3600,
    poll_interval_s=5.0,
    deadline_s=3600.0,
    reserved=frozenset({"version", "webhook", "webhook_events_filter"}),
    # Files of the account.
    reserved_schemes=("https://api.replicate.com/",),
)
