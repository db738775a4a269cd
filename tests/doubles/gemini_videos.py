"""The Gemini API's videos: interactions whose output is a file of the project, which the double of its files holds.

A file that is still being written cannot be downloaded; what the real API answers then is not known.
"""

from __future__ import annotations

import base64
from typing import Any

from aiohttp import web

from tests.doubles.gemini import GeminiApi, Stored
from tests.doubles.interactions import Interaction, InteractionsApi
from tests.doubles.origin import Held, Origin

VERSION = "v1"


class GeminiVideosApi(InteractionsApi, GeminiApi):
    """A project. `inline` has the interactions whose video comes inside of the answer, `redirect` leads all downloads
    away, `public_url` is the address that links name."""

    def __init__(self, key: str = "test-key") -> None:
        super().__init__(key)
        self.inline: set[str] = set()
        self.redirect = ""
        self.public_url = ""
        self._outputs: dict[str, Stored] = {}
        self._cuts: dict[str, int] = {}
        self._bytes = Origin()

    def routes(self) -> list[web.RouteDef]:
        """Interactions and files."""
        return [*self.routes_below("/{version}"), *super().routes()]

    def output_of(self, interaction: Interaction) -> dict[str, Any] | None:
        """A link to the file, while there is one."""
        file = self.output(interaction.id)
        if file is None:
            return None
        block = {"type": "video", "mime_type": file.mime_type}
        if interaction.id in self.inline:
            return {**block, "data": base64.b64encode(file.data).decode()}
        return {**block, "uri": f"{self.public_url or self.url}/{VERSION}/{file.name}:download?alt=media"}

    def output(self, interaction_id: str) -> Stored | None:
        """The file that an interaction has made."""
        file = self._outputs.get(interaction_id)
        return file if file is not None and file.name in self.files else None

    def write(self, interaction_id: str, data: bytes) -> None:
        """Have a video."""
        self._outputs[interaction_id] = self.make(data)

    def remove(self, interaction_id: str) -> None:
        """Have it no more."""
        file = self._outputs.pop(interaction_id, None)
        if file is not None:
            self.files.pop(file.name, None)

    def expire(self) -> None:
        """Have every video under another name from now on."""
        for interaction_id, file in list(self._outputs.items()):
            self.remove(interaction_id)
            self.write(interaction_id, file.data)

    def cut(self, interaction_id: str, at: int) -> None:
        """Break off every transfer of the video after `at` bytes."""
        self._cuts[self._outputs[interaction_id].name] = at

    async def _redirect(self, request: web.Request) -> web.Response:
        file = self._found(request)
        if file is not None and (request.query.get("alt") != "media" or file.polls > 0):
            return self.error(400, "The file is not in an ACTIVE state, or alt=media is missing.")
        if file is not None and self.redirect:
            return web.Response(status=302, headers={"location": self.redirect})
        return await super()._redirect(request)

    async def _download(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        file = self._found(request)
        if file is None or file.name not in self._cuts:
            return await super()._download(request)
        headers = {"content-type": file.mime_type}
        self._bytes.objects[request.path] = Held(file.data, reset_at=self._cuts[file.name], headers=headers)
        return await self._bytes.answer(request)
