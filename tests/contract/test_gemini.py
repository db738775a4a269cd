"""Gemini's files: the contract, its failures, and what is special there."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import cast

import httpx
import pytest
import pytest_asyncio

from mediagate.core.errors import (
    InvalidRequest,
    MediagateError,
    ProviderRefused,
    TruncatedUpload,
    Unavailable,
    Unsupported,
)
from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.files import FileProvider, ListQuery, NewFile, ObjectState, RegistersObjects
from mediagate.providers.gemini.files import GeminiFiles
from mediagate.providers.registry import build_files
from mediagate.providers.vertex_ai import credentials
from tests.contract.fault_suite import FileFaultContract
from tests.contract.suite import BINARY, MIB, TEXT, FileProviderContract, read, settled, store
from tests.doubles.faulty import answer, faulty_server
from tests.doubles.gemini import TOKEN, GeminiApi

SMALL = 256 * 1024


def account(url: str, **options: object) -> Account:
    return Account("gemini-1", "gemini", api_key="test-key", api_base=url, options=options)


@pytest.fixture(scope="module")
def shared() -> Iterator[GeminiApi]:
    with GeminiApi(page_max=5).running() as running:
        yield running


@pytest.fixture
def api(shared: GeminiApi, monkeypatch: pytest.MonkeyPatch) -> GeminiApi:
    monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)
    shared.asked.clear()
    shared.breaks.clear()
    shared.upload_host = ""
    shared.processing, shared.fails, shared.wrong_hash, shared.loses_final = 0, False, False, False
    return shared


@pytest_asyncio.fixture
async def provider(api: GeminiApi) -> AsyncIterator[FileProvider]:
    made = build_files(account(api.url))
    yield made
    await made.close()


@pytest.fixture
def small(api: GeminiApi, monkeypatch: pytest.MonkeyPatch) -> Iterator[GeminiApi]:
    """Chunks of 256 KiB, so that a file of a few MiB has many."""
    monkeypatch.setattr("mediagate.providers.gemini.session.CHUNK_BYTES", SMALL)
    api.granularity = SMALL
    yield api
    api.granularity = 8 * MIB


def commands(api: GeminiApi) -> list[str]:
    return [asked.headers["x-goog-upload-command"] for asked in api.asked if asked.path.startswith("/upload/")]


def open_files() -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(entry))
    return found


class TestGemini(FileProviderContract):
    clock_s = 0.01

    @pytest_asyncio.fixture
    async def provider(self, api: GeminiApi) -> AsyncIterator[FileProvider]:  # type: ignore[override]
        made = build_files(account(api.url))
        yield made
        await made.close()


class TestGeminiFaults(FileFaultContract):
    ref = "files/uno5dulp7zr3"

    async def build(self, url: str) -> FileProvider:
        return build_files(account(url, timeout=0.5))

    def answers(self) -> Mapping[str, bytes]:
        file = {"name": self.ref, "sizeBytes": str(self.content_bytes), "source": "GENERATED", "state": "ACTIVE"}
        return {f"GET /v1/{self.ref}$": answer({**file, "mimeType": "video/mp4"})}


@pytest.mark.parametrize("sized", [True, False], ids=["sized", "spooled"])
@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 8 * MIB + 1, 20 * MIB + 13])
async def test_chunks_are_multiples_of_what_the_server_asks_for(
    provider: FileProvider, api: GeminiApi, size: int, sized: bool
) -> None:
    data, key = os.urandom(size), new_file_id()
    blob = await store(provider, data, key=key, chunk=700_001, size_bytes=size if sized else None, filename="a b.mp4")
    assert blob.ref == f"files/{key}"
    assert blob.expires_at is not None
    assert blob.ready
    assert api.files[blob.ref].data == data
    whole = max(0, size - 1) // (8 * MIB)
    assert commands(api) == ["start", *["upload"] * whole, "upload, finalize"]
    start = api.asked[0]
    assert start.json == {"file": {"name": f"files/{key}", "display_name": "a b.mp4"}}
    assert start.headers["x-goog-upload-protocol"] == "resumable"
    assert start.headers["x-goog-upload-header-content-length"] == str(size)
    assert all("key" not in asked.query for asked in api.asked)
    offsets = [int(asked.headers["x-goog-upload-offset"]) for asked in api.asked[1:]]
    assert offsets == [at * 8 * MIB for at in range(whole + 1)]


@pytest.mark.parametrize("sized", [True, False], ids=["sized", "spooled"])
@pytest.mark.parametrize("cut_at", [-1, 1, 100_000, SMALL], ids=["at-once", "byte", "middle", "answer"])
async def test_a_chunk_that_breaks_is_taken_up_where_it_stopped(
    provider: FileProvider, small: GeminiApi, cut_at: int, sized: bool
) -> None:
    data = os.urandom(SMALL * 3 + 5)
    small.breaks = [cut_at, SMALL * 9, cut_at]
    blob = await store(provider, data, chunk=70_001, size_bytes=len(data) if sized else None)
    assert small.files[blob.ref].data == data
    assert commands(small).count("query") == 2
    assert commands(small).count("start") == 1


async def test_a_lost_answer_to_the_last_chunk_makes_no_second_file(provider: FileProvider, api: GeminiApi) -> None:
    api.loses_final = True
    blob = await store(provider, BINARY, size_bytes=len(BINARY))
    assert api.files[blob.ref].data == BINARY
    assert commands(api) == ["start", "upload, finalize", "query"]


async def test_a_chunk_is_sent_three_times_at_most(provider: FileProvider, small: GeminiApi) -> None:
    small.breaks = [-1, -1, -1]
    before = set(small.files)
    with pytest.raises(MediagateError) as failed:
        await store(provider, os.urandom(SMALL * 2), size_bytes=SMALL * 2)
    assert failed.value.code == "provider_connection_lost"
    assert commands(small)[:6] == ["start", "upload", "query", "upload", "query", "upload"]
    assert set(small.files) == before


async def test_a_file_of_known_size_flows_while_it_is_written(provider: FileProvider, small: GeminiApi) -> None:
    writer = await provider.create(NewFile(key=new_file_id(), size_bytes=10 * MIB))
    await writer.write(b"x" * MIB)
    for _ in range(100):
        if sum(len(sending.received) for sending in small.uploads.values() if sending.size == 10 * MIB) >= SMALL:
            break
        await asyncio.sleep(0.02)
    assert any(len(sending.received) >= SMALL for sending in small.uploads.values() if sending.status == "active")
    await writer.abort()
    assert commands(small)[-1] == "cancel"


@pytest.mark.parametrize("said", [99, 101])
async def test_a_file_of_another_length_than_announced_is_never_made(
    provider: FileProvider, api: GeminiApi, said: int
) -> None:
    key = new_file_id()
    with pytest.raises(TruncatedUpload):
        await store(provider, b"x" * 100, key=key, size_bytes=said)
    assert f"files/{key}" not in api.files


async def test_other_bytes_than_were_sent_are_noticed_and_removed(provider: FileProvider, api: GeminiApi) -> None:
    api.wrong_hash = True
    key = new_file_id()
    with pytest.raises(MediagateError) as failed:
        await store(provider, BINARY, key=key)
    assert failed.value.code == "provider_checksum_mismatch"
    assert f"files/{key}" not in api.files


async def test_the_key_goes_to_no_other_host_that_an_upload_url_names(provider: FileProvider, api: GeminiApi) -> None:
    api.upload_host = "https://generativelanguage.googleapis.com"
    blob = await store(provider, BINARY)
    assert api.files[blob.ref].data == BINARY


async def test_the_state_is_followed(provider: FileProvider, api: GeminiApi) -> None:
    api.processing = 3
    blob = await store(provider, BINARY)
    assert not blob.ready
    assert (await provider.get(blob.ref)).state is ObjectState.PROCESSING
    assert await settled(provider, blob.ref) is ObjectState.READY
    api.fails = True
    failing = await store(provider, BINARY)
    assert await settled(provider, failing.ref) is ObjectState.FAILED
    api.processing = 0
    with pytest.raises(InvalidRequest) as refused:
        await store(provider, BINARY)
    assert refused.value.code == "provider_rejected_file"


async def test_a_file_goes_by_all_its_names(provider: FileProvider, api: GeminiApi) -> None:
    ref = (await store(provider, BINARY)).ref
    own_id = ref.removeprefix("files/")
    for name in (ref, own_id, f"{api.url}/v1beta/{ref}", f"https://generativelanguage.googleapis.com/v1/{ref}"):
        assert (await provider.get(name)).ref == ref
    await provider.delete(f"https://generativelanguage.googleapis.com/v1beta/{ref}")
    assert ref not in api.files
    for name in ("", "..", "files/..", "files/A", "https://evil.example/files/a/b", "files/a?b", f"files/{'a' * 41}"):
        with pytest.raises(FileNotFoundError):
            await provider.get(name)


async def test_a_403_of_a_file_is_its_absence_and_any_other_one_a_refusal(api: GeminiApi) -> None:
    # The suite's plain 403 stays a refusal; these words are how Gemini says 404.
    body = {"error": {"code": 403, "status": "PERMISSION_DENIED"}}
    words = "You do not have permission to access the File abc or it may not exist."
    for message, expected in ((words, FileNotFoundError), ("The caller does not have permission", MediagateError)):
        told = answer({"error": {**body["error"], "message": message}}, status="403 Forbidden")
        async with faulty_server("500", {"GET /v1/files/abc": told}) as server:
            provider = build_files(account(server.url))
            for call in (provider.get, provider.open):
                with pytest.raises(expected):
                    await call("files/abc")
            await provider.close()


async def test_a_wrong_key_and_a_pause_are_understood(api: GeminiApi) -> None:
    provider = build_files(Account("g", "gemini", api_key="other", api_base=api.url))
    with pytest.raises(MediagateError) as failed:
        await store(provider, TEXT)
    assert failed.value.code == "provider_credentials_refused"
    await provider.close()
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}]
    told = answer({"error": {"code": 429, "message": "quota", "details": details}}, status="429 Too Many Requests")
    async with faulty_server("500", {"GET /v1/files": told}) as server:
        provider = build_files(account(server.url))
        with pytest.raises(MediagateError) as limited:
            await provider.get("files/a")
        assert (limited.value.code, limited.value.retry_after_s) == ("provider_rate_limited", 34)
        await provider.close()


async def test_a_name_that_an_earlier_attempt_has_taken_is_freed(provider: FileProvider, api: GeminiApi) -> None:
    key = new_file_id()
    await store(provider, TEXT, key=key)
    blob = await store(provider, BINARY, key=key)
    assert api.files[blob.ref].data == BINARY


async def test_generated_files_can_be_read_behind_the_redirect(provider: GeminiFiles, api: GeminiApi) -> None:
    data = os.urandom(3 * MIB)
    made = api.make(data)
    api.asked.clear()
    content = await provider.open(made.name)
    assert (content.content_type, content.size_bytes) == ("video/mp4", len(data))
    assert await read(content) == data
    assert await read(content, MIB - 1, MIB + 5) == data[MIB - 1 : MIB + 5]
    download = f"/download/v1/{made.name}:download"
    assert [asked.path for asked in api.asked][1:4] == [f"/v1/{made.name}:download", download, download]
    api.asked.clear()
    origin = await provider.origin(made.name, method="GET")
    assert not api.asked
    assert "test-key" not in origin.url
    async with httpx.AsyncClient() as plain:
        part = await plain.get(origin.url, headers={**origin.headers, "range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, data[5:10])
    with pytest.raises(Unsupported):
        await provider.origin(made.name, method="HEAD")


async def test_an_upload_is_refused_before_its_bytes_are_asked_for(provider: GeminiFiles, api: GeminiApi) -> None:
    ref = (await store(provider, BINARY)).ref
    api.asked.clear()
    for call in (provider.open(ref), provider.origin(ref, method="GET"), provider.origin(ref, method="GET")):
        with pytest.raises(Unsupported, match="only files that a model made"):
            await call
    assert [asked.path for asked in api.asked] == [f"/v1/{ref}"] * 2


@pytest.mark.parametrize("location", ["https://evil.example/x", "//evil.example/x", "http://127.0.0.1:1/x", ""])
async def test_a_redirect_never_leads_the_key_to_another_host(location: str) -> None:
    file = {"name": "files/a", "sizeBytes": "5", "source": "GENERATED"}
    redirect = f"HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n".encode()
    answers = {"GET /v1/files/a$": answer(file), "GET /v1/files/a:download": redirect}
    async with faulty_server("500", answers) as server:
        provider = build_files(account(server.url))
        with pytest.raises(MediagateError) as failed:
            await provider.open("files/a")
        assert failed.value.code == "provider_bad_answer"
        assert "evil" not in failed.value.message
        await provider.close()


async def test_lists_follow_the_pages_as_far_as_needed(provider: FileProvider, api: GeminiApi) -> None:
    for _ in range(12):
        await store(provider, TEXT)
    api.asked.clear()
    page = await provider.list(ListQuery(limit=7))
    assert (len(page.items), page.has_more) == (7, True)
    assert [("pageToken" in asked.query) for asked in api.asked] == [False, True]
    assert not (await provider.list(ListQuery(limit=7, purpose="batch"))).items


async def test_discarding_asks_for_the_file_alone(provider: FileProvider, api: GeminiApi) -> None:
    key = new_file_id()
    await store(provider, TEXT, key=key)
    api.asked.clear()
    await provider.discard(key)
    assert [str(asked) for asked in api.asked] == [f"DELETE /v1/files/{key}"]


async def test_the_spool_is_unnamed_and_where_it_shall_be(api: GeminiApi, tmp_path: Path) -> None:
    provider = build_files(account(api.url, spool_dir=str(tmp_path)))
    writer = await provider.create(NewFile(key=new_file_id()))
    for _ in range(30):
        await writer.write(b"x" * MIB)
    assert any(str(tmp_path) in path for path in open_files())
    assert not list(tmp_path.iterdir())
    assert len((await writer.commit()).ref) > 6
    await writer.abort()
    assert not any(str(tmp_path) in path for path in open_files())
    await provider.close()


async def test_a_disk_that_takes_nothing_is_said_plainly(api: GeminiApi) -> None:
    provider = build_files(account(api.url, spool_dir="/dev/null/spool"))
    with pytest.raises(Unavailable) as failed:
        await store(provider, b"x" * 4 * MIB)
    assert failed.value.code == "gateway_storage_full"
    assert "/dev/null" not in failed.value.message
    await provider.close()


@pytest.mark.parametrize(
    ("given", "environ", "path"),
    [
        ({}, {}, "/v1/files"),
        ({"api_version": "v1beta"}, {}, "/v1beta/files"),
        ({"suffix": "/v1beta/"}, {}, "/v1beta/files"),
    ],
)
async def test_the_version_comes_from_the_account(
    api: GeminiApi, given: dict[str, str], environ: dict[str, str], path: str
) -> None:
    base = api.url + given.get("suffix", "")
    provider = build_files(
        Account("g", "gemini", api_key="test-key", api_base=base, api_version=given.get("api_version"), environ=environ)
    )
    await provider.list(ListQuery(limit=1))
    assert api.asked[-1].path == path
    await provider.close()


async def test_googles_variable_wins_and_a_missing_key_is_said_in_one_sentence(api: GeminiApi) -> None:
    environ = {"GEMINI_API_KEY": "other", "GOOGLE_API_KEY": "test-key", "GOOGLE_GEMINI_BASE_URL": api.url}
    provider = build_files(Account("g", "gemini", environ=environ))
    await provider.list(ListQuery(limit=1))
    await provider.close()
    with pytest.raises(ValueError, match="api_key is missing; set it in files_settings or GEMINI_API_KEY"):
        build_files(Account("g", "gemini"))


async def test_an_object_of_a_bucket_becomes_a_file_without_an_upload(
    api: GeminiApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "buckets", {"gs://bucket/a.mp4": ("video/mp4", b"film")})
    monkeypatch.setattr(credentials, "_from_info", lambda info: credentials._given(info["token"]))
    options = {"vertex_credentials": {"token": TOKEN}, "vertex_project": "project-1"}
    provider = build_files(account(api.url, **options))
    assert isinstance(provider, RegistersObjects)
    assert provider.registers("gs://bucket/a.mp4")
    assert not provider.registers("s3://bucket/a.mp4")
    file = await provider.register("gs://bucket/a.mp4")
    assert (file.size_bytes, file.content_type, file.state) == (4, "video/mp4", ObjectState.READY)
    assert str(api.asked[-1]) == "POST /v1/files:register"
    assert api.asked[-1].json == {"uris": ["gs://bucket/a.mp4"]}
    assert api.asked[-1].headers["x-goog-user-project"] == "project-1"
    assert (await provider.get(file.ref)).ref == file.ref
    with pytest.raises(FileNotFoundError):
        await provider.register("gs://bucket/absent.mp4")
    await provider.close()


async def test_without_credentials_of_the_cloud_nothing_is_registered(provider: GeminiFiles, api: GeminiApi) -> None:
    assert not provider.registers("gs://bucket/a.mp4")
    with pytest.raises(Unsupported):
        await provider.register("gs://bucket/a.mp4")
    assert not api.asked


async def test_credentials_that_may_not_read_it_are_the_operators(
    api: GeminiApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "_from_info", lambda info: credentials._given("ya29.other"))
    provider = cast(GeminiFiles, build_files(account(api.url, vertex_credentials={"type": "x"})))
    with pytest.raises(ProviderRefused):
        await provider.register("gs://bucket/a.mp4")
    await provider.close()
