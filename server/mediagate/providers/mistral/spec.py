"""What Mistral's Files API can do."""

from __future__ import annotations

from typing import Final

from mediagate.core.chat import Dialect, MediaKind, Way
from mediagate.core.limits import MIB
from mediagate.providers.batches import CHAT as CHAT_COMPLETIONS
from mediagate.providers.batches import EMBEDDINGS, BatchSpec
from mediagate.providers.chat import ChatSpec, Taken
from mediagate.providers.files import FileSpec
from mediagate.providers.media_types import IMAGES, MP3, OFFICE, PDF, TEXTS, WAV
from mediagate.providers.mistral.parts import write_part

FILES: Final = FileSpec(
    name="mistral",
    title="Mistral",
    source="https://docs.mistral.ai/api/endpoint/files",
    takes_purpose=True,
    file_bytes_max=512 * 1024 * 1024,
)

# https://docs.mistral.ai/capabilities/document_ai, .../vision, .../audio
CHAT: Final = ChatSpec(
    name="mistral",
    title="Mistral",
    source="https://docs.mistral.ai/api/endpoint/chat",
    takes=(
        Taken(MediaKind.DOCUMENT, Way.FILE_ID, (*PDF, *TEXTS, *OFFICE), 50 * MIB),
        Taken(MediaKind.DOCUMENT, Way.LINK, (*PDF, *TEXTS, *OFFICE), 50 * MIB),
        Taken(MediaKind.IMAGE, Way.DATA, IMAGES, 10 * MIB),
        Taken(MediaKind.IMAGE, Way.LINK, IMAGES, 10 * MIB),
        Taken(MediaKind.AUDIO, Way.DATA, (*WAV, *MP3), 20 * MIB),
        Taken(MediaKind.AUDIO, Way.LINK, (*WAV, *MP3)),
    ),
    own_hosts=("mistral.ai",),
    dialects=(Dialect.CHAT,),
    write_part=write_part,
)

BATCHES: Final = BatchSpec(
    name="mistral",
    title="Mistral",
    source="https://docs.mistral.ai/capabilities/batch",
    endpoints=(CHAT_COMPLETIONS, EMBEDDINGS),
    lines_max=1_000_000,
    input_bytes_max=512 * 1024 * 1024,
)
