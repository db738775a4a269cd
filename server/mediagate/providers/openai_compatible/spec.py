"""What a server that speaks OpenAI's Files API and Videos API can do, as far as it has the routes."""

from __future__ import annotations

from typing import Final

from mediagate.providers.base import VideoKind, VideoModel, VideoSpec
from mediagate.providers.files import FileOperation, FileSpec
from mediagate.providers.openai.spec import RESERVED

FILES: Final = FileSpec(
    name="openai_compatible",
    title="OpenAI-compatible server",
    source="https://platform.openai.com/docs/api-reference/files",
    takes_purpose=True,
    notes=dict.fromkeys(FileOperation, "as far as the server has the route"),
)

VIDEOS: Final = VideoSpec(
    name="openai_compatible",
    title="OpenAI-compatible server",
    source="https://docs.vllm.ai/projects/vllm-omni/en/latest/serving/videos_api/",
    models={},
    any_model=VideoModel(
        name="*",
        sizes=(),
        seconds=(),
        default_size="720x1280",
        default_seconds=4,
        prompt_chars_max=32_000,
        inputs=("text", "image", "video"),
        kinds=tuple(VideoKind),
        characters_max=2,
        description="Whatever the server makes; it refuses what it cannot.",
    ),
    reports_progress=True,
    cancels=True,
    poll_interval_s=5.0,
    reserved=RESERVED,
)
