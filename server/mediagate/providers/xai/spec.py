"""What xAI's Files API and its video API can do."""

from __future__ import annotations

from typing import Final

from mediagate.core.chat import Dialect, MediaKind, Way
from mediagate.core.limits import MIB
from mediagate.core.sizes import size_of
from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec
from mediagate.providers.chat import ChatSpec, Taken
from mediagate.providers.files import FileOperation, FileSpec
from mediagate.providers.media_types import OFFICE, PDF, TEXTS

FILES: Final = FileSpec(
    name="xai",
    title="xAI",
    source="https://docs.x.ai/developers/rest-api-reference/files",
    notes={FileOperation.LIST: "the purpose of a file is not kept"},
    file_bytes_max=50 * 1024 * 1024,
)

RATIOS: Final = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3")
SECONDS: Final = tuple(range(1, 16))
EXTEND_SECONDS: Final = tuple(range(2, 11))
# The API says that a prompt can be too long, and not when.
PROMPT_CHARS_MAX: Final = 32_000


def _sizes(*resolutions: str) -> tuple[str, ...]:
    return tuple(size_of(ratio, resolution) for resolution in resolutions for ratio in RATIOS)


def _model(name: str, *resolutions: str, kinds: tuple[VideoKind, ...], description: str) -> VideoModel:
    return VideoModel(
        name=name,
        sizes=_sizes(*resolutions),
        seconds=SECONDS,
        default_size="1280x720",
        default_seconds=8,
        prompt_chars_max=PROMPT_CHARS_MAX,
        inputs=("text", "image", "video") if VideoKind.EDIT in kinds else ("text", "image"),
        kinds=kinds,
        audio=Audio.OPTIONAL,
        extend_seconds=EXTEND_SECONDS if VideoKind.EXTEND in kinds else (),
        description=description,
    )


_MODELS: Final = (
    _model(
        "grok-imagine-video",
        "720p",
        "480p",
        kinds=tuple(VideoKind),
        description="Video with sound from text or an image, and changes and continuations of a video.",
    ),
    _model(
        "grok-imagine-video-1.5",
        "720p",
        "480p",
        "1080p",
        kinds=(VideoKind.CREATE,),
        description="Video with sound from text or an image, up to 1080p.",
    ),
)

VIDEOS: Final = VideoSpec(
    name="xai",
    title="xAI",
    source="https://docs.x.ai/developers/model-capabilities/video/generation",
    models={model.name: model for model in _MODELS},
    any_model=VideoModel(
        name="",
        sizes=(),
        seconds=(),
        default_size="1280x720",
        default_seconds=8,
        prompt_chars_max=PROMPT_CHARS_MAX,
        inputs=("text", "image", "video"),
        kinds=tuple(VideoKind),
        audio=Audio.OPTIONAL,
        description="Another of xAI's video models.",
    ),
    reports_progress=True,
    reports_cost=True,
    output_life_s=86_400,
    poll_interval_s=5.0,
    # Files of the team, and a copy of the output among them that anybody may read.
    reserved=frozenset({"file_id", "video_id", "request_id", "storage_options"}),
)

_XAI_IMAGES: Final = ("image/png", "image/jpeg")
# https://docs.x.ai/developers/files: a document is read by a search tool, which only the Responses API has.
CHAT: Final = ChatSpec(
    name="xai",
    title="xAI",
    source="https://docs.x.ai/developers/rest-api-reference/inference/chat",
    takes=(
        Taken(MediaKind.DOCUMENT, Way.FILE_ID, (*PDF, *TEXTS, *OFFICE), 48 * MIB, (Dialect.RESPONSES,)),
        Taken(MediaKind.DOCUMENT, Way.LINK, (*PDF, *TEXTS, *OFFICE), 48 * MIB, (Dialect.RESPONSES,)),
        Taken(MediaKind.IMAGE, Way.DATA, _XAI_IMAGES, 20 * MIB),
        Taken(MediaKind.IMAGE, Way.LINK, _XAI_IMAGES, 20 * MIB),
    ),
    own_hosts=("x.ai",),
    dialects=(Dialect.CHAT, Dialect.RESPONSES),
)
