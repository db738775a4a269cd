"""Where a video may be made and kept: every place that its bytes come by must be as its maker requires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mediagate.core.objects import Principal
from mediagate.core.placement import required_of, together
from mediagate.providers.account import Account
from mediagate.routing.placement import require
from mediagate.routing.stores import LOCAL, FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileRepository
from mediagate.videos.plan_video import Plan, VideoDraft


@dataclass(frozen=True, slots=True)
class VideoPlaces:
    """`makers` are the accounts that make videos; `archive` is the one that keeps copies of them, where there is one.

    What is made passes this machine's disk, where it is proven to be whole, so `local` is a place like any other.
    """

    db: Database
    stores: FileStores
    makers: Mapping[str, Account]
    archive: str | None = None

    async def required(self, who: Principal, draft: VideoDraft, plan: Plan) -> dict[str, str]:
        """What the places of this video must be like: what policies and request say, and what its inputs say of theirs.

        Raises `InvalidField` naming the account and the label where one is not that keeps every video, whoever makes
        it.
        """
        required = together([required_of(who), *await self._of_inputs(draft, plan)])
        for account, what in ((LOCAL, "the finished video"), (self.archive, "the copy of the finished video")):
            if account is not None and required:
                require(self.stores.accounts.get(account), account, required, what)
        return required

    def require_maker(self, plan: Plan, required: Mapping[str, str]) -> None:
        """Raises `InvalidField` where the account that would make the video is not as `required` says."""
        maker = plan.deployment.model_account
        if required:
            require(self.makers.get(maker), maker, required, "the request for this video")

    async def _of_inputs(self, draft: VideoDraft, plan: Plan) -> list[Mapping[str, str]]:
        found = [] if plan.source is None else [plan.source.required or {}]
        inputs = [file_id for file_id in (draft.image_file_id, draft.source_file_id) if file_id is not None]
        if inputs:
            async with self.db.reading() as connection:
                found += [await FileRepository(connection).required(file_id) for file_id in inputs]
        return found
