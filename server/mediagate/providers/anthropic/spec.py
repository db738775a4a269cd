"""What Anthropic's Files API can do."""

from __future__ import annotations

from typing import Final

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
