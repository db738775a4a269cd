"""What Mistral's Files API can do."""

from __future__ import annotations

from typing import Final

from mediagate.providers.files import FileSpec

FILES: Final = FileSpec(
    name="mistral",
    title="Mistral",
    source="https://docs.mistral.ai/api/endpoint/files",
    takes_purpose=True,
    file_bytes_max=512 * 1024 * 1024,
)
