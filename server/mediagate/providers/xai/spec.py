"""What xAI's Files API can do."""

from __future__ import annotations

from typing import Final

from mediagate.providers.files import FileOperation, FileSpec

FILES: Final = FileSpec(
    name="xai",
    title="xAI",
    source="https://docs.x.ai/developers/rest-api-reference/files",
    notes={FileOperation.LIST: "the purpose of a file is not kept"},
    file_bytes_max=50 * 1024 * 1024,
)
