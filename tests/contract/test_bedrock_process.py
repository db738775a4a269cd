"""An upload in a process of its own: what it holds, and what is left when it is killed."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from mediagate.core.ids import new_file_id
from mediagate.providers.bedrock.client import TRANSFERS_MAX
from mediagate.providers.bedrock.files import build
from tests.contract.suite import MIB, keys_of, store
from tests.doubles.s3 import account, part_arrived, s3, xml

UPLOADER = """
import asyncio, json, resource, sys, threading
from mediagate.providers.account import Account
from mediagate.providers.files import NewFile
from mediagate.providers.registry import build_files

def resident():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) * 1024

async def main(url, s3_bucket, key, chunks):
    keys = {"aws_access_key_id": "AKIDTEST", "aws_secret_access_key": "s", "aws_region_name": "eu-central-1"}
    files = build_files(Account("a", "bedrock", bucket_name=s3_bucket, options={**keys, "s3_endpoint_url": url}))
    warm = await files.create(NewFile(key=key, filename="warm.bin"))
    await warm.write(b"x")
    await warm.commit()
    await warm.abort()
    before = resident()
    print("ready", flush=True)
    writer = await files.create(NewFile(key=key, filename="large.bin"))
    chunk, highest = bytes(1 << 20), before
    for _ in range(chunks):
        await writer.write(chunk)
        highest = max(highest, resident())
    await writer.commit()
    print(json.dumps({"growth": max(highest, resident()) - before}), flush=True)
    await files.close()

asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
"""


@asynccontextmanager
async def uploading(url: str, s3_bucket: str, key: str, mib: int) -> AsyncIterator[Process]:
    """A process that uploads so many MiB, behind its first word."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", UPLOADER, url, s3_bucket, key, str(mib), stdout=PIPE
    )
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGKILL)
        await process.wait()


class Sink:
    """An S3 that counts the bytes of parts and drops them."""

    def __init__(self) -> None:
        self.taken_bytes = 0
        self.at_once = 0
        self.at_once_max = 0

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.method == "POST" and "uploads" in request.query:
            more = {"x-amz-checksum-type": "FULL_OBJECT"}
            return xml("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", more)
        if request.method == "PUT":
            self.at_once += 1
            self.at_once_max = max(self.at_once_max, self.at_once)
            async for chunk in request.content.iter_any():
                self.taken_bytes += len(chunk)
            self.at_once -= 1
            return web.Response(
                headers={"etag": '"1"', "x-amz-checksum-crc32": request.headers["x-amz-checksum-crc32"]}
            )
        if request.method == "POST":
            crc = request.headers["x-amz-checksum-crc32"]
            return xml(
                f'<CompleteMultipartUploadResult><ETag>"1-2"</ETag><ChecksumCRC32>{crc}</ChecksumCRC32>'
                "</CompleteMultipartUploadResult>"
            )
        return web.Response(status=204) if request.method == "DELETE" else web.Response(status=404)


async def test_a_large_upload_holds_some_mebibytes() -> None:
    sink = Sink()
    async with s3(sink) as (files, _):
        url = str(files._settings.endpoint)
        async with uploading(url, "bucket", new_file_id(), 256) as process:
            assert process.stdout is not None
            told: dict[str, Any] = json.loads(await process.stdout.readline())
            assert await process.wait() == 0
    assert sink.taken_bytes == 256 * MIB + 1
    assert sink.at_once_max <= 4
    assert told["growth"] < 48 * MIB


async def test_many_uploads_share_the_parts_on_their_way() -> None:
    sink = Sink()
    async with s3(sink) as (files, _):
        blobs = await asyncio.gather(*(store(files, bytes(24 * MIB + 1)) for _ in range(7)))
        assert {blob.size_bytes for blob in blobs} == {24 * MIB + 1}
    assert sink.taken_bytes == 7 * (24 * MIB + 1)
    assert sink.at_once_max <= TRANSFERS_MAX


async def test_what_a_killed_process_left_is_found_and_removed(moto_url: str, s3_client: Any, s3_bucket: str) -> None:
    key = new_file_id()
    async with uploading(moto_url, s3_bucket, key, 10_000) as process:
        await part_arrived(s3_client, s3_bucket)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    files = build(account(moto_url, s3_bucket))
    assert key in await keys_of(files)
    await files.discard(key)
    assert key not in await keys_of(files)
    assert "Uploads" not in s3_client.list_multipart_uploads(Bucket=s3_bucket)
    assert "Contents" not in s3_client.list_objects_v2(Bucket=s3_bucket)
    await files.close()
