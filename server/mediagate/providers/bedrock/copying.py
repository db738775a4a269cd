"""Copies inside S3: S3 moves the bytes, in one request or, where the object is large, in parts at the same time."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from mediagate.core.errors import MediagateError
from mediagate.providers.bedrock.checksums import contradict
from mediagate.providers.bedrock.client import S3Client
from mediagate.providers.bedrock.failures import TITLE, bad_answer, damaged, refusal_code
from mediagate.providers.bedrock.names import Place, metadata_of
from mediagate.providers.bedrock.uploads import abort_upload, encryption, expiry_of
from mediagate.providers.files import NewFile, Progress, StoredBlob
from mediagate.providers.http_failures import nowhere

MIB: Final = 1 << 20
PARTS_MAX: Final = 10_000
PARTS_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class CopyLimits:
    """When a copy is made in parts, and of which size. S3 itself copies up to 5 GiB in one request; such a request is
    silent for as long as the copy takes, so ours are shorter."""

    single_bytes_max: int = 1024 * MIB
    part_bytes: int = 256 * MIB


class _Abandoned(Exception):
    """A part that was not begun, because another one failed."""


class ServerCopy:
    """One copy. Leaves nothing at its target where it fails."""

    def __init__(
        self, s3: S3Client, source: Place, target: Place, new: NewFile, progress: Progress, limits: CopyLimits
    ) -> None:
        self._s3 = s3
        self._source = source
        self._target = target
        self._new = new
        self._progress = progress
        self._limits = limits
        self._upload_id: str | None = None
        self._abandoned = False
        self._done_bytes = 0

    async def run(self) -> StoredBlob:
        """Copy, and compare sizes and S3's own checksums. Raises `FileNotFoundError` for the source."""
        head = await self._s3.call("head_object", **self._source.params, ChecksumMode="ENABLED")
        if not head.get("ETag"):
            raise bad_answer()
        work = asyncio.ensure_future(self._copied(head))
        try:
            return await asyncio.shield(work)
        except BaseException:
            self._abandoned = True
            # What runs in a thread cannot be stopped, and must not make anything behind the removal.
            await asyncio.wait([work])
            if not work.cancelled():
                work.exception()
            await self._remove()
            raise

    async def _copied(self, head: dict[str, Any]) -> StoredBlob:
        size_bytes = int(head["ContentLength"])
        if size_bytes <= self._limits.single_bytes_max:
            await self._copy_whole(head["ETag"])
            await self._progress(size_bytes)
        else:
            await self._copy_parts(size_bytes, head["ETag"])
        made = await self._s3.call("head_object", **self._target.params, ChecksumMode="ENABLED")
        if made.get("ContentLength") != size_bytes or contradict(head, made):
            raise damaged()
        return StoredBlob(ref=self._target.ref, size_bytes=size_bytes, expires_at=expiry_of(made.get("Expiration")))

    async def _create(self, operation: str, **params: Any) -> dict[str, Any]:
        try:
            return await self._s3.call(operation, repeatable=False, transfer=True, **self._target.params, **params)
        except FileNotFoundError as error:
            if refusal_code(error) in ("NoSuchKey", "NoSuchUpload"):
                raise
            raise nowhere(TITLE) from None

    def _described(self) -> dict[str, Any]:
        return {
            "ContentType": self._new.content_type,
            "Metadata": metadata_of(self._new),
            **encryption(self._s3.settings),
        }

    async def _copy_whole(self, etag: str) -> None:
        await self._create(
            "copy_object",
            CopySource=self._source.params,
            CopySourceIfMatch=etag,
            MetadataDirective="REPLACE",
            # To copy tags asks for a permission of its own, and they are not the file's.
            TaggingDirective="REPLACE",
            **self._described(),
        )

    async def _copy_parts(self, size_bytes: int, etag: str) -> None:
        answer = await self._create("create_multipart_upload", **self._described())
        if not answer.get("UploadId"):
            raise bad_answer()
        self._upload_id = answer["UploadId"]
        step = max(self._limits.part_bytes, -(-size_bytes // (PARTS_MAX * MIB)) * MIB)
        at_once = asyncio.Semaphore(PARTS_AT_ONCE)
        parts = await asyncio.gather(
            *(
                self._part(at_once, number, start, min(start + step, size_bytes), etag)
                for number, start in enumerate(range(0, size_bytes, step), 1)
            ),
            return_exceptions=True,
        )
        failures = [part for part in parts if isinstance(part, BaseException)]
        if failures:
            raise next((failure for failure in failures if not isinstance(failure, _Abandoned)), failures[0])
        await self._create(
            "complete_multipart_upload",
            UploadId=self._upload_id,
            MultipartUpload={"Parts": parts},
            MpuObjectSize=size_bytes,
        )

    async def _part(self, at_once: asyncio.Semaphore, number: int, start: int, end: int, etag: str) -> dict[str, Any]:
        async with at_once:
            if self._abandoned:
                raise _Abandoned
            try:
                answer = await self._s3.call(
                    "upload_part_copy",
                    transfer=True,
                    **self._target.params,
                    UploadId=self._upload_id,
                    PartNumber=number,
                    CopySource=self._source.params,
                    CopySourceIfMatch=etag,
                    CopySourceRange=f"bytes={start}-{end - 1}",
                )
                result = answer.get("CopyPartResult", {})
                if not result.get("ETag"):
                    raise bad_answer()
                self._done_bytes += end - start
                await self._progress(self._done_bytes)
            except BaseException:
                self._abandoned = True
                raise
            return {"PartNumber": number, "ETag": result["ETag"]}

    async def _remove(self) -> None:
        """What cannot be removed now is found by its key."""
        with suppress(MediagateError, FileNotFoundError):
            if self._upload_id is not None:
                await abort_upload(self._s3, self._target, self._upload_id)
            await self._s3.call("delete_object", **self._target.params)
