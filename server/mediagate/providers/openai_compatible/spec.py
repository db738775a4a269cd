"""What a server that speaks OpenAI's Files API and Videos API can do, as far as it has the routes."""

from __future__ import annotations

from typing import Final

from mediagate.core.chat import Dialect, MediaKind, Way
from mediagate.core.limits import MIB
from mediagate.providers.base import VideoKind, VideoModel, VideoSpec
from mediagate.providers.batches import ENDPOINTS, BatchSpec
from mediagate.providers.chat import ChatSpec, Taken
from mediagate.providers.files import FileOperation, FileSpec
from mediagate.providers.media_types import OFFICE, PDF, TEXTS
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

# What vLLM fetches or takes inline; https://docs.vllm.ai/en/latest/features/multimodal_inputs/. A document is for those
# servers that read one.
CHAT: Final = ChatSpec(
    name="openai_compatible",
    title="OpenAI-compatible server",
    source="https://docs.vllm.ai/en/latest/serving/openai_compatible_server/",
    takes=(
        Taken(MediaKind.IMAGE, Way.LINK, ("image/*",)),
        Taken(MediaKind.IMAGE, Way.DATA, ("image/*",), 20 * MIB),
        Taken(MediaKind.VIDEO, Way.LINK, ("video/*",)),
        Taken(MediaKind.VIDEO, Way.DATA, ("video/*",), 20 * MIB),
        Taken(MediaKind.AUDIO, Way.LINK, ("audio/*",)),
        Taken(MediaKind.AUDIO, Way.DATA, ("audio/*",), 20 * MIB),
        Taken(MediaKind.DOCUMENT, Way.FILE_ID, (*PDF, *TEXTS, *OFFICE)),
        Taken(MediaKind.DOCUMENT, Way.DATA, (*PDF, *TEXTS, *OFFICE), 20 * MIB),
    ),
    dialects=(Dialect.CHAT,),
    may_speak=(Dialect.RESPONSES,),
    fetches_callers_links=False,
)

BATCHES: Final = BatchSpec(
    name="openai_compatible",
    title="OpenAI-compatible server",
    source="https://platform.openai.com/docs/guides/batch",
    endpoints=ENDPOINTS,
    price_factor=1.0,
    notes={"all": "as far as the server has the route"},
)
