"""S3 that refuses, breaks off, and loses or changes bytes on their way."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping

import pytest
from aiohttp import web
from botocore import exceptions as sdk
from botocore.parsers import ResponseParserError

from mediagate.core.errors import (
    InvalidRequest,
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    ProviderTimeout,
    RateLimited,
    Unavailable,
    Unsupported,
)
from mediagate.core.ids import new_file_id
from mediagate.providers.bedrock.failures import failure
from mediagate.providers.bedrock.files import build
from mediagate.providers.files import FileProvider, ListQuery, NewFile
from mediagate.providers.http import ATTEMPTS_MAX
from tests.contract.fault_suite import FileFaultContract
from tests.contract.suite import MIB, read, store
from tests.doubles.s3 import (
    SECRET,
    Damaging,
    Parts,
    Shelf,
    account,
    crc_text,
    drained,
    refusal,
    refusal_of,
    s3,
)
from tests.doubles.s3 import (
    sdk as sdk_client,
)

PART = 8 * MIB


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)


class TestBedrockFaults(FileFaultContract):
    ref = "s3://bucket/mediagate/file-abc/a.bin"
    # A HEAD has no body that could be cut: what has no ETag is an answer that cannot be read, and not asked for again.
    faults_on_get = tuple(fault for fault in FileFaultContract.faults_on_create if fault != "truncated")

    async def build(self, url: str) -> FileProvider:
        return build(account(url, "bucket", timeout=0.5))

    def answers(self) -> Mapping[str, bytes]:
        head = (
            "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"
            f"content-length: {self.content_bytes}\r\n"
            'etag: "0123"\r\nlast-modified: Sat, 21 Nov 2026 10:00:00 GMT\r\n\r\n'
        )
        return {f"HEAD /bucket/{self.ref.removeprefix('s3://bucket/')}$": head.encode()}

    async def test_a_head_that_makes_no_sense_is_not_believed(self) -> None:
        async with self.faulty("truncated") as (provider, _):
            with pytest.raises(ProviderFailed) as failed:
                await provider.get(self.ref)
            assert failed.value.code == "provider_bad_answer"


CREDENTIALS = (ProviderRefused, "provider_credentials_refused", 1)
NOWHERE = (ProviderRefused, "provider_not_found", 1)


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", CREDENTIALS),
        (403, "InvalidAccessKeyId", CREDENTIALS),
        (403, "SignatureDoesNotMatch", CREDENTIALS),
        (403, "RequestTimeTooSkewed", CREDENTIALS),
        (400, "ExpiredToken", CREDENTIALS),
        (400, "InvalidToken", CREDENTIALS),
        (400, "KMS.DisabledException", CREDENTIALS),
        (404, "NoSuchBucket", NOWHERE),
        # The SDK asks for the bucket's region, once.
        (400, "IllegalLocationConstraintException", (*NOWHERE[:2], 2)),
        (503, "SlowDown", (RateLimited, "provider_rate_limited", ATTEMPTS_MAX)),
        (503, "ServiceUnavailable", (Unavailable, "provider_unavailable", ATTEMPTS_MAX)),
        (500, "InternalError", (ProviderFailed, "provider_failed", ATTEMPTS_MAX)),
        (400, "RequestTimeout", (ProviderTimeout, "provider_timeout", ATTEMPTS_MAX)),
        (409, "OperationAborted", (Unavailable, "provider_unavailable", ATTEMPTS_MAX)),
        (501, "NotImplemented", (Unsupported, "unsupported_by_provider", 1)),
    ],
)
async def test_each_refusal_of_s3(status: int, code: str, expected: tuple[type[MediagateError], str, int]) -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return refusal(status, code)

    async with s3(handler) as (files, seen):
        with pytest.raises(MediagateError) as failed:
            await files.list(ListQuery(limit=1))
    assert (type(failed.value), failed.value.code, len(seen)) == expected
    assert SECRET not in failed.value.message


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (sdk.EndpointConnectionError(endpoint_url="http://h"), Unavailable, "provider_unavailable"),
        (sdk.ConnectTimeoutError(endpoint_url="http://h"), Unavailable, "provider_unavailable"),
        (sdk.SSLError(endpoint_url="http://h", error="x"), Unavailable, "provider_unavailable"),
        (sdk.ProxyConnectionError(proxy_url="http://h"), Unavailable, "provider_unavailable"),
        (sdk.ReadTimeoutError(endpoint_url="http://h"), ProviderTimeout, "provider_timeout"),
        (sdk.ConnectionClosedError(endpoint_url="http://h"), ProviderFailed, "provider_connection_lost"),
        (sdk.ResponseStreamingError(error="x"), ProviderFailed, "provider_connection_lost"),
        (sdk.IncompleteReadError(actual_bytes=1, expected_bytes=2), ProviderFailed, "provider_connection_lost"),
        (sdk.NoCredentialsError(), ProviderRefused, "provider_credentials_refused"),
        (sdk.PartialCredentialsError(provider="x", cred_var="y"), ProviderRefused, "provider_credentials_refused"),
        (sdk.ProfileNotFound(profile="x"), ProviderRefused, "provider_credentials_refused"),
        (sdk.ParamValidationError(report="x"), ProviderRefused, "provider_not_found"),
        (ResponseParserError("x"), ProviderFailed, "provider_bad_answer"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_failure_of_the_sdk(error: Exception, kind: type[MediagateError], code: str) -> None:
    meant = failure(error)
    assert isinstance(meant, kind)
    assert meant.code == code
    assert "http://h" not in meant.message


async def test_a_bedrock_api_key_alone_is_named_in_the_refusal() -> None:
    async def handler(_: web.Request) -> web.StreamResponse:
        return refusal(403, "AccessDenied")

    found = {"AWS_ACCESS_KEY_ID": "AKIDCHAIN", "AWS_SECRET_ACCESS_KEY": "s"}
    options = {"aws_access_key_id": "", "aws_secret_access_key": "", "environ": {}, "api_key": "bedrock-api-key"}
    async with s3(handler, **{**options, "environ": found}) as (files, _):
        with pytest.raises(ProviderRefused, match="accept the gateway's credentials") as failed:
            await files.list(ListQuery(limit=1))
        assert "Bedrock API key opens no bucket" not in failed.value.message
    assert "Bedrock API key opens no bucket" in str(failure(sdk.NoCredentialsError(), only_bearer=True))


class TestCreate:
    """What is sent once, and what may be sent again."""

    @pytest.mark.parametrize(
        ("status", "code", "kind", "reason"),
        [
            (400, "BadDigest", ProviderFailed, "provider_checksum_mismatch"),
            (400, "XAmzContentSHA256Mismatch", ProviderFailed, "provider_checksum_mismatch"),
            (400, "EntityTooLarge", InvalidRequest, "provider_rejected_file"),
            (404, "NoSuchBucket", ProviderRefused, "provider_not_found"),
            (503, "SlowDown", RateLimited, "provider_rate_limited"),
        ],
    )
    @pytest.mark.parametrize("size_bytes", [10, PART], ids=["single", "parts"])
    async def test_a_create_is_sent_once(
        self, status: int, code: str, kind: type[MediagateError], reason: str, size_bytes: int
    ) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            await drained(request)
            return refusal(status, code)

        async with s3(handler) as (files, seen):
            writer = await files.create(NewFile(key=new_file_id()))
            with pytest.raises(kind) as failed:
                await writer.write(b"0" * size_bytes)
                await writer.commit()
            assert failed.value.code == reason
            assert len(seen) == 1

    async def test_a_part_is_sent_again(self) -> None:
        double = Parts(fail_first=2)
        async with s3(double) as (files, _):
            blob = await store(files, b"1" * (PART + 5))
            assert blob.size_bytes == PART + 5
        assert double.attempts == {1: 3, 2: 1}

    async def test_a_part_is_sent_three_times_at_most(self) -> None:
        double = Parts(fail_first=100)
        async with s3(double) as (files, seen):
            with pytest.raises(ProviderFailed):
                await store(files, b"1" * (PART + 5))
            assert double.attempts[1] == ATTEMPTS_MAX
            assert any(line.startswith("DELETE") and "uploadId" in line for line in seen)

    async def test_an_upload_that_was_removed_meanwhile_is_absent(self) -> None:
        double = Parts(part=refusal_of(404, "NoSuchUpload"))
        async with s3(double) as (files, _):
            with pytest.raises(FileNotFoundError):
                await store(files, b"1" * (PART + 5))

    async def test_a_completion_that_fails_behind_its_200_is_no_completion(self) -> None:
        double = Parts(complete=refusal_of(200, "InternalError"))
        async with s3(double) as (files, seen):
            with pytest.raises(ProviderFailed):
                await store(files, b"1" * (PART + 5))
            completions = [line for line in seen if line.startswith("POST") and "uploadId" in line]
            assert len(completions) == 1
            assert f"DELETE {double.path}" in seen

    async def test_another_checksum_of_the_whole_is_a_failure(self) -> None:
        double = Parts(crc=zlib.crc32(b"something else"))
        async with s3(double) as (files, seen):
            with pytest.raises(ProviderFailed) as failed:
                await store(files, b"1" * (PART + 5))
            assert failed.value.code == "provider_checksum_mismatch"
            assert f"DELETE {double.path}" in seen

    @pytest.mark.parametrize("told_bytes", [PART + 5, PART + 4])
    async def test_a_store_without_checksums_is_asked_for_the_size(self, told_bytes: int) -> None:
        double = Parts(knows_checksums=False, told_bytes=told_bytes)
        async with s3(double) as (files, seen):
            if told_bytes == PART + 5:
                assert (await store(files, b"1" * (PART + 5))).size_bytes == PART + 5
            else:
                with pytest.raises(ProviderFailed):
                    await store(files, b"1" * (PART + 5))
            assert sum(line.startswith("HEAD") for line in seen) == 1

    async def test_what_s3_tells_of_a_rule_is_when_the_file_ends(self) -> None:
        async def handler(request: web.Request) -> web.StreamResponse:
            await drained(request)
            crc = crc_text(zlib.crc32(b"x"))
            rule = 'expiry-date="Fri, 04 Dec 2026 00:00:00 GMT", rule-id="mediagate-retention:mediagate"'
            return web.Response(headers={"etag": '"1"', "x-amz-checksum-crc32": crc, "x-amz-expiration": rule})

        async with s3(handler) as (files, _):
            blob = await store(files, b"x")
        assert blob.expires_at is not None
        assert blob.expires_at.isoformat() == "2026-12-04T00:00:00+00:00"


@pytest.mark.parametrize(
    ("size_bytes", "damage", "checks", "arrives"),
    [(9, 1, True, False), (PART + 1, 2, True, True), (PART + 1, 9, True, False), (PART + 1, 1, False, False)],
    ids=["single", "parts sent again", "parts given up", "a store that compares only the whole"],
)
async def test_damage_on_the_way_never_becomes_an_object(
    moto_url: str, size_bytes: int, damage: int, checks: bool, arrives: bool
) -> None:
    oracle = sdk_client(moto_url)
    if "bucket" not in [found["Name"] for found in oracle.list_buckets()["Buckets"]]:
        oracle.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    double = Damaging(moto_url, damage=damage, checks=checks)
    data = os.urandom(size_bytes)
    async with s3(double) as (files, _):
        if arrives:
            blob = await store(files, data)
            key = blob.ref.removeprefix("s3://bucket/")
            assert oracle.get_object(Bucket="bucket", Key=key)["Body"].read() == data
            await files.delete(blob.ref)
        else:
            with pytest.raises(ProviderFailed) as failed:
                await store(files, data)
            assert failed.value.code == "provider_checksum_mismatch"
    assert (double.refused > 0) is checks
    assert "Contents" not in oracle.list_objects_v2(Bucket="bucket")
    assert "Uploads" not in oracle.list_multipart_uploads(Bucket="bucket")


class TestRead:
    """Bodies that break off, and objects that change."""

    async def test_a_broken_body_goes_on_where_it_broke(self) -> None:
        data = os.urandom(3000)
        shelf = Shelf(data, breaks=[1000, 500])
        async with s3(shelf) as (files, _):
            assert await read(await files.open("s3://bucket/a")) == data
        assert shelf.ranges == ["bytes=0-2999", "bytes=1000-2999", "bytes=1500-2999"]
        assert shelf.guards == {'"v1"'}

    async def test_a_range_is_asked_for_three_times_at_most(self) -> None:
        shelf = Shelf(os.urandom(9000), breaks=[1000] * 9)
        async with s3(shelf) as (files, _):
            with pytest.raises(ProviderFailed) as failed:
                await read(await files.open("s3://bucket/a"))
        assert failed.value.code == "provider_connection_lost"
        assert len(shelf.ranges) == ATTEMPTS_MAX

    @pytest.mark.parametrize(("status", "code"), [(412, "PreconditionFailed"), (404, "NoSuchKey")])
    async def test_an_object_that_changed_is_not_mixed(self, status: int, code: str) -> None:
        shelf = Shelf(b"x" * 100, breaks=[])

        async def handler(request: web.Request) -> web.StreamResponse:
            return await shelf(request) if request.method == "HEAD" else refusal(status, code)

        async with s3(handler) as (files, seen):
            with pytest.raises(OSError):  # noqa: PT011 (FileNotFoundError is one)
                await read(await files.open("s3://bucket/a"))
            assert len(seen) == 2

    async def test_a_store_that_ignores_ranges_is_not_believed(self) -> None:
        shelf = Shelf(b"x" * 100, breaks=[])

        async def handler(request: web.Request) -> web.StreamResponse:
            return await shelf(request) if request.method == "HEAD" else web.Response(body=b"x" * 100)

        async with s3(handler) as (files, _):
            with pytest.raises(OSError, match="ended"):
                await read(await files.open("s3://bucket/a"), 50, 60)

    async def test_an_archived_object_says_so(self) -> None:
        shelf = Shelf(b"x" * 100, breaks=[])

        async def handler(request: web.Request) -> web.StreamResponse:
            return await shelf(request) if request.method == "HEAD" else refusal(403, "InvalidObjectState")

        async with s3(handler) as (files, _):
            with pytest.raises(Unsupported, match="archive"):
                await read(await files.open("s3://bucket/a"))

    async def test_a_reader_that_leaves_asks_for_no_more(self) -> None:
        shelf = Shelf(os.urandom(30 * MIB), breaks=[])
        async with s3(shelf) as (files, _):
            content = await files.open("s3://bucket/a")
            reading = content.read(0, content.size_bytes)
            assert len(await anext(reading)) == MIB
            await reading.aclose()  # type: ignore[attr-defined]
        assert len(shelf.ranges) <= 2
