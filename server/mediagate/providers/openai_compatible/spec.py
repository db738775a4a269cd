"""What a server that speaks OpenAI's Files API can do, as far as it has the routes."""

from __future__ import annotations

from typing import Final

from mediagate.providers.files import FileOperation, FileSpec

FILES: Final = FileSpec(
    name="openai_compatible",
    title="OpenAI-compatible server",
    source="https://platform.openai.com/docs/api-reference/files",
    takes_purpose=True,
    notes=dict.fromkeys(FileOperation, "as far as the server has the route"),
)
