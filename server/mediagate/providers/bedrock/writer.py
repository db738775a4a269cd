"""One object on its way into a bucket: a small one in one request, a large one in parts that leave while it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any, Final, TypeVar

from mediagate.core.errors import ProviderFailed
from mediagate.providers.bedrock import checksums
from mediagate.providers.bedrock.buffers import PartBuffer
from mediagate.providers.bedrock.client import S3Client
from mediagate.providers.bedrock.failures import TITLE, bad_answer, damaged, refusal_code
from mediagate.providers.bedrock.names import Place, metadata_of
from mediagate.providers.bedrock.uploads import abort_upload, encryption, expiry_of
from mediagate.providers.files import NewFile, StoredBlob
from mediagate.providers.http_failures import nowhere

MIB: Final = 1 << 20
PART_BYTES: Final = 8 * MIB
PARTS_MAX: Final = 10_000
# What one upload has on its way, beside the part that fills.
WINDOW_BYTES: Final = 24 * MIB
# An upload of unknown length takes larger parts when it has made many: so many parts, so many times the ordinary size.
_GROWTH: Final = ((5_000, 1), (7_500, 2), (9_000, 4), (PARTS_MAX, 8))

Answer = TypeVar("Answer")


def part_bytes(number: int, size_bytes: int | None) -> int:
    """How long part `number` (from 1) is: 8 MiB, unless the upload would then need more than 10,000 parts."""
    if size_bytes is None:
        return PART_BYTES * next((factor for until, factor in _GROWTH if number <= until), _GROWTH[-1][1])
    return max(PART_BYTES, -(-size_bytes // (PARTS_MAX * MIB)) * MIB)


class _Abandoned(Exception):
    """The upload was aborted while a part of it waited."""


class S3Writer:
    """Holds one part that fills and three on their way. Every request runs in a task of its own that nobody cancels,
    because a thread cannot be stopped: `abort` waits for them before it removes what they made."""

    def __init__(self, s3: S3Client, place: Place, new: NewFile) -> None:
        self._s3 = s3
        self._place = place
        self._new = new
        self._filling = PartBuffer(s3.buffers)
        self._size_bytes = 0
        self._upload_id: str | None = None
        self._whole_checksum = False
        self._parts: dict[int, dict[str, Any]] = {}
        self._crc = 0
        self._next_crc = 1
        self._crcs: dict[int, tuple[int, int]] = {}
        self._number = 1
        self._sending: set[asyncio.Task[None]] = set()
        self._single: asyncio.Task[Any] | None = None
        self._failure: BaseException | None = None
        self._touched = False
        self._aborted = False

    async def write(self, chunk: bytes | memoryview) -> None:
        """Take the next bytes; waits while three parts are on their way."""
        self._raise_failure()
        view = memoryview(chunk)
        while view:
            length = part_bytes(self._number, self._new.size_bytes)
            view = view[self._filling.add(view, length) :]
            if self._filling.filled == length:
                await self._turn()

    async def _turn(self) -> None:
        """Send the part that is full, once there is room for it."""
        if self._upload_id is None:
            await self._alone(self._begin())
        room = max(1, WINDOW_BYTES // self._filling.filled)
        while len(self._sending) >= room:
            await asyncio.wait(self._sending, return_when=asyncio.FIRST_COMPLETED)
        # Before the next part fills: many uploads at once then hold one part each, beside those on their way.
        await self._s3.parts.acquire()
        task = asyncio.ensure_future(self._send(self._number, self._filling.take()))
        self._sending.add(task)
        task.add_done_callback(self._sent)
        self._number += 1
        self._raise_failure()

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._s3.parts.release()
        self._sending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()

    def _raise_failure(self) -> None:
        if self._aborted:
            raise ProviderFailed("The upload was given up.", code="provider_connection_lost")
        if self._failure is not None:
            raise self._failure

    async def _alone(self, request: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a request that others wait for, to its end also where the caller goes away."""
        task = asyncio.ensure_future(request)
        self._single = task
        try:
            return await asyncio.shield(task)
        finally:
            task.add_done_callback(lambda done: None if done.cancelled() else done.exception())

    async def _create(self, operation: str, **params: Any) -> dict[str, Any]:
        """A request that is sent once, because a lost answer says nothing about what S3 took."""
        self._touched = True
        try:
            return await self._s3.call(operation, repeatable=False, transfer=True, **self._place.params, **params)
        except FileNotFoundError as error:
            if refusal_code(error) == "NoSuchUpload":
                raise FileNotFoundError("the upload was removed meanwhile") from None
            raise nowhere(TITLE) from None

    def _described(self) -> dict[str, Any]:
        return {
            "ContentType": self._new.content_type,
            "Metadata": metadata_of(self._new),
            **encryption(self._s3.settings),
        }

    async def _begin(self) -> None:
        answer = await self._create(
            "create_multipart_upload", **self._described(), ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT"
        )
        if not answer.get("UploadId"):
            raise bad_answer()
        self._upload_id = answer["UploadId"]
        # A store that does not say so knows only checksums of parts, or none.
        self._whole_checksum = answer.get("ChecksumType") == "FULL_OBJECT"

    async def _send(self, number: int, data: bytearray | bytes) -> None:
        length = len(data)
        try:
            crc, answer = await self._s3.run(partial(self._send_part, number, data), transfer=True)
        finally:
            self._s3.buffers.give_back(data)
        if not answer.get("ETag"):
            raise bad_answer()
        text = checksums.encoded(crc)
        if checksums.contradict({"ChecksumCRC32": text}, answer):
            raise damaged()
        self._parts[number] = {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": text}
        self._count(number, crc, length)

    def _send_part(self, number: int, data: bytearray | bytes, client: Any) -> tuple[int, dict[str, Any]]:
        """In a thread, and perhaps again: the same part twice is the same part."""
        if self._aborted:
            raise _Abandoned
        crc = checksums.crc32(data)
        answer: dict[str, Any] = client.upload_part(
            **self._place.params,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=data,
            ChecksumAlgorithm="CRC32",
            ChecksumCRC32=checksums.encoded(crc),
        )
        return crc, answer

    def _count(self, number: int, crc: int, length: int) -> None:
        """Parts end in any order; the whole's checksum takes them in theirs."""
        self._crcs[number] = crc, length
        self._size_bytes += length
        while self._next_crc in self._crcs:
            crc, length = self._crcs.pop(self._next_crc)
            self._crc = checksums.combined(self._crc, crc, length)
            self._next_crc += 1

    async def commit(self) -> StoredBlob:
        """Make the object visible, with S3's checksum of it compared with ours where S3 has one."""
        self._raise_failure()
        if self._upload_id is None:
            return await self._alone(self._put())
        if self._filling.filled:
            await self._turn()
        while self._sending:
            await asyncio.wait(self._sending)
        self._raise_failure()
        return await self._alone(self._complete())

    async def _put(self) -> StoredBlob:
        data = self._filling.take()
        self._size_bytes = len(data)
        self._crc = checksums.crc32(data)
        try:
            answer = await self._create(
                "put_object",
                **self._described(),
                Body=data,
                ChecksumAlgorithm="CRC32",
                ChecksumCRC32=checksums.encoded(self._crc),
            )
        finally:
            self._s3.buffers.give_back(data)
        return await self._proven(answer)

    async def _complete(self) -> StoredBlob:
        whole = (
            {"ChecksumCRC32": checksums.encoded(self._crc), "ChecksumType": "FULL_OBJECT"}
            if self._whole_checksum
            else {}
        )
        answer = await self._create(
            "complete_multipart_upload",
            UploadId=self._upload_id,
            MultipartUpload={"Parts": [self._parts[number] for number in sorted(self._parts)]},
            MpuObjectSize=self._size_bytes,
            **whole,
        )
        return await self._proven(answer)

    async def _proven(self, answer: dict[str, Any]) -> StoredBlob:
        """The stored object, once S3's checksum or at least its size is known to be ours."""
        if not answer.get("ETag"):
            raise bad_answer()
        ours = {"ChecksumCRC32": checksums.encoded(self._crc)}
        if checksums.contradict(ours, answer):
            raise damaged()
        if answer.get("ChecksumCRC32") != ours["ChecksumCRC32"]:
            head = await self._s3.call("head_object", **self._place.params, ChecksumMode="ENABLED")
            if head.get("ContentLength") != self._size_bytes or checksums.contradict(ours, head):
                raise damaged()
        return StoredBlob(
            ref=self._place.ref, size_bytes=self._size_bytes, expires_at=expiry_of(answer.get("Expiration"))
        )

    async def abort(self) -> None:
        """Leave nothing behind: neither the upload nor the object."""
        self._aborted = True
        self._filling.close()
        running = [*self._sending, *([self._single] if self._single is not None else [])]
        if running:
            await asyncio.wait(running)
        if not self._touched:
            return
        with suppress(FileNotFoundError):
            if self._upload_id is not None:
                await abort_upload(self._s3, self._place, self._upload_id)
            await self._s3.call("delete_object", **self._place.params)
