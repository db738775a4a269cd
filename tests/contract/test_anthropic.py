"""Anthropic's files: the contract, its failures, and what is special there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping

import httpx
import pytest
import pytest_asyncio

from mediagate.core.errors import MediagateError, PayloadTooLarge, Unsupported
from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.anthropic.files import AnthropicFiles
from mediagate.providers.files import FileProvider, ListQuery, NewFile
from mediagate.providers.registry import build_files
from tests.contract.fault_suite import FileFaultContract
from tests.contract.suite import BINARY, MIB, TEXT, FileProviderContract, read, store
from tests.doubles.anthropic import AnthropicApi
from tests.doubles.faulty import answer, faulty_server


def account(url: str, **options: object) -> Account:
    return Account("anthropic-1", "anthropic", api_key="test-key", api_base=url, options=options)


@pytest.fixture(scope="module")
def api() -> Iterator[AnthropicApi]:
    with AnthropicApi(page_max=5).running() as running:
        yield running


@pytest_asyncio.fixture
async def provider(api: AnthropicApi) -> AsyncIterator[FileProvider]:
    made = build_files(account(api.url))
    yield made
    await made.close()


class TestAnthropic(FileProviderContract):
    clock_s = 0.01

    @pytest_asyncio.fixture
    async def provider(self, api: AnthropicApi) -> AsyncIterator[FileProvider]:  # type: ignore[override]
        made = build_files(account(api.url))
        yield made
        await made.close()


class TestAnthropicFaults(FileFaultContract):
    ref = "file_01VjAtzDrfMuo5jLuKF5GAC1"

    async def build(self, url: str) -> FileProvider:
        return build_files(account(url, timeout=0.5))

    def answers(self) -> Mapping[str, bytes]:
        file = {"id": self.ref, "filename": "a.bin", "size_bytes": self.content_bytes, "downloadable": True}
        return {f"GET /v1/files/{self.ref}$": answer({**file, "created_at": "2026-09-01T15:21:25.781249Z"})}


async def test_the_upload_carries_version_life_and_a_name_the_api_takes(
    provider: FileProvider, api: AnthropicApi
) -> None:
    key = new_file_id()
    blob = await store(provider, BINARY, key=key, filename='a<b>|"c"?.pdf', life_s=7200, content_type="application/pdf")
    asked = next(asked for asked in reversed(api.asked) if str(asked) == "POST /v1/files")
    assert asked.form == [("expires_in_seconds", "7200"), ("file", f"<a_b___c__--{key}.pdf>")]
    assert asked.headers["anthropic-version"] == "2023-06-01"
    assert asked.headers["transfer-encoding"] == "chunked"
    assert api.files[blob.ref].mime_type == "application/pdf"
    assert blob.expires_at is not None


@pytest.mark.parametrize(("life_s", "asked_for"), [(None, None), (1, "3600"), (7_776_001, None)])
async def test_a_life_the_api_does_not_know_is_left_to_us(
    provider: FileProvider, api: AnthropicApi, life_s: int | None, asked_for: str | None
) -> None:
    await store(provider, TEXT, life_s=life_s)
    asked = next(asked for asked in reversed(api.asked) if str(asked) == "POST /v1/files")
    assert dict(asked.form).get("expires_in_seconds") == asked_for


@pytest.mark.parametrize("sized", [True, False])
async def test_the_bytes_arrive_as_they_were(provider: FileProvider, api: AnthropicApi, sized: bool) -> None:
    data = os.urandom(9 * MIB + 7)
    blob = await store(provider, data, chunk=700_001, size_bytes=len(data) if sized else None)
    assert api.files[blob.ref].data == data


async def test_what_a_tool_made_can_be_read_and_an_upload_is_refused_before_its_bytes_are_asked_for(
    provider: AnthropicFiles, api: AnthropicApi
) -> None:
    made = api.make("plot.png", BINARY, "image/png")
    content = await provider.open(made.id)
    assert (content.content_type, content.size_bytes) == ("image/png", len(BINARY))
    assert await read(content) == BINARY
    assert await read(content, 10, 20) == BINARY[10:20]
    uploaded = await store(provider, BINARY)
    api.asked.clear()
    with pytest.raises(Unsupported, match="only files that a tool made"):
        await provider.open(uploaded.ref)
    with pytest.raises(Unsupported):
        await provider.origin(uploaded.ref, method="GET")
    assert [str(asked) for asked in api.asked] == [f"GET /v1/files/{uploaded.ref}"]


async def test_a_record_without_the_flag_is_refused_by_the_api_itself(api: AnthropicApi) -> None:
    refused = "File 'x' is not downloadable"
    answers = {
        "GET /v1/files/x$": answer({"id": "x", "filename": "x", "size_bytes": 5, "created_at": "2026-09-01T15:21:25Z"}),
        "GET /v1/files/x/content": answer(
            {"type": "error", "error": {"type": "invalid_request_error", "message": refused}}, status="400 Bad Request"
        ),
    }
    async with faulty_server("500", answers) as server:
        provider = build_files(account(server.url))
        content = await provider.open("x")
        with pytest.raises(Unsupported) as failed:
            await read(content)
        assert failed.value.http_status == 501
        await provider.close()


async def test_the_edge_can_fetch_what_a_tool_made(provider: AnthropicFiles, api: AnthropicApi) -> None:
    made = api.make("plot.png", BINARY)
    api.asked.clear()
    for _ in range(3):
        origin = await provider.origin(made.id, method="GET")
    assert len(api.asked) == 1
    async with httpx.AsyncClient() as plain:
        assert (await plain.get(origin.url, headers=dict(origin.headers))).content == BINARY
    with pytest.raises(Unsupported):
        await provider.origin(made.id, method="HEAD")


async def test_reading_a_list_ends_with_the_page(provider: FileProvider, api: AnthropicApi) -> None:
    for _ in range(12):
        await store(provider, TEXT)
    api.asked.clear()
    page = await provider.list(ListQuery(limit=7))
    assert (len(page.items), page.has_more) == (7, True)
    assert [asked.query.get("page", "")[:5] for asked in api.asked] == ["", "page_"]
    after = await provider.list(ListQuery(limit=2, after=page.items[-1].ref))
    assert len(after.items) == 2
    assert not {file.ref for file in after.items} & {file.ref for file in page.items}


async def test_pages_of_the_beta_are_understood() -> None:
    with AnthropicApi(page_max=2, beta=True).running() as api:
        provider = build_files(account(api.url))
        made = [(await store(provider, TEXT)).ref for _ in range(5)]
        assert [file.ref async for file in provider.scan()] == made[::-1]
        assert [asked.query.get("after_id") for asked in api.asked[-3:]] == [None, made[3], made[1]]
        await provider.close()


async def test_looking_for_a_key_ends_at_files_older_than_it(provider: FileProvider, api: AnthropicApi) -> None:
    for _ in range(12):
        old = api.make("old.txt", b"")
        old.created_at = old.created_at.replace(year=2025)
    await store(provider, TEXT, key=(key := new_file_id()))
    api.asked.clear()
    await provider.discard(key)
    assert [asked.method for asked in api.asked] == ["GET", "DELETE"]


async def test_a_file_whose_answer_was_lost_is_taken_back(provider: FileProvider, api: AnthropicApi) -> None:
    before = set(api.files)
    api.lose("POST /v1/files")
    with pytest.raises(MediagateError) as failed:
        await store(provider, TEXT)
    assert failed.value.code == "provider_connection_lost"
    assert set(api.files) == before


async def test_a_file_that_is_too_large_is_refused_before_it_is_sent(provider: FileProvider, api: AnthropicApi) -> None:
    api.asked.clear()
    with pytest.raises(PayloadTooLarge, match="Anthropic takes files of at most 500000000 bytes"):
        await provider.create(NewFile(key=new_file_id(), size_bytes=500_000_001))
    assert not api.asked


async def test_a_wrong_key_is_the_operators_business(api: AnthropicApi) -> None:
    provider = build_files(Account("a", "anthropic", api_key="other", api_base=api.url))
    with pytest.raises(MediagateError) as failed:
        await store(provider, TEXT)
    assert failed.value.code == "provider_credentials_refused"
    await provider.close()


def test_an_account_without_a_key_is_refused_in_one_sentence() -> None:
    with pytest.raises(ValueError, match="api_key is missing; set it in files_settings or ANTHROPIC_API_KEY"):
        build_files(Account("a", "anthropic"))
