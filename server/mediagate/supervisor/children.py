"""One child process: started, watched, restarted with back-off, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mediagate.supervisor.logs import LogFile
from mediagate.supervisor.plan import PLAN_VARIABLE, ChildSpec
from mediagate.supervisor.processes import kill_session, send, spawn

BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0
STEADY_AFTER_S: Final = 30.0
PASSED_ON: Final = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


class Child:
    """A process that should run until it is told to stop. Times are those of `clock`, in seconds.

    With `held`, it only imports what its spec says until `release`; without such a list it starts at `release`.
    """

    def __init__(
        self,
        spec: ChildSpec,
        log: LogFile | None,
        *,
        held: bool = False,
        stop_signal: signal.Signals = signal.SIGTERM,
        kill_signal: signal.Signals = signal.SIGKILL,
        on_our_death: signal.Signals = signal.SIGKILL,
        user: str | None = None,
        before_start: Callable[[], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.log = log
        self.process: subprocess.Popen[bytes] | None = None
        self.exits = 0
        self.exit_code: int | None = None
        self.start_again_at: float | None = None
        self._held = held
        self._stop_signal = stop_signal
        self._kill_signal = kill_signal
        self._on_our_death = on_our_death
        self._user = user
        self._before_start = before_start
        self._clock = clock
        self._started_at = 0.0
        self._delay_s = BACKOFF_FIRST_S
        self._wanted = True

    @property
    def name(self) -> str:
        """What it is called in messages and logs."""
        return self.spec.name

    @property
    def pid(self) -> int | None:
        """The process id, while it runs."""
        return self.process.pid if self.process else None

    def start(self) -> None:
        """Start the process. Raises OSError or StartError when that cannot be done."""
        self.start_again_at = None
        if self._held and not self.spec.preload:
            return
        if self._before_start:
            self._before_start()
        output = self.log.open() if self.log else None
        try:
            self.process = spawn(
                command_of(self.spec, held=self._held),
                env=environment(self.spec.secrets),
                stdin=subprocess.PIPE if self._held else subprocess.DEVNULL,
                output=output,
                on_our_death=self._on_our_death,
                user=self._user,
            )
        finally:
            if output:
                output.close()
        self._started_at = self._clock()

    def release(self) -> None:
        """Let a held child do its work; one that held nothing yet is to be started now."""
        self._held = False
        if self.process:
            let_go(self.process)

    def postpone(self) -> None:
        """Set the time of the next start, later after each failure in a row."""
        if self._wanted:
            self.start_again_at = self._clock() + self._delay_s
            self._delay_s = min(self._delay_s * 2, BACKOFF_MAX_S)

    def reap(self) -> bool:
        """Notice an end: True once for each. The next start is set by then unless the end was asked for."""
        if self.process is None or (code := self.process.poll()) is None:
            return False
        kill_session(self.process.pid)
        if self.process.stdin:
            self.process.stdin.close()
        self.process = None
        self.exits += 1
        self.exit_code = code
        if self._clock() - self._started_at >= STEADY_AFTER_S:
            self._delay_s = BACKOFF_FIRST_S
        self.postpone()
        return True

    def is_due(self) -> bool:
        """Whether it waits to be started and has waited long enough."""
        return self.start_again_at is not None and self._clock() >= self.start_again_at

    def stop(self) -> None:
        """Ask it to finish its work and end."""
        self._signal(self._stop_signal)

    def kill(self) -> None:
        """End it now. A plain kill takes all that it started with it."""
        self._signal(self._kill_signal)

    def _signal(self, number: signal.Signals) -> None:
        self._wanted = False
        self.start_again_at = None
        if self.process and number == signal.SIGKILL:
            kill_session(self.process.pid)
        elif self.process:
            send(self.process.pid, number)

    def ended_well(self) -> bool:
        """Whether it ended without an error. One that was not yet up far enough to drain ends by the signal itself."""
        return self.exit_code in (0, -self._stop_signal)

    def obituary(self) -> str:
        """How it ended, in a few words."""
        code = self.exit_code
        how = f"exit code {code}" if code is None or code >= 0 else f"signal {signal.Signals(-code).name}"
        said = self.log.last_line() if self.log else ""
        return f"{self.name} ended with {how}{f': {said}' if said else ''}"


class OneShot:
    """A command that runs once, to its end. What it says is kept, and written to its log."""

    def __init__(
        self, spec: ChildSpec, log: LogFile | None, *, given: bytes = b"", held: bool = False, user: str | None = None
    ) -> None:
        self._log = log
        self._said = b""
        self.output, said_to = os.pipe()
        os.set_blocking(self.output, False)
        self._process = spawn(
            command_of(spec, held=held),
            env=environment(spec.secrets),
            stdin=subprocess.PIPE,
            output=said_to,
            user=user,
        )
        os.close(said_to)
        if not held:
            let_go(self._process, given)

    def release(self) -> None:
        """Let a held command run."""
        let_go(self._process)

    def poll(self) -> int | None:
        """Take in what it says; its exit code once it has ended."""
        code = self._process.poll()
        self._said += drain(self.output)
        return code

    def last_line(self) -> str:
        """What it said last."""
        lines = [line.strip() for line in self._said.decode("utf-8", "replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")

    def close(self) -> None:
        """End it if it still runs, and write its log. Once is enough."""
        if self.output < 0:
            return
        kill_session(self._process.pid)
        self._process.wait()
        os.close(self.output)
        self.output = -1
        if self._log:
            with suppress(OSError), self._log.open() as file:
                file.write(self._said)


def environment(secrets: bool) -> dict[str, str]:
    """What a child sees of our environment: everything for our own code, next to nothing for anything else."""
    if not secrets:
        return {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    mine = {name: value for name, value in os.environ.items() if name != PLAN_VARIABLE}
    # glibc gives every thread an arena of its own; two are enough here.
    return {"MALLOC_ARENA_MAX": "2", **mine}


def command_of(spec: ChildSpec, *, held: bool) -> list[str]:
    """The command that runs a spec's program. Where the spec says what to import, that comes first; with `held` the
    program runs when its input says so."""
    if not spec.preload:
        return spec.argv
    python, dash_m, *program = spec.argv
    when = "held" if held else "now"
    return [python, dash_m, "mediagate.supervisor.preload", when, ",".join(spec.preload), *program]


def let_go(process: subprocess.Popen[bytes], given: bytes = b"\n") -> None:
    """Give a process its input and close that."""
    if process.stdin:
        with suppress(OSError):
            process.stdin.write(given)
        with suppress(OSError):
            process.stdin.close()
        process.stdin = None


def drain(descriptor: int) -> bytes:
    """Everything that can be read now."""
    got = b""
    with suppress(BlockingIOError):
        while piece := os.read(descriptor, 65536):
            got += piece
    return got
