"""`vertex_ai` against gcp-storage-emulator, and against a server that fails."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest_asyncio

from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.files import CopiesObjects, FileProvider, KeepsRetention, NewFile, ServesDirectly
from mediagate.providers.registry import build_files
from tests.conftest import free_port
from tests.contract.fault_suite import FileFaultContract
from tests.contract.suite import BINARY, MIB, TEXT, FileProviderContract, read, store
from tests.doubles.faulty import answer
from tests.doubles.gcs import BUCKET, gcs_emulator


def account(url: str, **more: object) -> Account:
    """An account at an emulator, found as Google's own libraries find it."""
    return Account("a", "vertex_ai", bucket_name=BUCKET, environ={"STORAGE_EMULATOR_HOST": url}, **more)  # type: ignore[arg-type]


@pytest_asyncio.fixture
async def emulated(gcs_url: str) -> AsyncIterator[FileProvider]:
    """A provider with a prefix of its own."""
    built = build_files(account(gcs_url, prefix=f"test/{new_file_id()}"))
    yield built
    await built.close()


class TestContract(FileProviderContract):
    @pytest_asyncio.fixture
    async def provider(self, emulated: FileProvider) -> FileProvider:  # type: ignore[override]
        return emulated


class TestFaults(FileFaultContract):
    ref = f"gs://{BUCKET}/some/object"

    def answers(self) -> Mapping[str, bytes]:
        resource = {"name": "some/object", "bucket": BUCKET, "size": str(self.content_bytes), "generation": "1"}
        made = {"timeCreated": "2026-11-21T12:00:00.123Z", "crc32c": "AAAAAA=="}
        return {f"GET /storage/v1/b/{BUCKET}/o/some%2Fobject": answer({**resource, **made})}

    async def build(self, url: str) -> FileProvider:
        return build_files(account(url, options={"timeout": "0.5"}))


async def test_it_has_the_capabilities(emulated: FileProvider) -> None:
    for capability in (CopiesObjects, KeepsRetention, ServesDirectly):
        assert isinstance(emulated, capability)


async def test_a_copy_in_the_cloud(emulated: FileProvider) -> None:
    assert isinstance(emulated, CopiesObjects)
    source = await store(emulated, BINARY, filename="source.jpeg", content_type="image/jpeg")
    told: list[int] = []

    async def progress(done: int) -> None:
        told.append(done)

    new = NewFile(key=new_file_id(), filename="copy.jpeg", purpose="vision")
    assert emulated.copies(source.ref)
    assert emulated.copies(source.ref.replace("gs://", "vertex_ai://"))
    assert not emulated.copies("s3://bucket/key")
    copy = await emulated.copy(source.ref, new, progress)
    assert told == [len(BINARY)]
    assert copy.size_bytes == len(BINARY)
    assert await read(await emulated.open(copy.ref)) == BINARY
    found = await emulated.get(copy.ref)
    assert (found.content_type, found.key) == ("image/jpeg", new.key)


async def test_the_edge_can_fetch_an_object_by_itself(emulated: FileProvider) -> None:
    assert isinstance(emulated, ServesDirectly)
    blob = await store(emulated, BINARY, filename="a b.bin")
    origin = await emulated.origin(blob.ref, method="GET")
    assert origin.headers == {}
    async with httpx.AsyncClient(verify=False) as plain:
        whole = await plain.get(origin.url, headers=origin.headers)
        part = await plain.get(origin.url, headers={**origin.headers, "range": "bytes=10-19"})
    assert (whole.status_code, whole.content) == (200, BINARY)
    assert (part.status_code, part.content) == (206, BINARY[10:20])


async def test_rules_of_the_bucket(gcs_url: str) -> None:
    provider = build_files(account(gcs_url, prefix="keep", retention_days=3))
    assert isinstance(provider, KeepsRetention)
    assert (await provider.apply_retention()).rules is not None
    plan = await provider.plan_retention()
    assert (plan.current_days, plan.rules) == (3, None)
    await provider.close()


async def test_256_mib_there_and_back_hold_some_mib() -> None:
    chunk = os.urandom(MIB)
    # Its own emulator: this one keeps in memory whatever it ever had.
    with gcs_emulator(free_port()) as url:
        provider = build_files(account(url))
        await store(provider, TEXT)
        before = peak = resident()
        writer = await provider.create(NewFile(key=new_file_id(), filename="a.bin"))
        for _ in range(256):
            await writer.write(chunk)
            peak = max(peak, resident())
        blob = await writer.commit()
        written = max(peak, resident()) - before
        content = await provider.open(blob.ref)
        seen, peak = 0, 0
        async for piece in content.read(0, content.size_bytes):
            seen += len(piece)
            peak = max(peak, resident())
        await provider.close()
    assert seen == 256 * MIB
    assert written < 32 * MIB
    assert peak - before < 40 * MIB


def resident() -> int:
    """Resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
