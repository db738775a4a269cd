"""What OpenAI's Files API can do."""

from __future__ import annotations

from typing import Final

from mediagate.core.limits import GIB
from mediagate.providers.files import FileOperation, FileSpec

FILES: Final = FileSpec(
    name="openai",
    title="OpenAI",
    source="https://platform.openai.com/docs/api-reference/files",
    takes_purpose=True,
    notes={
        FileOperation.CREATE: "above 512 MB only where the size is known beforehand",
        FileOperation.CONTENT: "not for every purpose: OpenAI does not hand back what it takes as model input",
    },
    file_bytes_max=8 * GIB,
)
