"""S3 against moto: the suite that every provider passes, and what only S3 has."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from mediagate.core.errors import MediagateError
from mediagate.core.ids import new_file_id
from mediagate.providers.bedrock.copying import CopyLimits
from mediagate.providers.bedrock.files import BedrockFiles, build
from mediagate.providers.bedrock.settings import settings_of
from mediagate.providers.files import CopiesObjects, KeepsRetention, ListQuery, NewFile, ServesDirectly
from tests.contract.suite import MIB, TEXT, FileProviderContract, keys_of, read, store
from tests.doubles.s3 import BATCH_URI, account, no_progress, part_arrived


@pytest_asyncio.fixture
async def provider(moto_url: str, s3_bucket: str) -> AsyncIterator[BedrockFiles]:
    files = BedrockFiles(
        settings_of(account(moto_url, s3_bucket)), copy_limits=CopyLimits(single_bytes_max=6 * MIB, part_bytes=5 * MIB)
    )
    yield files
    await files.close()


class TestBedrock(FileProviderContract):
    @pytest_asyncio.fixture
    async def provider(self, moto_url: str, s3_bucket: str) -> AsyncIterator[BedrockFiles]:
        files = build(account(moto_url, s3_bucket))
        yield files
        await files.close()


def test_it_has_every_capability(provider: BedrockFiles) -> None:
    assert isinstance(provider, CopiesObjects)
    assert isinstance(provider, KeepsRetention)
    assert isinstance(provider, ServesDirectly)


async def test_an_object_as_others_see_it(provider: BedrockFiles, s3_client: Any, s3_bucket: str) -> None:
    key = new_file_id()
    name = "Ünïcödé 报告 100%.jsonl"
    blob = await store(provider, TEXT, key=key, filename=name, purpose="batch", content_type="application/jsonl")
    assert BATCH_URI.fullmatch(blob.ref)
    path = blob.ref.removeprefix(f"s3://{s3_bucket}/")
    assert path.startswith(f"mediagate/{key}/")
    head = s3_client.head_object(Bucket=s3_bucket, Key=path, ChecksumMode="ENABLED")
    assert head["ContentType"] == "application/jsonl"
    assert head["Metadata"]["mediagate-key"] == key
    assert head["Metadata"]["purpose"] == "batch"
    assert head["Metadata"]["filename"].isascii()
    assert "ChecksumCRC32" in head
    found = await provider.get(blob.ref)
    assert (found.filename, found.purpose, found.content_type) == (name, "batch", "application/jsonl")
    assert (await provider.get(blob.ref.replace("s3://", "bedrock://"))).key == key


@pytest.mark.parametrize(
    "filename", ["..", "/../../etc/passwd", "a/b\\c", "x" * 5000, "报" * 2000 + ".pdf", ". ", "\r\n"]
)
async def test_hostile_names_stay_inside_their_place(provider: BedrockFiles, s3_bucket: str, filename: str) -> None:
    key = new_file_id()
    blob = await store(provider, b"1", key=key, filename=filename)
    assert BATCH_URI.fullmatch(blob.ref)
    tail = blob.ref.removeprefix(f"s3://{s3_bucket}/mediagate/{key}/")
    assert "/" not in tail
    assert tail.strip(".")
    assert len(tail) <= 120
    assert (await provider.get(blob.ref)).key == key
    assert await read(await provider.open(blob.ref)) == b"1"


async def test_objects_of_others_can_be_read_and_deleted(
    provider: BedrockFiles, s3_client: Any, s3_bucket: str
) -> None:
    s3_client.put_object(Bucket=s3_bucket, Key="outputs/run 1/ü+&.txt", Body=b"theirs", ContentType="text/plain")
    ref = f"s3://{s3_bucket}/outputs/run 1/ü+&.txt"
    found = await provider.get(ref)
    assert (found.filename, found.key, found.purpose, found.content_type) == ("ü+&.txt", None, "", "text/plain")
    assert await read(await provider.open(ref)) == b"theirs"
    assert await keys_of(provider) == set()
    assert (await provider.list(ListQuery(limit=10))).items == ()
    await provider.delete(ref)
    with pytest.raises(FileNotFoundError):
        await provider.get(ref)


@pytest.mark.parametrize("ref", ["file-abc", "gs://bucket/key", "s3://", "s3://bucket", "s3://bucket/", "/etc/passwd"])
async def test_what_is_no_uri_of_s3_is_absent(provider: BedrockFiles, ref: str) -> None:
    for call in (provider.get, provider.open):
        with pytest.raises(FileNotFoundError):
            await call(ref)
    await provider.delete(ref)


async def test_a_large_upload_carries_the_checksum_of_the_whole(
    provider: BedrockFiles, s3_client: Any, s3_bucket: str
) -> None:
    data = os.urandom(20 * MIB + 1)
    blob = await store(provider, data, chunk=3 * MIB + 7)
    head = s3_client.head_object(
        Bucket=s3_bucket, Key=blob.ref.removeprefix(f"s3://{s3_bucket}/"), ChecksumMode="ENABLED"
    )
    assert head["ChecksumType"] == "FULL_OBJECT"
    assert head["ETag"].endswith('-3"')


async def test_the_first_part_leaves_while_the_rest_is_still_to_come(
    provider: BedrockFiles, s3_client: Any, s3_bucket: str
) -> None:
    writer = await provider.create(NewFile(key=new_file_id(), filename="early.bin"))
    await writer.write(b"0" * (8 * MIB))
    await part_arrived(s3_client, s3_bucket)
    await writer.abort()
    assert not s3_client.list_multipart_uploads(Bucket=s3_bucket).get("Uploads")


async def test_what_a_writer_that_died_left_is_found_and_removed(
    provider: BedrockFiles, s3_client: Any, s3_bucket: str
) -> None:
    key = new_file_id()
    writer = await provider.create(NewFile(key=key, filename="dead.bin"))
    await writer.write(os.urandom(9 * MIB))
    await part_arrived(s3_client, s3_bucket)
    assert key in await keys_of(provider)
    assert len(s3_client.list_multipart_uploads(Bucket=s3_bucket)["Uploads"]) == 1
    await provider.discard(key)
    assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=s3_bucket)
    with pytest.raises((MediagateError, FileNotFoundError)):
        await writer.commit()
    await writer.abort()
    assert key not in await keys_of(provider)


@pytest.mark.parametrize("after_s", [0.0, 0.005, 0.02, 0.05])
async def test_a_cancelled_write_leaves_nothing(
    provider: BedrockFiles, s3_client: Any, s3_bucket: str, after_s: float
) -> None:
    key = new_file_id()
    writer = await provider.create(NewFile(key=key, filename="cancelled.bin"))

    async def upload() -> None:
        await writer.write(b"0" * (17 * MIB))
        await writer.commit()

    task = asyncio.ensure_future(upload())
    await asyncio.sleep(after_s)
    task.cancel()
    await asyncio.wait([task])
    await writer.abort()
    assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=s3_bucket)
    assert "Contents" not in s3_client.list_objects_v2(Bucket=s3_bucket)


async def test_a_list_by_purpose(provider: BedrockFiles) -> None:
    refs = [(await store(provider, TEXT, purpose=purpose)).ref for purpose in ["batch", "user_data"] * 6]
    for ascending in (True, False):
        wanted = refs[::2] if ascending else refs[::2][::-1]
        first = await provider.list(ListQuery(limit=4, purpose="batch", ascending=ascending))
        assert [file.ref for file in first.items] == wanted[:4]
        assert first.has_more
        assert {file.purpose for file in first.items} == {"batch"}
        rest = await provider.list(ListQuery(limit=4, purpose="batch", ascending=ascending, after=first.items[-1].ref))
        assert [file.ref for file in rest.items] == wanted[4:]
        assert not rest.has_more


async def test_more_than_one_page_of_s3(provider: BedrockFiles, s3_client: Any, s3_bucket: str) -> None:
    keys = sorted(new_file_id() for _ in range(103))
    await asyncio.gather(
        *(asyncio.to_thread(s3_client.put_object, Bucket=s3_bucket, Key=f"mediagate/{key}/a", Body=b"") for key in keys)
    )
    assert await keys_of(provider) == set(keys)
    everything = await provider.list(ListQuery(limit=10_000, ascending=True))
    assert [file.key for file in everything.items] == keys
    newest = await provider.list(ListQuery(limit=2))
    assert [file.key for file in newest.items] == keys[:-3:-1]
    assert newest.has_more


async def test_a_scan_keeps_to_its_time(provider: BedrockFiles) -> None:
    key = new_file_id()
    blob = await store(provider, b"1", key=key)
    moment = (await provider.get(blob.ref)).created_at
    assert moment is not None
    assert [file.key async for file in provider.scan(since=moment)] == [key]
    assert [file.key async for file in provider.scan(before=moment)] == []


@pytest.mark.parametrize("option", ["kms_key_id", "s3_encryption_key_id"])
async def test_a_kms_key_is_asked_for(moto_url: str, s3_client: Any, s3_bucket: str, option: str) -> None:
    files = BedrockFiles(
        settings_of(account(moto_url, s3_bucket, **{option: "alias/files"})),
        copy_limits=CopyLimits(single_bytes_max=6 * MIB, part_bytes=5 * MIB),
    )
    source = await store(files, b"1")
    copied = await files.copy(source.ref, NewFile(key=new_file_id()), no_progress)
    large = await store(files, b"0" * (9 * MIB))
    copied_in_parts = await files.copy(large.ref, NewFile(key=new_file_id()), no_progress)
    for blob in (source, copied, large, copied_in_parts):
        head = s3_client.head_object(Bucket=s3_bucket, Key=blob.ref.removeprefix(f"s3://{s3_bucket}/"))
        assert head["ServerSideEncryption"] == "aws:kms"
        assert head["SSEKMSKeyId"] == "alias/files"
    await files.close()


class TestCopies:
    """Copies that S3 makes by itself: 6 MiB at most in one request, else in parts of 5 MiB."""

    @pytest.mark.parametrize("size_bytes", [0, 1, 6 * MIB, 6 * MIB + 1, 16 * MIB + 3])
    async def test_a_copy_has_the_same_bytes_and_our_metadata(
        self, provider: BedrockFiles, s3_client: Any, s3_bucket: str, size_bytes: int
    ) -> None:
        data = os.urandom(size_bytes)
        s3_client.put_object(Bucket=s3_bucket, Key="in put/ä+?.bin", Body=data, Metadata={"secret": "theirs"})
        key, told = new_file_id(), []

        async def progress(done: int) -> None:
            told.append(done)

        new = NewFile(key=key, filename="copy.bin", purpose="batch", content_type="application/x-test")
        blob = await provider.copy(f"bedrock://{s3_bucket}/in put/ä+?.bin", new, progress)
        assert blob.size_bytes == size_bytes
        assert await read(await provider.open(blob.ref)) == data
        found = await provider.get(blob.ref)
        assert (found.key, found.filename, found.purpose) == (key, "copy.bin", "batch")
        assert found.content_type == "application/x-test"
        head = s3_client.head_object(Bucket=s3_bucket, Key=blob.ref.removeprefix(f"s3://{s3_bucket}/"))
        assert "secret" not in head["Metadata"]
        assert told == sorted(told)
        assert told[-1] == size_bytes
        assert len(told) == (1 if size_bytes <= 6 * MIB else -(-size_bytes // (5 * MIB)))

    async def test_a_missing_source(self, provider: BedrockFiles, s3_bucket: str) -> None:
        for uri in (f"s3://{s3_bucket}/missing", "s3://no-such-bucket-here/x"):
            with pytest.raises(FileNotFoundError):
                await provider.copy(uri, NewFile(key=new_file_id()), no_progress)

    @pytest.mark.parametrize("size_bytes", [1, 11 * MIB])
    async def test_a_copy_that_fails_leaves_nothing(
        self, provider: BedrockFiles, s3_client: Any, s3_bucket: str, size_bytes: int
    ) -> None:
        s3_client.put_object(Bucket=s3_bucket, Key="source", Body=b"0" * size_bytes)

        async def fail(_: int) -> None:
            raise ConnectionError("the row is gone")

        with pytest.raises(ConnectionError):
            await provider.copy(f"s3://{s3_bucket}/source", NewFile(key=new_file_id()), fail)
        assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=s3_bucket)
        assert [item["Key"] for item in s3_client.list_objects_v2(Bucket=s3_bucket)["Contents"]] == ["source"]

    async def test_a_cancelled_copy_leaves_nothing(
        self, provider: BedrockFiles, s3_client: Any, s3_bucket: str
    ) -> None:
        s3_client.put_object(Bucket=s3_bucket, Key="source", Body=b"0" * (11 * MIB))
        copying = asyncio.ensure_future(
            provider.copy(f"s3://{s3_bucket}/source", NewFile(key=new_file_id()), no_progress)
        )
        await asyncio.sleep(0.03)
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying
        assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=s3_bucket)
        assert [item["Key"] for item in s3_client.list_objects_v2(Bucket=s3_bucket)["Contents"]] == ["source"]

    def test_which_uris_it_may_try(self, provider: BedrockFiles) -> None:
        assert provider.copies("s3://bucket/key")
        assert provider.copies("bedrock://bucket/key")
        assert not provider.copies("gs://bucket/key")
        assert not provider.copies("file-abc")


class TestOrigin:
    """URLs that the edge fetches by itself."""

    async def test_get_head_and_range_without_any_credentials(self, provider: BedrockFiles) -> None:
        data = os.urandom(MIB)
        blob = await store(provider, data, filename="a b.bin")
        get = await provider.origin(blob.ref, method="GET")
        head = await provider.origin(blob.ref, method="HEAD")
        assert get.headers == {}
        async with httpx.AsyncClient() as http:
            assert (await http.get(get.url)).content == data
            part = await http.get(get.url, headers={"range": "bytes=5-9"})
            assert (part.status_code, part.content) == (206, data[5:10])
            assert part.headers["content-range"] == f"bytes 5-9/{len(data)}"
            answer = await http.head(head.url)
            assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(data)))

    async def test_the_signature_is_version_4_and_covers_the_method(
        self, provider: BedrockFiles, s3_bucket: str
    ) -> None:
        ref = f"s3://{s3_bucket}/mediagate/x"
        urls = [(await provider.origin(ref, method=method)).url for method in ("GET", "HEAD")]
        queries = [dict(httpx.URL(url).params) for url in urls]
        for query in queries:
            assert query["X-Amz-Algorithm"] == "AWS4-HMAC-SHA256"
            assert query["X-Amz-Credential"].startswith("AKIDTEST/")
            assert query["X-Amz-Credential"].endswith("/eu-central-1/s3/aws4_request")
            assert query["X-Amz-Expires"] == "3600"
            assert query["X-Amz-SignedHeaders"] == "host"
            assert "AWSAccessKeyId" not in query
        assert queries[0]["X-Amz-Signature"] != queries[1]["X-Amz-Signature"]

    async def test_no_url_outlives_the_session_that_signed_it(self, moto_url: str, s3_bucket: str) -> None:
        role = {"aws_role_name": "arn:aws:iam::123456789012:role/files", "aws_sts_endpoint": moto_url}
        files = BedrockFiles(settings_of(account(moto_url, s3_bucket, **role)))
        query = httpx.URL((await files.origin(f"s3://{s3_bucket}/x", method="GET")).url).params
        assert query["X-Amz-Security-Token"]
        assert 3000 < int(query["X-Amz-Expires"]) <= 3600
        assert (await store(files, b"with a role")).size_bytes == 11
        credentials = files._s3._session.get_credentials()
        credentials._expiry_time = datetime.now(UTC) + timedelta(minutes=20)
        shorter = httpx.URL((await files.origin(f"s3://{s3_bucket}/x", method="GET")).url).params
        assert 1100 < int(shorter["X-Amz-Expires"]) <= 1200
        await files.close()


class TestSlowReaders:
    """A reader that takes nothing holds neither a thread nor a connection."""

    async def test_they_hold_up_nobody_and_miss_nothing(self, moto_url: str, s3_bucket: str) -> None:
        files = build(account(moto_url, s3_bucket))
        data = os.urandom(20 * MIB)
        blob = await store(files, data)
        readers = [(await files.open(blob.ref)).read(0, len(data)) for _ in range(20)]
        begun = [bytearray(await anext(reader)) for reader in readers]
        await asyncio.sleep(2.5)
        async with asyncio.timeout(60):
            other = await store(files, data)
        assert other.size_bytes == len(data)
        async for chunk in readers[0]:
            begun[0] += chunk
        assert begun[0] == data
        for reader in readers[1:]:
            await reader.aclose()
        await files.delete(blob.ref)
        await files.delete(other.ref)
        await files.close()
