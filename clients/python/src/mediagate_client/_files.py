"""Files: stored once, read through one id wherever their bytes lie."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mediagate_client._source import Readable, as_text, source_of
from mediagate_client._transport import Headers, Json, Options, Transport, with_retries
from mediagate_client._types import Deleted, File, Page, Replica

if TYPE_CHECKING:
    from mediagate_client._download import Progress
    from mediagate_client._portal import Portal
    from mediagate_client._upload import UploadState

Names = str | Sequence[str]


def described(**members: Any) -> Json:
    """A request without the members that were not given."""
    return {name: value for name, value in members.items() if value is not None and value != []}


class AsyncFiles:
    """`client.files` of an AsyncClient."""

    def __init__(self, transport: Transport, options: Options, lifeline: object = None) -> None:
        # Connections are let go of when nobody holds this any more: a call that runs does.
        self._lifeline = lifeline
        self._transport = transport
        self._options = options

    async def _call(self, method: str, body: Json, headers: Headers, timeout_s: float | None = None) -> Json:
        return await with_retries(
            self._options.max_retries,
            lambda: self._transport.call(method, body, headers, timeout_s or self._options.timeout_s),
        )

    async def upload(
        self,
        file: Readable,
        *,
        to: Names = (),
        models: Names = (),
        purpose: str = "user_data",
        filename: str | None = None,
        expires_after_s: int | None = None,
        on_partial: str | None = None,
        user: str | None = None,
        placement: Mapping[str, str] | None = None,
        on_progress: Progress | None = None,
        resume: UploadState | str | None = None,
        on_state: Callable[[UploadState], None] | None = None,
        parts: bool | None = None,
        headers: Headers | None = None,
    ) -> File:
        """Store a path, bytes, or a file opened with 'rb'.

        `to` names providers or accounts, `models` the models whose accounts shall have it. `on_progress(sent, size)` is
        told of bytes, in the client's own thread.

        What is larger than 32 MiB and, by its first three seconds, takes more than ten goes in parts, everything else
        in one call, which is repeated by itself; `parts` says otherwise. Where parts are cut off, UploadInterrupted is
        raised, and where the task is cancelled its CancelledError has a `resume` too: the same call with
        `resume=error.resume` sends what is missing, for an hour, and `discard` drops it. `on_state` is told of the
        state after each part: who keeps that can go on behind a process that was killed.

        The file that comes back is proven to be, byte for byte, what was sent. Raises FileChanged for one that somebody
        writes to.
        """
        from mediagate_client._upload import WHOLE_BYTES_MAX, Uploader, UploadState

        state = UploadState.parse(resume) if isinstance(resume, str) else resume
        source = await source_of(file, filename)
        try:
            meta = described(
                filename=source.filename,
                purpose=purpose,
                custom_llm_provider=as_text(to),
                target_model_names=as_text(models),
                on_partial=on_partial,
                user=user,
                placement=dict(placement) if placement else None,
                expires_after=expires_after_s and {"anchor": "created_at", "seconds": expires_after_s},
            )
            uploader = Uploader(self._transport, self._options, source, meta, headers or {}, on_progress, on_state)
            large = source.size is not None and source.size > WHOLE_BYTES_MAX
            if state is not None or (parts and source.size is not None):
                return await uploader.in_parts(state)
            if parts is None and large:
                return await uploader.large()
            return await uploader.whole()
        finally:
            source.close()

    async def discard(self, resume: UploadState | str) -> None:
        """Drop the parts of an upload that shall not go on."""
        from mediagate_client._upload import UploadState

        state = UploadState.parse(resume) if isinstance(resume, str) else resume
        await self._call("CancelUpload", {"upload_id": state.upload_id}, {})

    async def get(self, file_id: str, *, headers: Headers | None = None) -> File:
        """What is known of a file."""
        return File(await self._call("GetFile", {"file_id": file_id}, headers or {}))

    async def list(
        self,
        *,
        after: str | None = None,
        limit: int | None = None,
        order: str | None = None,
        purpose: str | None = None,
        user: str | None = None,
        headers: Headers | None = None,
    ) -> Page[File]:
        """One page, newest first unless `order` is `asc`."""
        body = described(after=after, limit=limit, order=order, purpose=purpose, user=user)
        return Page(await self._call("ListFiles", body, headers or {}), File)

    async def delete(self, file_id: str, *, headers: Headers | None = None) -> Deleted:
        """Delete it everywhere."""
        given = {"idempotency-key": str(uuid.uuid4()), **(headers or {})}
        return Deleted(await self._call("DeleteFile", {"file_id": file_id}, given))

    async def copy(
        self,
        source: str,
        *,
        to: Names = (),
        models: Names = (),
        purpose: str | None = None,
        filename: str | None = None,
        expires_after_s: int | None = None,
        on_partial: str | None = None,
        user: str | None = None,
        placement: Mapping[str, str] | None = None,
        wait: bool = True,
        timeout_s: float = 900.0,
    ) -> File:
        """Store what lies somewhere already: `s3://…`, `gs://…`, `https://…`, or the id of a file or a finished video.
        With `wait=False` the answer comes at once, and `get` tells when `status` is `processed`."""
        body = described(
            source=source,
            custom_llm_provider=as_text(to),
            target_model_names=as_text(models),
            purpose=purpose,
            filename=filename,
            on_partial=on_partial,
            user=user,
            placement=dict(placement) if placement else None,
            expires_after=expires_after_s and {"anchor": "created_at", "seconds": expires_after_s},
            respond_async=None if wait else True,
        )
        return File(await self._call("CopyFile", body, {"idempotency-key": str(uuid.uuid4())}, timeout_s))

    async def replicas(self, file_id: str) -> Sequence[Replica]:
        """Where its bytes lie, one for each account."""
        return (await self.get(file_id)).replicas or []

    async def download(
        self,
        file_id: str,
        path: str | os.PathLike[str],
        *,
        parallel: int = 4,
        resume: bool = False,
        overwrite: bool = True,
        on_progress: Progress | None = None,
        headers: Headers | None = None,
    ) -> Path:
        """Fetch it to a path, or into a folder under its own name; returns where it is.

        Parts of 16 MiB come side by side and go on where a connection breaks. Until every byte is proven and on disk
        there is nothing under that name. With `resume`, what a cut leaves is kept beside it, and the same call goes on.
        """
        from mediagate_client._download import Downloader

        body = {"file_id": file_id}
        downloader = Downloader(
            self._transport,
            self._options,
            "DownloadFile",
            body,
            headers or {},
            parallel=parallel,
            progress=on_progress,
        )
        return await downloader.to_path(path, resume=resume, overwrite=overwrite)

    async def stream(
        self, file_id: str, *, offset: int = 0, length: int | None = None, headers: Headers | None = None
    ) -> AsyncIterator[bytes]:
        """Its bytes as they come."""
        async with self._transport.open("DownloadFile", {"file_id": file_id}, offset, length, headers or {}) as content:
            async for chunk in content.chunks:
                yield bytes(chunk)

    async def content(self, file_id: str, *, headers: Headers | None = None) -> bytes:
        """All of its bytes, in memory."""
        return b"".join([chunk async for chunk in self.stream(file_id, headers=headers)])


class Files:
    """`client.files` of a Client: AsyncFiles, waited for."""

    def __init__(self, files: AsyncFiles, portal: Portal) -> None:
        self._files = files
        self._run = portal.run
        self._iterate = portal.iterate

    def upload(
        self,
        file: Readable,
        *,
        to: Names = (),
        models: Names = (),
        purpose: str = "user_data",
        filename: str | None = None,
        expires_after_s: int | None = None,
        on_partial: str | None = None,
        user: str | None = None,
        placement: Mapping[str, str] | None = None,
        on_progress: Progress | None = None,
        resume: UploadState | str | None = None,
        on_state: Callable[[UploadState], None] | None = None,
        parts: bool | None = None,
        headers: Headers | None = None,
    ) -> File:
        """Store a path, bytes, or a file opened with 'rb'; see AsyncFiles.upload.

        Ctrl-C raises UploadStopped, a KeyboardInterrupt, where parts are stored that `resume` can go on with; a small
        upload is gone.
        """
        return self._run(
            self._files.upload(
                file,
                to=to,
                models=models,
                purpose=purpose,
                filename=filename,
                expires_after_s=expires_after_s,
                on_partial=on_partial,
                user=user,
                placement=placement,
                on_progress=on_progress,
                resume=resume,
                on_state=on_state,
                parts=parts,
                headers=headers,
            )
        )

    def discard(self, resume: UploadState | str) -> None:
        """Drop the parts of an upload that shall not go on."""
        self._run(self._files.discard(resume))

    def get(self, file_id: str, *, headers: Headers | None = None) -> File:
        """What is known of a file."""
        return self._run(self._files.get(file_id, headers=headers))

    def list(
        self,
        *,
        after: str | None = None,
        limit: int | None = None,
        order: str | None = None,
        purpose: str | None = None,
        user: str | None = None,
        headers: Headers | None = None,
    ) -> Page[File]:
        """One page, newest first unless `order` is `asc`."""
        return self._run(
            self._files.list(after=after, limit=limit, order=order, purpose=purpose, user=user, headers=headers)
        )

    def delete(self, file_id: str, *, headers: Headers | None = None) -> Deleted:
        """Delete it everywhere."""
        return self._run(self._files.delete(file_id, headers=headers))

    def copy(
        self,
        source: str,
        *,
        to: Names = (),
        models: Names = (),
        purpose: str | None = None,
        filename: str | None = None,
        expires_after_s: int | None = None,
        on_partial: str | None = None,
        user: str | None = None,
        placement: Mapping[str, str] | None = None,
        wait: bool = True,
        timeout_s: float = 900.0,
    ) -> File:
        """Store what lies somewhere already; see AsyncFiles.copy."""
        return self._run(
            self._files.copy(
                source,
                to=to,
                models=models,
                purpose=purpose,
                filename=filename,
                expires_after_s=expires_after_s,
                on_partial=on_partial,
                user=user,
                placement=placement,
                wait=wait,
                timeout_s=timeout_s,
            )
        )

    def replicas(self, file_id: str) -> Sequence[Replica]:
        """Where its bytes lie, one for each account."""
        return self._run(self._files.replicas(file_id))

    def download(
        self,
        file_id: str,
        path: str | os.PathLike[str],
        *,
        parallel: int = 4,
        resume: bool = False,
        overwrite: bool = True,
        on_progress: Progress | None = None,
        headers: Headers | None = None,
    ) -> Path:
        """Fetch it to a path, or into a folder under its own name; see AsyncFiles.download."""
        return self._run(
            self._files.download(
                file_id,
                path,
                parallel=parallel,
                resume=resume,
                overwrite=overwrite,
                on_progress=on_progress,
                headers=headers,
            )
        )

    def stream(
        self, file_id: str, *, offset: int = 0, length: int | None = None, headers: Headers | None = None
    ) -> Iterator[bytes]:
        """Its bytes as they come."""
        return self._iterate(self._files.stream(file_id, offset=offset, length=length, headers=headers))

    def content(self, file_id: str, *, headers: Headers | None = None) -> bytes:
        """All of its bytes, in memory."""
        return self._run(self._files.content(file_id, headers=headers))
