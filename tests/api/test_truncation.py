"""Uploads that end before they are whole: whatever the cut and whatever the way, nothing is kept."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.api.wire import (
    FORM_TYPE,
    Reply,
    connected,
    eventually,
    field,
    file_part,
    form,
    leaving_nothing,
    read_reply,
    request_head,
    reset,
    sql,
    stored,
    unfinished,
)
from tests.conftest import Gateway

DATA = os.urandom(1_500_000)
FILE_FORM = form(field("purpose", "user_data"), file_part(DATA))
FIELDS_BEHIND = form(file_part(DATA), field("purpose", "user_data"))
PART_FORM = form(file_part(DATA, name="data"))
# Where the bytes end; negative from the end.
CUTS = {
    "before the body": 0,
    "in the first boundary": 5,
    "in a part's headers": 60,
    "in a field": 98,
    "in the file": 800_000,
    "at the end of the file": -(len("\r\n--7MA4YWxkTrZu0gW--\r\n")),
    "in the closing boundary": -6,
    "in the closing hyphens": -3,
}
WAYS = ["FIN", "half-close", "RST"]


def cut_off(
    gateway: Gateway, path: str, body: bytes, announced: int | None, way: str, *, pause_s: float = 0.0
) -> Reply | None:
    """Send a head that announces a length (None: chunked) and a body, then end the connection."""
    length = ("transfer-encoding", "chunked") if announced is None else ("content-length", str(announced))
    head = request_head(gateway, "POST", path, [("content-type", FORM_TYPE), length])
    with connected(gateway) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head)
            if announced is None:
                body = f"{len(body):x}\r\n".encode() + body + b"\r\n" if body else b""
            connection.sendall(body)
            time.sleep(pause_s)
        if way == "RST":
            reset(connection)
            return None
        if way == "FIN":
            return None
        connection.shutdown(socket.SHUT_WR)
        return read_reply(connection)


@pytest.fixture(params=["file", "file, fields behind", "part"])
def target(gateway: Gateway, request: pytest.FixtureRequest) -> tuple[str, bytes]:
    """A path, and a whole form for it."""
    if request.param == "part":
        upload = gateway.openai().uploads.create(bytes=len(DATA), filename="a", mime_type="b", purpose="user_data")
        return f"/v1/uploads/{upload.id}/parts", PART_FORM
    return "/v1/files", FILE_FORM if request.param == "file" else FIELDS_BEHIND


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_cut_leaves_nothing(gateway: Gateway, target: tuple[str, bytes], framing: str) -> None:
    path, whole = target
    announced = len(whole) if framing == "length" else None
    with leaving_nothing(gateway), concurrent.futures.ThreadPoolExecutor(8) as pool:
        replies = pool.map(
            lambda case: cut_off(gateway, path, whole[: case[0]], announced, case[1]),
            [(cut, way) for cut in CUTS.values() for way in WAYS],
        )
        for reply in replies:
            assert reply is None or 400 <= reply.status < 500, reply


@pytest.mark.parametrize("pause_s", [0.0, 0.01, 0.2])
def test_a_whole_form_in_a_body_that_is_not_whole_leaves_nothing(
    gateway: Gateway, target: tuple[str, bytes], pause_s: float
) -> None:
    """The closing boundary has come, the announced end of the body has not."""
    path, whole = target
    with leaving_nothing(gateway), concurrent.futures.ThreadPoolExecutor(6) as pool:
        replies = pool.map(lambda way: cut_off(gateway, path, whole, len(whole) + 10, way, pause_s=pause_s), WAYS * 4)
        for reply in replies:
            assert reply is None or 400 <= reply.status < 500, reply


def test_a_whole_form_without_the_last_chunk_is_whole_or_nothing(gateway: Gateway, target: tuple[str, bytes]) -> None:
    """Of a body of unknown length the closing boundary is the proof; what comes behind it may or may not count."""
    path, whole = target
    before = stored(gateway)
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        for reply in pool.map(lambda way: cut_off(gateway, path, whole, None, way, pause_s=0.05), WAYS * 4):
            assert reply is None or 400 <= reply.status < 500, reply
    eventually(lambda: not unfinished(gateway), "no file is being received")

    def settled() -> bool:
        sizes = dict(sql(gateway, "SELECT id, size_bytes FROM file UNION SELECT id, size_bytes FROM upload_part"))
        return min(sizes.values(), default=0) >= 0 and {path.name for path in stored(gateway) - before} <= set(sizes)

    eventually(settled, "every byte has a row, every row is whole")


def test_a_whole_form_that_is_followed_by_silence_is_not_yet_a_file(gateway: Gateway) -> None:
    head = [("content-type", FORM_TYPE), ("content-length", str(len(FILE_FORM) + 1))]
    with leaving_nothing(gateway), connected(gateway) as connection:
        connection.sendall(request_head(gateway, "POST", "/v1/files", head) + FILE_FORM)
        eventually(lambda: unfinished(gateway), "it is being received")
        listed = httpx.get(f"{gateway.url}/v1/files?limit=100", headers=gateway.auth).json()["data"]
        assert all(file["status"] == "processed" for file in listed)
        assert unfinished(gateway)[0][0] not in [file["id"] for file in listed]
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)


def broken_body() -> Iterator[bytes]:
    yield FILE_FORM[:700_000]
    raise RuntimeError("the source broke")


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_a_client_whose_source_breaks_leaves_nothing(gateway: Gateway, http2: bool) -> None:
    options = {"http1": not http2, "http2": http2, "base_url": gateway.url, "headers": gateway.auth}
    with leaving_nothing(gateway), httpx.Client(**options) as http:  # type: ignore[arg-type]
        for _ in range(3):
            with pytest.raises(RuntimeError):
                http.post("/v1/files", content=broken_body(), headers={"content-type": FORM_TYPE})


def test_a_killed_client_leaves_nothing(gateway: Gateway, tmp_path: Path) -> None:
    big = tmp_path / "big.bin"
    big.write_bytes(bytes(40_000_000))
    for protocol in ("--http1.1", "--http2-prior-knowledge"):
        with leaving_nothing(gateway):
            process = subprocess.Popen(
                [
                    *("curl", protocol, "-s", "--limit-rate", "5M", "-H", f"Authorization: Bearer {gateway.key}"),
                    *("-F", "purpose=user_data", "-F", f"file=@{big}", f"{gateway.url}/v1/files"),
                ]
            )
            eventually(lambda: unfinished(gateway), "it is being received")
            time.sleep(0.2)
            process.kill()
            process.wait()


def test_an_upload_whose_part_was_cut_goes_on(client: openai.OpenAI, gateway: Gateway) -> None:
    upload = client.uploads.create(bytes=len(DATA), filename="a.bin", mime_type="b", purpose="user_data")
    path = f"/v1/uploads/{upload.id}/parts"
    assert cut_off(gateway, path, PART_FORM[:1_000_000], len(PART_FORM), "RST") is None
    part = client.uploads.parts.create(upload.id, data=DATA)
    done = client.uploads.complete(upload.id, part_ids=[part.id])
    assert done.file is not None
    assert client.files.content(done.file.id).content == DATA


def test_a_caller_that_leaves_during_completion_finds_its_file_or_its_parts(
    client: openai.OpenAI, gateway: Gateway
) -> None:
    """Whenever the caller goes away, asking again gives the file."""
    for pause_s in (0.0, 0.002, 0.005, 0.01, 0.02, 0.04):
        upload = client.uploads.create(bytes=len(DATA), filename="a.bin", mime_type="b", purpose="user_data")
        part = client.uploads.parts.create(upload.id, data=DATA).id
        body = f'{{"part_ids": ["{part}"]}}'.encode()
        headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
        with connected(gateway) as connection:
            connection.sendall(request_head(gateway, "POST", f"/v1/uploads/{upload.id}/complete", headers) + body)
            time.sleep(pause_s)
            reset(connection)
        state = "SELECT state FROM upload WHERE id = %s"
        eventually(lambda: sql(gateway, state, upload.id) != [("completing",)], "the call has ended")  # noqa: B023
        done = client.uploads.complete(upload.id, part_ids=[part])
        assert done.file is not None
        assert client.files.content(done.file.id).content == DATA
        assert not unfinished(gateway)


def test_a_caller_that_leaves_a_download_frees_it(client: openai.OpenAI, gateway: Gateway) -> None:
    file = client.files.create(file=("a.bin", bytes(30_000_000)), purpose="user_data")
    server = Path(f"/proc/{gateway.child('api-0')}/fd")

    def open_contents() -> int:
        count = 0
        for entry in server.iterdir():
            with contextlib.suppress(OSError):
                count += os.readlink(entry).endswith(file.id)
        return count

    for way in ("FIN", "RST"):
        with connected(gateway) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            connection.sendall(request_head(gateway, "GET", f"/v1/files/{file.id}/content"))
            assert connection.recv(100)
            eventually(lambda: open_contents() == 1, "the file is open")
            if way == "RST":
                reset(connection)
        eventually(lambda: open_contents() == 0, "the file is closed")
