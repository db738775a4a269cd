"""xAI's files: the contract, its failures, and what is special there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping

import httpx
import pytest
import pytest_asyncio

from mediagate.core.errors import Unsupported
from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.files import FileProvider, ListQuery
from mediagate.providers.registry import build_files
from mediagate.providers.xai.files import XaiFiles
from tests.contract.fault_suite import FileFaultContract
from tests.contract.suite import TEXT, FileProviderContract, store
from tests.doubles.faulty import answer
from tests.doubles.xai import XaiApi


def account(url: str, **options: object) -> Account:
    return Account("xai-1", "xai", api_key="test-key", api_base=f"{url}/v1", options=options)


@pytest.fixture(scope="module")
def api() -> Iterator[XaiApi]:
    with XaiApi(page_max=5).running() as running:
        yield running


@pytest_asyncio.fixture
async def provider(api: XaiApi) -> AsyncIterator[FileProvider]:
    made = build_files(account(api.url))
    yield made
    await made.close()


class TestXai(FileProviderContract):
    @pytest_asyncio.fixture
    async def provider(self, api: XaiApi) -> AsyncIterator[FileProvider]:  # type: ignore[override]
        made = build_files(account(api.url))
        yield made
        await made.close()


class TestXaiFaults(FileFaultContract):
    ref = "file_a128090d-f0c9-4873-bd84-e499777e7417"

    async def build(self, url: str) -> FileProvider:
        return build_files(account(url, timeout=0.5))

    def answers(self) -> Mapping[str, bytes]:
        file = {"id": self.ref, "object": "file", "bytes": self.content_bytes, "created_at": 1, "filename": "a.bin"}
        return {f"GET /v1/files/{self.ref}$": answer({**file, "purpose": ""})}


async def test_the_form_names_purpose_and_life_before_the_file(provider: FileProvider, api: XaiApi) -> None:
    key = new_file_id()
    blob = await store(provider, TEXT, key=key, filename="a.jsonl", purpose="batch", life_s=60, size_bytes=len(TEXT))
    asked = next(asked for asked in reversed(api.asked) if str(asked) == "POST /v1/files")
    assert asked.form == [("purpose", "batch"), ("expires_after", "3600"), ("file", f"<a--{key}.jsonl>")]
    assert asked.headers["authorization"] == "Bearer test-key"
    assert int(asked.headers["content-length"]) > len(TEXT)
    assert blob.expires_at is not None


@pytest.mark.parametrize(("life_s", "asked_for"), [(None, None), (7200, "7200"), (2_592_001, None)])
async def test_a_life_the_api_does_not_know_is_left_to_us(
    provider: FileProvider, api: XaiApi, life_s: int | None, asked_for: str | None
) -> None:
    await store(provider, TEXT, life_s=life_s)
    asked = next(asked for asked in reversed(api.asked) if str(asked) == "POST /v1/files")
    assert dict(asked.form).get("expires_after") == asked_for


async def test_pages_are_followed_and_reading_ends_with_the_page(provider: FileProvider, api: XaiApi) -> None:
    for _ in range(12):
        await store(provider, TEXT)
    api.asked.clear()
    page = await provider.list(ListQuery(limit=7))
    assert len(page.items) == 7
    assert page.has_more
    assert [asked.query.get("pagination_token") is None for asked in api.asked] == [True, False]
    assert {(asked.query["order"], asked.query["sort_by"]) for asked in api.asked} == {("desc", "created_at")}
    assert not (await provider.list(ListQuery(limit=7, purpose="batch"))).items


async def test_the_edge_can_fetch_the_content_by_itself(provider: XaiFiles) -> None:
    blob = await store(provider, TEXT)
    origin = await provider.origin(blob.ref, method="GET")
    async with httpx.AsyncClient() as plain:
        assert (await plain.get(origin.url, headers=dict(origin.headers))).content == TEXT
    assert "test-key" not in repr(origin)
    with pytest.raises(Unsupported):
        await provider.origin(blob.ref, method="HEAD")


async def test_a_file_whose_answer_was_lost_is_taken_back(provider: FileProvider, api: XaiApi) -> None:
    before = set(api.files)
    api.lose("POST /v1/files")
    with pytest.raises(Exception, match="connection to xAI broke"):
        await store(provider, TEXT)
    assert set(api.files) == before


@pytest.mark.parametrize("ref", ["..", "", "a/b", "a?b", "a%2f", "ä"])
async def test_what_is_no_id_is_absent_without_a_request(provider: FileProvider, api: XaiApi, ref: str) -> None:
    api.asked.clear()
    with pytest.raises(FileNotFoundError):
        await provider.get(ref)
    await provider.delete(ref)
    assert not api.asked


def test_an_account_without_a_key_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="api_key is missing; set it in files_settings or XAI_API_KEY"):
        build_files(Account("xai-1", "xai"))
    with pytest.raises(ValueError, match="timeout must be a number"):
        build_files(Account("xai-1", "xai", api_key="k", options={"timeout": "soon"}))
    assert build_files(Account("xai-1", "xai", environ={"XAI_API_KEY": "k"})).spec.name == "xai"
