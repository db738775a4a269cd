"""Bytes that are no longer what was acknowledged are never passed off as the file."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import grpc
import httpx
import openai
import pytest

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc

SIZE = 64 << 20


def stored_object(data_dir: Path, file_id: str) -> Path:
    """Where the local provider keeps a file."""
    return next(path for path in (data_dir / "files").rglob(file_id) if path.is_file())


def test_an_object_of_another_size_is_not_served(gateway: Any, client: openai.OpenAI, http: httpx.Client) -> None:
    file = client.files.create(file=("a.bin", os.urandom(100_000)), purpose="user_data")
    os.truncate(stored_object(gateway.data_dir, file.id), 50_000)
    answer = http.get(f"/v1/files/{file.id}/content")
    assert answer.status_code == 503
    assert answer.json()["error"]["type"] == "server_error"


def test_a_download_that_breaks_half_way_is_seen_as_broken_over_http(gateway: Any, client: openai.OpenAI) -> None:
    """The status is out when the disk fails: only a broken connection can tell."""
    file = client.files.create(file=("a.bin", os.urandom(SIZE)), purpose="user_data")
    with socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        request = f"GET /v1/files/{file.id}/content HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {gateway.key}\r\n\r\n"
        connection.sendall(request.encode())
        received = len(connection.recv(1 << 16))
        os.truncate(stored_object(gateway.data_dir, file.id), SIZE // 2)
        connection.settimeout(20)
        while chunk := connection.recv(1 << 20):
            received += len(chunk)
    assert received < SIZE


def test_curl_reports_a_download_that_breaks_half_way(gateway: Any, client: openai.OpenAI, tmp_path: Path) -> None:
    file = client.files.create(file=("a.bin", os.urandom(SIZE)), purpose="user_data")
    path, copy = stored_object(gateway.data_dir, file.id), tmp_path / "copy"
    command = ["curl", "--silent", "--fail", "--limit-rate", "20M", "--output", str(copy)]
    command += ["--header", f"Authorization: Bearer {gateway.key}", f"{gateway.url}/v1/files/{file.id}/content"]
    curl = subprocess.Popen(command)
    while not (copy.exists() and copy.stat().st_size):
        assert curl.poll() is None
        time.sleep(0.01)
    os.truncate(path, SIZE // 2)
    assert curl.wait(60) in (18, 56), "curl must not take it for a whole file"


def test_a_grpc_download_that_breaks_half_way_fails(gateway: Any, client: openai.OpenAI) -> None:
    file = client.files.create(file=("a.bin", os.urandom(SIZE)), purpose="user_data")
    with gateway.channel() as channel:
        messages = files_pb2_grpc.FileServiceStub(channel).DownloadFile(
            files_pb2.DownloadFileRequest(file_id=file.id), metadata=gateway.metadata
        )
        assert next(messages).metadata.size_bytes == SIZE
        os.truncate(stored_object(gateway.data_dir, file.id), SIZE // 2)
        with pytest.raises(grpc.RpcError):
            for _ in messages:
                pass
