"""What fal's models can make. Which members a model takes is in its own schema, asked for at run time."""

from __future__ import annotations

from typing import Final

from mediagate.core.sizes import size_of
from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec

# The models whose lengths are not those that most others take by themselves.
_VEO: Final = ("fal-ai/veo3.1", "fal-ai/veo3.1/fast")


def _veo(name: str) -> VideoModel:
    return VideoModel(
        name=name,
        sizes=tuple(size_of(ratio, resolution) for resolution in ("720p", "1080p") for ratio in ("16:9", "9:16")),
        seconds=(4, 6, 8),
        default_size="1280x720",
        default_seconds=8,
        prompt_chars_max=32_000,
        inputs=("text", "image") if name.endswith("/image-to-video") else ("text",),
        kinds=(VideoKind.CREATE,),
        audio=Audio.OPTIONAL,
        description="Google's Veo 3.1 at fal.",
    )


VIDEOS: Final = VideoSpec(
    name="fal",
    title="fal",
    source="https://fal.ai/docs/api-reference/inference-api",
    models={name: _veo(name) for base in _VEO for name in (base, f"{base}/image-to-video")},
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
        description="Any video model of fal's by its id, such as `fal-ai/veo3.1/image-to-video`.",
    ),
    cancels=True,
    calls_back=True,
    output_life_s=3600,
    poll_interval_s=5.0,
    deadline_s=3600.0,
    reserved=frozenset({"fal_webhook"}),
)
