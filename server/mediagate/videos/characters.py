"""Characters: kept from a video, named, and found again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.end_users import FIELD, settled_end_user
from mediagate.core.errors import InvalidField
from mediagate.core.objects import Character, Principal
from mediagate.files.get_file import GetFile
from mediagate.store.database import Database
from mediagate.store.videos import VideoRepository
from mediagate.videos.inputs import require_media
from mediagate.videos.read_fields import text_field

NAME_CHARS_MAX = 80


@dataclass(frozen=True, slots=True)
class CreateCharacter:
    """Keep a character from a stored video."""

    db: Database
    get_file: GetFile
    clock: Clock

    async def run(self, who: Principal, fields: Mapping[str, Any], *, character_id: str | None = None) -> Character:
        """`fields` has `name`, `video: {"file_id"}` and maybe `user`; `character_id` is for one whose id was reserved.

        Raises `InvalidField` or `NotFound`."""
        name = text_field(fields, "name", required=True, chars_max=NAME_CHARS_MAX) or ""
        reference = fields.get("video")
        if not isinstance(reference, Mapping) or not isinstance(reference.get("file_id"), str):
            raise InvalidField("'video' is a required field: a form part with a file name.", param="video")
        file = require_media(await self.get_file.run(who, reference["file_id"]), "video")
        character = Character(
            character_id or ids.new_character_id(),
            who.owner_id,
            name,
            file.id,
            self.clock.now(),
            settled_end_user(who, text_field(fields, FIELD)),
        )
        async with self.db.transaction() as tx:
            await VideoRepository(tx.connection).add_character(character)
        return character


@dataclass(frozen=True, slots=True)
class GetCharacter:
    """Return a character."""

    db: Database

    async def run(self, who: Principal, character_id: str) -> Character:
        """Raises `NotFound` for an id that is malformed, unknown or somebody else's."""
        ids.CHARACTER.parse(character_id)
        async with self.db.reading() as connection:
            character = await VideoRepository(connection).get_character(who, character_id)
        if character is None:
            raise ids.CHARACTER.not_found(character_id)
        return character
