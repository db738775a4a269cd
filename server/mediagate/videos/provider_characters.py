"""Our characters, made known to the account that shall show them: once, and remembered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mediagate.core.objects import Principal, Video
from mediagate.providers.base import (
    CharacterMaker,
    Failure,
    FailureStage,
    FateUnknown,
    MediaInput,
    ProviderBusy,
    SubmitRefused,
)
from mediagate.routing.catalog import ModelCatalog
from mediagate.store.database import Database
from mediagate.store.videos import VideoRepository

OpenInput = Callable[[str], Awaitable[MediaInput]]
"""Opens one of the owner's files by its id. Raises `FileNotFoundError`."""

# As long as a submit may take: it carries the character's video.
TOLD_S_MAX = 900.0
_NOWHERE = Failure(
    FailureStage.GATEWAY,
    "unsupported",
    "The model's account keeps no characters.",
    retryable=False,
    field="characters",
)


@dataclass(frozen=True, slots=True)
class ProviderCharacters:
    """Tells an account of a character before the first video that has it."""

    db: Database
    catalog: ModelCatalog

    async def run(self, video: Video, open_input: OpenInput) -> tuple[str, ...]:
        """What the video's account calls the video's characters.

        Raises `FileNotFoundError` where one is gone, `SubmitRefused` where the account does not take it, and
        `ProviderBusy` where that is not known: told of it twice, an account has it twice, and nobody is charged.
        """
        return tuple([await self._ref(video, one, open_input) for one in video.characters or ()])

    async def _ref(self, video: Video, character_id: str, open_input: OpenInput) -> str:
        async with self.db.reading() as connection:
            repository = VideoRepository(connection)
            known = await repository.character_ref(character_id, video.account)
            if known is not None:
                return known
            character = await repository.get_character(Principal(video.owner_id), character_id)
        if character is None:
            raise FileNotFoundError(character_id)
        provider = self.catalog.provider(video.account)
        if not isinstance(provider, CharacterMaker):
            raise SubmitRefused(_NOWHERE)
        media = await open_input(character.file_id)
        try:
            async with asyncio.timeout(TOLD_S_MAX):
                ref = await provider.make_character(character.name, media)
        except (FateUnknown, TimeoutError) as error:
            raise ProviderBusy("It is not known whether the character was taken.") from error
        async with self.db.transaction() as tx:
            return await VideoRepository(tx.connection).keep_character_ref(character_id, video.account, ref)
