"""What the Gemini API's files can do."""

from __future__ import annotations

from typing import Final

from mediagate.providers.files import FileOperation, FileSpec

FILES: Final = FileSpec(
    name="gemini",
    title="Gemini",
    source="https://ai.google.dev/gemini-api/docs/files",
    notes={
        FileOperation.CONTENT: "only files that a model made, not uploads",
        FileOperation.LIST: "files have no purpose there",
    },
    file_bytes_max=2 * 1024**3,
    life_s=48 * 3600,
    reads_uploads=False,
)
