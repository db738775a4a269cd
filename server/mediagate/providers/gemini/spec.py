"""What the Gemini API can do with files and videos."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from mediagate.core.chat import MediaKind, Way
from mediagate.core.limits import MIB
from mediagate.providers.base import VideoSpec
from mediagate.providers.batches import CHATS, BatchSpec
from mediagate.providers.chat import ChatSpec
from mediagate.providers.files import FileOperation, FileSpec
from mediagate.providers.google_chat import media_types
from mediagate.providers.google_chat.words import Words, taken
from mediagate.providers.interactions import omni

FILES: Final = FileSpec(
    name="gemini",
    title="Gemini",
    source="https://ai.google.dev/gemini-api/docs/files",
    notes={
        FileOperation.CONTENT: "only files that a model made, not uploads",
        FileOperation.LIST: "files have no purpose there",
    },
    file_bytes_max=2 * 1024**3,
    storage_bytes_max=20 * 1024**3,
    life_s=48 * 3600,
    reads_uploads=False,
)

# Their replacements are the Omni models: https://ai.google.dev/gemini-api/docs/deprecations
_SHUT_DOWN: Final = {
    "2026-06-30": (
        "veo-2.0-generate-001",
        "veo-3.0-generate-001",
        "veo-3.0-fast-generate-001",
        "veo-3.0-generate-preview",
        "veo-3.0-fast-generate-preview",
    ),
    "2026-09-30": ("gemini-omni-flash-preview",),
    "2026-10-22": (
        "veo-3.1-generate-preview",
        "veo-3.1-fast-generate-preview",
        "veo-3.1-lite-generate-preview",
    ),
}

VIDEOS: Final = VideoSpec(
    name="gemini",
    title="Gemini",
    source="https://ai.google.dev/gemini-api/docs/omni",
    models={
        "gemini-omni-1.2-flash": omni("gemini-omni-1.2-flash", 15),
        "gemini-omni-1.1-flash": omni("gemini-omni-1.1-flash", 10),
    },
    any_model=replace(
        omni("other", 15), seconds=(), extend_seconds=(), description="An Omni model that is not listed."
    ),
    shut_down={name: day for day, names in _SHUT_DOWN.items() for name in names},
    cancels=True,
    calls_back=True,
    # How long the API keeps any of its files.
    output_life_s=48 * 3600,
    reserved=frozenset({"uri", "previous_interaction_id", "background", "store", "delivery", "webhook_config"}),
)

# https://ai.google.dev/gemini-api/docs/file-input-methods: in base64, for what is inside of a request.
_REQUEST_BYTES_MAX: Final = 100_000_000
_INLINE_BYTES_MAX: Final = 70 * MIB
_LINK_BYTES_MAX: Final = 100_000_000
# https://ai.google.dev/gemini-api/docs/document-processing
_PDF_BYTES_MAX: Final = 50 * MIB
_WAYS: Final = ((Way.URI, FILES.file_bytes_max), (Way.LINK, _LINK_BYTES_MAX), (Way.DATA, _INLINE_BYTES_MAX))
_PDF_WAYS: Final = tuple((way, _PDF_BYTES_MAX) for way in (Way.URI, Way.LINK, Way.DATA))
_SCHEMES: Final = ("https",)

CHAT: Final = ChatSpec(
    name="gemini",
    title="Gemini",
    source="https://ai.google.dev/api/generate-content",
    takes=(
        *taken(MediaKind.IMAGE, media_types.IMAGES, _WAYS, schemes=_SCHEMES),
        *taken(MediaKind.DOCUMENT, media_types.PDF, _PDF_WAYS, schemes=_SCHEMES),
        *taken(MediaKind.DOCUMENT, media_types.TEXTS, _WAYS, schemes=_SCHEMES),
        *taken(MediaKind.AUDIO, media_types.SOUNDS, _WAYS, schemes=_SCHEMES),
        *taken(MediaKind.VIDEO, media_types.FILMS, _WAYS, schemes=_SCHEMES),
    ),
    request_bytes_max=_REQUEST_BYTES_MAX,
    private_hosts=("generativelanguage.googleapis.com",),
    notes={"uri": "the URI of a file of this account's, uploaded or registered"},
)

WORDS: Final = Words(
    spec=CHAT,
    needs_media_type=False,
    texts=media_types.LISTED_TEXTS,
)

# https://ai.google.dev/gemini-api/docs/batch-api
BATCHES: Final = BatchSpec(
    name="gemini",
    title="Gemini",
    source="https://ai.google.dev/gemini-api/docs/batch-api",
    endpoints=CHATS,
    input_bytes_max=FILES.file_bytes_max,
)
