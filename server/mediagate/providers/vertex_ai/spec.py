"""What Google Cloud Storage does with files, under the name by which Vertex AI's callers know it, and what Vertex AI
does with videos."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec
from mediagate.providers.files import FileSpec
from mediagate.providers.interactions import omni

FILES: Final = FileSpec(
    name="vertex_ai",
    title="Google Cloud Storage",
    source="https://cloud.google.com/storage/docs/json_api/v1",
    # https://cloud.google.com/storage/quotas#objects
    file_bytes_max=5 << 40,
    lifecycle=True,
    own_prefix=True,
)


def _veo(name: str, *, ultra_hd: bool = True) -> VideoModel:
    return VideoModel(
        name=name,
        sizes=(
            "1280x720",
            "720x1280",
            "1920x1080",
            "1080x1920",
            *(("3840x2160", "2160x3840") if ultra_hd else ()),
        ),
        seconds=(4, 6, 8),
        default_size="1280x720",
        default_seconds=8,
        # 1,024 tokens of four characters, as Google counts.
        prompt_chars_max=4096,
        inputs=("text", "image", "video"),
        kinds=(VideoKind.CREATE, VideoKind.EXTEND),
        audio=Audio.OPTIONAL,
        extend_seconds=(7,),
    )


_OMNI: Final = omni("gemini-omni-1.2-flash", 15)

VIDEOS: Final = VideoSpec(
    name="vertex_ai",
    title="Vertex AI",
    source="https://docs.cloud.google.com/gemini-enterprise-agent-platform/models/video/generate-videos",
    models={
        "veo-3.1-generate-001": _veo("veo-3.1-generate-001"),
        "veo-3.1-fast-generate-001": _veo("veo-3.1-fast-generate-001"),
        "veo-3.1-lite-generate-001": _veo("veo-3.1-lite-generate-001", ultra_hd=False),
        "gemini-omni-1.2-flash": _OMNI,
        "gemini-omni-1.1-flash-preview": omni("gemini-omni-1.1-flash-preview", 10),
    },
    any_model=replace(
        _OMNI,
        name="other",
        sizes=(),
        seconds=(),
        extend_seconds=(),
        audio=Audio.OPTIONAL,
        description="A Veo or Omni model that is not listed.",
    ),
    shut_down=dict.fromkeys(
        (
            "veo-2.0-generate-001",
            "veo-2.0-generate-exp",
            "veo-2.0-generate-preview",
            "veo-3.0-generate-001",
            "veo-3.0-fast-generate-001",
            "veo-3.0-generate-preview",
            "veo-3.0-fast-generate-preview",
        ),
        "2026-06-30",
    ),
    cancels=True,
    reserved=frozenset(
        {
            "storageUri",
            "gcsUri",
            "uri",
            "previous_interaction_id",
            "background",
            "store",
            "delivery",
            "webhook_config",
        }
    ),
    reserved_schemes=("gs:",),
)
