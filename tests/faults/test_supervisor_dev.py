"""`mediagate dev` as a user runs it: what is printed works, what dies comes back, what runs at Ctrl-C finishes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.conftest import with_database

PATIENCE_S = 60.0
MIB = 1024**2


class Dev:
    """One `mediagate dev` after the other on one data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data_dir = directory / "data"
        self.processes: list[subprocess.Popen[str]] = []
        self.said = ""
        self.url = ""
        self.headers: dict[str, str] = {}

    def start(self) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDIAGATE_")}
        process = subprocess.Popen(
            [sys.executable, "-m", "mediagate.cli.main", "dev", "--port", "0", "--data-dir", str(self.data_dir)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            cwd=self.directory,
        )
        self.processes.append(process)
        return process

    def start_until_ready(self) -> subprocess.Popen[str]:
        process = self.start()
        assert process.stdout is not None
        self.said = ""
        while "Ctrl-C" not in self.said:
            line = process.stdout.readline()
            assert line, self.said
            self.said += line
        self.url = re.findall(r"URL +(\S+)", self.said)[0]
        key = re.findall(r"key +(\S+)", self.said)[0]
        self.headers = {"authorization": f"Bearer {key}"}
        return process

    def upload(self, data: bytes) -> str:
        answer = httpx.post(
            f"{self.url}/v1/files",
            headers=self.headers,
            data={"purpose": "user_data"},
            files={"file": ("a.bin", data)},
            timeout=PATIENCE_S,
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def content(self, file_id: str) -> bytes | None:
        answer = httpx.get(f"{self.url}/v1/files/{file_id}/content", headers=self.headers, timeout=PATIENCE_S)
        if answer.status_code == 503:
            return None
        return answer.raise_for_status().content

    @property
    def database_url(self) -> str:
        return f"postgresql://postgres@/mediagate?host={self.data_dir / 'run' / 'pg'}"

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def pids(self) -> dict[str, int]:
        record = json.loads((self.data_dir / "run" / "pids.json").read_text())
        return {name: pid for name, (pid, _) in record.items()}

    def end(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
            for stream in (process.stdout, process.stderr):
                if stream:
                    stream.close()
        eventually(lambda: not running(self.data_dir), "everything ended")


def running(data_dir: Path) -> list[str]:
    """Command lines that name the data directory or work in it."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = os.readlink(entry / "cwd")
        except (OSError, ValueError):
            continue
        if str(data_dir) in command or where.startswith(str(data_dir)):
            found.append(command)
    return found


def eventually(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, f"not within {PATIENCE_S} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def empty_dev() -> Iterator[Dev]:
    # Not pytest's own directory: every other pytest of this user closes that to the account PostgreSQL has under root.
    with tempfile.TemporaryDirectory(prefix="mediagate-") as directory:
        made = Dev(Path(directory))
        yield made
        made.end()


@pytest.fixture
def dev(empty_dev: Dev) -> Dev:
    """Spares a test the seconds in which the database is made."""
    empty_dev.data_dir.mkdir()
    with_database(empty_dev.data_dir)
    return empty_dev


def test_what_dies_comes_back_and_what_was_stored_stays(dev: Dev) -> None:
    process = dev.start_until_ready()
    data = os.urandom(3 * MIB)
    file_id = dev.upload(data)
    eventually(lambda: "worker" in dev.pids(), "the worker runs")
    for name in ("api-0", "worker", "envoy", "postgres"):
        before = dev.pids()[name]
        os.kill(before, signal.SIGKILL)
        eventually(lambda name=name, before=before: dev.pids().get(name, before) != before, f"{name} runs again")  # type: ignore[misc]
        eventually(dev.is_ready, f"it is ready again after {name} died")
        # Connections that a pool still held to the dead database may cost a 503, which every SDK repeats.
        eventually(lambda: dev.content(file_id) == data, f"the file is served after {name} died")
    process.kill()
    process.wait()
    again = dev.start_until_ready()
    assert dev.content(file_id) == data
    again.send_signal(signal.SIGINT)
    assert again.wait(PATIENCE_S) == 0
    assert running(dev.data_dir) == []


def test_the_printed_lines_work_and_a_second_start_is_refused(dev: Dev) -> None:
    process = dev.start_until_ready()
    lines = [line.strip() for line in dev.said.splitlines() if "curl " in line]
    assert len(lines) == 2
    for line, kind in zip(lines, ("file", "video"), strict=True):
        done = subprocess.run(line, shell=True, cwd=dev.directory, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["object"] == kind
    second = dev.start()
    assert second.wait(PATIENCE_S) == 2
    assert second.stdout is not None
    assert second.stdout.read() == (
        f"The data dir {dev.data_dir} is in use by process {process.pid}. Stop it or choose another with --data-dir.\n"
    )
    assert dev.is_ready()


def test_serve_wants_a_migrated_database_and_then_serves_beside_it(empty_dev: Dev) -> None:
    """From nothing, as the first start of a user: the others begin with a database that was made before."""
    dev = empty_dev
    dev.start_until_ready()
    url = f"postgresql://postgres@/{{}}?host={dev.data_dir / 'run' / 'pg'}"
    (dev.directory / "config.yaml").write_text("server: {api_processes: 2}")
    command = [sys.executable, "-m", "mediagate.cli.main", "serve", "--config", "config.yaml", "--port", "0"]
    environment = {**os.environ, "MEDIAGATE_MASTER_KEY": "k", "MEDIAGATE_DATA_DIR": str(dev.directory / "served")}

    def serve(database: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            command,
            env={**environment, "MEDIAGATE_DATABASE_URL": url.format(database)},
            cwd=dev.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        dev.processes.append(process)
        return process

    bare = serve("postgres")
    _, said = bare.communicate(timeout=PATIENCE_S)
    assert bare.returncode == 2
    assert "Run `mediagate migrate`" in said
    assert len(said.splitlines()) == 1

    serving = serve("mediagate")
    assert serving.stdout is not None
    said = ""
    while not (found := re.search(r"mediagate is ready on (\S+)", said)):
        line = serving.stdout.readline()
        assert line
        said += line
    assert httpx.get(f"{found[1]}/v1/files", headers={"authorization": "Bearer k"}).status_code == 200
    serving.send_signal(signal.SIGTERM)
    _, said = serving.communicate(timeout=PATIENCE_S)
    assert serving.returncode == 0, said


def test_requests_that_run_at_ctrl_c_finish(dev: Dev) -> None:
    process = dev.start_until_ready()
    data = os.urandom(24 * MIB)
    file_id = dev.upload(data)
    outcome: dict[str, object] = {}
    reading, unready = threading.Event(), threading.Event()
    options: dict[str, Any] = {"timeout": PATIENCE_S, "verify": False}

    def read_slowly() -> None:
        got = b""
        with httpx.stream("GET", f"{dev.url}/v1/files/{file_id}/content", headers=dev.headers, **options) as answer:
            for piece in answer.iter_raw(MIB):
                got += piece
                reading.set()
                unready.wait(PATIENCE_S)
        outcome["download"] = got == data

    def form() -> Iterator[bytes]:
        yield b'--B\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n'
        yield b'--B\r\ncontent-disposition: form-data; name="file"; filename="b.bin"\r\n\r\n'
        while not unready.wait(0.1):
            yield b"x" * 65536
        yield b"\r\n--B--\r\n"

    def write_slowly() -> None:
        headers = {**dev.headers, "content-type": "multipart/form-data; boundary=B"}
        outcome["upload"] = httpx.post(f"{dev.url}/v1/files", headers=headers, content=form(), **options).status_code

    def writing() -> bool:
        with psycopg.connect(dev.database_url) as connection:
            return bool(connection.execute("SELECT FROM file WHERE state = 'receiving'").fetchall())

    threads = [threading.Thread(target=work) for work in (read_slowly, write_slowly)]
    for thread in threads:
        thread.start()
    eventually(reading.is_set, "the download runs")
    eventually(writing, "the upload runs")
    process.send_signal(signal.SIGINT)
    eventually(lambda: not dev.is_ready(), "readiness goes down while they run")
    unready.set()
    for thread in threads:
        thread.join()
    assert outcome == {"download": True, "upload": 200}
    assert process.wait(PATIENCE_S) == 0
    assert running(dev.data_dir) == []
