"""Media types by what models read, for the specs of providers."""

from __future__ import annotations

from typing import Final

IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")
PDF: Final = ("application/pdf",)
TEXTS: Final = ("text/*", "application/json", "application/jsonl", "application/x-ndjson", "application/xml")
OFFICE: Final = (
    "application/msword",
    "application/rtf",
    "application/vnd.ms-excel",
    "application/vnd.ms-powerpoint",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.oasis.opendocument.text",
)
WAV: Final = ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave")
MP3: Final = ("audio/mpeg", "audio/mp3")
