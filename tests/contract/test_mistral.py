"""Mistral's files: the contract, its failures, and what is special there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

import httpx
import pytest
import pytest_asyncio

from mediagate.core.errors import MediagateError, TruncatedUpload, Unsupported
from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.files import FileProvider, ListQuery, NewFile
from mediagate.providers.mistral.files import MistralFiles
from mediagate.providers.registry import build_files
from tests.contract.fault_suite import FileFaultContract
from tests.contract.suite import TEXT, FileProviderContract, store
from tests.doubles.faulty import answer
from tests.doubles.mistral import MistralApi


def account(url: str, **options: object) -> Account:
    return Account("mistral-1", "mistral", api_key="test-key", api_base=f"{url}/v1/", options=options)


@pytest.fixture(scope="module")
def api() -> Iterator[MistralApi]:
    with MistralApi().running() as running:
        yield running


@pytest_asyncio.fixture
async def provider(api: MistralApi) -> AsyncIterator[FileProvider]:
    made = build_files(account(api.url))
    yield made
    await made.close()


class TestMistral(FileProviderContract):
    @pytest_asyncio.fixture
    async def provider(self, api: MistralApi) -> AsyncIterator[FileProvider]:  # type: ignore[override]
        made = build_files(account(api.url))
        yield made
        await made.close()


class TestMistralFaults(FileFaultContract):
    ref = "497f6eca-6276-4993-bfeb-53cbbbba6f09"

    async def build(self, url: str) -> FileProvider:
        return build_files(account(url, timeout=0.5))

    def answers(self) -> Mapping[str, bytes]:
        file = {"id": self.ref, "object": "file", "bytes": self.content_bytes, "created_at": 1, "filename": "a.bin"}
        return {f"GET /v1/files/{self.ref}$": answer({**file, "purpose": "ocr", "mimetype": "text/plain"})}


@pytest.mark.parametrize(
    ("purpose", "theirs"),
    [
        ("batch", "batch"),
        ("fine-tune", "fine-tune"),
        ("agentic_safety", "agentic_safety"),
        ("user_data", "ocr"),
        ("assistants", "ocr"),
        ("vision", "ocr"),
        ("evals", "ocr"),
    ],
)
async def test_our_purposes_become_theirs(provider: FileProvider, api: MistralApi, purpose: str, theirs: str) -> None:
    blob = await store(provider, TEXT, purpose=purpose)
    asked = next(asked for asked in reversed(api.asked) if str(asked) == "POST /v1/files")
    assert [name for name, _ in asked.form] == ["purpose", "file"]
    assert api.files[blob.ref].purpose == theirs
    listed = await provider.list(ListQuery(limit=10_000, purpose=purpose))
    assert blob.ref in {file.ref for file in listed.items}
    assert {file.purpose for file in listed.items} == {theirs}


@pytest.mark.parametrize(("life_s", "hours"), [(1, "1"), (3600, "1"), (3601, "2"), (86400, "24")])
async def test_a_life_is_told_in_whole_hours(provider: FileProvider, api: MistralApi, life_s: int, hours: str) -> None:
    blob = await store(provider, TEXT, life_s=life_s)
    asked = next(asked for asked in reversed(api.asked) if str(asked) == "POST /v1/files")
    assert dict(asked.form)["expiry"] == hours
    assert blob.expires_at is not None


async def test_every_page_is_read_and_sorted_by_time() -> None:
    with MistralApi().running() as api:
        provider = build_files(account(api.url))
        for number in range(120):
            name = f"a--{new_file_id()}.txt"
            file = (await store(provider, TEXT, filename="a.txt")).ref
            api.files[file].created_at, api.files[file].filename = number, name
        api.asked.clear()
        page = await provider.list(ListQuery(limit=100))
        assert [file.created_at.timestamp() for file in page.items if file.created_at] == list(range(119, 19, -1))
        assert page.has_more
        assert [asked.query["page"] for asked in api.asked] == ["0", "1"]
        assert len([file async for file in provider.scan()]) == 120
        await provider.close()


async def test_the_edge_can_fetch_the_content_by_itself(provider: MistralFiles) -> None:
    blob = await store(provider, TEXT)
    origin = await provider.origin(blob.ref, method="GET")
    async with httpx.AsyncClient() as plain:
        assert (await plain.get(origin.url, headers=dict(origin.headers))).content == TEXT
    with pytest.raises(Unsupported):
        await provider.origin(blob.ref, method="HEAD")


async def test_a_file_whose_answer_was_lost_is_taken_back(provider: FileProvider, api: MistralApi) -> None:
    before = set(api.files)
    api.lose("POST /v1/files")
    with pytest.raises(MediagateError) as failed:
        await store(provider, TEXT)
    assert failed.value.code == "provider_connection_lost"
    assert set(api.files) == before


async def test_a_file_that_is_shorter_than_announced_is_never_made(provider: FileProvider, api: MistralApi) -> None:
    before = set(api.files)
    writer = await provider.create(NewFile(key=new_file_id(), size_bytes=100))
    await writer.write(b"x" * 99)
    with pytest.raises(TruncatedUpload):
        await writer.commit()
    await writer.abort()
    assert set(api.files) == before


def test_an_account_without_a_key_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="api_key is missing; set it in files_settings or MISTRAL_API_KEY"):
        build_files(Account("m", "mistral"))
