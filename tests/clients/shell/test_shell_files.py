"""`mediagate files`, for people and for programs."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from tests.api.access_kit import issue_key
from tests.clients.shell.kit import MIB, Shell
from tests.conftest import Gateway

NAMES = ["plain.txt", "mit Leerzeichen ü.txt", "日本語.pdf", "👩‍🚀 and 'quotes\".bin", "-dash.txt", "new\nline.txt"]


def test_a_file_from_the_first_to_the_last(shell: Shell) -> None:
    (shell.folder / "report.txt").write_text("What it says.")
    file = shell("files", "upload", "report.txt", "--purpose", "assistants", "--expires", "2h").out
    assert file.startswith("file-")
    shown = shell("files", "show", file).out
    assert "report.txt" in shown
    assert "13 B (13 bytes)" in shown
    assert hashlib.sha256(b"What it says.").hexdigest() in shown
    known = shell("files", "show", file, "--json").json
    assert (known["id"], known["bytes"], known["purpose"]) == (file, 13, "assistants")
    assert 7100 < known["expires_at"] - known["created_at"] <= 7200
    assert "local" in shell("files", "replicas", file).out
    assert shell("files", "replicas", file, "--json").json[0]["state"] == "ready"
    assert shell("files", "cat", file).raw == b"What it says."
    assert shell("files", "cat", file, "--offset", "5", "--length", "2").raw == b"it"
    copy = shell("files", "copy", file, "--name", "second.txt").out
    assert shell("files", "show", copy, "--json").json["filename"] == "second.txt"
    assert shell("files", "get", copy).out == "second.txt"
    assert (shell.folder / "second.txt").read_text() == "What it says."
    assert shell("files", "rm", file, copy).out.split() == [file, copy]
    assert "mediagate: No such" in shell("files", "show", file, code=4).err


def test_a_list_for_people_and_one_for_programs(gateway: Gateway, tmp_path: Path) -> None:
    # Of a key of its own, which sees nothing that other tests left.
    shell = Shell(tmp_path, {"MEDIAGATE_URL": gateway.url, "MEDIAGATE_API_KEY": issue_key(gateway).key})
    ids = [
        shell("files", "upload", "-", "--name", f"{n}.txt", "--purpose", "evals", stdin=b"x" * n).out for n in (1500, 3)
    ]
    table = shell("files", "ls", "--purpose", "evals", "--limit", "2")
    head, newest, older = table.out.splitlines()
    assert head.split() == ["ID", "NAME", "SIZE", "PURPOSE", "STATUS", "CREATED", "AT"]
    assert newest.split()[:4] == [ids[1], "3.txt", "3", "B"]
    assert older.split()[:4] == [ids[0], "1500.txt", "1.5", "kB"]
    assert "\x1b" not in table.out
    first = shell("files", "list", "--purpose", "evals", "-n", "1")
    assert f"--after {ids[1]}" in first.err
    found = shell("--json", "files", "ls", "--purpose", "evals", "--after", ids[1])
    assert (found.json[0]["id"], found.json[0]["bytes"]) == (ids[0], 1500)
    assert found.err == ""
    assert shell("files", "ls", "--purpose", "vision", "--json").json == []


def test_several_files_are_answered_one_by_one_and_what_fails_alone_stops_nothing(shell: Shell) -> None:
    (shell.folder / "a").write_text("a")
    (shell.folder / "b").write_text("b")
    done = shell("files", "upload", "a", "gone", ".", "b", "--json", code=9)
    assert [one["filename"] for one in done.lines] == ["a", "b"]
    told = [json.loads(line)["error"] for line in done.err.splitlines()]
    assert [one["reason"] for one in told] == ["LOCAL_FILE", "IS_A_FOLDER"]
    assert told[0]["exit_code"] == 9
    ids = [one["id"] for one in done.lines]
    gone = shell("files", "rm", ids[0], "file-nobodys", ids[1], code=4)
    assert gone.out.split() == ids
    assert "file-nobodys" in gone.err


@pytest.mark.parametrize("name", NAMES)
def test_any_name(shell: Shell, name: str) -> None:
    (shell.folder / name).write_text(name)
    file = shell("files", "upload", "--", name).out
    (shell.folder / name).unlink()
    stored = shell("files", "show", file, "--json").json["filename"]
    shown = shell("files", "ls", "-n", "1").out
    if name.isprintable() or "\n" not in name:
        assert stored == name
        assert name in shown
    assert len(shown.splitlines()) == 2
    (path,) = shell("files", "get", file, "-o", "target", "--json").lines
    assert path == {"id": file, "path": "target", "bytes": len(name.encode())}
    assert (shell.folder / "target").read_text() == name


def test_what_a_terminal_would_obey_is_not_shown(shell: Shell) -> None:
    name = "a\x1b[31mred\u202egpj.exe"
    file = shell("files", "upload", "-", "--name", name, stdin=b"x").out
    assert "\x1b" not in shell("files", "show", file).out
    assert "\u202e" not in shell("files", "ls", "-n", "1").out


def test_bytes_pass_from_stdin_to_stdout(shell: Shell) -> None:
    data = os.urandom(3 * MIB + 1)
    file = shell("files", "upload", "-", "--to", "local", stdin=data).out
    assert shell("files", "get", file, "-o", "-").raw == data
    assert shell("files", "get", file, "-o", "-", "--transport", "rest").raw == data
    assert shell("files", "show", file, "--json").json["filename"] == "stdin"


def test_a_name_from_the_gateway_replaces_nothing(shell: Shell) -> None:
    file = shell("files", "upload", "-", "--name", "mine.txt", stdin=b"theirs").out
    (shell.folder / "mine.txt").write_text("mine")
    assert "--overwrite" in shell("files", "get", file, code=6).err
    assert (shell.folder / "mine.txt").read_text() == "mine"
    shell("files", "get", file, "--overwrite")
    assert (shell.folder / "mine.txt").read_text() == "theirs"
    shell("files", "get", file, "-o", "mine.txt")
    other = shell("files", "upload", "-", "--name", "../../leads-out.txt", stdin=b"x").out
    assert shell("files", "get", other).out == "leads-out.txt"
    assert "no folder" in shell("files", "get", file, other, "-o", "mine.txt", code=2).err


def test_an_end_user_sees_only_what_is_hers(shell: Shell) -> None:
    file = shell("files", "upload", "-", "--user", "ada", stdin=b"x").out
    assert shell("files", "show", file, "--user", "ada", "--json").json["mediagate"]["user"] == "ada"
    shell("files", "show", file, "--user", "bob", code=4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["files", "upload"], "Missing argument"),
        (["files", "upload", "a", "b", "--name", "c"], "for one file"),
        (["files", "upload", "-", "--expires", "soon"], "90s, 15m"),
        (["files", "upload", "-", "--placement", "eu"], "LABEL=VALUE"),
        (["files", "upload", "-", "--to", "nowhere"], "nowhere"),
        (["files", "ls", "--limit", "many"], "no whole number"),
        (["files", "ls", "--transport", "pigeon"], "grpc, rest"),
        (["files", "lss"], "Did you mean ls?"),
        (["file", "ls"], "Did you mean files"),
        (["files", "copy", "s3://not-allowed/key"], "list of sources"),
    ],
)
def test_a_wrong_command_says_what_is_right(shell: Shell, arguments: list[str], words: str) -> None:
    done = shell(*arguments, code=3 if words == "list of sources" else 2, stdin=b"x")
    assert words in done.err
    assert done.out == ""
