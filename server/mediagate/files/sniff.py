"""What a file is, from its first bytes. The client's claim is not used: it is a guess at best and a trick at worst."""

from __future__ import annotations

import re
from typing import Final

import puremagic

HEAD_BYTES = 8192
UNKNOWN = "application/octet-stream"
TEXT = "text/plain"
ZIP = "application/zip"
OLE = "application/x-ole-storage"

# Own tables: Python's differ from version to version and read /etc/mime.types, so one name would have many types.
_IN_ZIP: Final = {
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "epub": "application/epub+zip",
    "jar": "application/java-archive",
    "apk": "application/vnd.android.package-archive",
}
_IN_OLE: Final = {
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "msg": "application/vnd.ms-outlook",
}
_IN_TEXT: Final = {
    "css": "text/css",
    "csv": "text/csv",
    "htm": "text/html",
    "html": "text/html",
    "ipynb": "application/x-ipynb+json",
    "js": "text/javascript",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "ndjson": "application/x-ndjson",
    "py": "text/x-python",
    "srt": "application/x-subrip",
    "svg": "image/svg+xml",
    "tex": "text/x-tex",
    "toml": "application/toml",
    "tsv": "text/tab-separated-values",
    "txt": TEXT,
    "vtt": "text/vtt",
    "xhtml": "application/xhtml+xml",
    "xml": "application/xml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
}
# For bytes that do not tell what they are.
_BY_NAME: Final = {
    **_IN_ZIP,
    **_IN_OLE,
    **_IN_TEXT,
    "aac": "audio/aac",
    "avi": "video/x-msvideo",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "flac": "audio/flac",
    "gif": "image/gif",
    "gz": "application/gzip",
    "heic": "image/heic",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "m4a": "audio/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
    "png": "image/png",
    "tar": "application/x-tar",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
    "zip": ZIP,
}
_BRANDS: Final = {
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"avif": "image/avif",
    b"avis": "image/avif",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
}
# What text does not hold; ESC stands in coloured logs.
_CONTROL: Final = re.compile(rb"[\x00-\x07\x0e-\x1a\x1c-\x1f\x7f]")
_MEDIA_TYPE: Final = re.compile(r"[a-z]+/[a-zA-Z0-9.+_-]+")


def content_type_of(head: bytes, filename: str) -> str:
    """Return the media type of content that begins with `head` (the first 8 KiB are enough) and is named `filename`.

    The name decides only among types that such bytes can have: a `.docx` is a ZIP archive, a `.jsonl` plain text.
    """
    found = _by_magic(head)
    candidates = {UNKNOWN: _BY_NAME, ZIP: _IN_ZIP, OLE: _IN_OLE, TEXT: _IN_TEXT}.get(found, {})
    return candidates.get(filename.rpartition(".")[2].lower(), found)


def _by_magic(head: bytes) -> str:
    if not head:
        return UNKNOWN
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return ZIP
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return OLE
    if _is_text(head):
        return TEXT
    try:
        found = puremagic.from_string(head, mime=True).strip()
    except (puremagic.PureError, ValueError):
        return UNKNOWN
    # It takes UTF-16 for text of any kind, and its table has gaps.
    return found if _MEDIA_TYPE.fullmatch(found) and found != TEXT else UNKNOWN


def _is_text(head: bytes) -> bool:
    if _CONTROL.search(head) or head.startswith((b"%PDF", b"{\\rtf")):
        return False
    # The head may end in the middle of a character.
    for cut in range(4):
        try:
            head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return True
    return False
