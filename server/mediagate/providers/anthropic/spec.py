"""What Anthropic can do: its Files API, what Claude can be shown in a chat, and its batches."""

from __future__ import annotations

from typing import Final

from mediagate.core.chat import MediaKind, Way
from mediagate.providers.batches import CHATS, BatchSpec, InputPlace
from mediagate.providers.chat import ChatSpec, Taken
from mediagate.providers.files import FileOperation, FileSpec

FILES: Final = FileSpec(
    name="anthropic",
    title="Anthropic",
    source="https://platform.claude.com/docs/en/api/files",
    notes={
        FileOperation.CONTENT: "only files that a tool made, not uploads",
        FileOperation.LIST: "files have no purpose there",
    },
    reads_uploads=False,
    file_bytes_max=500 * 1000 * 1000,
    storage_bytes_max=500 * 10**9,
)

PDF: Final = "application/pdf"
IMAGES: Final = ("image/jpeg", "image/png", "image/gif", "image/webp")
# Documents that are text, whatever their type is called; they are sent as text.
TEXTS: Final = (
    "application/json", "application/x-ndjson", "application/jsonl", "application/xml", "application/yaml",
    "application/x-yaml", "application/toml", "application/javascript", "application/x-javascript", "application/sql",
)  # fmt: skip
# What a request may have in all; base 64 makes three bytes four.
REQUEST_BYTES_MAX: Final = 32_000_000
_INLINE_BYTES_MAX: Final = 22_000_000

CHAT: Final = ChatSpec(
    name="anthropic",
    title="Anthropic",
    source="https://platform.claude.com/docs/en/api/messages/create",
    takes=(
        Taken(MediaKind.IMAGE, Way.FILE_ID, IMAGES, bytes_max=FILES.file_bytes_max),
        Taken(MediaKind.IMAGE, Way.LINK, IMAGES),
        # "5 MB per image" counts what is in base 64.
        Taken(MediaKind.IMAGE, Way.DATA, IMAGES, bytes_max=3_750_000),
        Taken(MediaKind.DOCUMENT, Way.FILE_ID, (PDF, "text/plain"), bytes_max=FILES.file_bytes_max),
        Taken(MediaKind.DOCUMENT, Way.LINK, (PDF,)),
        Taken(MediaKind.DOCUMENT, Way.DATA, (PDF, "text/*", *TEXTS), bytes_max=_INLINE_BYTES_MAX),
    ),
    request_bytes_max=REQUEST_BYTES_MAX,
    notes={
        "image": "8000 pixels at most on each side, 2000 where a request has more than 20 images",
        "document": "PDF with up to 600 pages, 100 for models of 200,000 tokens; text is sent as text",
    },
)

BATCHES: Final = BatchSpec(
    name="anthropic",
    title="Anthropic",
    source="https://platform.claude.com/docs/en/build-with-claude/batch-processing",
    endpoints=CHATS,
    input_place=InputPlace.HERE,
    lines_max=100_000,
    # 256 MB in all, of which the names of the requests take some when they are sent.
    input_bytes_max=250_000_000,
    # It ends after 24 hours by itself, whatever has been answered.
    deadline_s=30 * 3600.0,
    notes={"results": "for 29 days after the batch was made"},
)
