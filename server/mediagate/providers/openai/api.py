"""One server that speaks OpenAI's Files API: the calls that everything here is made of."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final
from urllib.parse import urlencode

from mediagate.core import ids
from mediagate.core.errors import ProviderRefused
from mediagate.providers.answers import bad_answer
from mediagate.providers.files import FileSpec, ObjectState, ProviderFile, StoredBlob
from mediagate.providers.http import ProviderHttp
from mediagate.providers.http_failures import nowhere
from mediagate.providers.openai.wire import checked_ref, file_of, files_of

# OpenAI's own limit; https://platform.openai.com/docs/api-reference/files/list
PAGE_FILES_MAX: Final = 10_000
# What is asked for at once where all files are walked through: some hundred KiB of JSON.
WALK_FILES: Final = 1000
# A list that goes on longer than this is a server that repeats itself, or an account that no sweep can walk.
PAGES_MAX: Final = 1000
# How far the provider's clock and ours may be apart.
CLOCKS_APART: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class FilesApi:
    """A server, and in what it differs from OpenAI's own.

    `query` goes with every call. `form_bytes_max` is the largest file that one form may carry; larger ones go through
    `/uploads`, None where there is no such route. `expires` tells whether the server takes `expires_after`.
    `page_files_max` is the largest `limit` that it takes, and `pages` whether it is known to page as OpenAI does.
    """

    spec: FileSpec
    http: ProviderHttp
    query: Mapping[str, str] = field(default_factory=dict)
    form_bytes_max: int | None = None
    expires: bool = True
    page_files_max: int = PAGE_FILES_MAX
    pages: bool = False

    @property
    def title(self) -> str:
        """How messages name the provider."""
        return self.spec.title

    def path(self, *segments: str) -> str:
        """The path of a call, with what goes with every call. Raises `FileNotFoundError` for a segment that could name
        another path."""
        query = f"?{urlencode(self.query)}" if self.query else ""
        return "/".join(checked_ref(segment) for segment in segments) + query

    async def get(self, ref: str) -> ProviderFile:
        """Raises `FileNotFoundError` where the file is gone."""
        async with self._place_exists():
            return file_of(await self.http.json("GET", self.path("files", ref)), self.title)

    async def delete(self, ref: str) -> None:
        """Remove the file; what is absent is already deleted."""
        with suppress(FileNotFoundError):
            async with self._place_exists():
                await self.http.call("DELETE", self.path("files", ref))

    @asynccontextmanager
    async def _place_exists(self) -> AsyncIterator[None]:
        """Around a call for one file. A 404 that may be about the address is only taken for a file that is gone where
        the list is there: else a slip in the configuration would read as if every file were."""
        try:
            yield
        except ProviderRefused as error:
            if error.code != nowhere(self.title).code:
                raise
            await self.page(limit=1)
            raise FileNotFoundError(f"{self.title} does not have it") from None

    async def page(self, **query: str | int | None) -> tuple[list[ProviderFile], bool]:
        """One page as the server gives it, and whether it says that there is more."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        try:
            tree = await self.http.json("GET", "files", params={**self.query, **given})
        except FileNotFoundError:
            raise nowhere(self.title) from None
        files = files_of(tree, self.title)
        # Some servers leave `has_more` out, or have it wrong, but a page that is not full is the last one of any.
        full = 0 < int(query.get("limit") or 0) <= len(files)
        more = tree.get("has_more") is True or (full and not self.pages)
        return files, more and bool(files)

    async def walk(self) -> AsyncIterator[list[ProviderFile]]:
        """Every file of the account, newest first where the server can order them, page by page."""
        seen: set[str] = set()
        after: str | None = None
        for _ in range(PAGES_MAX):
            files, more = await self.page(limit=min(WALK_FILES, self.page_files_max), order="desc", after=after)
            fresh = [file for file in files if file.ref not in seen]
            if fresh:
                yield fresh
            # A server that does not know `after` gives the same page again.
            if not more or not fresh:
                return
            seen.update(file.ref for file in fresh)
            after = files[-1].ref

    async def walk_since(self, since: datetime | None) -> AsyncIterator[list[ProviderFile]]:
        """The same, up to where everything is older than `since`."""
        async for files in self.walk():
            yield files
            if since is not None and is_ordered(files, ascending=False) and _all_before(files, since):
                return

    async def discard(self, key: str) -> None:
        """Remove every file that carries `key`. It is newer than the key, so that only newer ones are looked at."""
        found = []
        async for files in self.walk_since(ids.FILE.time_of(key) - CLOCKS_APART):
            found += [file.ref for file in files if file.key == key]
        for ref in found:
            await self.delete(ref)

    def blob_of(self, file: ProviderFile, sent_bytes: int | None = None) -> StoredBlob:
        """What a create's answer says of the file. `sent_bytes` stands in where the provider does not tell the size
        and has proven it otherwise. Raises `ProviderFailed` where neither is known."""
        size_bytes = sent_bytes if file.size_bytes is None else file.size_bytes
        if size_bytes is None:
            raise bad_answer(self.title)
        ready = file.state is ObjectState.READY
        return StoredBlob(ref=file.ref, size_bytes=size_bytes, ready=ready, expires_at=file.expires_at)


def is_ordered(files: list[ProviderFile], *, ascending: bool) -> bool:
    """Whether the files are in order of their times."""
    times = [file.created_at for file in files if file.created_at is not None]
    return all(one <= two if ascending else one >= two for one, two in pairwise(times))


def _all_before(files: list[ProviderFile], moment: datetime) -> bool:
    return all(file.created_at is not None and file.created_at < moment for file in files)
