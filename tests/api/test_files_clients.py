"""The official clients, unmodified, and curl: every call on files and models that they have."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.conftest import Gateway

MIB = 1 << 20
API_VERSION = "2024-10-21"


def of_openai(gateway: Gateway, path: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}{path}", api_key=gateway.key, max_retries=0)


def of_azure(gateway: Gateway, **options: Any) -> openai.AzureOpenAI:
    where: dict[str, Any] = {"azure_endpoint": gateway.url, "api_key": gateway.key, **options}
    return openai.AzureOpenAI(api_version=API_VERSION, max_retries=0, **where)


CLIENTS: dict[str, Callable[[Gateway], openai.OpenAI]] = {
    "openai": lambda gateway: of_openai(gateway, "/v1"),
    "openai without /v1": lambda gateway: of_openai(gateway, ""),
    "openai on azure's v1": lambda gateway: of_openai(gateway, "/openai/v1/"),
    "azure": of_azure,
    "azure with a deployment": lambda gateway: of_azure(gateway, azure_deployment="x"),
    "azure with a token": lambda gateway: of_azure(gateway, api_key=None, azure_ad_token=gateway.key),
    "azure v1": lambda gateway: openai.AzureOpenAI(
        base_url=f"{gateway.url}/openai/v1/", api_key=gateway.key, api_version="preview", max_retries=0
    ),
}


@pytest.fixture(params=CLIENTS)
def any_client(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[openai.OpenAI]:
    """One client after the other."""
    with CLIENTS[request.param](gateway) as client:
        yield client


def test_every_call_on_files(any_client: openai.OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "naïve “quoted” file.jsonl"
    path.write_bytes(b'{"a": 1}\n')
    files = any_client.files
    file = files.create(file=path, purpose="batch", expires_after={"anchor": "created_at", "seconds": 7200})
    assert (file.filename, file.bytes, file.object) == (path.name, 9, "file")
    assert file.expires_at == file.created_at + 7200
    assert type(file.bytes) is int
    assert file.status_details is None
    assert files.wait_for_processing(file.id, max_wait_seconds=5).status == "processed"
    assert files.retrieve(file.id) == file
    assert files.list(limit=1, order="desc", purpose="batch").data == [file]
    assert files.list(after=file.id, order="asc", purpose="batch").data == []
    assert files.content(file.id).text == '{"a": 1}\n'
    with pytest.warns(DeprecationWarning, match="content"):
        assert files.retrieve_content(file.id) == '{"a": 1}\n'
    target = tmp_path / "copy"
    files.content(file.id).write_to_file(target)
    assert target.read_bytes() == path.read_bytes()
    raw = files.with_raw_response.retrieve(file.id)
    assert raw.parse() == file
    assert raw.request_id
    deleted = files.delete(file.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (file.id, True, "file")
    with pytest.raises(openai.NotFoundError):
        files.delete(file.id)


def test_every_call_on_models(any_client: openai.OpenAI) -> None:
    models = {model.id: model for model in any_client.models.list()}
    assert {"local-video", "sora-2", "team/a:video"} <= set(models)
    assert any_client.models.retrieve("team/a:video") == models["team/a:video"]
    with pytest.raises(openai.NotFoundError):
        any_client.models.retrieve("none such")


@pytest.mark.parametrize(
    "given",
    [
        b"hello",
        ("name.bin", b"hello"),
        ("name.bin", b"hello", "application/x-anything"),
        ("name.bin", b"hello", "text/html", {"X-Header": "1"}),
    ],
)
def test_every_form_of_a_file(client: openai.OpenAI, given: openai.types.FileObject) -> None:
    file = client.files.create(file=given, purpose="user_data")  # type: ignore[arg-type]
    assert client.files.content(file.id).content == b"hello"
    assert file.filename == ("upload" if isinstance(given, bytes) else "name.bin")


def test_members_that_only_others_know_are_taken(client: openai.OpenAI) -> None:
    file = client.files.create(
        file=b"x",
        purpose="user_data",
        extra_body={"target_storage": "s3", "flags": [True, 1.5], "meta": {"k": {"z": "1"}}},
        extra_query={"beta": "true"},
        extra_headers={"x-anything": "1", "idempotency-key": "abc", "openai-organization": "org"},
    )
    assert client.files.retrieve(file.id, extra_query={"x": "1"}).id == file.id


class Unrewindable(io.RawIOBase):
    """Bytes that can be read once, of a length that nobody knows."""

    def __init__(self, data: bytes) -> None:
        self._left = data

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        taken, self._left = self._left[: len(target)], self._left[len(target) :]
        target[: len(taken)] = taken
        return len(taken)


def test_a_stream_that_cannot_be_rewound(client: openai.OpenAI) -> None:
    data = os.urandom(200_000)
    file = client.files.create(file=("stream.bin", Unrewindable(data)), purpose="user_data")
    assert client.files.content(file.id).content == data


def big_file(path: Path, size_mib: int) -> str:
    """Write bytes of which no two blocks are alike; returns their SHA-256."""
    block = os.urandom(MIB)
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for number in range(size_mib):
            data = number.to_bytes(8, "big") + block[8:]
            digest.update(data)
            file.write(data)
    return digest.hexdigest()


def test_three_hundred_megabytes_go_in_and_come_back(client: openai.OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    sent = big_file(path, 300)
    file = client.files.create(file=path, purpose="user_data")
    assert file.bytes == 300 * MIB
    assert (file.model_extra or {})["mediagate"]["sha256"] == sent
    digest = hashlib.sha256()
    with client.files.with_streaming_response.content(file.id) as response:
        assert response.headers["content-length"] == str(300 * MIB)
        for chunk in response.iter_bytes(MIB):
            digest.update(chunk)
    assert digest.hexdigest() == sent
    assert client.files.delete(file.id).deleted


async def test_the_asynchronous_client(gateway: Gateway) -> None:
    async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as client:

        async def round_trip(number: int) -> None:
            data = os.urandom(100_000 + number)
            file = await client.files.create(file=(f"{number}.bin", data), purpose="user_data")
            assert (await client.files.content(file.id)).content == data
            async with client.files.with_streaming_response.content(file.id) as response:
                assert b"".join([chunk async for chunk in response.iter_bytes(999)]) == data
            assert (await client.files.wait_for_processing(file.id)).id == file.id
            assert (await client.files.delete(file.id)).deleted

        await asyncio.gather(*(round_trip(number) for number in range(16)))
        walked = [file.id async for file in client.files.list(limit=5)]
        assert len(walked) == len(set(walked))
        with pytest.raises(openai.NotFoundError):
            await client.files.retrieve("file-none")


def test_forty_at_once_do_not_mix(client: openai.OpenAI) -> None:
    async def run() -> None:
        limits = httpx.Limits(max_connections=40)
        async with httpx.AsyncClient(limits=limits, timeout=60) as http:
            url, headers = str(client.base_url), {"authorization": f"Bearer {client.api_key}"}

            async def one(number: int) -> None:
                data = bytes([number]) * (50_000 + number)
                form = {"file": (f"{number}.bin", data)}
                made = await http.post(f"{url}files", headers=headers, data={"purpose": "user_data"}, files=form)
                got = await http.get(f"{url}files/{made.json()['id']}/content", headers=headers)
                assert got.content == data
                assert made.json()["filename"] == f"{number}.bin"

            await asyncio.gather(*(one(number) for number in range(40)))

    # In a thread: the event loop of the session must stay this thread's own.
    with ThreadPoolExecutor(1) as elsewhere:
        elsewhere.submit(asyncio.run, run()).result()


@pytest.fixture
def curl(gateway: Gateway) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs curl with the master key; fails where curl does."""

    def run(*arguments: str, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        key = f"Authorization: Bearer {gateway.key}"
        return subprocess.run(
            ["curl", "--silent", "--show-error", "--max-time", "30", "-H", key, *arguments],
            input=data,
            capture_output=True,
            check=True,
        )

    return run


def test_curl(gateway: Gateway, curl: Callable[..., subprocess.CompletedProcess[bytes]], tmp_path: Path) -> None:
    source = tmp_path / "täst.bin"
    source.write_bytes(os.urandom(2 * MIB))
    url = f"{gateway.url}/v1/files"
    form = ["-F", "purpose=user_data", "-F", f"file=@{source}", "-F", "expires_after[anchor]=created_at"]
    for protocol in ("--http1.1", "--http2-prior-knowledge"):
        for expect in ("Expect: 100-continue", "Expect:"):
            made = curl(protocol, "-H", expect, url, *form, "-F", "expires_after[seconds]=3600")
            file = json.loads(made.stdout)
            assert (file["bytes"], file["filename"]) == (2 * MIB, "täst.bin")
        one = f"{url}/{file['id']}"
        assert curl(protocol, f"{one}/content").stdout == source.read_bytes()
        assert curl(protocol, "-r", "5-9", f"{one}/content").stdout == source.read_bytes()[5:10]
        head = curl(protocol, "-I", f"{one}/content").stdout.decode().lower()
        assert f"content-length: {2 * MIB}" in head
        etag = curl(protocol, "-o", "/dev/null", "-w", "%header{etag}", f"{one}/content").stdout.decode()
        status = ["-o", "/dev/null", "-w", "%{http_code}"]
        assert curl(protocol, *status, "-H", f"If-None-Match: {etag}", f"{one}/content").stdout == b"304"
        assert curl(protocol, *status, "-I", "-H", f"If-None-Match: {etag}", f"{one}/content").stdout == b"304"
        assert curl(protocol, *status, "-r", "9999999-", f"{one}/content").stdout == b"416"
        assert curl(protocol, *status, "-I", f"{url}/file-none/content").stdout == b"404"
        assert json.loads(curl(protocol, "-X", "DELETE", one).stdout)["deleted"] is True


def test_curl_hears_an_early_refusal_while_it_sends(
    gateway: Gateway, curl: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    said = ["-X", "POST", "-H", "Content-Type: text/plain", "-w", "%{http_code}"]
    piped = curl("--http1.1", "-T", "-", *said, f"{gateway.url}/v1/files", data=b"x" * 20 * MIB)
    assert piped.stdout.endswith(b"415")
    assert json.loads(piped.stdout[:-3])["error"]["code"] == "unsupported_media_type"


def test_curl_resumes_a_download(
    gateway: Gateway, curl: Callable[..., subprocess.CompletedProcess[bytes]], client: openai.OpenAI, tmp_path: Path
) -> None:
    data = os.urandom(3 * MIB)
    file = client.files.create(file=("a.bin", data), purpose="user_data")
    target = tmp_path / "part.bin"
    target.write_bytes(data[: MIB + 17])
    curl("-C", "-", "-o", str(target), f"{gateway.url}/v1/files/{file.id}/content")
    assert target.read_bytes() == data
