"""What can be wrong between the Python client and its gateway: each has its error, and leaves nothing half-done."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from mediagate_client import (
    AuthenticationFailed,
    Client,
    ConnectionFailed,
    InvalidRequest,
    MediagateError,
    TimedOut,
    TlsFailed,
    UploadInterrupted,
)
from tests.api.wire import sql
from tests.clients.lines import cutting, over_tls
from tests.clients.python.conftest import MAINLY_GRPC, MAINLY_REST
from tests.conftest import Gateway, free_port
from tests.doubles.relay import relay

MIB = 1 << 20


def client_of(url: str, key: str, wire: str, **options: object) -> Client:
    return Client(url, key, transport=wire, **options)  # type: ignore[arg-type]


def test_a_gateway_that_is_away(wire: str) -> None:
    with client_of(f"http://127.0.0.1:{free_port()}", "sk-any", wire, max_retries=0) as client:
        with pytest.raises(ConnectionFailed, match="cannot be reached") as caught:
            client.files.list()
        assert (caught.value.reason, caught.value.retryable) == ("UNREACHABLE", True)
        with pytest.raises(ConnectionFailed):
            client.files.upload(b"x", filename="x")
        with pytest.raises(ConnectionFailed):
            next(iter(client.videos.watch("video_x")))


def test_tls_to_a_gateway_that_speaks_none(gateway: Gateway, wire: str) -> None:
    with (
        client_of(f"https://127.0.0.1:{gateway.port}", gateway.key, wire) as client,
        pytest.raises(TlsFailed) as caught,
    ):
        client.files.list()
    assert "https://" in str(caught.value)


def test_a_certificate_that_nobody_knows_and_one_that_is_trusted(gateway: Gateway, wire: str, tmp_path: Path) -> None:
    with over_tls(gateway, tmp_path) as (port, authority):
        url = f"https://127.0.0.1:{port}"
        with client_of(url, gateway.key, wire) as client, pytest.raises(TlsFailed, match="ca_file"):
            client.files.list()
        with client_of(url, gateway.key, wire, ca_file=str(authority)) as client:
            file = client.files.upload(b"secret", filename="secret.txt")
            assert client.files.content(file.id) == b"secret"


def test_certificates_that_are_none(gateway: Gateway, wire: str, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    with (
        client_of(
            gateway.url.replace("http:", "https:"), gateway.key, wire, ca_file=str(tmp_path / "ca.pem")
        ) as client,
        pytest.raises(TlsFailed, match="ca_file"),
    ):
        client.files.list()


def test_a_header_that_cannot_be_sent(gateway: Gateway, wire: str) -> None:
    for user in ("two\nlines", "half \udc80"):
        with (
            client_of(gateway.url, gateway.key, wire, user=user) as client,
            pytest.raises(InvalidRequest, match="x-mediagate-user"),
        ):
            client.files.list()


@MAINLY_GRPC
def test_a_server_that_says_nothing_is_given_up(wire: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        with client_of(url, "sk-a", wire, timeout_s=0.3, max_retries=0) as client:
            for call in (
                lambda: client.files.list(),
                lambda: client.files.upload(bytes(20 * MIB), filename="mute.bin"),
                lambda: client.files.download("file-x", tmp_path / "mute"),
                lambda: client.files.content("file-x"),
            ):
                with pytest.raises(TimedOut):
                    call()
    assert list(tmp_path.iterdir()) == []


def test_other_patience_over_the_same_connections(gateway: Gateway, wire: str) -> None:
    with relay(gateway.port) as line, client_of(f"http://127.0.0.1:{line.port}", gateway.key, wire) as client:
        lent = client.with_options(timeout_s=30, max_retries=0)
        file = lent.files.upload(b"lent", filename="lent.txt")
        lent.close()
        assert client.files.content(file.id) == b"lent"
        line.hold()
        with pytest.raises(TimedOut):
            client.with_options(timeout_s=0.2, max_retries=0).files.get(file.id)
        line.mend()
        assert client.files.get(file.id).filename == "lent.txt"


@MAINLY_GRPC
def test_a_client_that_nobody_closes_ends_quietly(gateway: Gateway, wire: str) -> None:
    given = f"({gateway.url!r}, {gateway.key!r}, transport={wire!r})"
    script = f"from mediagate_client import Client; Client{given}.files.list(); kept = Client{given}; kept.files.list()"
    done = subprocess.run([sys.executable, "-X", "dev", "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@MAINLY_GRPC
def test_clients_of_several_loops_and_threads_get_along(gateway: Gateway, wire: str) -> None:
    script = (
        "import asyncio, threading\n"
        "from mediagate_client import AsyncClient, Client\n"
        f"given = ({gateway.url!r}, {gateway.key!r})\n"
        "async def ask():\n"
        f"    async with AsyncClient(*given, transport={wire!r}) as client:\n"
        "        await asyncio.gather(*(client.files.list(limit=1) for _ in range(20)))\n"
        "def work():\n"
        "    for _ in range(20): sync.files.list(limit=1)\n"
        f"sync = Client(*given, transport={wire!r})\n"
        "threads = [threading.Thread(target=work) for _ in range(3)]\n"
        "threads += [threading.Thread(target=lambda: asyncio.run(ask())) for _ in range(2)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "sync.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wrong_key(gateway: Gateway, wire: str) -> None:
    with client_of(gateway.url, "sk-wrong", wire) as client:
        with pytest.raises(AuthenticationFailed) as caught:
            client.files.list()
        assert (caught.value.http_status, caught.value.retryable) == (401, False)
        assert "MEDIAGATE_API_KEY" in str(caught.value)
        assert "sk-wrong" not in str(caught.value)
        with pytest.raises(AuthenticationFailed):
            client.files.upload(os.urandom(8 * MIB), filename="x")
    assert "sk-wrong" not in repr(client)


class Refused(io.BytesIO):
    """Bytes whose reader is told no right before it sends them, and before it has looked at what came."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.begun, self.over = threading.Event(), threading.Event()

    def read(self, size: int | None = -1) -> bytes:
        assert self.begun.wait(10)
        return super().read(size)

    def fileno(self) -> int:
        # The client's last look, behind the reading.
        if self.begun.is_set():
            self.over.set()
            time.sleep(0.3)
        return super().fileno()


def test_a_refusal_between_two_messages_is_told_over_grpc() -> None:
    data = Refused(bytes(100))

    def refuse(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        next(messages)
        context.send_initial_metadata(())
        time.sleep(0.1)
        data.begun.set()
        assert data.over.wait(10)
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "No such key.")

    server = grpc.server(ThreadPoolExecutor(1))
    method = grpc.stream_unary_rpc_method_handler(refuse)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("mediagate.v1.FileService", {"UploadFile": method}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with (
            client_of(f"http://127.0.0.1:{port}", "sk-wrong", "grpc", max_retries=0) as client,
            pytest.raises(AuthenticationFailed, match="No such key"),
        ):
            client.files.upload(data, filename="x")
    finally:
        server.stop(None).wait()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": "localhost:4000"}, "http://HOST"),
        ({"url": "http://host/?a=b"}, "neither query"),
        ({"url": "http://host:99999", "transport": "rest"}, "http://host:99999"),
        ({"key": "sk-pasted\n"}, "line break"),
        ({"key": ""}, "MEDIAGATE_API_KEY"),
        ({"timeout_s": 0}, "more than 0"),
        ({"max_retries": -1}, "negative"),
        ({"ca_file": "/nowhere.pem"}, "no file"),
        ({"transport": "pigeon"}, "'grpc' or 'rest'"),
        ({"url": "http://host/gateway"}, "transport='rest'"),
    ],
)
def test_a_client_that_cannot_work_is_refused_at_once(
    options: dict[str, str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MEDIAGATE_API_KEY", raising=False)
    with pytest.raises(ValueError, match=words):
        Client(**{"url": "http://127.0.0.1:4000", "key": "sk-a", **options})  # type: ignore[arg-type]


def test_an_upload_that_is_cut_goes_on(gateway: Gateway, wire: str, tmp_path: Path) -> None:
    path = tmp_path / "goes-on.bin"
    path.write_bytes(os.urandom(70 * MIB + 3))
    with cutting(gateway) as cutter:
        url = f"http://127.0.0.1:{cutter.port}"
        with client_of(url, gateway.key, wire, max_retries=0) as client:
            cutter.limits["up"] = 40 * MIB
            with pytest.raises(UploadInterrupted, match="of 5 parts") as caught:
                client.files.upload(path, parts=True)
        state = str(caught.value.resume)
        known = set(caught.value.resume.parts)
        with client_of(url, gateway.key, wire) as client:
            file = client.files.upload(path, resume=state)
            assert file.bytes == path.stat().st_size
            path.write_bytes(b"another")
            with pytest.raises(MediagateError, match="not the one"):
                client.files.upload(path, resume=state)
    assert len(known) < 5
    assert cutter.cuts == 1


def test_a_large_file_on_a_slow_way_goes_on_in_parts(gateway: Gateway, wire: str) -> None:
    data, name = os.urandom(70 * MIB), f"slow-{wire}.bin"
    with cutting(gateway) as cutter, client_of(f"http://127.0.0.1:{cutter.port}", gateway.key, wire) as client:
        cutter.pace_s = 0.06
        done = threading.Event()
        state_of = "SELECT state FROM upload WHERE filename = %s"

        def hurry() -> None:
            while not done.wait(0.2) and not sql(gateway, state_of, name):
                pass
            cutter.pace_s = 0.0

        hurrying = threading.Thread(target=hurry)
        hurrying.start()
        file = client.files.upload(data, filename=name)
        done.set()
        hurrying.join()
    assert sql(gateway, state_of, name) == [("completed",)]
    with client_of(gateway.url, gateway.key, wire) as client:
        assert client.files.content(file.id) == data
        assert [one.id for one in client.files.list(limit=50) if one.filename == name] == [file.id]


def test_a_cut_in_a_small_upload_stores_one_file(gateway: Gateway, wire: str) -> None:
    data, name = os.urandom(9 * MIB), f"cut-{wire}.bin"
    with cutting(gateway) as cutter, client_of(f"http://127.0.0.1:{cutter.port}", gateway.key, wire) as client:
        cutter.limits["up"] = 4 * MIB
        file = client.files.upload(data, filename=name)
        assert client.files.content(file.id) == data
        assert [one.id for one in client.files.list(limit=50) if one.filename == name] == [file.id]
        assert cutter.cuts == 1


def test_a_download_that_is_cut_goes_on(gateway: Gateway, wire: str, tmp_path: Path) -> None:
    data = os.urandom(40 * MIB + 1)
    with cutting(gateway) as cutter, client_of(f"http://127.0.0.1:{cutter.port}", gateway.key, wire) as client:
        file = client.files.upload(data, filename="down.bin")
        cutter.limits["down"] = 20 * MIB
        assert client.files.download(file.id, tmp_path / "down").read_bytes() == data
        assert cutter.cuts == 1
    assert [path.name for path in tmp_path.iterdir()] == ["down"]


def test_a_download_that_is_given_up_leaves_nothing_or_what_can_be_resumed(
    gateway: Gateway, wire: str, tmp_path: Path
) -> None:
    data = os.urandom(70 * MIB + 1)
    with cutting(gateway) as cutter:
        url = f"http://127.0.0.1:{cutter.port}"
        with client_of(url, gateway.key, wire, max_retries=0) as client:
            file = client.files.upload(data, filename="down.bin")
            cutter.limits["down"] = 60 * MIB
            with pytest.raises(ConnectionFailed):
                client.files.download(file.id, tmp_path / "down")
            assert list(tmp_path.iterdir()) == []
            cutter.limits["down"] = 60 * MIB
            with pytest.raises(ConnectionFailed):
                client.files.download(file.id, tmp_path / "down", resume=True)
            assert not (tmp_path / "down").exists()
        (journal,) = tmp_path.glob(".down.*.json")
        kept = sum(json.loads(journal.read_text())["done"].values())
        told: list[int] = []
        with client_of(url, gateway.key, wire) as client:
            client.files.download(
                file.id, tmp_path / "down", resume=True, on_progress=lambda done, _: told.append(done)
            )
    assert (tmp_path / "down").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["down"]
    assert told[0] == kept > 0


def test_a_full_disk_leaves_nothing(gateway: Gateway, wire: str, tmp_path: Path) -> None:
    with client_of(gateway.url, gateway.key, wire) as client:
        file = client.files.upload(os.urandom(20 * MIB), filename="full.bin")
    script = (
        "import resource, signal, sys\n"
        "from mediagate_client import Client, DiskFull\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({5 * MIB}, {5 * MIB}))\n"
        "try:\n"
        f"    Client({gateway.url!r}, {gateway.key!r}, transport={wire!r}).files.download({file.id!r}, 'full.bin')\n"
        "except DiskFull as error:\n"
        "    sys.exit(str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert "There is no room for 'full.bin'" in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


@MAINLY_REST
def test_ctrl_c_leaves_nothing_of_a_download(gateway: Gateway, wire: str, tmp_path: Path) -> None:
    with client_of(gateway.url, gateway.key, wire) as client:
        file = client.files.upload(os.urandom(40 * MIB), filename="stopped.bin")
    script = (
        "import os, signal\n"
        "from mediagate_client import Client\n"
        "told = []\n"
        "def stop(received, size):\n"
        "    told.append(received)\n"
        "    if len(told) == 3: os.kill(os.getpid(), signal.SIGINT)\n"
        f"client = Client({gateway.url!r}, {gateway.key!r}, transport={wire!r})\n"
        f"client.files.download({file.id!r}, 'stopped.bin', on_progress=stop)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode in (1, 130, -signal.SIGINT)
    assert "KeyboardInterrupt" in done.stderr
    assert list(tmp_path.iterdir()) == []


@MAINLY_GRPC
def test_a_watch_that_is_cut_goes_on(gateway: Gateway, wire: str) -> None:
    with cutting(gateway) as cutter, client_of(f"http://127.0.0.1:{cutter.port}", gateway.key, wire) as client:
        video = client.videos.create("A boat [mediagate:slow=3]", model="local-video", size="320x180", seconds=1)
        seen = []
        for event in client.videos.watch(video.id):
            if not seen:
                cutter.limits["down"] = 500
            seen.append((event.seq, event.type))
        assert cutter.cuts == 1
    assert seen[-1][1] == "end"
    assert len(seen) == len(set(seen))
    assert [seq for seq, _ in seen] == sorted(seq for seq, _ in seen)


@MAINLY_REST
def test_a_watch_of_all_videos_that_is_cut_goes_on(gateway: Gateway, wire: str) -> None:
    user = f"watch-all-{wire}"
    with cutting(gateway) as cutter, client_of(f"http://127.0.0.1:{cutter.port}", gateway.key, wire) as client:
        video = client.videos.create(
            "A boat [mediagate:slow=3]", model="local-video", size="320x180", seconds=1, user=user
        )
        seen = []
        for event in client.videos.watch_all(user=user):
            if not seen:
                cutter.limits["down"] = 500
            seen.append((event.seq, event.type))
            assert event.video_id == video.id
            if event.video is not None and event.video.status == "completed":
                break
        assert cutter.cuts == 1
    assert len(seen) == len({seq for seq, _ in seen})
    assert [seq for seq, _ in seen] == sorted(seq for seq, _ in seen)


def test_nothing_is_loaded_before_it_is_needed() -> None:
    script = "import sys, mediagate_client; print([name for name in ('grpc', 'aiohttp', 'ssl') if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "grpc" not in loaded
    assert "aiohttp" not in loaded
