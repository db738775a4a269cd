"""Starting processes that cannot outlive us, and recognising those that did."""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

PR_SET_PDEATHSIG: Final = 1
_libc: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def spawn(
    argv: list[str],
    *,
    env: Mapping[str, str],
    output: int | IO[bytes] | None = None,
    on_our_death: signal.Signals = signal.SIGKILL,
    user: str | None = None,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a process in its own session, so that a terminal's Ctrl-C reaches only us.

    On Linux the kernel sends it `on_our_death` when this process ends in whatever way. Call it from the main thread:
    the kernel takes the end of the thread that started the child for our death.
    """
    account = pwd.getpwnam(user) if user else None
    return subprocess.Popen(  # noqa: S603
        argv,
        env=dict(env),
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT if output is not None else None,
        start_new_session=True,
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
        cwd="/" if account else None,
        umask=0o077,
        preexec_fn=_tie_to(os.getpid(), on_our_death),
    )


def _tie_to(parent_pid: int, death_signal: signal.Signals) -> Callable[[], None] | None:
    if _libc is None:
        return None
    libc = _libc

    def preexec() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent_pid:
            os._exit(1)

    return preexec


def birth(pid: int) -> str | None:
    """When a running process began, in a form no later process with the same id shares; None if it is not running."""
    if sys.platform != "linux":
        return ask_ps(pid, "lstart") or None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The second field is a name in parentheses that may itself hold spaces and parentheses.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{_boot_id()}/{fields[19]}"


def ask_ps(pid: int, column: str) -> str:
    """What `ps` knows of a process, where there is no /proc; empty if it is not running."""
    command = ["/bin/ps", "-o", f"{column}=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def remember(file: Path, pids: Mapping[str, int]) -> None:
    """Write down which processes run, for the next start should this one end without stopping them."""
    record = {name: [pid, birth(pid)] for name, pid in pids.items()}
    scratch = file.with_suffix(".tmp")
    with suppress(OSError):
        scratch.write_text(json.dumps(record))
        scratch.replace(file)


def kill_remembered(file: Path, patience_s: float = 5.0) -> list[str]:
    """Kill what an earlier supervisor left running, each only if its start time proves that it is the same process."""
    try:
        record: dict[str, list[object]] = json.loads(file.read_text())
        known = {name: (int(str(pid)), began) for name, (pid, began) in record.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return []
    ours = {name: pid for name, (pid, began) in known.items() if began is not None and birth(pid) == began}
    for pid in ours.values():
        kill_session(pid)
    wait_until(lambda: not any(birth(pid) for pid in ours.values()), patience_s)
    file.unlink(missing_ok=True)
    return sorted(ours)


def send(pid: int, number: signal.Signals) -> None:
    """Signal one process; one that is gone or not ours is left alone."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def kill_session(leader_pid: int) -> None:
    """Kill a child that `spawn` started, or what it left behind: its id names the group of all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader_pid, signal.SIGKILL)


def wait_until(done: Callable[[], bool], patience_s: float, every_s: float = 0.02) -> bool:
    """Poll until `done`; False when it takes longer than `patience_s`."""
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True
