"""What Google Cloud Storage does with files, under the name by which Vertex AI's callers know it."""

from __future__ import annotations

from typing import Final

from mediagate.providers.files import FileSpec

FILES: Final = FileSpec(
    name="vertex_ai",
    title="Google Cloud Storage",
    source="https://cloud.google.com/storage/docs/json_api/v1",
    # https://cloud.google.com/storage/quotas#objects
    file_bytes_max=5 << 40,
    lifecycle=True,
    own_prefix=True,
)
