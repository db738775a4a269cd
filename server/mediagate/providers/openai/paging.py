"""Pages of a server that may not know `after`, `limit`, `order` or `purpose`."""

from __future__ import annotations

from typing import Final

from mediagate.core.objects import Page
from mediagate.providers.files import ListQuery, ProviderFile
from mediagate.providers.listing import page_of
from mediagate.providers.openai.api import FilesApi, is_ordered

LIST_MAX: Final = 10_000


class Pages:
    """The pages of one account. A server that is not `trusted` shows first, with three small pages, whether it pages at
    all; one that does not is read to its end for every page, and the page is cut here."""

    def __init__(self, api: FilesApi, *, trusted: bool) -> None:
        self._api = api
        self._trusted: bool | None = True if trusted else None

    async def page(self, query: ListQuery) -> Page[ProviderFile]:
        """The page that `query` asks for."""
        if self._trusted is None:
            self._trusted = await self._tried()
        if self._trusted:
            limit = min(query.limit, LIST_MAX)
            files, more = await self._api.page(
                limit=limit, order=_order(query.ascending), after=query.after, purpose=query.purpose
            )
            if _is_right(files, query, limit):
                return Page(tuple(files), has_more=more)
        return page_of([file async for files in self._api.walk() for file in files], query)

    async def _tried(self) -> bool | None:
        """Whether the server pages; None while too few files lie there to tell, which are then soon read."""
        oldest, _ = await self._api.page(limit=2, order="asc")
        newest, _ = await self._api.page(limit=2, order="desc")
        if len(oldest) > 2 or not is_ordered(oldest, ascending=True) or not is_ordered(newest, ascending=False):
            return False
        if len(oldest) < 2 or oldest[0].created_at == newest[0].created_at:
            return None
        second, _ = await self._api.page(limit=2, order="asc", after=oldest[0].ref)
        return bool(second) and second[0].ref == oldest[1].ref


def _order(ascending: bool) -> str:
    return "asc" if ascending else "desc"


def _is_right(files: list[ProviderFile], query: ListQuery, limit: int) -> bool:
    """Whether nothing in the page speaks against it."""
    return (
        len(files) <= limit
        and all(query.purpose is None or file.purpose == query.purpose for file in files)
        and is_ordered(files, ascending=query.ascending)
    )
