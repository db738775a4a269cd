"""Azure OpenAI: the contract by the v1 API, the dated paths, states that move, keys and Entra ID's tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from itertools import groupby
from typing import Any

import pytest
import pytest_asyncio
from openai import AzureOpenAI

from mediagate.core.errors import MediagateError, ProviderRefused, Unavailable
from mediagate.providers.account import Account
from mediagate.providers.azure.entra import EntraToken
from mediagate.providers.files import FileProvider, ListQuery, ObjectState, ServesDirectly
from mediagate.providers.registry import build_files
from tests.contract.fault_suite import EXPECTED, FileFaultContract, assert_is
from tests.contract.suite import BINARY, TEXT, FileProviderContract, settled, store
from tests.doubles.aimock.server import FILE_BYTES_MAX
from tests.doubles.aimock.server import KEY as AIMOCK_KEY
from tests.doubles.faulty import answer, faulty_server
from tests.doubles.openai_files import KEY, OpenAIFilesServer

APPLICATION = {"tenant_id": "tenant-1", "client_id": "client-1", "client_secret": "entra-secret"}


def azure(url: str, version: str | None = None, key: str | None = KEY, **options: Any) -> Account:
    return Account("azure-1", "azure", api_key=key, api_base=url, api_version=version, options=options)


class TestAzureOnAimock(FileProviderContract):
    large_bytes = FILE_BYTES_MAX

    @pytest_asyncio.fixture
    async def provider(self, aimock_url: str) -> AsyncIterator[FileProvider]:
        provider = build_files(azure(aimock_url, key=AIMOCK_KEY))
        yield provider
        await provider.close()


class TestAzureFaults(FileFaultContract):
    async def build(self, url: str) -> FileProvider:
        return build_files(azure(url, timeout=0.5))

    def answers(self) -> Mapping[str, bytes]:
        file = {"id": self.ref, "bytes": self.content_bytes, "purpose": "batch", "filename": "a.jsonl"}
        return {f"GET /openai/v1/files/{self.ref}$": answer(file)}


@pytest.mark.parametrize(
    ("version", "prefix", "query"),
    [
        (None, "/openai/v1", {}),
        ("v1", "/openai/v1", {}),
        ("latest", "/openai/v1", {}),
        ("preview", "/openai/v1", {"api-version": "preview"}),
        ("2024-10-21", "/openai", {"api-version": "2024-10-21"}),
        ("2023-03-15-preview", "/openai", {"api-version": "2023-03-15-preview"}),
    ],
)
@pytest.mark.parametrize("ending", ["", "/", "/openai", "/openai/v1/"])
async def test_the_version_decides_on_the_paths(
    openai_server: OpenAIFilesServer, version: str | None, prefix: str, query: dict[str, str], ending: str
) -> None:
    provider = build_files(azure(openai_server.url + ending, version))
    blob = await store(provider, TEXT, filename="in.jsonl", purpose="batch")
    assert (await provider.get(blob.ref)).filename == "in.jsonl"
    content = await provider.open(blob.ref)
    assert b"".join([bytes(part) async for part in content.read(0, content.size_bytes)]) == TEXT
    await provider.list(ListQuery(limit=5, purpose="batch"))
    assert isinstance(provider, ServesDirectly)
    origin = await provider.origin(blob.ref, method="GET")
    assert origin.url == f"{openai_server.url}{prefix}/files/{blob.ref}/content" + (
        f"?api-version={version}" if query else ""
    )
    assert origin.headers == {"api-key": KEY}
    await provider.delete(blob.ref)
    await provider.close()
    calls = [(seen.method, seen.path.removeprefix(prefix)) for seen in openai_server.journal]
    assert [call for call, _ in groupby(calls)] == [
        ("POST", "/files"),
        ("GET", f"/files/{blob.ref}"),
        ("GET", f"/files/{blob.ref}/content"),
        ("GET", "/files"),
        ("DELETE", f"/files/{blob.ref}"),
    ]
    for seen in openai_server.journal:
        assert query.items() <= seen.query.items()
        assert ("api-version" in seen.query) is bool(query)
        assert seen.headers["api-key"] == KEY
        assert "authorization" not in seen.headers


async def test_a_dated_version_is_not_told_of_an_expiry(openai_server: OpenAIFilesServer) -> None:
    for version, told in (("2024-10-21", False), (None, True)):
        provider = build_files(azure(openai_server.url, version))
        await store(provider, BINARY, life_s=7200)
        await provider.close()
        assert ("expires_after[seconds]" in dict(openai_server.journal[-1].form)) is told


async def test_a_file_is_ready_when_azure_says_so(openai_server: OpenAIFilesServer) -> None:
    openai_server.pending_polls = 2
    provider = build_files(azure(openai_server.url))
    blob = await store(provider, TEXT, filename="in.jsonl", purpose="batch")
    assert blob.ready is False
    assert (await provider.get(blob.ref)).state is ObjectState.PROCESSING
    assert await settled(provider, blob.ref) is ObjectState.READY
    await provider.close()


@pytest.mark.parametrize(
    ("account", "header", "value"),
    [
        (Account("a", "azure", environ={"AZURE_OPENAI_API_KEY": KEY}), "api-key", KEY),
        (Account("a", "azure", environ={"AZURE_API_KEY": KEY}), "api-key", KEY),
        (Account("a", "azure", options={"azure_ad_token": KEY}), "authorization", f"Bearer {KEY}"),
        (Account("a", "azure", environ={"AZURE_OPENAI_AD_TOKEN": KEY}), "authorization", f"Bearer {KEY}"),
        (
            Account("a", "azure", options={"azure_ad_token": KEY}, environ={"AZURE_API_KEY": "sk-other"}),
            "authorization",
            f"Bearer {KEY}",
        ),
        (Account("a", "azure", api_key=KEY, options=APPLICATION), "api-key", KEY),
    ],
)
async def test_where_credentials_come_from(
    openai_server: OpenAIFilesServer, account: Account, header: str, value: str
) -> None:
    environ = {**account.environ, "AZURE_OPENAI_ENDPOINT": openai_server.url}
    provider = build_files(
        Account(account.id, account.provider, api_key=account.api_key, options=account.options, environ=environ)
    )
    await provider.list(ListQuery(limit=5))
    await provider.close()
    other = {"api-key": "authorization", "authorization": "api-key"}[header]
    for seen in openai_server.journal:
        assert seen.headers[header] == value
        assert other not in seen.headers


async def test_one_token_serves_many_calls(openai_server: OpenAIFilesServer) -> None:
    provider = build_files(azure(openai_server.url, key=None, **APPLICATION, azure_authority_host=openai_server.url))
    await asyncio.gather(*(provider.list(ListQuery(limit=5)) for _ in range(5)))
    await provider.close()
    tokens = openai_server.calls("POST", "/token")
    assert [seen.path for seen in tokens] == ["/tenant-1/oauth2/v2.0/token"]
    assert dict(tokens[0].form) == {
        "grant_type": "client_credentials",
        "client_id": "client-1",
        "client_secret": "entra-secret",
        "scope": "https://cognitiveservices.azure.com/.default",
    }
    calls = openai_server.calls("GET", "/files")
    assert len({seen.headers["authorization"] for seen in calls}) == 1
    assert calls[0].headers["authorization"].startswith("Bearer entra-")


async def test_a_token_is_renewed_before_its_end(openai_server: OpenAIFilesServer) -> None:
    now = 1000.0
    token = EntraToken("t", "c", "entra-secret", authority=openai_server.url, silence_s=5, clock=lambda: now)
    first = await token.get()
    now += 3600 - 301
    assert await token.get() == first
    now += 2
    assert await token.get() != first
    await token.close()


@pytest.mark.parametrize("fault", ["401", "404", "503", "refused"])
async def test_a_token_that_is_not_given_is_no_secret_told(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)
    async with faulty_server(fault) as server:
        provider = build_files(azure(server.url, key=None, **APPLICATION, azure_authority_host=server.url, timeout=0.5))
        with pytest.raises(MediagateError) as failed:
            await provider.get("file-abc")
        await provider.close()
    expected = EXPECTED["401" if fault == "404" else fault]
    assert_is(failed.value, expected)
    assert type(failed.value) in (ProviderRefused, Unavailable)
    assert "entra-secret" not in failed.value.message


@pytest.mark.parametrize(
    ("account", "missing"),
    [
        (Account("a", "azure", api_key="k"), "AZURE_OPENAI_ENDPOINT"),
        (Account("a", "azure", api_base="https://r.openai.azure.com"), "AZURE_OPENAI_API_KEY"),
        (Account("a", "azure", api_base="https://r.openai.azure.com", options={"tenant_id": "t"}), "client_secret"),
    ],
)
def test_what_is_missing_is_named(account: Account, missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        build_files(account)


@pytest.mark.parametrize("version", ["2024-10-21", "preview"])
async def test_we_call_what_the_official_client_calls(openai_server: OpenAIFilesServer, version: str) -> None:
    def theirs() -> None:
        client = AzureOpenAI(azure_endpoint=openai_server.url, api_key=KEY, api_version=version, max_retries=0)
        client.files.create(file=("in.jsonl", TEXT), purpose="batch")

    await asyncio.to_thread(theirs)
    provider = build_files(azure(openai_server.url, version))
    await store(provider, TEXT, filename="in.jsonl", purpose="batch")
    await provider.close()
    their, our = openai_server.journal
    # With a version of the v1 API, Azure documents the client of OpenAI itself, whose paths have a `/v1`.
    assert our.path.replace("/openai/v1/", "/openai/") == their.path
    assert our.query == their.query
    assert our.headers["api-key"] == their.headers["api-key"]
    assert [name for name, _ in our.form] == [name for name, _ in their.form]
