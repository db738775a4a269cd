"""The media types that Google's models read.

https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/video-understanding (and image-, audio-, document-),
https://ai.google.dev/gemini-api/docs/file-input-methods
"""

from __future__ import annotations

from typing import Final

IMAGES: Final = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
PDF: Final = ("application/pdf",)
TEXT: Final = "text/plain"
# Text is text, whatever it is called; what an API does not list is told as plain text.
TEXTS: Final = (
    "text/*",
    "application/json",
    "application/jsonl",
    "application/x-ndjson",
    "application/x-ipynb+json",
    "application/xml",
    "application/xhtml+xml",
    "application/yaml",
    "application/x-yaml",
    "application/toml",
    "application/javascript",
    "application/x-subrip",
    "image/svg+xml",
)
DOCUMENTS: Final = (*PDF, *TEXTS)
# What the Gemini API lists of these.
LISTED_TEXTS: Final = frozenset(
    {TEXT, "text/html", "text/css", "text/csv", "text/xml", "text/rtf", "text/javascript", "text/markdown"}
)
SOUNDS: Final = (
    "audio/wav",
    "audio/mp3",
    "audio/mpeg",
    "audio/mpga",
    "audio/aac",
    "audio/aiff",
    "audio/flac",
    "audio/m4a",
    "audio/mp4",
    "audio/ogg",
    "audio/opus",
    "audio/pcm",
    "audio/webm",
)
FILMS: Final = (
    "video/mp4",
    "video/mpeg",
    "video/mpg",
    "video/mpegps",
    "video/quicktime",
    "video/mov",
    "video/avi",
    "video/x-msvideo",
    "video/x-flv",
    "video/webm",
    "video/wmv",
    "video/x-ms-wmv",
    "video/3gpp",
)
# Types that Google calls otherwise.
GOOGLE_NAMES: Final = {
    "application/ogg": "audio/ogg",
    "application/x-pdf": "application/pdf",
    "audio/vnd.wave": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/x-aac": "audio/aac",
    "audio/x-aiff": "audio/aiff",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/m4a",
    "audio/x-mp3": "audio/mp3",
    "audio/x-wav": "audio/wav",
    "image/jpg": "image/jpeg",
    "image/x-png": "image/png",
    "video/x-ms-wmv": "video/wmv",
    "video/x-msvideo": "video/avi",
}
