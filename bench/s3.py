"""A 1 GiB upload to one S3 target, against boto3's own `upload_fileobj` of the same bytes to the same server.

The server is moto, which keeps everything in memory: each round gets a fresh one. It is the slow side of every upload.
"""

from __future__ import annotations

import asyncio
import io
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import boto3

from bench.harness import GIB, KEY, MIB, PeakMemory, free_port, gateway, report
from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.files import NewFile
from mediagate.providers.registry import build_files

ROUNDS = 3
BUCKET = "bench"
KEYS = {"aws_access_key_id": "AKIDBENCH", "aws_secret_access_key": "secret", "aws_region_name": "us-east-1"}
BOUNDARY = "0d9b7a1f6c2e4583b1a09f7e6d5c4b3a"
CHUNK = os.urandom(MIB)
FIRST_BYTE_UPLOAD = 256 * MIB


class Source(io.RawIOBase):
    """So many bytes, made while they are read."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        taken = self._left if size < 0 else min(size, self._left)
        self._left -= taken
        return (CHUNK * (taken // MIB + 1))[:taken]


@contextmanager
def moto() -> Iterator[str]:
    """A fresh S3 with an empty bucket."""
    port = free_port()
    command = [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{url}/moto-api/", timeout=5).close()
                break
            except OSError:
                time.sleep(0.1)
        client_of(url).create_bucket(Bucket=BUCKET)
        yield url
    finally:
        process.kill()
        process.wait()


def client_of(url: str) -> Any:
    """boto3's client with boto3's defaults."""
    return boto3.client(
        "s3",
        endpoint_url=url,
        region_name=KEYS["aws_region_name"],
        aws_access_key_id=KEYS["aws_access_key_id"],
        aws_secret_access_key=KEYS["aws_secret_access_key"],
    )


def empty(url: str) -> None:
    """Remove every object, so that the server has its memory back."""
    client = client_of(url)
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])


def sdk_upload(url: str, size: int) -> float:
    """boto3's upload; MB/s."""
    client = client_of(url)
    began = time.perf_counter()
    client.upload_fileobj(Source(size), BUCKET, "sdk")
    return size / MIB / (time.perf_counter() - began)


def provider_upload(url: str, size: int) -> float:
    """Ours without the gateway; MB/s."""

    async def upload() -> float:
        files = build_files(Account("bench", "bedrock", bucket_name=BUCKET, options={**KEYS, "s3_endpoint_url": url}))
        writer = await files.create(NewFile(key=new_file_id(), filename="provider.bin"))
        began = time.perf_counter()
        for _ in range(size // MIB):
            await writer.write(CHUNK)
        blob = await writer.commit()
        spent = time.perf_counter() - began
        assert blob.size_bytes == size
        await files.close()
        return size / MIB / spent

    return asyncio.run(upload())


def gateway_upload(port: int, size: int, sent: Callable[[int], None] = lambda _: None) -> float:
    """A form with one file for the provider `bedrock`; MB/s. `sent` is told the bytes that the kernel has taken."""
    opening = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--{BOUNDARY}\r\n'
        'Content-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    ).encode()
    closing = f"\r\n--{BOUNDARY}--\r\n".encode()
    head = (
        f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close\r\n"
        f"custom-llm-provider: bedrock\r\ncontent-type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"content-length: {len(opening) + size + len(closing)}\r\n\r\n"
    ).encode()
    began = time.perf_counter()
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head + opening)
        for number in range(size // MIB):
            connection.sendall(CHUNK)
            sent((number + 1) * MIB)
        connection.sendall(closing)
        answer = b""
        while data := connection.recv(1 << 16):
            answer += data
    spent = time.perf_counter() - began
    assert answer.startswith(b"HTTP/1.1 200"), answer[:500]
    return size / MIB / spent


class Watcher:
    """Passes connections on to the server and notes when the first part of an upload begins to come."""

    def __init__(self, url: str) -> None:
        self._target = int(url.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.on_put: Callable[[], None] = lambda: None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection(("127.0.0.1", self._target))
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, watched: bool) -> None:
        method, body = b"", False
        with suppress(OSError):
            while data := source.recv(1 << 18):
                if watched and data.split(b" ", 1)[0] in (b"PUT", b"POST", b"HEAD", b"GET", b"DELETE"):
                    method, body = data[:3], len(data.partition(b"\r\n\r\n")[2]) > 0
                elif watched:
                    body = True
                if watched and method == b"PUT" and body:
                    self.on_put()
                sink.sendall(data)
        for side in (source, sink):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)


def config_of(url: str) -> dict[str, Any]:
    """A gateway with this S3 as its only account."""
    account = {"custom_llm_provider": "bedrock", "bucket_name": BUCKET, "s3_endpoint_url": url, **KEYS}
    return {"files_settings": [account]}


def first_byte_share() -> float:
    """How much of the file the client had sent when S3 saw the file's first byte."""
    sent = seen = 0

    def progress(done: int) -> None:
        nonlocal sent
        sent = done

    def note() -> None:
        nonlocal seen
        seen = seen or sent

    with moto() as url:
        watcher = Watcher(url)
        with gateway(config_of(watcher.url)) as running:
            gateway_upload(running.port, 16 * MIB)
            watcher.on_put = note
            gateway_upload(running.port, FIRST_BYTE_UPLOAD, progress)
    return seen / FIRST_BYTE_UPLOAD


def main() -> None:
    rounds, growths = [], []
    for _ in range(ROUNDS):
        with moto() as url, gateway(config_of(url)) as running:
            gateway_upload(running.port, 64 * MIB)
            empty(url)
            sdk = sdk_upload(url, GIB)
            empty(url)
            provider = provider_upload(url, GIB)
            empty(url)
            with PeakMemory(running.api_pids()) as memory:
                through = gateway_upload(running.port, GIB)
        growths.append(memory.growth)
        rounds.append({"sdk_mb_per_s": sdk, "provider_mb_per_s": provider, "gateway_mb_per_s": through})
        print({name: round(value, 1) for name, value in rounds[-1].items()}, f"growth {memory.growth / MIB:.0f} MiB")
    ratio = statistics.median(each["gateway_mb_per_s"] / each["sdk_mb_per_s"] for each in rounds)
    alone = statistics.median(each["provider_mb_per_s"] / each["sdk_mb_per_s"] for each in rounds)
    print(f"the provider without the gateway: {alone:.2f} of boto3's upload_fileobj")
    report(
        "s3",
        {
            "rounds": [{name: round(value, 1) for name, value in each.items()} for each in rounds],
            "provider_alone_ratio": round(alone, 3),
            "growth_mib": [round(growth / MIB, 1) for growth in growths],
        },
        {
            "1 GiB to S3 against boto3's upload_fileobj": (ratio, ">=", 0.6),
            "growth of the server's peak memory, MiB": (max(growths) / MIB, "<", 64),
            "sent when S3 sees the first byte, %": (first_byte_share() * 100, "<", 10),
        },
    )


if __name__ == "__main__":
    main()
