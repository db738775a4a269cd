"""What Google Cloud Storage does with files, under the name by which Vertex AI's callers know it, and what Vertex AI
does with videos."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mediagate.core.chat import MediaKind, Way
from mediagate.core.limits import MIB
from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec
from mediagate.providers.batches import CHATS, BatchSpec
from mediagate.providers.chat import ChatSpec
from mediagate.providers.files import FileSpec
from mediagate.providers.google_chat import media_types
from mediagate.providers.google_chat.words import Words, taken
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

_SCHEMES: Final = ("gs",)
# https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference: of a URL.
_LINK_BYTES_MAX: Final = 15 * MIB
# https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/image-understanding, .../document-understanding: of
# what is inside of a request, and of what lies in a bucket.
_INLINE_BYTES_MAX: Final = 7 * MIB
_IMAGE_BYTES_MAX: Final = 30 * MIB
_DOCUMENT_BYTES_MAX: Final = 50 * MIB
_FILE_BYTES_MAX: Final = 2 << 30


_FILMS: Final = tuple(name for name in media_types.FILMS if name not in ("video/avi", "video/x-msvideo"))


def _ways(uri_bytes_max: int) -> tuple[tuple[Way, int | None], ...]:
    return ((Way.URI, uri_bytes_max), (Way.LINK, _LINK_BYTES_MAX), (Way.DATA, _INLINE_BYTES_MAX))


CHAT: Final = ChatSpec(
    name="vertex_ai",
    title="Vertex AI",
    source="https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference",
    takes=(
        *taken(MediaKind.IMAGE, media_types.IMAGES, _ways(_IMAGE_BYTES_MAX), schemes=_SCHEMES),
        *taken(MediaKind.DOCUMENT, media_types.DOCUMENTS, _ways(_DOCUMENT_BYTES_MAX), schemes=_SCHEMES),
        *taken(MediaKind.AUDIO, media_types.SOUNDS, _ways(_FILE_BYTES_MAX), schemes=_SCHEMES),
        *taken(MediaKind.VIDEO, _FILMS, _ways(_FILE_BYTES_MAX), schemes=_SCHEMES),
    ),
    request_bytes_max=20 * MIB,
    # A URL of an object, which is read with the account's own rights.
    private_hosts=("storage.googleapis.com", "storage.cloud.google.com", "aiplatform.googleapis.com"),
    notes={"uri": "an object in a bucket that the account's service agent can read"},
)

WORDS: Final = Words(
    spec=CHAT,
    needs_media_type=True,
    texts=frozenset({media_types.TEXT}),
)

BATCHES: Final = BatchSpec(
    name="vertex_ai",
    title="Vertex AI",
    source="https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-from-cloud-storage",
    endpoints=CHATS,
    lines_max=200_000,
    input_bytes_max=1 << 30,
    # A job may wait for three days before it begins, and a day from then on.
    deadline_s=4 * 86_400.0,
)
