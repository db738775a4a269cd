"""Pages over what a provider can only list in its own way."""

from __future__ import annotations

from collections.abc import Iterable
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
