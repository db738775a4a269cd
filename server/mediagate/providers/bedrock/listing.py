"""Pages of what lies under a prefix. S3 lists only upwards by name, which for names of ours is by time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import datetime
from typing import Any, Final

from mediagate.core.errors import InvalidRequest
from mediagate.core.objects import Page
from mediagate.providers.bedrock.client import CALLS_MAX, S3Client
from mediagate.providers.bedrock.failures import TITLE
from mediagate.providers.bedrock.names import Place, key_in, place_of
from mediagate.providers.bedrock.uploads import objects_under, uploads_under
from mediagate.providers.files import ListQuery, ObjectState, ProviderFile

# The newest are found behind all others, in pages of 1,000.
LISTED_MAX: Final = 200_000

Get = Callable[[str], Awaitable[ProviderFile]]


class Listing:
    """Lists one account's files. `get` reads what only an object's own record tells: its purpose."""

    def __init__(self, s3: S3Client, get: Get) -> None:
        self._s3 = s3
        self._bucket = s3.settings.bucket
        self._prefix = s3.settings.prefix
        self._get = get

    async def page(self, query: ListQuery) -> Page[ProviderFile]:
        """The page that `query` asks for. Raises `InvalidRequest` where the newest are wanted of more than
        `LISTED_MAX`, `FileNotFoundError` where the bucket is missing."""
        found: list[ProviderFile] = []
        records = self._upwards(query) if query.ascending else self._downwards(query)
        async with aclosing(_batches(records)) as batches:
            async for batch in batches:
                files = [self._listed(record) for record in batch]
                found += files if query.purpose is None else await self._of_purpose(files, query.purpose)
                if len(found) > query.limit:
                    break
        return Page(tuple(found[: query.limit]), has_more=len(found) > query.limit)

    async def _of_purpose(self, files: list[ProviderFile], purpose: str) -> list[ProviderFile]:
        """Those with this purpose; an object that went away meanwhile has none."""
        answers = await asyncio.gather(*(self._get(file.ref) for file in files), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, FileNotFoundError):
                raise answer
        return [answer for answer in answers if isinstance(answer, ProviderFile) and answer.purpose == purpose]

    async def _upwards(self, query: ListQuery) -> AsyncIterator[dict[str, Any]]:
        after = place_of(query.after).key if query.after else ""
        async for record in objects_under(self._s3, self._bucket, f"{self._prefix}/", after=after):
            yield record

    async def _downwards(self, query: ListQuery) -> AsyncIterator[dict[str, Any]]:
        """Everything before `after` has to be passed; only what can be on the page is kept."""
        end = place_of(query.after).key if query.after else None
        records: deque[dict[str, Any]] = deque(maxlen=query.limit + 1 if query.purpose is None else LISTED_MAX)
        passed = 0
        async for record in objects_under(self._s3, self._bucket, f"{self._prefix}/"):
            if end is not None and record["Key"] >= end:
                break
            passed += 1
            if passed > LISTED_MAX:
                raise InvalidRequest(
                    f"{TITLE} holds too many files to list the newest first. Use order=asc.", param="order"
                )
            records.append(record)
        while records:
            yield records.pop()

    def _listed(self, record: dict[str, Any]) -> ProviderFile:
        place = Place(self._bucket, record["Key"])
        return ProviderFile(
            ref=place.ref,
            filename=place.name,
            size_bytes=record.get("Size"),
            created_at=record.get("LastModified"),
            key=key_in(place.key, self._prefix),
        )

    async def scan(self, since: datetime | None, before: datetime | None) -> AsyncIterator[ProviderFile]:
        """Yield what carries a key of ours and was written in that time: objects, then unfinished uploads. Raises
        `FileNotFoundError` where the bucket is missing."""
        async for record in objects_under(self._s3, self._bucket, f"{self._prefix}/"):
            file = self._listed(record)
            if file.key is not None and _written(file.created_at, since, before):
                yield file
        async for upload in uploads_under(self._s3, self._bucket, f"{self._prefix}/"):
            place, began = Place(self._bucket, upload["Key"]), upload.get("Initiated")
            key = key_in(place.key, self._prefix)
            if key is not None and _written(began, since, before):
                yield ProviderFile(place.ref, place.name, created_at=began, state=ObjectState.PROCESSING, key=key)


async def _batches(records: AsyncIterator[dict[str, Any]]) -> AsyncGenerator[list[dict[str, Any]]]:
    """As many at a time as may be looked up at the same time."""
    batch: list[dict[str, Any]] = []
    async for record in records:
        batch.append(record)
        if len(batch) == CALLS_MAX:
            yield batch
            batch = []
    if batch:
        yield batch


def _written(moment: datetime | None, since: datetime | None, before: datetime | None) -> bool:
    if moment is None:
        return True
    return (since is None or moment >= since) and (before is None or moment < before)
