"""What the `local` providers can do."""

from __future__ import annotations

from typing import Final

from mediagate.providers.base import VideoKind, VideoModel, VideoSpec
from mediagate.providers.files import FileSpec

FILES: Final = FileSpec(name="local", title="Local disk", source="docs/operations.md", own_prefix=True)

VIDEOS: Final = VideoSpec(
    name="local",
    title="Local renderer",
    source="docs/videos.md",
    models={
        "local-video": VideoModel(
            name="local-video",
            sizes=(
                "720x1280",
                "1280x720",
                "1024x1792",
                "1792x1024",
                "320x180",
                "180x320",
                "480x270",
                "270x480",
            ),
            seconds=(1, 2, 4, 8, 12, 16, 20),
            default_size="720x1280",
            default_seconds=4,
            prompt_chars_max=32_000,
            inputs=("text", "image", "video"),
            kinds=tuple(VideoKind),
            description="Renders the prompt as a real H.264 MP4 on this machine, with no account and at no cost. "
            "The small sizes are for quick tests; magic words in the prompt play every failure.",
        )
    },
    idempotent_submit=True,
    reports_progress=True,
    cancels=True,
    poll_interval_s=0.5,
    deadline_s=600.0,
)
