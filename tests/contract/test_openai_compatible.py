"""Servers that speak OpenAI's Files API, or a part of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from mediagate.core.errors import Unsupported
from mediagate.providers.account import Account
from mediagate.providers.files import FileProvider, ListQuery, NewFile
from mediagate.providers.registry import build_files
from tests.contract.fault_suite import FileFaultContract
from tests.contract.suite import BINARY, FileProviderContract, keys_of, read, store
from tests.doubles.aimock.server import FILE_BYTES_MAX
from tests.doubles.aimock.server import KEY as AIMOCK_KEY
from tests.doubles.faulty import answer, faulty_server
from tests.doubles.openai_files import KEY, OpenAIFilesServer, openai_files


def compatible(url: str, key: str | None = KEY, **options: object) -> FileProvider:
    return build_files(Account("c-1", "openai_compatible", api_key=key, api_base=f"{url}/v1", options=options))


class TestCompatibleOnAimock(FileProviderContract):
    large_bytes = FILE_BYTES_MAX

    @pytest_asyncio.fixture
    async def provider(self, aimock_url: str) -> AsyncIterator[FileProvider]:
        provider = compatible(aimock_url, AIMOCK_KEY)
        yield provider
        await provider.close()


class TestCompatibleFaults(FileFaultContract):
    async def build(self, url: str) -> FileProvider:
        return compatible(url, timeout=0.5)

    def answers(self) -> Mapping[str, bytes]:
        file = {"id": self.ref, "bytes": self.content_bytes, "purpose": "batch", "filename": "a.jsonl"}
        return {f"GET /v1/files/{self.ref}$": answer(file)}


POORER = [
    {"limit"},
    {"after"},
    {"order"},
    {"purpose"},
    {"has_more"},
    {"limit", "after", "order", "purpose", "has_more"},
]


@pytest.mark.parametrize("ignores", POORER, ids=lambda names: "+".join(sorted(names)))
@pytest.mark.parametrize("ascending", [True, False])
async def test_pages_are_right_where_the_server_ignores_what_was_asked(ignores: set[str], ascending: bool) -> None:
    with openai_files(ignores=ignores | {"range"}) as server:
        provider = compatible(server.url)
        made = []
        for number in range(7):
            purpose = "vision" if number % 3 == 2 else "user_data"
            blob = await store(provider, BINARY, purpose=purpose)
            server.files[blob.ref]["created_at"] += number * 10
            made += [blob.ref] if purpose == "user_data" else []
        seen: list[str] = []
        after = None
        for _ in range(10):
            page = await provider.list(ListQuery(limit=2, after=after, ascending=ascending, purpose="user_data"))
            assert len(page.items) <= 2
            seen += [file.ref for file in page.items]
            if not page.has_more:
                break
            after = seen[-1]
        assert seen == (made if ascending else made[::-1])
        assert len(await keys_of(provider)) == 7
        await provider.close()


async def test_a_long_page_is_made_of_the_server_s_short_ones(
    openai_server: OpenAIFilesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.providers.openai_compatible.files.PAGE_FILES_MAX", 3)
    provider = compatible(openai_server.url)
    made = []
    for number in range(8):
        made.append((await store(provider, BINARY)).ref)
        openai_server.files[made[-1]]["created_at"] += number
    first = await provider.list(ListQuery(limit=7, ascending=True))
    assert [file.ref for file in first.items] == made[:7]
    assert first.has_more
    rest = await provider.list(ListQuery(limit=7, ascending=True, after=made[6]))
    assert [file.ref for file in rest.items] == made[7:]
    assert not rest.has_more
    assert {int(seen.query["limit"]) for seen in openai_server.calls("GET", "/files")} <= {1, 2, 3}
    await provider.close()


async def test_ranges_are_used_where_the_server_has_them() -> None:
    with openai_files(ignores=set(), no_download=set()) as server:
        provider = compatible(server.url)
        content = await provider.open((await store(provider, BINARY)).ref)
        assert await read(content, 100, 200) == BINARY[100:200]
        assert server.journal[-1].headers["range"] == "bytes=100-199"
        await provider.close()


async def test_a_size_that_is_not_told_is_the_contents_own() -> None:
    with openai_files(no_download=set()) as server:
        provider = compatible(server.url)
        blob = await store(provider, BINARY)
        server.null_bytes = True
        content = await provider.open(blob.ref)
        assert content.size_bytes == len(BINARY)
        assert await read(content) == BINARY
        await provider.close()


async def test_no_key_is_sent_where_there_is_none(openai_server: OpenAIFilesServer) -> None:
    openai_server.keys.add("")
    provider = compatible(openai_server.url, key=None)
    await store(provider, BINARY, life_s=7200)
    await provider.close()
    assert "authorization" not in openai_server.journal[-1].headers
    assert "expires_after[seconds]" not in dict(openai_server.journal[-1].form)


ROUTE_UNKNOWN = [
    answer({"detail": "Not Found"}, status="404 Not Found"),
    answer(b"404 page not found", status="404 Not Found", content_type="text/plain"),
    answer(b"<html>nginx</html>", status="404 Not Found", content_type="text/html"),
    answer({"error": {"message": "Not Found", "type": "NotFoundError", "code": 404}}, status="404 Not Found"),
    answer(
        {"error": {"message": "Unknown request URL: GET /v1/files/file-abc123.", "code": "unknown_url"}},
        status="404 Not Found",
    ),
    answer({"error": "Method Not Allowed"}, status="405 Method Not Allowed"),
    answer({"error": {"message": "Files are not implemented."}}, status="501 Not Implemented"),
]
FILE_UNKNOWN = [
    answer({"error": {"message": "No such File object: file-abc123", "param": "id"}}, status="404 Not Found"),
    answer({"detail": "File 'file-abc123' not found"}, status="404 Not Found"),
    answer({"error": {"message": "The file was deleted."}}, status="404 Not Found"),
    answer({"error": {"message": "gone"}}, status="410 Gone"),
]


@pytest.mark.parametrize("reply", ROUTE_UNKNOWN)
async def test_a_route_that_is_not_there_is_unsupported(reply: bytes) -> None:
    async with faulty_server("500", {"": reply}) as server:
        provider = compatible(server.url)

        async def create() -> None:
            writer = await provider.create(NewFile(key="file-" + "0" * 26))
            try:
                await writer.write(BINARY)
                await writer.commit()
            finally:
                await writer.abort()

        for operation, call in (
            ("create", create()),
            ("get", provider.get("file-abc123")),
            ("list", provider.list(ListQuery(limit=3))),
            ("delete", provider.delete("file-abc123")),
        ):
            with pytest.raises(Unsupported) as refused:
                await call
            assert refused.value.metadata["operation"] == operation
        await provider.close()


@pytest.mark.parametrize("reply", FILE_UNKNOWN)
async def test_a_file_that_is_not_there_is_absent(reply: bytes) -> None:
    async with faulty_server("500", {"": reply}) as server:
        provider = compatible(server.url)
        with pytest.raises(FileNotFoundError):
            await provider.get("file-abc123")
        await provider.delete("file-abc123")
        await provider.close()


async def test_a_server_without_a_route_for_the_content(openai_server: OpenAIFilesServer) -> None:
    openai_server.ignores.add("content")
    provider = compatible(openai_server.url)
    blob = await store(provider, BINARY)
    with pytest.raises(Unsupported) as refused:
        await provider.open(blob.ref)
    assert refused.value.metadata["operation"] == "content"
    await provider.close()


def test_an_address_is_needed() -> None:
    with pytest.raises(ValueError, match="api_base"):
        build_files(Account("c", "openai_compatible"))
