"""What Azure OpenAI's Files API can do."""

from __future__ import annotations

from typing import Final

from mediagate.core.limits import GIB
from mediagate.providers.files import FileOperation, FileSpec

FILES: Final = FileSpec(
    name="azure",
    title="Azure OpenAI",
    source="https://learn.microsoft.com/azure/ai-foundry/openai/latest",
    takes_purpose=True,
    notes={
        FileOperation.CREATE: "above 512 MB only where the size is known beforehand; older api-versions take fewer "
        "purposes",
        FileOperation.CONTENT: "not for every purpose",
    },
    file_bytes_max=8 * GIB,
)
