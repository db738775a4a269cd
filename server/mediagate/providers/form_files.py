"""What the smaller Files APIs have in common: a form makes a file, JSON tells of it, `/content` gives its bytes.

A provider is a subclass: its fields, its records, its way to list. Our key stands in the file's name there, because no
other member of such a file can hold it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from mediagate.core import ids
from mediagate.core.errors import Unsupported
from mediagate.core.objects import Page
from mediagate.providers.answers import Tree, bad_answer, reading
from mediagate.providers.base import Content
from mediagate.providers.files import (
    FileSpec,
    ListQuery,
    NewFile,
    Origin,
    ProviderFile,
    StoredBlob,
    marked_name,
)
from mediagate.providers.form_writer import FormWriter, refuse_larger
from mediagate.providers.http import ProviderHttp
from mediagate.providers.http_content import HttpContent
from mediagate.providers.http_failures import nowhere
from mediagate.providers.listing import page_from
from mediagate.providers.multipart_body import MultipartBody

PAGES_MAX: Final = 1000
# How far a provider's clock may be behind ours.
SKEW: Final = timedelta(hours=1)
REF: Final = re.compile(r"[A-Za-z0-9_-]{1,200}")


class FormFiles(ABC):
    """A file provider with `POST /v1/files` as a form, and GET and DELETE by id.

    `newest_first` says that the provider lists the newest file first, so that looking for a key can end early.
    """

    spec: FileSpec
    newest_first = False
    path = "/v1/files"

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    @abstractmethod
    def fields(self, new: NewFile) -> Mapping[str, str]:
        """The form's fields beside the file."""

    @abstractmethod
    def record(self, tree: Tree) -> ProviderFile:
        """The provider's record. May raise `KeyError`, `TypeError` or `ValueError` for one that is not whole."""

    @abstractmethod
    def pages(self, purpose: str | None) -> AsyncIterator[list[Tree]]:
        """Every record, page by page. `purpose` is in the provider's own words, and may be ignored."""

    def name_of(self, new: NewFile) -> str:
        """The name that the file gets at the provider."""
        return marked_name(new.filename, new.key)

    def purpose_of(self, purpose: str) -> str:
        """Our purpose in the provider's own words."""
        return purpose

    async def create(self, new: NewFile) -> FormWriter:
        """Begin a file. Raises `PayloadTooLarge` for one that is too large for the provider."""
        refuse_larger(self.spec, new.size_bytes or 0)
        form = MultipartBody(self.fields(new), self.name_of(new), content_type=new.content_type)
        return FormWriter(
            self._http,
            self.spec,
            self.path,
            form,
            size_bytes=new.size_bytes,
            read=self._blob,
            delete=self.delete,
            discard=lambda: self.discard(new.key),
        )

    def _blob(self, tree: Tree) -> StoredBlob:
        file = self._record(tree)
        if file.size_bytes is None:
            raise bad_answer(self.spec.title)
        return StoredBlob(ref=file.ref, size_bytes=file.size_bytes, expires_at=file.expires_at)

    def _record(self, tree: Tree) -> ProviderFile:
        with reading(self.spec.title):
            return self.record(tree)

    async def get(self, ref: str) -> ProviderFile:
        """The provider's record of a file. Raises `FileNotFoundError`."""
        return self._record(await self._http.json("GET", self.path_of(ref)))

    async def list(self, query: ListQuery) -> Page[ProviderFile]:
        """One page; what the provider cannot sort or filter is sorted and filtered here."""
        purpose = None if query.purpose is None else self.purpose_of(query.purpose)
        files = self._files(purpose)
        return await page_from(files, replace(query, purpose=purpose), newest_first=self.newest_first)

    async def _files(self, purpose: str | None = None) -> AsyncIterator[ProviderFile]:
        try:
            async for page in self.pages(purpose):
                for tree in page:
                    yield self._record(tree)
        except FileNotFoundError:
            raise nowhere(self.spec.title) from None

    async def delete(self, ref: str) -> None:
        """Remove a file; what is absent is deleted already."""
        try:
            await self._http.call("DELETE", self.path_of(ref))
        except FileNotFoundError:
            return

    async def discard(self, key: str) -> None:
        """Remove every file with `key` in its name. Files older than the key are not looked at where the provider
        lists by time."""
        oldest = ids.FILE.time_of(key) - SKEW
        found = []
        async for file in self._files():
            if file.key == key:
                found.append(file.ref)
            if self.newest_first and file.created_at is not None and file.created_at < oldest:
                break
        for ref in found:
            await self.delete(ref)

    async def scan(
        self, *, since: datetime | None = None, before: datetime | None = None
    ) -> AsyncIterator[ProviderFile]:
        """Every file that carries a key and was created in that time."""
        async for file in self._files():
            made = file.created_at
            if made is not None and since is not None and made < since:
                if self.newest_first:
                    return
                continue
            if file.key is not None and (before is None or made is None or made < before):
                yield file

    async def open(self, ref: str) -> Content:
        """The content. Raises `FileNotFoundError`; `Unsupported` for what the provider does not give back."""
        return self.content_of(await self.get(ref))

    def content_of(self, file: ProviderFile) -> Content:
        """The content of a file of which this is the record."""
        if file.size_bytes is None:
            raise bad_answer(self.spec.title)
        return HttpContent(
            self._http,
            f"{self.path_of(file.ref)}/content",
            size_bytes=file.size_bytes,
            content_type=file.content_type or "application/octet-stream",
        )

    async def origin(self, ref: str, *, method: str) -> Origin:
        """The content's address and the account's credentials. Raises `Unsupported` for HEAD, which none of these
        providers documents: `open` knows the length."""
        if method != "GET":
            raise Unsupported(f"{self.spec.title} has no {method} for content.", provider=self.spec.name)
        return Origin(self._http.url(f"{self.path_of(ref)}/content"), await self._http.headers())

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    def path_of(self, ref: str) -> str:
        """Where a file is. Raises `FileNotFoundError` for what cannot be an id, and could name another path."""
        if REF.fullmatch(ref) is None:
            raise FileNotFoundError(f"{self.spec.title} does not have it")
        return f"{self.path}/{ref}"
