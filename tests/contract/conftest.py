"""Servers that file providers are tested against. Each starts once, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import free_port
from tests.doubles.aimock.server import aimock_server
from tests.doubles.gcs import gcs_emulator
from tests.doubles.openai_files import OpenAIFilesServer, openai_files
from tests.doubles.s3 import sdk


@pytest.fixture(scope="session")
def moto_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where moto plays S3 and STS."""
    port = free_port()
    command = [Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)]
    output = tmp_path_factory.mktemp("moto") / "out"
    # Short pages, so that a second one is not dear.
    environ = {**os.environ, "MOTO_ALLOW_NONEXISTENT_REGION": "true", "MOTO_S3_DEFAULT_MAX_KEYS": "100"}
    with output.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env=environ)
    try:
        _wait_ready(process, f"http://127.0.0.1:{port}/moto-api/")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def s3_client(moto_url: str) -> Any:
    """The SDK's own client: the oracle for what is in a bucket."""
    return sdk(moto_url)


@pytest.fixture
def s3_bucket(s3_client: Any) -> str:
    """An empty bucket."""
    name = f"b-{uuid.uuid4().hex}"
    s3_client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return name


@pytest.fixture(scope="session")
def gcs_url() -> Iterator[str]:
    """Where gcp-storage-emulator plays Google Cloud Storage, with the bucket `tests.doubles.gcs.BUCKET`."""
    with gcs_emulator(free_port()) as url:
        yield url


@pytest.fixture(scope="session")
def aimock_url() -> Iterator[str]:
    """Where aimock plays OpenAI."""
    with aimock_server() as url:
        yield url


@pytest.fixture
def openai_server() -> Iterator[OpenAIFilesServer]:
    """A recorder of OpenAI's Files API, new for every test."""
    with openai_files() as server:
        yield server


def _wait_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers at {url}")
