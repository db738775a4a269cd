"""What Converse calls the types of files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mediagate.core.chat import MediaKind

FORMATS: Final[Mapping[MediaKind, Mapping[str, str]]] = {
    MediaKind.IMAGE: {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"},
    MediaKind.DOCUMENT: {
        "application/pdf": "pdf",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
        "text/csv": "csv",
        "application/msword": "doc",
        "application/vnd.ms-excel": "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
        "text/html": "html",
        "text/plain": "txt",
        "text/markdown": "md",
    },
    MediaKind.AUDIO: {
        "audio/mpeg": "mp3",
        "audio/mp3": "mp3",
        "audio/wav": "wav",
        "audio/x-wav": "wav",
        "audio/wave": "wav",
        "audio/vnd.wave": "wav",
        "audio/aac": "aac",
        "audio/flac": "flac",
        "audio/x-flac": "flac",
        "audio/mp4": "m4a",
        "audio/x-m4a": "m4a",
        "audio/m4a": "m4a",
        "audio/ogg": "ogg",
        "audio/opus": "opus",
        "audio/webm": "webm",
        "audio/x-matroska": "mka",
        "audio/matroska": "mka",
    },
    MediaKind.VIDEO: {
        "video/mp4": "mp4",
        "video/quicktime": "mov",
        "video/x-matroska": "mkv",
        "video/matroska": "mkv",
        "video/webm": "webm",
        "video/x-flv": "flv",
        "video/mpeg": "mpeg",
        "video/x-ms-wmv": "wmv",
        "video/3gpp": "three_gp",
    },
}
"""Formats by media type, of botocore's enumerations."""

PAGES: Final = ("application/pdf", "application/vnd.openxmlformats-officedocument.wordprocessingml.document")
"""Documents that are read as pages, with their pictures."""
TEXTS: Final = tuple(name for name in FORMATS[MediaKind.DOCUMENT] if name not in PAGES)
