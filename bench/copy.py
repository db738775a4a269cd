"""A copy of 256 MiB from S3 to Google Cloud Storage by the gateway, against a download that an upload follows.

The download and the upload are made by the same providers, without a gateway. `POST /v1/files {"source": ...}` copies.
Both stores are real servers on this machine (moto, gcp-storage-emulator), each behind a link of its own that passes
`LINK_BYTES_PER_S` each way, as a cloud's does. Without the links the two servers compete for the same cores, and the
figure tells how many there are; it is printed too, without a bar.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import uvloop
from botocore.config import Config

from bench.harness import MIB, Gateway, PeakMemory, free_port, gateway, post_json, report, simple_get
from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.base import Content
from mediagate.providers.files import FileProvider, NewFile
from mediagate.providers.registry import build_files
from tests.doubles.gcs import BUCKET, gcs_emulator

SIZE = 256 * MIB
LINKED_ROUNDS, BARE_ROUNDS = 3, 1
LINK_BYTES_PER_S = 24 * MIB
KEYS = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
REGION = "us-east-1"


@dataclass
class Round:
    """Seconds, and bytes by which the gateway's server processes grew. `pipe_s` is a copy by the providers alone."""

    download_s: float
    upload_s: float
    pipe_s: float
    copy_s: float
    growth: int

    @property
    def ratio(self) -> float:
        """How many times faster the copy is."""
        return (self.download_s + self.upload_s) / self.copy_s


@contextmanager
def child(*command: str | Path) -> Iterator[None]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def wait_for(port: int) -> None:
    """Return once something answers there."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with contextlib.suppress(OSError, IndexError, ValueError):
            simple_get(port, "/", timeout_s=5)
            return
        time.sleep(0.05)
    raise TimeoutError(f"nothing answers at {port}")


@contextmanager
def s3_server() -> Iterator[str]:
    """moto with one bucket."""
    port = free_port()
    with child(Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)):
        wait_for(port)
        yield f"http://127.0.0.1:{port}"


@contextmanager
def link_to(url: str) -> Iterator[str]:
    """The same server behind a link."""
    port = free_port()
    with child(sys.executable, "-m", "bench.copy", "link", str(port), str(urlsplit(url).port)):
        wait_for(port)
        yield f"http://127.0.0.1:{port}"


class Link:
    """Passes bytes to another port on this machine, at a rate each way that all its connections share."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._there = Rate()
        self._back = Rate()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(self._pass(reader, back, self._there), self._pass(there, writer, self._back))

    async def _pass(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, rate: Rate) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(1 << 16):
                await rate.take(len(data))
                target.write(data)
                await target.drain()
        target.close()


class Rate:
    """So many bytes a second, in one direction."""

    def __init__(self) -> None:
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        """Wait until `count` bytes have passed."""
        now = time.monotonic()
        self._free_at = max(now, self._free_at) + count / LINK_BYTES_PER_S
        # A pause below this is not kept exactly; the next one makes up for it.
        if self._free_at - now > 0.005:
            await asyncio.sleep(self._free_at - now)


async def serve_link(port: int, target: int) -> None:
    """The link's own process."""
    server = await asyncio.start_server(Link(target).accept, "127.0.0.1", port, limit=1 << 17)
    await server.serve_forever()


def source_object(url: str) -> str:
    """An object of random bytes in S3."""
    client = boto3.client(
        "s3", endpoint_url=url, region_name=REGION, **KEYS, config=Config(retries={"max_attempts": 1})
    )
    client.create_bucket(Bucket="bench-source")
    with tempfile.TemporaryFile() as file:
        for _ in range(SIZE // MIB):
            file.write(os.urandom(MIB))
        file.seek(0)
        client.upload_fileobj(file, "bench-source", "some/video.mp4")
    return "s3://bench-source/some/video.mp4"


def stores(s3_url: str, gcs_url: str) -> tuple[FileProvider, FileProvider]:
    """The two accounts."""
    options = {**KEYS, "s3_endpoint_url": s3_url, "aws_region_name": REGION}
    return (
        build_files(Account("s3", "bedrock", bucket_name="bench-source", options=options)),
        build_files(Account("gcs", "vertex_ai", bucket_name=BUCKET, api_base=gcs_url)),
    )


async def put(target: FileProvider, pieces: AsyncIterator[bytes]) -> None:
    """Write an object."""
    writer = await target.create(NewFile(key=new_file_id(), filename="video.mp4", content_type="video/mp4"))
    async for piece in pieces:
        await writer.write(piece)
    blob = await writer.commit()
    assert blob.size_bytes == SIZE


async def of_file(path: Path) -> AsyncIterator[bytes]:
    """The pieces of a file."""
    with path.open("rb") as file:
        while piece := file.read(MIB):
            yield piece


async def download(content: Content, path: Path) -> None:
    """Save content on the disk."""
    with path.open("wb") as file:
        async for piece in content.read(0, content.size_bytes):
            file.write(piece)


async def one_round(s3: FileProvider, gcs: FileProvider, ref: str, folder: Path, running: Gateway) -> Round:
    """Download, upload, copy by the providers, then by the gateway."""
    began = time.perf_counter()
    await download(await s3.open(ref), folder / "video.mp4")
    downloaded = time.perf_counter()
    await put(gcs, of_file(folder / "video.mp4"))
    uploaded = time.perf_counter()
    content = await s3.open(ref)
    await put(gcs, content.read(0, content.size_bytes))
    piped = time.perf_counter()
    with PeakMemory(running.api_pids()) as memory:
        file = await asyncio.to_thread(copy, running, ref)
    assert file["bytes"] == SIZE, file
    spent = time.perf_counter() - piped
    found = Round(downloaded - began, uploaded - downloaded, piped - uploaded, spent, memory.growth)
    print(told(found), flush=True)
    return found


def copy(running: Gateway, ref: str) -> dict[str, Any]:
    """Have the gateway copy."""
    wish = {"source": ref, "purpose": "user_data", "custom_llm_provider": ["vertex_ai"]}
    return post_json(running.port, "/v1/files", wish)


async def rounds(s3_url: str, gcs_url: str, ref: str, running: Gateway, count: int) -> list[Round]:
    """Several rounds between the same servers."""
    s3, gcs = stores(s3_url, gcs_url)
    try:
        with tempfile.TemporaryDirectory() as folder:
            return [await one_round(s3, gcs, ref, Path(folder), running) for _ in range(count)]
    finally:
        await s3.close()
        await gcs.close()


def told(found: Round) -> dict[str, float]:
    """For the report."""
    return {
        "download_mb_per_s": round(SIZE / MIB / found.download_s, 1),
        "upload_mb_per_s": round(SIZE / MIB / found.upload_s, 1),
        "pipe_mb_per_s": round(SIZE / MIB / found.pipe_s, 1),
        "copy_mb_per_s": round(SIZE / MIB / found.copy_s, 1),
        "ratio": round(found.ratio, 2),
        "growth_mib": round(found.growth / MIB, 1),
    }


def measured(linked: bool) -> list[Round]:
    """Rounds between servers of their own."""
    with ExitStack() as stack:
        s3_url = stack.enter_context(s3_server())
        gcs_url = stack.enter_context(gcs_emulator(free_port()))
        ref = source_object(s3_url)
        if linked:
            s3_url, gcs_url = (stack.enter_context(link_to(url)) for url in (s3_url, gcs_url))
        running = stack.enter_context(gateway(config_of(s3_url, gcs_url)))
        return uvloop.run(rounds(s3_url, gcs_url, ref, running, LINKED_ROUNDS if linked else BARE_ROUNDS))


def config_of(s3_url: str, gcs_url: str) -> dict[str, Any]:
    """A gateway with both accounts."""
    s3 = {"custom_llm_provider": "bedrock", "bucket_name": "bench-source", "s3_endpoint_url": s3_url}
    return {
        "files_settings": [
            {**s3, **KEYS, "aws_region_name": REGION},
            {"custom_llm_provider": "vertex_ai", "bucket_name": BUCKET, "api_base": gcs_url},
        ],
        "copies": {"sources": ["s3://bench-source/"]},
    }


def main() -> None:
    linked, bare = measured(True), measured(False)
    links, none = [told(found) for found in linked], [told(found) for found in bare]
    report(
        "copy",
        {"link_mb_per_s": LINK_BYTES_PER_S / MIB, "behind_links": links, "without_links": none},
        {
            "S3 to GCS, against a download and an upload": (statistics.median(r.ratio for r in linked), ">=", 1.5),
            "growth of the server's peak memory, MiB": (max(r.growth for r in linked + bare) / MIB, "<", 96),
        },
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["link"]:
        uvloop.run(serve_link(int(sys.argv[2]), int(sys.argv[3])))
    else:
        main()
