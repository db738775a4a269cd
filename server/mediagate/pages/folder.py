"""The files of one folder as a browser gets them: with a type, an ETag, and a gzip form where that is smaller."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent
INDEX: Final = "index.html"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
"""What this machine's own table of types may lack or say otherwise."""


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file. `etag` is of its bytes as they are; `zipped` is None where gzip would not make it smaller."""

    content_type: str
    etag: str
    data: bytes
    zipped: bytes | None

    def says(self, *, gzipped: bool) -> str:
        """The ETag of one of its two forms, which HTTP holds for two representations (RFC 9110, section 8.8.3)."""
        return f'"{self.etag}-gzip"' if gzipped else f'"{self.etag}"'


class PageFolder:
    """The files below a folder of this package, by their paths with slashes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, PageFile] = {}

    async def get(self, path: str) -> PageFile | None:
        """The file at a path; None where there is none."""
        if path not in self._read:
            if path not in self._names:
                return None
            self._read[path] = await asyncio.to_thread(_read, self._names[path])
        return self._read[path]

    @cached_property
    def _names(self) -> dict[str, Path]:
        """What there is, listed once: nothing else is opened, so that no path leads out of the folder."""
        return {found.relative_to(self._folder).as_posix(): found for found in self._folder.rglob("*.*")}


def _read(path: Path) -> PageFile:
    data = path.read_bytes()
    content_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    # A fixed time, so that every process has the same bytes.
    zipped = gzip.compress(data, 9, mtime=0)
    etag = hashlib.sha256(data).hexdigest()[:32]
    return PageFile(content_type, etag, data, zipped if len(zipped) < 0.9 * len(data) else None)
