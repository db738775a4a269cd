"""Directories, locks, keys and ports."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediagate.supervisor import StartError, places


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server


def test_a_data_dir_is_made_for_its_owner_alone_and_locked(tmp_path: Path) -> None:
    path = tmp_path / "a" / "data"
    lock = places.claim_data_dir(path)
    assert path.stat().st_mode & 0o777 == 0o700
    assert (path / "lock").read_text() == f"{os.getpid()}\n"
    os.close(lock)


def test_a_data_dir_in_use_is_refused_with_the_process_that_holds_it(tmp_path: Path) -> None:
    holder = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    os.write(holder, b"4711\n")
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(StartError) as refused:
        places.claim_data_dir(tmp_path)
    os.close(holder)
    assert str(refused.value) == (
        f"The data dir {tmp_path} is in use by process 4711. Stop it or choose another with --data-dir."
    )
    assert refused.value.exit_code == 2
    os.close(places.claim_data_dir(tmp_path))


def test_a_data_dir_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="cannot be written: Not a directory"):
        places.claim_data_dir(tmp_path / "file" / "data")


def test_the_lock_survives_exec_and_ends_with_the_process(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from mediagate.supervisor import places\n"
        "lock = places.claim_data_dir(Path(sys.argv[1])); os.set_inheritable(lock, True)\n"
        "os.execvp('sh', ['sh', '-c', 'echo locked; read line'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"locked\n"
        with pytest.raises(StartError, match=f"in use by process {holder.pid}"):
            places.claim_data_dir(tmp_path)
    os.close(places.claim_data_dir(tmp_path))


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    key = places.master_key(tmp_path)
    assert re.fullmatch(r"sk-[A-Za-z0-9_-]{32}", key)
    assert (tmp_path / "master_key").stat().st_mode & 0o777 == 0o600
    assert places.master_key(tmp_path) == key


def test_a_key_file_cut_by_a_crash_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "master_key").write_text("")
    (tmp_path / "master_key.new").write_text("sk-ha")
    key = places.master_key(tmp_path)
    assert len(key) == 35
    assert places.master_key(tmp_path) == key


def test_sockets_lie_in_the_data_dir_unless_its_path_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    monkeypatch.setattr(places, "RUN_DIR_BYTES_MAX", len(str(tmp_path)) + 10)
    assert places.run_dir_for(tmp_path) == tmp_path / "run"
    deep = tmp_path / "deep-enough"
    deep.mkdir()
    outside = places.run_dir_for(deep)
    assert outside == places.run_dir_for(deep)
    assert str(outside).startswith(f"/tmp/mediagate-{os.geteuid()}-")
    assert outside.stat().st_mode & 0o777 == 0o700
    outside.rmdir()


def test_a_socket_dir_that_others_can_write_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(places, "RUN_DIR_BYTES_MAX", 200)
    places.runtime_dir("label").chmod(0o777)
    with pytest.raises(StartError, match="open to others"):
        places.runtime_dir("label")


def test_a_port_in_use_is_refused_even_where_it_could_be_shared(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(StartError) as refused:
        places.check_port("127.0.0.1", port)
    assert str(refused.value) == (
        f"Port {port} on 127.0.0.1 is in use. Stop what listens there or choose another with --port."
    )


def test_two_starts_at_once_do_not_get_one_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(places, "RUN_DIR_BYTES_MAX", 200)
    first = places.lock_port("127.0.0.1", 1)
    with pytest.raises(StartError, match=f"in use by mediagate process {os.getpid()}"):
        places.lock_port("127.0.0.1", 1)
    os.close(first)
    os.close(places.lock_port("127.0.0.1", 1))


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("127.0.0.1", 99999, "99999 is not a port"),
        ("203.0.113.7", 0, "203.0.113.7 is not an address of this machine"),
        ("no-such-host.invalid", 0, "no-such-host.invalid is not an address of this machine"),
    ],
)
def test_an_impossible_address_is_refused(host: str, port: int, sentence: str) -> None:
    with pytest.raises(StartError, match=sentence):
        places.check_port(host, port)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_port_0_picks_a_free_one(host: str) -> None:
    assert places.check_port(host, 0) > 0


def test_a_missing_package_is_a_sentence() -> None:
    with pytest.raises(StartError, match="The Python package no_such_package is missing"):
        places.package_dir("no_such_package")
