"""Files at OpenAI, and at every server that speaks the same API.

OpenAI gives a file no member that could hold our id, so its name carries it (`marked_name`), and what a dead process
has left is found by listing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from mediagate.core.objects import Page
from mediagate.providers.account import Account
from mediagate.providers.answers import bad_answer
from mediagate.providers.base import Content
from mediagate.providers.files import (
    BlobWriter,
    FileOperation,
    ListQuery,
    NewFile,
    Origin,
    ProviderFile,
    marked_name,
    unsupported,
)
from mediagate.providers.form_writer import FormWriter, refuse_larger
from mediagate.providers.http import Explain, ProviderHttp
from mediagate.providers.http_content import HttpContent
from mediagate.providers.multipart_body import MultipartBody
from mediagate.providers.openai.api import FilesApi
from mediagate.providers.openai.paging import Pages
from mediagate.providers.openai.parts_writer import PartsWriter
from mediagate.providers.openai.spec import FILES
from mediagate.providers.openai.wire import expires_after, explain_for, file_of
from mediagate.providers.settings import key_of, silence_of

BASE_URL: Final = "https://api.openai.com/v1"
# https://platform.openai.com/docs/api-reference/files/create: "Individual files can be up to 512 MB".
FORM_BYTES_MAX: Final = 512_000_000
CONTENT_TYPE: Final = "application/octet-stream"
# OpenAI hands back what a batch or a fine-tuning wrote or reads; of the rest it has to be asked.
_READABLE: Final = ("batch", "batch_output", "fine-tune", "fine-tune-results", "assistants_output")


class OpenAIFiles:
    """The Files API of one account."""

    def __init__(self, api: FilesApi) -> None:
        self.spec = api.spec
        self._api = api
        self._pages = Pages(api)

    async def create(self, new: NewFile) -> BlobWriter:
        """Begin a file: one form where it fits, else an upload in parts, which needs the size beforehand."""
        api, spec = self._api, self._api.spec
        refuse_larger(spec, new.size_bytes or 0)
        if api.form_bytes_max is not None and (new.size_bytes or 0) > api.form_bytes_max:
            writer = PartsWriter(api, new, new.size_bytes or 0)
            await writer.begin()
            return writer
        expiry = expires_after(new.life_s) if api.expires else {}
        fields = [("purpose", new.purpose), *((f"expires_after[{name}]", str(value)) for name, value in expiry.items())]
        form = MultipartBody(fields, marked_name(new.filename, new.key), content_type=new.content_type)
        return FormWriter(
            api.http,
            replace(spec, file_bytes_max=api.form_bytes_max),
            api.path("files"),
            form,
            size_bytes=new.size_bytes,
            read=lambda tree: api.blob_of(file_of(tree, api.title)),
            delete=api.delete,
            discard=lambda: api.discard(new.key),
        )

    async def get(self, ref: str) -> ProviderFile:
        """Raises `FileNotFoundError` where the file is gone."""
        return await self._api.get(ref)

    async def list(self, query: ListQuery) -> Page[ProviderFile]:
        """One page of the account's files, whoever made them."""
        return await self._pages.page(query)

    async def delete(self, ref: str) -> None:
        """Remove the file; what is absent is already deleted."""
        await self._api.delete(ref)

    async def discard(self, key: str) -> None:
        """Remove what carries `key`. An upload in parts that nobody closed cannot be found; it ends within an hour."""
        await self._api.discard(key)

    async def open(self, ref: str) -> Content:
        """Raises `FileNotFoundError` where the file is gone, `Unsupported` where the provider does not hand it back."""
        file = await self._api.get(ref)
        size_bytes = file.size_bytes
        if size_bytes is None or file.purpose not in _READABLE:
            size_bytes = await self._asked_size(ref, size_bytes)
        path = self._api.path("files", ref, "content")
        return HttpContent(self._api.http, path, size_bytes=size_bytes, content_type=CONTENT_TYPE)

    async def _asked_size(self, ref: str, told_bytes: int | None) -> int:
        """The length of the content by its own answer, which is also where a refusal shows."""
        headers = {"accept-encoding": "identity"}
        path = self._api.path("files", ref, "content")
        async with self._api.http.stream("GET", path, headers=headers) as response:
            length = response.headers.get("content-length", "")
        if told_bytes is not None:
            return told_bytes
        if not length.isdecimal():
            raise bad_answer(self._api.title)
        return int(length)

    async def origin(self, ref: str, *, method: str) -> Origin:
        """The content's own address, with the account's credentials. OpenAI ignores Range there. Raises `Unsupported`
        for HEAD, which it does not document."""
        if method != "GET":
            raise unsupported(self.spec, FileOperation.CONTENT)
        url = self._api.http.url(self._api.path("files", ref, "content"))
        return Origin(url, await self._api.http.headers())

    async def scan(
        self, *, since: datetime | None = None, before: datetime | None = None
    ) -> AsyncIterator[ProviderFile]:
        """Yield every file whose name carries a key of ours. Uploads in parts do not show before their end."""
        async for files in self._api.walk_since(since):
            for file in files:
                if file.key is not None and _within(file.created_at, since, before):
                    yield file

    async def close(self) -> None:
        """Close connections."""
        await self._api.http.close()


def _within(moment: datetime | None, since: datetime | None, before: datetime | None) -> bool:
    if moment is None:
        return True
    return (since is None or moment >= since) and (before is None or moment < before)


def build(account: Account) -> OpenAIFiles:
    """OpenAI itself, or what `api_base` names in its place. Raises `ValueError` where there is no key."""
    http = connect(account, FILES.title, explain_for(FILES))
    return OpenAIFiles(FilesApi(FILES, http, form_bytes_max=FORM_BYTES_MAX, pages=True))


def connect(account: Account, title: str, explain: Explain, **options: Any) -> ProviderHttp:
    """The account's address and credentials; `options` are `ProviderHttp`'s. Raises `ValueError` where there is no
    key."""
    headers = {"authorization": f"Bearer {key_of(account, 'OPENAI_API_KEY')}"}
    for name, option, variable in (
        ("openai-organization", "organization", "OPENAI_ORG_ID"),
        ("openai-project", "project", "OPENAI_PROJECT_ID"),
    ):
        value = account.option(option) or account.env(variable)
        if value:
            headers[name] = value

    async def credentials() -> dict[str, str]:
        return headers

    base_url = account.api_base or account.env("OPENAI_BASE_URL", "OPENAI_API_BASE") or BASE_URL
    options.setdefault("silence_s", silence_of(account))
    return ProviderHttp(title, base_url, credentials, explain=explain, **options)
