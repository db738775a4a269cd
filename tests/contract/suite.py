"""What every file provider must do, whoever wrote it: subclass `FileProviderContract` and give it a provider.

    class TestBedrock(FileProviderContract):
        @pytest_asyncio.fixture
        async def provider(self, moto_url): ...

The same suite runs against a double, an emulator, or a real account (docs/testing.md). What a provider cannot do by its
spec is expected to be refused with `Unsupported`, at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator

import pytest

from mediagate.core.errors import Unsupported
from mediagate.core.ids import new_file_id
from mediagate.providers.base import Content
from mediagate.providers.files import FileOperation, FileProvider, ListQuery, NewFile, ObjectState, StoredBlob

MIB = 1 << 20
TEXT = b'{"custom_id": "1", "body": {}}\n'
BINARY = bytes(range(256)) * 37 + b"\r\n--boundary--\r\n\x00\xff"


async def store(
    provider: FileProvider, data: bytes, *, key: str = "", filename: str = "data.bin", chunk: int = MIB, **more: object
) -> StoredBlob:
    """Write a whole object."""
    new = NewFile(key=key or new_file_id(), filename=filename, **more)  # type: ignore[arg-type]
    writer = await provider.create(new)
    try:
        for at in range(0, len(data), chunk):
            await writer.write(data[at : at + chunk])
        return await writer.commit()
    except BaseException:
        await writer.abort()
        raise


async def read(content: Content, start: int = 0, end: int | None = None) -> bytes:
    """Read a part of an object."""
    return b"".join([bytes(part) async for part in content.read(start, content.size_bytes if end is None else end)])


async def settled(provider: FileProvider, ref: str, timeout_s: float = 20.0) -> ObjectState:
    """Wait until the provider is done with an object."""
    for _ in range(int(timeout_s / 0.1)):
        state = (await provider.get(ref)).state
        if state is not ObjectState.PROCESSING:
            return state
        await asyncio.sleep(0.1)
    raise TimeoutError(ref)


async def keys_of(provider: FileProvider) -> set[str]:
    """Our ids that the provider holds something of."""
    return {file.key async for file in provider.scan() if file.key is not None}


def require(provider: FileProvider, operation: FileOperation) -> None:
    """Skip what the provider does not claim."""
    if operation not in provider.spec.supports:
        pytest.skip(f"{provider.spec.title} has no {operation}")


def reads_back(provider: FileProvider) -> bool:
    """Whether the provider gives back what was uploaded."""
    return FileOperation.CONTENT in provider.spec.supports and provider.spec.reads_uploads


def require_reading_back(provider: FileProvider) -> None:
    """Skip where uploads cannot be read; `test_what_it_cannot_do_is_refused_without_a_retry` is about those."""
    if not reads_back(provider):
        pytest.skip(f"{provider.spec.title} gives no uploads back")


class FileProviderContract:
    """The suite. `large_bytes` crosses the store's part size; a double with a limit of its own may lower it. `clock_s`
    is the resolution of the provider's times of creation."""

    large_bytes = 17 * MIB + 13
    # The coarsest clock among providers counts seconds.
    clock_s = 1.05
    batch_purpose = "batch"

    @pytest.fixture
    def provider(self) -> AsyncIterator[FileProvider]:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.mark.parametrize("data", [b"x", TEXT, BINARY, b"\x00" * 70_000], ids=["byte", "text", "binary", "zeros"])
    async def test_bytes_come_back_as_they_were(self, provider: FileProvider, data: bytes) -> None:
        blob = await store(provider, data)
        assert blob.size_bytes == len(data)
        require_reading_back(provider)
        content = await provider.open(blob.ref)
        assert content.size_bytes == len(data)
        assert await read(content) == data

    async def test_a_large_object_in_odd_chunks_comes_back(self, provider: FileProvider) -> None:
        data = os.urandom(self.large_bytes)
        blob = await store(provider, data, chunk=700_001)
        assert blob.size_bytes == len(data)
        require_reading_back(provider)
        whole = await read(await provider.open(blob.ref))
        assert hashlib.sha256(whole).digest() == hashlib.sha256(data).digest()

    async def test_a_part_of_the_content(self, provider: FileProvider) -> None:
        require_reading_back(provider)
        data = os.urandom(3 * MIB + 5)
        content = await provider.open((await store(provider, data)).ref)
        for start, end in ((0, 1), (1, 2), (MIB - 1, 2 * MIB + 1), (len(data) - 1, len(data)), (7, 7)):
            assert await read(content, start, end) == data[start:end]

    async def test_what_is_known_of_an_object(self, provider: FileProvider) -> None:
        require(provider, FileOperation.GET)
        key = new_file_id()
        blob = await store(provider, TEXT, key=key, filename="report.jsonl", purpose=self.batch_purpose)
        found = await provider.get(blob.ref)
        assert found.ref == blob.ref
        assert found.key == key
        assert found.filename == "report.jsonl"
        assert found.size_bytes == len(TEXT)
        assert found.created_at is not None
        assert found.created_at.tzinfo is not None
        assert await settled(provider, blob.ref) is ObjectState.READY

    @pytest.mark.parametrize(
        "name", ["Ünïcödé Ω 报告.pdf", "a b+c%20d&e=f#g?h.txt", "no-extension", 'qu"ote\\.bin', ""]
    )
    async def test_names_do_no_harm(self, provider: FileProvider, name: str) -> None:
        key = new_file_id()
        blob = await store(provider, BINARY, key=key, filename=name)
        if FileOperation.GET in provider.spec.supports:
            assert (await provider.get(blob.ref)).key == key
        if reads_back(provider):
            assert await read(await provider.open(blob.ref)) == BINARY
        await provider.delete(blob.ref)

    async def test_pages_in_both_orders(self, provider: FileProvider) -> None:
        require(provider, FileOperation.LIST)
        before = {file.ref for file in (await provider.list(ListQuery(limit=10_000))).items}
        made = []
        for number in range(3):
            made.append((await store(provider, TEXT + bytes([48 + number]))).ref)
            await asyncio.sleep(self.clock_s)
        for ascending in (True, False):
            seen: list[str] = []
            after = None
            while True:
                page = await provider.list(ListQuery(limit=2, after=after, ascending=ascending))
                assert len(page.items) <= 2
                seen += [file.ref for file in page.items]
                if not page.has_more:
                    break
                after = page.items[-1].ref
            ours = [ref for ref in seen if ref not in before]
            assert ours == (made if ascending else made[::-1])

    async def test_what_is_deleted_is_gone_and_may_be_deleted_again(self, provider: FileProvider) -> None:
        require(provider, FileOperation.DELETE)
        blob = await store(provider, BINARY)
        await provider.delete(blob.ref)
        if FileOperation.GET in provider.spec.supports:
            with pytest.raises(FileNotFoundError):
                await provider.get(blob.ref)
        if FileOperation.CONTENT in provider.spec.supports:
            with pytest.raises(FileNotFoundError):
                await provider.open(blob.ref)
        await provider.delete(blob.ref)

    async def test_an_aborted_write_leaves_nothing(self, provider: FileProvider) -> None:
        key = new_file_id()
        writer = await provider.create(NewFile(key=key, filename="half.bin"))
        await writer.write(os.urandom(min(self.large_bytes, 6 * MIB)))
        await writer.abort()
        await writer.abort()
        assert key not in await keys_of(provider)

    async def test_an_abort_after_the_commit_takes_it_back(self, provider: FileProvider) -> None:
        key = new_file_id()
        writer = await provider.create(NewFile(key=key, filename="whole.bin"))
        await writer.write(BINARY)
        blob = await writer.commit()
        await writer.abort()
        assert key not in await keys_of(provider)
        if FileOperation.GET in provider.spec.supports:
            with pytest.raises(FileNotFoundError):
                await provider.get(blob.ref)

    async def test_what_a_key_left_can_be_found_and_removed(self, provider: FileProvider) -> None:
        key = new_file_id()
        await store(provider, BINARY, key=key)
        assert key in await keys_of(provider)
        await provider.discard(key)
        assert key not in await keys_of(provider)
        await provider.discard(key)

    async def test_what_a_dead_writer_left_can_be_removed(self, provider: FileProvider) -> None:
        key = new_file_id()
        writer = await provider.create(NewFile(key=key, filename="dead.bin"))
        await writer.write(os.urandom(min(self.large_bytes, 9 * MIB)))
        await provider.discard(key)
        assert key not in await keys_of(provider)
        await writer.abort()

    async def test_an_absent_object_reads_as_absent(self, provider: FileProvider) -> None:
        blob = await store(provider, b"gone")
        await provider.delete(blob.ref)
        if FileOperation.GET in provider.spec.supports:
            with pytest.raises(FileNotFoundError):
                await provider.get(blob.ref)

    async def test_several_writes_at_once_do_not_mix(self, provider: FileProvider) -> None:
        data = [os.urandom(40_000 + number) for number in range(8)]
        blobs = await asyncio.gather(*(store(provider, item, chunk=10_000) for item in data))
        assert len({blob.ref for blob in blobs}) == len(data)
        assert [blob.size_bytes for blob in blobs] == [len(item) for item in data]
        if reads_back(provider):
            for blob, item in zip(blobs, data, strict=True):
                assert await read(await provider.open(blob.ref)) == item

    async def test_what_it_cannot_do_is_refused_without_a_retry(self, provider: FileProvider) -> None:
        blob = await store(provider, BINARY)
        missing = [operation for operation in FileOperation if operation not in provider.spec.supports]
        if not reads_back(provider):
            missing = [*missing, FileOperation.CONTENT]
        for operation in missing:
            with pytest.raises(Unsupported) as refused:
                if operation is FileOperation.CONTENT:
                    await provider.open(blob.ref)
                elif operation is FileOperation.LIST:
                    await provider.list(ListQuery(limit=10))
                elif operation is FileOperation.GET:
                    await provider.get(blob.ref)
                else:
                    await provider.delete(blob.ref)
            assert refused.value.http_status == 501
            assert not refused.value.retryable
