"""Lists objects. The store orders by name alone; names under our prefix begin with an id that sorts by time."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from mediagate.core.ids import FILE
from mediagate.core.objects import Page
from mediagate.providers import http_failures
from mediagate.providers.files import ListQuery, ProviderFile
from mediagate.providers.http import ProviderHttp
from mediagate.providers.vertex_ai import objects

# The most that the API gives at once: https://cloud.google.com/storage/docs/json_api/v1/objects/list
PAGE_OBJECTS_MAX: Final = 1000
# The newest are the last in the store's order. They are looked for in windows back from now, each read as a whole.
WINDOWS: Final = (timedelta(hours=1), timedelta(days=1), timedelta(days=30))


class GcsListing:
    """What lies under `root`, a prefix that ends with a slash."""

    def __init__(self, calls: ProviderHttp, bucket: str, root: str) -> None:
        self._http = calls
        self._bucket = bucket
        self._root = root

    async def page(self, query: ListQuery) -> Page[ProviderFile]:
        """One page in the order of names, which is that of time for objects of ours; what others put under the prefix
        stands before or behind. The newest first costs the reading of one window, the oldest first nothing extra."""
        after = self._name(query.after)
        wanted = query.limit + 1
        if query.ascending:
            files = [file async for file in self._files(query, wanted, start=after)]
        else:
            files = await self._newest(query, wanted, after)
        return Page(tuple(files[: query.limit]), has_more=len(files) > query.limit)

    async def _newest(self, query: ListQuery, wanted: int, before: str | None) -> list[ProviderFile]:
        now = datetime.now(UTC)
        found: list[ProviderFile] = []
        for start in (*(self._root + FILE.first_of(now - window) for window in WINDOWS), None):
            if before is not None and start is not None and start >= before:
                continue
            last: deque[ProviderFile] = deque(maxlen=wanted - len(found))
            async for file in self._files(query, None, start=start, before=before, with_start=True):
                last.append(file)
            found += reversed(last)
            if len(found) >= wanted:
                break
            before = start
        return found

    async def _files(
        self,
        query: ListQuery,
        wanted: int | None,
        *,
        start: str | None,
        before: str | None = None,
        with_start: bool = False,
    ) -> AsyncIterator[ProviderFile]:
        page = PAGE_OBJECTS_MAX if wanted is None or query.purpose else wanted + 1
        count = 0
        async for resource in self.resources(self._root, start=start, before=before, page=page):
            if not with_start and resource.get("name") == start:
                continue
            file = objects.file_of(resource, self._root, self._http.title)
            if query.purpose in (None, file.purpose):
                yield file
                count += 1
            if count == wanted:
                return

    def _name(self, ref: str | None) -> str | None:
        """The name behind `after`; what was never in this bucket begins the list anew."""
        if ref is None:
            return None
        try:
            place = objects.parse_ref(ref)
        except FileNotFoundError:
            return None
        return place.name if place.bucket == self._bucket else None

    async def resources(
        self, prefix: str, *, start: str | None = None, before: str | None = None, page: int = PAGE_OBJECTS_MAX
    ) -> AsyncIterator[dict[str, Any]]:
        """The resources of the objects whose names begin with `prefix`, from the name `start` up to `before`, in the
        order of names. Raises `ProviderRefused` where there is no such bucket."""
        params = {"prefix": prefix, "maxResults": str(min(page, PAGE_OBJECTS_MAX)), "fields": objects.PAGE_FIELDS}
        # No name under the prefix is smaller than the prefix, and the API refuses an empty span.
        if start is not None and start > prefix:
            params["startOffset"] = start
        if before is not None:
            params["endOffset"] = before
        while True:
            try:
                answer = await self._http.json("GET", f"/storage/v1/b/{self._bucket}/o", params=params)
            except FileNotFoundError:
                raise http_failures.nowhere(self._http.title) from None
            items = answer.get("items", [])
            if not isinstance(items, list) or not all(isinstance(item, dict) and "name" in item for item in items):
                raise objects.bad_answer(self._http.title)
            for item in sorted(items, key=_name_of):
                # Again, because emulators ignore the offsets.
                if (start is None or item["name"] >= start) and (before is None or item["name"] < before):
                    yield item
            token = answer.get("nextPageToken")
            if not token:
                return
            params["pageToken"] = str(token)


def _name_of(resource: dict[str, Any]) -> str:
    return str(resource["name"])
