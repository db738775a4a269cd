"""What a file is, from its first bytes. The client's claim is not used: it is a guess at best and a trick at worst."""

from __future__ import annotations

import mimetypes

import puremagic

HEAD_BYTES = 8192
UNKNOWN = "application/octet-stream"
# Containers whose magic says less than the name does: a .docx is a ZIP archive, a .jsonl plain text.
_GENERIC = frozenset({UNKNOWN, "application/zip", "text/plain", "application/x-ole-storage", ""})


def content_type_of(head: bytes, filename: str) -> str:
    """Return the media type of content that begins with `head` (the first 8 KiB are enough) and is named `filename`."""
    found = _by_magic(head)
    if found in _GENERIC:
        named = mimetypes.guess_type(filename, strict=False)[0] or ""
        textual = named.startswith("text/") or named.endswith(("json", "xml", "yaml", "javascript"))
        if named and (found == UNKNOWN or found == "application/zip" or textual == (found == "text/plain")):
            return "application/jsonl" if filename.lower().endswith(".jsonl") else named
        if filename.lower().endswith(".jsonl") and found == "text/plain":
            return "application/jsonl"
    return found or UNKNOWN


def _by_magic(head: bytes) -> str:
    if not head:
        return UNKNOWN
    if head[4:8] == b"ftyp":
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    if _is_text(head):
        return "text/plain"
    try:
        return puremagic.from_string(head, mime=True) or UNKNOWN
    except (puremagic.PureError, ValueError):
        return UNKNOWN


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    # The head may end in the middle of a character.
    for cut in range(4):
        try:
            head[: len(head) - cut].decode("utf-8")
        except UnicodeDecodeError:
            continue
        return not head.startswith((b"%PDF", b"{\\rtf"))
    return False
