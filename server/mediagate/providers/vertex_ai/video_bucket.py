"""Where videos lie in the account's bucket: below one prefix for each video, what goes in and what comes out.

Vertex AI reads and writes there by itself.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from mediagate.providers.base import MediaInput
from mediagate.providers.files import NewFile
from mediagate.providers.media_body import extension
from mediagate.providers.vertex_ai import objects
from mediagate.providers.vertex_ai.files import VertexFiles
from mediagate.providers.video_inputs import stored

_FOLDER: Final = "videos"
_INPUTS: Final = "inputs"
TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


class VideoBucket:
    """The folder `videos/` below the account's prefix."""

    def __init__(self, files: VertexFiles) -> None:
        self._files = files

    def uri(self, token: str) -> str:
        """Where the outputs of the video `token` go."""
        return self._files.folder_of(f"{_FOLDER}/{token}")

    def named(self, media: MediaInput) -> str | None:
        """The name of these bytes in Google's cloud, an own one first; None where they have none."""
        found = [objects.parse_ref(uri).ref for uri in media.uris if objects.is_uri(uri)]
        own = self._files.folder_of()
        return next((uri for uri in found if uri.startswith(own)), None) or next(iter(found), None)

    async def keep(self, token: str, name: str, media: MediaInput) -> str:
        """Put an input beside the outputs that will come of it; its URI. Raises as `stored`."""
        new = NewFile(
            key=f"{_FOLDER}/{token}/{_INPUTS}",
            filename=f"{name}{extension(media.content_type)}",
            content_type=media.content_type,
            size_bytes=media.size_bytes,
        )
        return (await stored(self._files, new, media)).ref

    async def outputs(self, token: str) -> list[str]:
        """The URIs of what has come out, in the order of their names."""
        inputs = f"{self.uri(token)}{_INPUTS}/"
        found = [file async for file in self._files.resources_of(f"{_FOLDER}/{token}")]
        return [file.ref for file in found if not file.ref.startswith(inputs) and file.size_bytes]

    async def discard(self, token: str) -> None:
        """Remove everything."""
        await self._files.discard(f"{_FOLDER}/{token}")


def token_of(text: str) -> str:
    """A request's token as a part of a name."""
    return text if TOKEN.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()[:40]
