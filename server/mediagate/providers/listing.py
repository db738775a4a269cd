"""Pages over what a provider can only list in its own way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime

from mediagate.core.objects import Page
from mediagate.providers.files import ListQuery, ProviderFile

_LONG_AGO = datetime.fromtimestamp(0, UTC)


def page_of(files: Iterable[ProviderFile], query: ListQuery) -> Page[ProviderFile]:
    """The page that `query` asks for, of all `files` there are: filtered, in order of time, cut."""
    wanted = [file for file in files if query.purpose is None or file.purpose == query.purpose]
    wanted.sort(key=lambda file: (file.created_at or _LONG_AGO, file.ref), reverse=not query.ascending)
    begin = 0
    if query.after is not None:
        begin = next((at + 1 for at, file in enumerate(wanted) if file.ref == query.after), 0)
    page = wanted[begin : begin + query.limit]
    return Page(tuple(page), has_more=begin + query.limit < len(wanted))


async def page_from(
    files: AsyncIterator[ProviderFile], query: ListQuery, *, newest_first: bool = False
) -> Page[ProviderFile]:
    """The same, of files that arrive. Where the provider gives the newest first and that is what `query` wants, reading
    ends with the page."""
    if query.ascending or not newest_first:
        return page_of([file async for file in files], query)
    seen: list[ProviderFile] = []
    page: list[ProviderFile] | None = seen if query.after is None else None
    async for file in files:
        if query.purpose is None or file.purpose == query.purpose:
            (seen if page is None else page).append(file)
        if page is None and file.ref == query.after:
            page = []
        if page is not None and len(page) > query.limit:
            break
    found = seen if page is None else page
    return Page(tuple(found[: query.limit]), has_more=len(found) > query.limit)
