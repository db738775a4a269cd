"""What can go wrong between the shell and its gateway: a sentence with what to do, a code, and nothing half-done."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from unittest import mock

import pytest

from mediagate_client._upload import UploadState
from mediagate_client.cli.resume import Kept
from mediagate_client.cli.where import Flags, find
from tests.api.access_kit import issue_key
from tests.clients.python.test_client_trouble import cutting, over_tls
from tests.clients.shell.kit import MIB, PATIENCE_S, Shell, valve
from tests.conftest import Gateway, free_port

WIRES = pytest.mark.parametrize("wire", ["grpc", pytest.param("rest", marks=pytest.mark.soak)])
COMMANDS = pytest.mark.parametrize(
    "command",
    [
        ["files", "ls"],
        *(pytest.param(one, marks=pytest.mark.soak) for one in (["models", "ls"], ["videos", "watch", "video_x"])),
    ],
)


def states(shell: Shell) -> list[Path]:
    return list((shell.folder / "home" / ".local" / "state" / "mediagate" / "uploads").glob("*.json"))


@COMMANDS
def test_a_gateway_that_is_away(nobody: Shell, command: list[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    said = nobody(*command, "--url", url, "--key", "sk-x", code=5).err
    assert f"cannot be reached at {url}" in said
    assert "mediagate dev" in said


@COMMANDS
def test_tls_where_there_is_none_and_of_somebody_unknown(
    gateway: Gateway, shell: Shell, command: list[str], tmp_path: Path
) -> None:
    said = shell(*command, "--url", f"https://127.0.0.1:{gateway.port}", code=5).err
    assert "http:// or https://" in said
    with over_tls(gateway, tmp_path) as (port, authority):
        url = f"https://127.0.0.1:{port}"
        assert "--ca-file" in shell(*command, "--url", url, code=5).err
        shell(*command, "--url", url, "--ca-file", str(authority), code=4 if "watch" in command else 0)
    assert "--ca-file" in shell(*command, "--ca-file", "gone.pem", code=2).err


@COMMANDS
def test_a_wrong_key(shell: Shell, command: list[str]) -> None:
    done = shell(*command, "--key", "sk-wrong", "--json", code=3)
    told = json.loads(done.err)["error"]
    assert (told["reason"], told["http_status"], told["exit_code"]) == ("INVALID_API_KEY", 401, 3)
    assert "MEDIAGATE_API_KEY" in told["what_to_do"]
    assert "sk-wrong" not in done.err + done.out


def test_what_a_key_may_not_and_what_is_used_up(gateway: Gateway, shell: Shell) -> None:
    key = issue_key(gateway, models=("other",)).key
    assert "local-video" in shell("videos", "create", "A boat", "-m", "local-video", code=3, MEDIAGATE_API_KEY=key).err
    assert "admin" in shell("keys", "ls", code=3, MEDIAGATE_API_KEY=key).err
    key = issue_key(gateway, storage_bytes_max=3).key
    assert "quota" in shell("files", "upload", "-", stdin=b"four", code=7, MEDIAGATE_API_KEY=key).err
    key = issue_key(gateway, requests_per_minute=1).key
    shell("models", "ls", MEDIAGATE_API_KEY=key)
    assert "Try again in" in shell("models", "ls", code=7, MEDIAGATE_API_KEY=key).err


def test_a_server_that_is_no_gateway(shell: Shell, gateway: Gateway) -> None:
    page = (
        "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler)\n"
        "print(s.server_port, flush=True); s.serve_forever()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", page], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=shell.folder
    ) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}"
        for command in (["models", "ls"], ["files", "ls", "--transport", "rest"]):
            assert "not as a gateway does" in shell(*command, "--url", url, code=4).err
        server.terminate()


@WIRES
def test_an_upload_that_is_cut_goes_on_by_the_same_command(gateway: Gateway, shell: Shell, wire: str) -> None:
    data = os.urandom(70 * MIB + 3)
    (shell.folder / "goes-on.bin").write_bytes(data)
    with valve(gateway.port) as door:
        # More than four parts under way can hold, so that at least one is stored.
        door.let(up=68 * MIB)
        command = ("files", "upload", "goes-on.bin", "--parts", "--transport", wire)
        process = subprocess.Popen(
            [sys.executable, "-m", "mediagate_client.cli", *command],
            cwd=shell.folder,
            env={**shell._environment({}), "MEDIAGATE_URL": door.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while not any('\\"0\\"' in one.read_text() or '\\"1\\"' in one.read_text() for one in states(shell)):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (process.returncode, out) == (130, "")
        assert "parts are kept for an hour" in err
        assert "same command" in err
        door.open()
        done = shell("files", "upload", "goes-on.bin", "--transport", wire, MEDIAGATE_URL=door.url)
    assert "Going on" in done.err
    assert shell("files", "get", done.out, "-o", "-").raw == data
    assert states(shell) == []


def test_an_upload_that_the_gateway_has_forgotten_begins_anew(shell: Shell) -> None:
    path = shell.folder / "old.bin"
    path.write_bytes(os.urandom(33 * MIB))
    known = path.stat()
    state = UploadState("upload_nobodys", known.st_size, 16 * MIB, [known.st_size, known.st_mtime_ns], {0: "part_x"})
    meta = {"to": (), "models": (), "purpose": "user_data", "filename": None, "expires_after_s": None}
    meta |= {"on_partial": None, "placement": None}
    with mock.patch.dict(os.environ, shell._environment({}), clear=True):
        kept = Kept.of(str(path), find(Flags(), os.environ), meta)
        kept.keep(state)
    assert len(states(shell)) == 1
    done = shell("files", "upload", "old.bin")
    assert "Going on" in done.err
    assert shell("files", "show", done.out, "--json").json["bytes"] == known.st_size
    assert states(shell) == []


def test_a_small_upload_that_is_interrupted_stores_nothing(gateway: Gateway, shell: Shell) -> None:
    (shell.folder / "small.bin").write_bytes(os.urandom(9 * MIB))
    with valve(gateway.port) as door:
        door.let(up=4 * MIB)
        process = subprocess.Popen(
            [sys.executable, "-m", "mediagate_client.cli", "files", "upload", "small.bin", "--transport", "rest"],
            cwd=shell.folder,
            env={**shell._environment({}), "MEDIAGATE_URL": door.url},
            stderr=subprocess.PIPE,
            text=True,
        )
        while door.left["up"] > 0:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert "cancelled; nothing is stored" in process.communicate(timeout=PATIENCE_S)[1]
        assert process.returncode == 130
    assert "small.bin" not in shell("files", "ls", "-n", "5").out


@WIRES
def test_ctrl_c_ends_the_wait_for_a_pipe_that_is_silent(shell: Shell, wire: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "mediagate_client.cli", "files", "upload", "-", "--transport", wire],
        env=shell._environment({}),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(b"x")
    process.stdin.flush()
    # Once this is read, more is waited for.
    while fcntl.ioctl(process.stdin, termios.FIONREAD, bytes(4)) != bytes(4):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130
    assert b"cancelled; nothing is stored" in process.stderr.read()
    process.stdin.close()
    process.stderr.close()


def test_a_file_that_changes_or_vanishes_meanwhile(gateway: Gateway, shell: Shell) -> None:
    path = shell.folder / "moving.bin"
    path.write_bytes(os.urandom(70 * MIB))
    with valve(gateway.port) as door:
        door.let(up=40 * MIB)
        process = subprocess.Popen(
            [sys.executable, "-m", "mediagate_client.cli", "files", "upload", "moving.bin"],
            cwd=shell.folder,
            env={**shell._environment({}), "MEDIAGATE_URL": door.url},
            stderr=subprocess.PIPE,
            text=True,
        )
        while door.left["up"] > 0:
            assert process.poll() is None
            time.sleep(0.02)
        os.truncate(path, 1000)
        door.open()
        err = process.communicate(timeout=PATIENCE_S)[1]
        assert process.returncode == 9, err
    assert "Nothing was kept" in err
    assert states(shell) == []
    path.unlink()
    assert "moving.bin" in shell("files", "upload", "moving.bin", code=9).err


def test_a_download_that_is_interrupted_goes_on_by_the_same_command(gateway: Gateway, shell: Shell) -> None:
    data = os.urandom(40 * MIB + 1)
    (shell.folder / "sent").write_bytes(data)
    file = shell("files", "upload", "sent", "--no-parts").out
    (shell.folder / "sent").unlink()
    with cutting(gateway) as cutter:
        url = f"http://127.0.0.1:{cutter.port}"
        cutter.limits["down"] = 30 * MIB
        done = shell("files", "get", file, "-o", "got", "--url", url, "--transport", "rest")
        assert done.code == 0
        (shell.folder / "got").unlink()
    with valve(gateway.port) as door:
        door.let(down=20 * MIB)
        process = subprocess.Popen(
            [sys.executable, "-m", "mediagate_client.cli", "files", "get", file, "-o", "got"],
            cwd=shell.folder,
            env={**shell._environment({}), "MEDIAGATE_URL": door.url},
            stderr=subprocess.PIPE,
            text=True,
        )
        while door.left["down"] > 0:
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        err = process.communicate(timeout=PATIENCE_S)[1]
        assert process.returncode == 130, err
        assert "Run the same command again to go on" in err
    assert not (shell.folder / "got").exists()
    shell("files", "get", file, "-o", "got")
    assert (shell.folder / "got").read_bytes() == data
    assert sorted(path.name for path in shell.folder.iterdir()) == ["got", "home"]


def test_a_full_disk_leaves_nothing(shell: Shell) -> None:
    file = shell("files", "upload", "-", "--name", "full.bin", stdin=os.urandom(20 * MIB)).out
    script = (
        "import resource, signal, sys\n"
        "from mediagate_client.cli.main import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({5 * MIB}, {5 * MIB}))\n"
        f"sys.argv = ['mediagate', 'files', 'get', {file!r}]\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=shell.folder, env=shell._environment({}), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (9, "")
    assert "There is no room for 'full.bin'" in done.stderr
    assert "Free some room" in done.stderr
    assert [path.name for path in shell.folder.iterdir()] == ["home"]


def test_a_full_disk_behind_stdout(shell: Shell) -> None:
    file = shell("files", "upload", "-", stdin=os.urandom(MIB)).out
    line = f"{sys.executable} -m mediagate_client.cli files cat {file} > /dev/full"
    done = subprocess.run(["bash", "-c", line], env=shell._environment({}), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (9, "")
    assert done.stderr == "mediagate: Nothing more can be written: No space left on device.\n"


def test_streams_that_are_closed_are_no_failure(shell: Shell) -> None:
    (shell.folder / "sent.bin").write_bytes(b"sent")
    mediagate = f"{sys.executable} -m mediagate_client.cli"
    for line in (f"{mediagate} files upload sent.bin >&-", f"{mediagate} files show file-nope 2>&-"):
        done = subprocess.run(
            ["bash", "-c", line], cwd=shell.folder, env=shell._environment({}), capture_output=True, text=True
        )
        assert (done.returncode, done.stdout, done.stderr) == (4 if "nope" in line else 0, "", "")
    assert "sent.bin" in shell("files", "ls", "-n", "5").out


def test_nobody_reads_any_more(shell: Shell) -> None:
    file = shell("files", "upload", "-", stdin=os.urandom(20 * MIB)).out
    mediagate = f"{sys.executable} -m mediagate_client.cli"
    line = f"{mediagate} files cat {file} | head -c 5 | wc -c; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], env=shell._environment({}), capture_output=True, text=True)
    assert (done.stdout.split(), done.stderr) == (["5", "141"], "")


@pytest.mark.parametrize(
    "command",
    [
        ["--json", "files", "ls", "--nowhere"],
        ["files", "upload", "--json"],
        ["--json", "files"],
        ["--json", "pictures"],
        ["chat", "Who?", "--json"],
        ["files", "ls", "--limit", "many", "--json"],
        ["files", "ls", "--timeout", "0", "--json"],
        ["models", "ls", "--url", "http://host:99999", "--json"],
        ["models", "ls", "--user", "two\nlines", "--json"],
    ],
)
def test_what_is_refused_here_is_a_line_of_json_too(shell: Shell, command: list[str]) -> None:
    done = shell(*command, code=2)
    error = json.loads(done.err)["error"]
    assert (done.out, error["exit_code"]) == ("", 2)
    assert error["message"]


def test_an_empty_name_replaces_nothing(shell: Shell) -> None:
    (shell.folder / "mine.txt").write_text("mine")
    file = shell("files", "upload", "-", "--name", "mine.txt", stdin=b"theirs").out
    assert "--overwrite" in shell("files", "get", file, "-o", "", code=6).err
    assert (shell.folder / "mine.txt").read_text() == "mine"


def test_only_debug_shows_where(nobody: Shell) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    command = ["models", "ls", "--url", url, "--key", "sk-hidden"]
    for arguments in (["--debug", *command], [*command, "--debug"]):
        done = nobody.script(*arguments)
        assert done.code == 1
        assert "Traceback" in done.err
        assert "sk-hidden" not in done.err
    assert "Traceback" not in nobody.script(*command).err
