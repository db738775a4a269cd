"""S3 as tests need it: scripted, in front of moto, and as the SDK's own client sees it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from aiohttp import web
from botocore.session import Session

from mediagate.providers.account import Account
from mediagate.providers.bedrock.files import BedrockFiles, build
from tests.doubles.serving import end

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
BATCH_URI = re.compile(r"s3://[a-z0-9.-]{3,63}/[-!_*'().a-z0-9A-Z/]+")
SECRET = "10.0.0.7 knows AKIASECRET"


def account(url: str, bucket: str, **options: Any) -> Account:
    """An account whose S3 is at `url`."""
    keys = {"aws_access_key_id": "AKIDTEST", "aws_secret_access_key": "secret", "aws_region_name": "eu-central-1"}
    top = {name: options.pop(name) for name in ("prefix", "retention_days", "environ", "api_key") if name in options}
    return Account("s3-1", "bedrock", bucket_name=bucket, options={**keys, "s3_endpoint_url": url, **options}, **top)


def sdk(url: str) -> Any:
    """The SDK's own client: the oracle for what is in the bucket."""
    session = Session()
    session.set_credentials("AKIDTEST", "secret")
    return session.create_client("s3", region_name="eu-central-1", endpoint_url=url)


async def no_progress(_: int) -> None:
    """Nobody watches."""


async def part_arrived(client: Any, bucket: str) -> None:
    """Wait until S3 has a part of the only upload in the bucket."""
    for _ in range(200):
        for upload in client.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
            if client.list_parts(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"]).get("Parts"):
                return
        await asyncio.sleep(0.05)
    raise AssertionError("S3 has not seen a part")


def refusal(status: int, code: str, **headers: str) -> web.Response:
    """S3's XML."""
    body = f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>{SECRET}</Message></Error>'
    return web.Response(status=status, text=body, content_type="application/xml", headers=headers)


@asynccontextmanager
async def s3(handler: Handler, **options: Any) -> AsyncIterator[tuple[BedrockFiles, list[str]]]:
    """An account whose S3 is `handler`, and the requests that came: `METHOD path?query`."""
    seen: list[str] = []

    async def recorded(request: web.Request) -> web.StreamResponse:
        seen.append(f"{request.method} {request.path_qs}")
        if request.headers.get("expect"):
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return await handler(request)

    server = web.Server(recorded)  # type: ignore[arg-type]
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    files = build(account(f"http://127.0.0.1:{port}", "bucket", **options))
    try:
        yield files, seen
    finally:
        await files.close()
        await end(runner)


def refusal_of(status: int, code: str) -> Handler:
    """Refuse whatever comes."""

    async def handler(_: web.Request) -> web.StreamResponse:
        return refusal(status, code)

    return handler


class Parts:
    """An S3 that takes one upload in parts and checks each; what it does wrong is chosen."""

    def __init__(
        self,
        *,
        fail_first: int = 0,
        crc: int | None = None,
        knows_checksums: bool = True,
        told_bytes: int = 0,
        part: Handler | None = None,
        complete: Handler | None = None,
    ) -> None:
        self._fail_first = fail_first
        self._crc = crc
        self._knows_checksums = knows_checksums
        self._told_bytes = told_bytes
        self._part = part
        self._complete = complete
        self._bodies: dict[int, bytes] = {}
        self.attempts: dict[int, int] = {}
        self.path = ""

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        body = await drained(request)
        self.path = request.path
        if request.method == "POST" and "uploads" in request.query:
            more = {"x-amz-checksum-type": "FULL_OBJECT"} if self._knows_checksums else {}
            return xml("<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>", more)
        if request.method == "PUT":
            return await self._take(request, body)
        if request.method == "POST":
            return await self._end(request)
        if request.method == "HEAD":
            head = {"etag": '"1-2"', "last-modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
            return web.Response(headers={**head, "content-length": str(self._told_bytes)})
        return web.Response(status=204) if request.method == "DELETE" else refusal(404, "NoSuchUpload")

    async def _take(self, request: web.Request, body: bytes) -> web.StreamResponse:
        number = int(request.query["partNumber"])
        self.attempts[number] = self.attempts.get(number, 0) + 1
        if self._part is not None:
            return await self._part(request)
        if number == 1 and self.attempts[number] <= self._fail_first:
            return refusal(500, "InternalError")
        assert request.headers["x-amz-checksum-crc32"] == crc_text(zlib.crc32(body))
        self._bodies[number] = body
        return web.Response(headers={"etag": f'"{number}"'})

    async def _end(self, request: web.Request) -> web.StreamResponse:
        if self._complete is not None:
            return await self._complete(request)
        whole = zlib.crc32(b"".join(self._bodies[number] for number in sorted(self._bodies)))
        crc = ""
        if self._knows_checksums:
            assert request.headers["x-amz-checksum-crc32"] == crc_text(whole)
            assert request.headers["x-amz-mp-object-size"] == str(sum(map(len, self._bodies.values())))
            crc = f"<ChecksumCRC32>{crc_text(whole if self._crc is None else self._crc)}</ChecksumCRC32>"
        return xml(
            f'<CompleteMultipartUploadResult><ETag>"1-2"</ETag>{crc}</CompleteMultipartUploadResult>',
        )


async def drained(request: web.Request) -> bytes:
    return b"".join([chunk async for chunk in request.content.iter_any()])


def xml(body: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(text=body, content_type="application/xml", headers=headers)


def crc_text(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


class Damaging:
    """Stands in front of moto and changes a bit of the last byte of so many bodies. With `checks` it is S3 as it really
    is: it compares the bytes with what the request says of them, which moto does not."""

    def __init__(self, url: str, *, damage: int, checks: bool) -> None:
        self._url = url
        self._damage = damage
        self._checks = checks
        self.refused = 0

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        body = await drained(request)
        if request.method == "PUT" and self._damage:
            self._damage -= 1
            body = body[:-1] + bytes([body[-1] ^ 1])
        if request.method == "PUT" and self._checks and not _fits(request, body):
            self.refused += 1
            return refusal(400, "BadDigest")
        dropped = ("host", "expect", "content-length", "transfer-encoding")
        async with httpx.AsyncClient() as http:
            answer = await http.request(
                request.method,
                f"{self._url}{request.raw_path}",
                content=body,
                headers={name: value for name, value in request.headers.items() if name.lower() not in dropped},
            )
        kept = ["etag", "x-amz-checksum-crc32", "x-amz-checksum-type", "content-type", "last-modified"]
        kept += ["content-length"] if request.method == "HEAD" else []
        headers = {name: answer.headers[name] for name in kept if name in answer.headers}
        body_back = None if request.method == "HEAD" else answer.content
        return web.Response(status=answer.status_code, body=body_back, headers=headers)


def _fits(request: web.Request, body: bytes) -> bool:
    return (
        request.headers["x-amz-checksum-crc32"] == crc_text(zlib.crc32(body))
        and request.headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
    )


class Shelf:
    """An S3 with one object, whose bodies break off after some bytes."""

    def __init__(self, data: bytes, breaks: list[int]) -> None:
        self._data = data
        self._breaks = breaks
        self.ranges: list[str] = []
        self.guards: set[str] = set()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        head = {"etag": '"v1"', "last-modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
        if request.method == "HEAD":
            return web.Response(headers={**head, "content-length": str(len(self._data))})
        wanted = request.headers["range"]
        self.ranges.append(wanted)
        self.guards.add(request.headers.get("if-match", ""))
        start, end = (int(number) for number in wanted.removeprefix("bytes=").split("-"))
        body = self._data[start : end + 1]
        answer = web.StreamResponse(
            status=206, headers={**head, "content-range": f"bytes {start}-{end}/{len(self._data)}"}
        )
        answer.content_length = len(body)
        await answer.prepare(request)
        if self._breaks:
            await answer.write(body[: self._breaks.pop(0)])
            assert request.transport is not None
            request.transport.abort()
            return answer
        await answer.write(body)
        return answer
