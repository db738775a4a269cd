"""One child: back-off, holding, ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mediagate.supervisor.children import BACKOFF_MAX_S, STEADY_AFTER_S, Child, OneShot
from mediagate.supervisor.logs import LogFile
from mediagate.supervisor.plan import ChildSpec
from mediagate.supervisor.processes import wait_until


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def ends_at_once(code: int = 0) -> ChildSpec:
    return ChildSpec("one", [sys.executable, "-c", f"print('bye'); raise SystemExit({code})"])


def run_to_end(child: Child) -> None:
    child.start()
    assert wait_until(child.reap, 10)


def test_the_wait_before_a_new_start_doubles_up_to_a_limit_and_a_steady_run_resets_it() -> None:
    clock = Clock()
    child = Child(ends_at_once(), None, clock=clock)
    waits = []
    for _ in range(9):
        run_to_end(child)
        assert child.start_again_at is not None
        waits.append(round(child.start_again_at - clock.now, 3))
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, BACKOFF_MAX_S, BACKOFF_MAX_S]
    assert not child.is_due()
    clock.now += BACKOFF_MAX_S
    assert child.is_due()

    child.start()
    clock.now += STEADY_AFTER_S
    assert wait_until(child.reap, 10)
    assert child.start_again_at == clock.now + 0.1


def test_a_child_that_was_stopped_is_not_started_again() -> None:
    child = Child(ChildSpec("sleeper", ["sleep", "60"]), None)
    child.start()
    child.stop()
    assert wait_until(child.reap, 10)
    assert child.start_again_at is None
    assert child.ended_well()
    assert child.obituary() == "sleeper ended with signal SIGTERM"


def test_an_obituary_tells_what_was_said_last(tmp_path: Path) -> None:
    child = Child(ends_at_once(3), LogFile(tmp_path, "one"))
    run_to_end(child)
    assert child.obituary() == "one ended with exit code 3: bye"
    assert not child.ended_well()


def test_a_held_child_imports_first_and_runs_when_it_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "heavy.py").write_text("from pathlib import Path; Path('imported').touch()")
    (tmp_path / "program.py").write_text(
        "import sys; from pathlib import Path\n"
        "if __name__ == '__main__': Path('ran').write_text(' '.join(sys.argv[1:]))"
    )
    monkeypatch.chdir(tmp_path)
    argv = [sys.executable, "-m", "program", "--a", "b"]
    child = Child(ChildSpec("program", argv, secrets=True, preload=["heavy"]), None, held=True)
    child.start()
    assert wait_until(Path("imported").exists, 10)
    time.sleep(0.1)
    assert not Path("ran").exists()
    child.release()
    assert wait_until(child.reap, 10)
    assert (child.exit_code, Path("ran").read_text()) == (0, "--a b")


def test_a_held_child_without_imports_starts_only_after_its_release() -> None:
    child = Child(ends_at_once(), None, held=True)
    child.start()
    assert child.pid is None
    child.release()
    run_to_end(child)
    assert child.exit_code == 0


def test_a_held_process_ends_with_its_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program.py").write_text("raise SystemExit(9)")
    monkeypatch.chdir(tmp_path)
    spec = ChildSpec("program", [sys.executable, "-m", "program"], secrets=True, preload=["json"])
    child = Child(spec, None, held=True)
    child.start()
    assert child.process is not None
    assert child.process.stdin is not None
    child.process.stdin.close()
    child.process.stdin = None
    assert wait_until(child.reap, 10)
    assert child.exit_code == 0


@pytest.mark.parametrize("script", ["cat; echo done >&2; exit 2", "head -c 0; seq 1 100000; echo done; exit 2"])
def test_a_command_that_runs_once_keeps_what_it_says(tmp_path: Path, script: str) -> None:
    log = LogFile(tmp_path, "step")
    step = OneShot(ChildSpec("step", ["sh", "-c", script]), log, given=b"first\n")
    code = wait_for_code(step.poll)
    step.close()
    step.close()
    assert (code, step.last_line()) == (2, "done")
    assert log.last_line() == "done"


def wait_for_code(poll: Callable[[], int | None]) -> int | None:
    assert wait_until(lambda: poll() is not None, 10)
    return poll()


def test_a_kill_takes_what_the_child_started_with_it(tmp_path: Path) -> None:
    noted = tmp_path / "pid"
    child = Child(ChildSpec("parent", ["sh", "-c", f"sleep 60 & echo $! > {noted}; wait"]), None)
    child.start()
    assert wait_until(lambda: noted.exists() and noted.read_text() != "", 10)
    child.kill()
    assert wait_until(child.reap, 10)
    assert child.exit_code == -signal.SIGKILL
    assert wait_until(lambda: not _runs(int(noted.read_text())), 10)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return os.path.exists(f"/proc/{pid}")
