"""The peer's functions for files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from mediagate_client._client import AsyncClient
from mediagate_client._errors import InvalidRequest
from mediagate_client._portal import Portal
from mediagate_client._types import Deleted, File, Page
from mediagate_client.compat._binary import BinaryContent, Streamed, in_pieces
from mediagate_client.compat._shared import FileTypes, Names, client_of, file_of, headers_of, names_of

PIECE_BYTES = 1 << 20


async def acreate_file(
    file: FileTypes,
    purpose: str,
    expires_after: Names = None,
    custom_llm_provider: str | list[str] | None = None,
    extra_headers: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> File:
    """Store a file. `custom_llm_provider` may be several; so may `target_model_names`, also in `extra_body`."""
    content, filename = file_of(file)
    more = {**kwargs, **(extra_body or {})}
    return await client_of(kwargs).files.upload(
        content,
        filename=filename,
        purpose=purpose,
        to=names_of(custom_llm_provider or more.get("provider_list")),
        models=names_of(more.get("target_model_names")),
        expires_after_s=int(expires_after["seconds"]) if expires_after else None,
        on_partial=more.get("on_partial"),
        user=more.get("user"),
        headers=headers_of(extra_headers),
    )


async def afile_list(
    custom_llm_provider: str | None = None,
    purpose: str | None = None,
    extra_headers: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> Page[File]:
    """The caller's files; with `custom_llm_provider`, what that provider has, for keys that may see that."""
    return await client_of(kwargs).files.list(
        purpose=purpose,
        after=kwargs.get("after"),
        limit=kwargs.get("limit"),
        order=kwargs.get("order"),
        headers=headers_of(extra_headers, custom_llm_provider),
    )


async def afile_retrieve(
    file_id: str,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> File:
    """What is known of a file."""
    return await client_of(kwargs).files.get(file_id, headers=headers_of(extra_headers, custom_llm_provider))


async def afile_delete(
    file_id: str,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> Deleted:
    """Delete a file."""
    return await client_of(kwargs).files.delete(file_id, headers=headers_of(extra_headers, custom_llm_provider))


async def afile_content(
    file_id: str,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_body: Names = None,
    chunk_size: int = PIECE_BYTES,
    stream: bool = False,
    **kwargs: Any,
) -> BinaryContent | Streamed:
    """The bytes of a file; with `stream`, as they come, in pieces of `chunk_size`."""
    headers = headers_of(extra_headers, custom_llm_provider)
    if stream:
        return await _streamed(client_of(kwargs), file_id, headers, chunk_size)
    return BinaryContent(await client_of(kwargs).files.content(file_id, headers=headers))


async def _streamed(client: AsyncClient, file_id: str, headers: dict[str, str], size: int) -> Streamed:
    if size < 1:
        raise InvalidRequest("`chunk_size` is at least 1.", param="chunk_size")
    told: dict[str, str] = {}

    async def chunks() -> AsyncIterator[bytes | memoryview]:
        async with client._transport.open("DownloadFile", {"file_id": file_id}, 0, None, headers) as content:
            told.update({"content-type": content.content_type, "content-length": str(content.length)})
            # A refusal is the call's, not the first piece's.
            yield b""
            async for chunk in content.chunks:
                yield chunk

    opened = chunks()
    await anext(opened)
    return Streamed(in_pieces(opened, size), told)


def create_file(
    file: FileTypes,
    purpose: str,
    expires_after: Names = None,
    custom_llm_provider: str | list[str] | None = None,
    extra_headers: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> File:
    """`acreate_file`, waited for."""
    work = acreate_file(file, purpose, expires_after, custom_llm_provider, extra_headers, extra_body, **kwargs)
    return Portal.shared().run(work)


def file_list(
    custom_llm_provider: str | None = None,
    purpose: str | None = None,
    extra_headers: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> Page[File]:
    """`afile_list`, waited for."""
    return Portal.shared().run(afile_list(custom_llm_provider, purpose, extra_headers, extra_body, **kwargs))


def file_retrieve(
    file_id: str,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> File:
    """`afile_retrieve`, waited for."""
    return Portal.shared().run(afile_retrieve(file_id, custom_llm_provider, extra_headers, extra_body, **kwargs))


def file_delete(
    file_id: str,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_body: Names = None,
    **kwargs: Any,
) -> Deleted:
    """`afile_delete`, waited for."""
    return Portal.shared().run(afile_delete(file_id, custom_llm_provider, extra_headers, extra_body, **kwargs))


def file_content(
    file_id: str,
    model: str | None = None,
    custom_llm_provider: str | None = None,
    extra_headers: Names = None,
    extra_body: Names = None,
    chunk_size: int = PIECE_BYTES,
    stream: bool = False,
    **kwargs: Any,
) -> BinaryContent | Streamed:
    """`afile_content`, waited for."""
    portal = Portal.shared()
    answer = portal.run(
        afile_content(file_id, custom_llm_provider, extra_headers, extra_body, chunk_size, stream, **kwargs)
    )
    if isinstance(answer, Streamed):
        assert isinstance(answer.stream_iterator, AsyncIterator)
        return Streamed(portal.iterate(answer.stream_iterator), answer.headers)
    return answer
