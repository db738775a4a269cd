"""OpenAI's Files API: the contract, against aimock and against a recorder, and what is OpenAI's own."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import groupby

import httpx
import pytest
import pytest_asyncio
from openai import OpenAI
from openai.types.file_create_params import ExpiresAfter

from mediagate.core.errors import (
    InvalidRequest,
    PayloadTooLarge,
    ProviderFailed,
    ProviderRefused,
    TruncatedUpload,
    Unsupported,
)
from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.files import FileProvider, ListQuery, NewFile, ServesDirectly, marked_name
from mediagate.providers.openai import files as openai
from mediagate.providers.registry import build_files
from tests.contract.suite import BINARY, MIB, TEXT, FileProviderContract, keys_of, read, store
from tests.doubles.aimock.server import FILE_BYTES_MAX
from tests.doubles.aimock.server import KEY as AIMOCK_KEY
from tests.doubles.faulty import answer, faulty_server
from tests.doubles.openai_files import KEY, OpenAIFilesServer


def account(url: str, key: str = KEY, **more: object) -> Account:
    return Account("openai-1", "openai", api_key=key, api_base=f"{url}/v1", options=more)


@pytest_asyncio.fixture
async def recorded(openai_server: OpenAIFilesServer) -> AsyncIterator[FileProvider]:
    provider = build_files(account(openai_server.url))
    yield provider
    await provider.close()


class TestOpenAIOnAimock(FileProviderContract):
    large_bytes = FILE_BYTES_MAX
    # Files of one second stay in the order in which they came.
    clock_s = 0.01

    @pytest_asyncio.fixture
    async def provider(self, aimock_url: str) -> AsyncIterator[FileProvider]:
        provider = build_files(account(aimock_url, AIMOCK_KEY))
        yield provider
        await provider.close()

    async def test_what_aimock_received(self, provider: FileProvider, aimock_url: str) -> None:
        key = new_file_id()
        new = {"key": key, "filename": "report.pdf", "purpose": "user_data", "content_type": "application/pdf"}
        blob = await store(provider, BINARY, **new)  # type: ignore[arg-type]
        await read(await provider.open(blob.ref))
        await provider.list(ListQuery(limit=3, ascending=True, purpose="user_data"))
        await provider.delete(blob.ref)
        journal = httpx.get(f"{aimock_url}/__aimock/journal", headers={"authorization": f"Bearer {AIMOCK_KEY}"}).json()
        calls = [(entry["method"], entry["path"], entry["response"]["status"]) for entry in journal]
        begin = max(at for at, call in enumerate(calls) if call == ("POST", "/v1/files", 200))
        assert calls[begin:] == [
            ("POST", "/v1/files", 200),
            ("GET", f"/v1/files/{blob.ref}", 200),
            ("GET", f"/v1/files/{blob.ref}/content", 200),
            ("GET", f"/v1/files/{blob.ref}/content", 200),
            ("GET", "/v1/files?limit=3&order=asc&purpose=user_data", 200),
            ("DELETE", f"/v1/files/{blob.ref}", 200),
        ]
        upload = journal[begin]["body"]
        assert upload["purpose"] == "user_data"
        assert upload["filename"] == marked_name("report.pdf", key)
        assert upload["sha256"] == hashlib.sha256(BINARY).hexdigest()
        assert upload["bytes"] == len(BINARY)


class TestOpenAIOnARecorder(FileProviderContract):
    clock_s = 0.01

    @pytest_asyncio.fixture
    async def provider(self, openai_server: OpenAIFilesServer, recorded: FileProvider) -> FileProvider:
        openai_server.no_download = set()
        return recorded


async def test_the_form_says_what_openai_documents(openai_server: OpenAIFilesServer, recorded: FileProvider) -> None:
    key = new_file_id()
    await store(
        recorded, TEXT, key=key, filename="in.jsonl", purpose="batch", content_type="application/jsonl", life_s=7200
    )
    seen = openai_server.journal[-1]
    assert seen.form == [
        ("purpose", "batch"),
        ("expires_after[anchor]", "created_at"),
        ("expires_after[seconds]", "7200"),
        (
            "file",
            {
                "filename": f"in--{key}.jsonl",
                "type": "application/jsonl",
                "bytes": len(TEXT),
                "sha256": hashlib.sha256(TEXT).hexdigest(),
            },
        ),
    ]
    assert seen.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in seen.headers


async def test_a_certain_size_is_announced(openai_server: OpenAIFilesServer, recorded: FileProvider) -> None:
    blob = await store(recorded, BINARY, size_bytes=len(BINARY))
    seen = openai_server.journal[-1]
    assert "transfer-encoding" not in seen.headers
    assert int(seen.headers["content-length"]) > len(BINARY)
    assert openai_server.contents[blob.ref] == BINARY


async def test_organization_and_project_go_with_every_call(openai_server: OpenAIFilesServer) -> None:
    provider = build_files(account(openai_server.url, organization="org-1", project="proj-1"))
    await provider.list(ListQuery(limit=5))
    await provider.close()
    assert openai_server.journal[-1].headers["openai-organization"] == "org-1"
    assert openai_server.journal[-1].headers["openai-project"] == "proj-1"


@pytest.mark.parametrize(
    ("life_s", "sent"), [(None, None), (60, "3600"), (3600, "3600"), (2_592_000, "2592000"), (2_592_001, None)]
)
async def test_a_life_is_never_shortened(
    openai_server: OpenAIFilesServer, recorded: FileProvider, life_s: int | None, sent: str | None
) -> None:
    blob = await store(recorded, BINARY, life_s=life_s)
    assert dict(openai_server.journal[-1].form).get("expires_after[seconds]") == sent
    assert (blob.expires_at is not None) is (sent is not None)


async def test_other_bytes_are_a_mismatch_and_are_removed(
    openai_server: OpenAIFilesServer, recorded: FileProvider
) -> None:
    openai_server.lose_bytes = 1
    with pytest.raises(ProviderFailed) as failed:
        await store(recorded, BINARY)
    assert failed.value.code == "provider_checksum_mismatch"
    assert openai_server.files == {}


@pytest.mark.parametrize("purpose", ["user_data", "assistants", "vision"])
async def test_what_is_not_handed_back_is_refused_at_once(
    openai_server: OpenAIFilesServer, recorded: FileProvider, purpose: str
) -> None:
    blob = await store(recorded, BINARY, purpose=purpose)
    with pytest.raises(Unsupported) as refused:
        await recorded.open(blob.ref)
    assert refused.value.http_status == 501
    assert len(openai_server.calls("GET", "/content")) == 1


async def test_a_create_whose_answer_is_lost_is_sent_once_and_undone(
    openai_server: OpenAIFilesServer, recorded: FileProvider
) -> None:
    other = await store(recorded, BINARY[:10])
    openai_server.drop_creates = 1
    with pytest.raises(ProviderFailed) as failed:
        await store(recorded, BINARY)
    assert failed.value.code == "provider_connection_lost"
    assert len(openai_server.calls("POST", "/files")) == 2
    assert list(openai_server.files) == [other.ref]


async def test_a_form_without_an_end_leaves_nothing(openai_server: OpenAIFilesServer, recorded: FileProvider) -> None:
    writer = await recorded.create(NewFile(key=new_file_id(), filename="a.bin"))
    await writer.write(os.urandom(MIB))
    await writer.abort()
    await asyncio.sleep(0.1)
    assert openai_server.files == {}


async def test_a_file_that_is_shorter_than_announced_is_no_file(
    openai_server: OpenAIFilesServer, recorded: FileProvider
) -> None:
    with pytest.raises(TruncatedUpload):
        await store(recorded, BINARY, size_bytes=len(BINARY) + 1)
    assert openai_server.files == {}


class TestUploadsInParts:
    """Above what one form may carry; the limit is lowered here."""

    @pytest.fixture(autouse=True)
    def _small_forms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(openai, "FORM_BYTES_MAX", MIB)

    async def test_parts_are_sent_at_the_same_time_and_closed_in_order(
        self, openai_server: OpenAIFilesServer, recorded: FileProvider
    ) -> None:
        data = os.urandom(41 * MIB + 7)
        key = new_file_id()
        blob = await store(recorded, data, key=key, filename="big.bin", chunk=700_001, size_bytes=len(data), life_s=60)
        assert openai_server.contents[blob.ref] == data
        begin = openai_server.calls("POST", "/uploads")[0]
        assert begin.json == {
            "bytes": len(data),
            "filename": f"big--{key}.bin",
            "mime_type": "application/octet-stream",
            "purpose": "user_data",
            "expires_after": {"anchor": "created_at", "seconds": 3600},
        }
        end = openai_server.calls("POST", "/complete")[0]
        assert end.json["md5"] == hashlib.md5(data).hexdigest()
        parts = sorted(seen.form[0][1]["bytes"] for seen in openai_server.calls("POST", "/parts"))
        assert parts == [MIB + 7, *[8 * MIB] * 5]
        assert 2 <= openai_server.parts_at_once_max <= 4
        assert openai_server.calls("POST", "/files") == []
        assert (await recorded.get(blob.ref)).key == key

    async def test_a_part_that_is_lost_is_sent_again(
        self, openai_server: OpenAIFilesServer, recorded: FileProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)
        openai_server.drop_parts = 2
        data = os.urandom(3 * MIB)
        blob = await store(recorded, data, size_bytes=len(data))
        assert openai_server.contents[blob.ref] == data
        assert len(openai_server.calls("POST", "/parts")) == 3

    async def test_a_part_is_not_sent_a_fourth_time(
        self, openai_server: OpenAIFilesServer, recorded: FileProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)
        openai_server.drop_parts = 9
        data = os.urandom(2 * MIB)
        with pytest.raises(ProviderFailed):
            await store(recorded, data, size_bytes=len(data))
        assert len(openai_server.calls("POST", "/parts")) == 3
        assert [upload["shown"]["status"] for upload in openai_server.uploads.values()] == ["cancelled"]

    async def test_an_abort_cancels_the_upload(self, openai_server: OpenAIFilesServer, recorded: FileProvider) -> None:
        writer = await recorded.create(NewFile(key=new_file_id(), filename="a.bin", size_bytes=30 * MIB))
        for _ in range(20):
            await writer.write(os.urandom(MIB))
        await writer.abort()
        await writer.abort()
        assert [upload["shown"]["status"] for upload in openai_server.uploads.values()] == ["cancelled"]
        assert openai_server.files == {}

    async def test_an_abort_removes_what_was_closed(
        self, openai_server: OpenAIFilesServer, recorded: FileProvider
    ) -> None:
        writer = await recorded.create(NewFile(key=new_file_id(), filename="a.bin", size_bytes=2 * MIB))
        await writer.write(os.urandom(2 * MIB))
        await writer.commit()
        await writer.abort()
        assert openai_server.files == {}

    async def test_an_end_whose_answer_is_lost_is_undone(
        self, openai_server: OpenAIFilesServer, recorded: FileProvider
    ) -> None:
        openai_server.drop_creates = 1
        with pytest.raises(ProviderFailed):
            await store(recorded, os.urandom(2 * MIB), size_bytes=2 * MIB)
        assert len(openai_server.calls("POST", "/complete")) == 1
        assert openai_server.files == {}

    async def test_bytes_that_are_null_for_a_moment_are_no_mismatch(
        self, openai_server: OpenAIFilesServer, recorded: FileProvider
    ) -> None:
        openai_server.null_bytes = True
        blob = await store(recorded, os.urandom(2 * MIB), size_bytes=2 * MIB)
        assert blob.size_bytes == 2 * MIB

    async def test_without_a_size_the_limit_of_a_form_is_a_413(
        self, openai_server: OpenAIFilesServer, recorded: FileProvider
    ) -> None:
        with pytest.raises(PayloadTooLarge):
            await store(recorded, os.urandom(2 * MIB), chunk=100_000)
        assert openai_server.files == {}


async def test_a_413_of_the_provider_is_one_of_ours(openai_server: OpenAIFilesServer, recorded: FileProvider) -> None:
    openai_server.file_bytes_max = 1000
    with pytest.raises(PayloadTooLarge):
        await store(recorded, BINARY)


async def test_what_openai_rejects_is_told_in_its_words(recorded: FileProvider) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await store(recorded, TEXT, filename="in.txt", purpose="batch")
    assert refused.value.code == "provider_rejected_file"
    assert "Must be .jsonl" in refused.value.message


async def test_a_wrong_key_is_the_operators_affair(openai_server: OpenAIFilesServer) -> None:
    provider = build_files(account(openai_server.url, "sk-wrong"))
    for call in (store(provider, TEXT), provider.get("file-1"), provider.list(ListQuery(limit=1))):
        with pytest.raises(ProviderRefused) as refused:
            await call
        assert "sk-" not in refused.value.message
    await provider.close()


async def test_a_wrong_address_is_no_file_that_is_gone(openai_server: OpenAIFilesServer) -> None:
    provider = build_files(Account("a", "openai", api_key=KEY, api_base=openai_server.url))
    for call in (
        provider.get("file-1"),
        provider.delete("file-1"),
        provider.open("file-1"),
        provider.discard(new_file_id()),
    ):
        with pytest.raises(ProviderRefused) as refused:
            await call
        assert refused.value.code == "provider_not_found"
    await provider.close()


async def test_a_bare_404_is_a_file_that_is_gone_where_the_list_is_there() -> None:
    bare = answer({"error": {"code": "404", "message": "Resource not found"}}, status="404 Not Found")
    async with faulty_server("500", {"": bare, "GET /v1/files$": answer({"data": []})}) as server:
        provider = build_files(account(server.url))
        with pytest.raises(FileNotFoundError):
            await provider.get("file-1")
        await provider.delete("file-1")
        await provider.close()


async def test_a_scan_ends_where_everything_is_older(
    openai_server: OpenAIFilesServer, recorded: FileProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediagate.providers.openai.api.WALK_FILES", 2)
    old = [await store(recorded, BINARY) for _ in range(6)]
    for blob in old:
        openai_server.files[blob.ref]["created_at"] -= 100_000
    new = [await store(recorded, BINARY) for _ in range(3)]
    openai_server.journal.clear()
    since = datetime.now(UTC) - timedelta(hours=1)
    assert {file.ref async for file in recorded.scan(since=since)} == {blob.ref for blob in new}
    assert len(openai_server.calls("GET", "/files")) == 3
    assert {file.ref async for file in recorded.scan(before=since)} == {blob.ref for blob in old}
    assert len(await keys_of(recorded)) == 9


async def test_a_full_page_may_be_the_last(recorded: FileProvider) -> None:
    for _ in range(4):
        await store(recorded, BINARY)
    first = await recorded.list(ListQuery(limit=2))
    last = await recorded.list(ListQuery(limit=2, after=first.items[-1].ref))
    assert (first.has_more, last.has_more, len(last.items)) == (True, False, 2)


async def test_foreign_files_are_listed_and_never_ours(
    openai_server: OpenAIFilesServer, recorded: FileProvider
) -> None:
    form = {"purpose": "user_data"}
    headers = {"authorization": f"Bearer {KEY}"}
    reply = httpx.post(f"{openai_server.url}/v1/files", headers=headers, data=form, files={"file": ("mine.txt", b"x")})
    page = await recorded.list(ListQuery(limit=10))
    assert [file.ref for file in page.items] == [reply.json()["id"]]
    assert page.items[0].key is None
    assert await keys_of(recorded) == set()


@pytest.mark.parametrize("ref", ["..", ".", "", "a/b", "a?b", "a#b", "%2e%2e", "a\\b", "a b", "x" * 600])
async def test_a_ref_is_never_another_path(openai_server: OpenAIFilesServer, recorded: FileProvider, ref: str) -> None:
    with pytest.raises(FileNotFoundError):
        await recorded.get(ref)
    with pytest.raises(FileNotFoundError):
        await recorded.open(ref)
    await recorded.delete(ref)
    assert openai_server.journal == []


async def test_the_edge_can_fetch_the_content(openai_server: OpenAIFilesServer, recorded: FileProvider) -> None:
    openai_server.no_download = set()
    blob = await store(recorded, BINARY)
    assert isinstance(recorded, ServesDirectly)
    origin = await recorded.origin(blob.ref, method="GET")
    assert httpx.get(origin.url, headers=dict(origin.headers)).content == BINARY
    assert KEY not in repr(origin)
    with pytest.raises(Unsupported):
        await recorded.origin(blob.ref, method="HEAD")


def test_the_address_is_openais_own_without_another(openai_server: OpenAIFilesServer) -> None:
    assert build_files(Account("a", "openai", api_key="k"))._api.http.base_url == "https://api.openai.com/v1"  # type: ignore[attr-defined]
    other = Account("a", "openai", environ={"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1/"})
    assert build_files(other)._api.http.base_url == "http://127.0.0.1:1/v1"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        build_files(Account("a", "openai"))


def sent(server: OpenAIFilesServer) -> list[tuple[str, str, dict[str, str], list[str], object]]:
    """What tells two clients apart: method, path, query, the form's fields in their order, and JSON."""
    calls = [
        (seen.method, seen.path, seen.query, [name for name, _ in seen.form], seen.json) for seen in server.journal
    ]
    server.journal.clear()
    return calls


def sdk_file(client: OpenAI) -> str:
    expiry: ExpiresAfter = {"anchor": "created_at", "seconds": 7200}
    made = client.files.create(file=("in.jsonl", TEXT), purpose="batch", expires_after=expiry)
    assert (made.bytes, made.filename, made.expires_at) == (len(TEXT), "in.jsonl", made.created_at + 7200)
    assert client.files.retrieve(made.id) == made
    assert client.files.content(made.id).read() == TEXT
    assert [file.id for file in client.files.list(limit=3, order="desc", purpose="batch")] == [made.id]
    assert client.files.delete(made.id).deleted
    return made.id


async def our_file(provider: FileProvider) -> str:
    blob = await store(provider, TEXT, filename="in.jsonl", purpose="batch", life_s=7200)
    await provider.get(blob.ref)
    await read(await provider.open(blob.ref))
    await provider.list(ListQuery(limit=3, purpose="batch"))
    await provider.delete(blob.ref)
    return blob.ref


async def test_we_send_what_the_official_client_sends(openai_server: OpenAIFilesServer, recorded: FileProvider) -> None:
    client = OpenAI(base_url=f"{openai_server.url}/v1", api_key=KEY, max_retries=0, _strict_response_validation=True)
    theirs_ref = await asyncio.to_thread(sdk_file, client)
    theirs = sent(openai_server)
    ours_ref = await our_file(recorded)
    # The size is asked for before the content is.
    ours = [call for call, _ in groupby(sent(openai_server))]
    assert [(*call[:1], call[1].replace(ours_ref, theirs_ref), *call[2:]) for call in ours] == theirs


async def test_an_upload_in_parts_is_the_official_clients(
    openai_server: OpenAIFilesServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, key = os.urandom(20 * MIB), new_file_id()
    client = OpenAI(base_url=f"{openai_server.url}/v1", api_key=KEY, max_retries=0, _strict_response_validation=True)
    made = await asyncio.to_thread(
        client.uploads.upload_file_chunked,
        file=data,
        filename=marked_name("a.bin", key),
        bytes=len(data),
        mime_type="application/octet-stream",
        purpose="user_data",
        part_size=8 * MIB,
        md5=hashlib.md5(data).hexdigest(),
    )
    assert made.file is not None
    theirs = sent(openai_server)
    monkeypatch.setattr(openai, "FORM_BYTES_MAX", MIB)
    provider = build_files(account(openai_server.url))
    await store(provider, data, key=key, filename="a.bin", size_bytes=len(data))
    await provider.close()
    ours = sent(openai_server)

    def shape(calls: list[tuple[str, str, dict[str, str], list[str], object]]) -> list[str]:
        """Without the ids that the server gives."""
        return [re.sub(r"(upload|part)_\w+", r"\1_id", repr(call)) for call in calls]

    assert shape(ours) == shape(theirs)
