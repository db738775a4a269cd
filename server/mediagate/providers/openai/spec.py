"""What OpenAI's Files API and Videos API can do."""

from __future__ import annotations

from typing import Final

from mediagate.core.chat import Dialect, MediaKind, Way
from mediagate.core.limits import GIB, MIB
from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec
from mediagate.providers.batches import ENDPOINTS, BatchSpec
from mediagate.providers.chat import ChatSpec, Taken
from mediagate.providers.files import FileOperation, FileSpec
from mediagate.providers.media_types import IMAGES, MP3, OFFICE, PDF, TEXTS, WAV

FILES: Final = FileSpec(
    name="openai",
    title="OpenAI",
    source="https://platform.openai.com/docs/api-reference/files",
    takes_purpose=True,
    notes={
        FileOperation.CREATE: "above 512 MB only where the size is known beforehand",
        FileOperation.CONTENT: "not for every purpose: OpenAI does not hand back what it takes as model input",
    },
    file_bytes_max=8 * GIB,
    storage_bytes_max=2_500 * 10**9,
)

# The API's own limits, which outlived its models; https://platform.openai.com/docs/api-reference/videos/create.
ANY_VIDEO: Final = VideoModel(
    name="*",
    sizes=("720x1280", "1280x720", "1024x1792", "1792x1024"),
    seconds=(4, 8, 12),
    default_size="720x1280",
    default_seconds=4,
    prompt_chars_max=32_000,
    inputs=("text", "image", "video"),
    kinds=tuple(VideoKind),
    audio=Audio.ALWAYS,
    extend_seconds=(4, 8, 12, 16, 20),
    characters_max=2,
    description="Any model that OpenAI's Videos API serves.",
)
# Every model that the API ever had; https://platform.openai.com/docs/deprecations.
SORA: Final = ("sora-2", "sora-2-2025-10-06", "sora-2-2025-12-08", "sora-2-pro", "sora-2-pro-2025-10-06")

# What a job reads, or goes on from, that is stored in the account.
RESERVED: Final = frozenset({"video", "video_id", "input_reference", "characters", "file_id"})

VIDEOS: Final = VideoSpec(
    name="openai",
    title="OpenAI",
    source="https://platform.openai.com/docs/api-reference/videos",
    models={},
    any_model=ANY_VIDEO,
    shut_down=dict.fromkeys(SORA, "2026-09-24"),
    reports_progress=True,
    output_life_s=86_400,
    poll_interval_s=5.0,
    reserved=RESERVED,
)

# https://platform.openai.com/docs/guides/pdf-files, .../images-vision, .../audio: 50 MB a file and a request.
OPENAI_TAKES: Final = (
    Taken(MediaKind.DOCUMENT, Way.FILE_ID, (*PDF, *TEXTS, *OFFICE), 50 * MIB),
    Taken(MediaKind.DOCUMENT, Way.DATA, (*PDF, *TEXTS, *OFFICE), 32 * MIB),
    Taken(MediaKind.DOCUMENT, Way.LINK, (*PDF, *TEXTS, *OFFICE), 50 * MIB, (Dialect.RESPONSES,)),
    Taken(MediaKind.IMAGE, Way.FILE_ID, IMAGES, 50 * MIB, (Dialect.RESPONSES,)),
    Taken(MediaKind.IMAGE, Way.DATA, IMAGES, 20 * MIB),
    Taken(MediaKind.IMAGE, Way.LINK, IMAGES, 50 * MIB),
    Taken(MediaKind.AUDIO, Way.DATA, (*WAV, *MP3), 20 * MIB, (Dialect.CHAT,)),
)

CHAT: Final = ChatSpec(
    name="openai",
    title="OpenAI",
    source="https://platform.openai.com/docs/api-reference/chat",
    takes=OPENAI_TAKES,
    own_hosts=("openai.com",),
    dialects=(Dialect.CHAT, Dialect.RESPONSES),
    request_bytes_max=50 * MIB,
)

BATCHES: Final = BatchSpec(
    name="openai",
    title="OpenAI",
    source="https://platform.openai.com/docs/guides/batch",
    endpoints=ENDPOINTS,
    lines_max=50_000,
    input_bytes_max=200_000_000,
)
