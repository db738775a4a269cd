"""Pages of a server that may not know `after`, `limit`, `order` or `purpose`."""

from __future__ import annotations

from mediagate.core.objects import Page
from mediagate.providers.files import ListQuery, ProviderFile
from mediagate.providers.listing import page_of
from mediagate.providers.openai.api import FilesApi, is_ordered


class Pages:
    """The pages of one account. A server that is not known to page shows first, with three small pages, whether it
    pages at all; one that does not is read to its end for every page, and the page is cut here."""

    def __init__(self, api: FilesApi) -> None:
        self._api = api
        self._trusted: bool | None = api.pages or None

    async def page(self, query: ListQuery) -> Page[ProviderFile]:
        """The page that `query` asks for."""
        if self._trusted is None:
            self._trusted = await self._tried()
        if self._trusted:
            page = await self._collected(query)
            if page is not None:
                return page
        return page_of([file async for files in self._api.walk() for file in files], query)

    async def _collected(self, query: ListQuery) -> Page[ProviderFile] | None:
        """As many of the server's pages as make one of ours; None where one of them is not what was asked for."""
        found: list[ProviderFile] = []
        after, more = query.after, True
        while more and len(found) < query.limit:
            limit = min(query.limit - len(found), self._api.page_files_max)
            order = "asc" if query.ascending else "desc"
            files, more = await self._api.page(limit=limit, order=order, after=after, purpose=query.purpose)
            found += files
            if len(files) > limit or not _is_right(found, query):
                return None
            after = files[-1].ref if files else after
        return Page(tuple(found), has_more=more)

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


def _is_right(files: list[ProviderFile], query: ListQuery) -> bool:
    """Whether nothing in the files speaks against their being what was asked for."""
    purposes = {file.purpose for file in files}
    return (query.purpose is None or purposes <= {query.purpose}) and is_ordered(files, ascending=query.ascending)
