"""`mediagate chat`: a question from the shell, about a file of this machine. Runs what docs/shell.md prints of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chat.conftest import SAID, Chats
from tests.clients.shell.kit import Shell
from tests.docs.blocks import blocks
from tests.docs.session import Session


@pytest.fixture
def shell(chats: Chats, tmp_path: Path) -> Shell:
    """A user of the gateway with chat models."""
    return Shell(tmp_path, {"MEDIAGATE_URL": chats.gateway.url, "MEDIAGATE_API_KEY": chats.gateway.key})


def kept(shell: Shell) -> set[str]:
    return {one["id"] for one in shell("files", "ls", "--json").json}


def test_what_the_document_prints_runs(chats: Chats, tmp_path: Path) -> None:
    (block,) = (one for one in blocks("docs/shell.md") if one.note == "tests/chat/test_chat_shell.py")
    with Session(chats.gateway, tmp_path) as session:
        assert session.run(block) == f"{SAID}\n" * 2


def test_a_file_is_uploaded_for_one_question_alone(chats: Chats, shell: Shell) -> None:
    before = kept(shell)
    (shell.folder / "a.txt").write_text("It says A.")
    assert shell("chat", "-m", "first", "-f", "a.txt", "count 3").out == "w0 w1 w2"
    told = chats.first.journal[-1].body["messages"][-1]["content"]
    assert told[0] == {"type": "text", "text": "count 3"}
    assert "file" in told[1] or "It says A." in json.dumps(told)
    assert kept(shell) == before
    done = shell("chat", "-m", "first", "-f", "a.txt", "hello", "--keep", "--system", "Be short.")
    (file,) = kept(shell) - before
    assert f"kept as {file}" in done.err
    assert shell("chat", "-m", "first", "-f", file, "again").out == "again"
    shell("files", "rm", file)


def test_json_is_a_line_for_each_piece_or_one_document(shell: Shell) -> None:
    pieces = shell("chat", "-m", "first", "count 3", "--json").lines
    assert "".join(choice["delta"].get("content") or "" for one in pieces for choice in one["choices"]) == "w0 w1 w2 "
    whole = shell("chat", "-m", "first", "-", "--no-stream", "--json", stdin=b"hello").json
    assert whole["choices"][0]["message"]["content"] == "hello"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["-m", "first", "cut"], 5, ""),
        (["-m", "first", "refuse 429"], 7, ""),
        (["-m", "nobody", "hello"], 4, "nobody"),
        (["-m", "first", "-f", "gone.pdf", "hello"], 9, "gone.pdf"),
        (["-m", "first", "-f", "file-nobodys", "hello"], 4, "file-nobodys"),
        (["-m", "first", ""], 2, "empty"),
        (["hello"], 2, "models ls"),
    ],
)
def test_what_goes_wrong_is_a_sentence_and_a_code(shell: Shell, arguments: list[str], code: int, words: str) -> None:
    done = shell("chat", *arguments, code=code)
    assert words in done.err
    assert done.err.strip()
