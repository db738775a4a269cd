"""Processes that cannot outlive us, and those that did."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mediagate.supervisor.processes import birth, kill_remembered, remember, spawn, wait_until


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_birth_names_a_process_and_an_ended_one_has_none(sleeper: subprocess.Popen[bytes]) -> None:
    assert birth(sleeper.pid) == birth(sleeper.pid)
    assert birth(sleeper.pid) != birth(os.getpid())
    sleeper.kill()
    assert wait_until(lambda: birth(sleeper.pid) is None, 10), "a zombie does not run"
    sleeper.wait()
    assert birth(sleeper.pid) is None


def test_remembered_processes_are_killed(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    file = tmp_path / "pids.json"
    remember(file, {"api-0": sleeper.pid})
    assert kill_remembered(file) == ["api-0"]
    assert sleeper.wait() == -signal.SIGKILL
    assert not file.exists()


def test_a_process_that_only_has_the_number_is_spared(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    file = tmp_path / "pids.json"
    file.write_text(json.dumps({"api-0": [sleeper.pid, "another boot/1"], "gone": [2**22 + 1, None]}))
    assert kill_remembered(file) == []
    assert sleeper.poll() is None


@pytest.mark.parametrize("text", [None, "", "[]", "{", '{"a": 1}', '{"a": ["x", "y"]}'])
def test_a_broken_record_is_no_record(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "pids.json"
    if text is not None:
        file.write_text(text)
    assert kill_remembered(file) == []


def test_a_child_gets_a_session_of_its_own_and_a_private_umask(tmp_path: Path) -> None:
    script = "import os; open('made', 'w'); print(os.getsid(0) == os.getpid())"
    with (tmp_path / "said").open("wb") as said:
        process = spawn(
            [sys.executable, "-c", f"import os; os.chdir({str(tmp_path)!r}); {script}"], env={}, output=said
        )
        assert process.wait(10) == 0
    assert (tmp_path / "said").read_text() == "True\n"
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_a_child_ends_with_its_parent_in_the_way_asked_for(tmp_path: Path) -> None:
    pids, said = tmp_path / "pids", tmp_path / "said"
    parent = (
        "import os, signal, time; from mediagate.supervisor.processes import spawn\n"
        f"with open({str(said)!r}, 'wb') as said:\n"
        "    trap = ['sh', '-c', 'trap \"echo interrupted; exit\" INT; while true; do sleep 0.05; done']\n"
        "    soft = spawn(trap, env=os.environ, output=said, on_our_death=signal.SIGINT)\n"
        "hard = spawn(['sleep', '60'], env=os.environ)\n"
        f"open({str(pids)!r}, 'w').write(f'{{soft.pid}} {{hard.pid}}')\n"
        "time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", parent]) as process:
        assert wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2, 10)
        children = [int(pid) for pid in pids.read_text().split()]
        assert all(birth(pid) for pid in children)
        process.kill()
    assert wait_until(lambda: not any(birth(pid) for pid in children), 10)
    assert said.read_text() == "interrupted\n"
