"""One child process: started, watched, restarted with back-off, stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Final

from mediagate.supervisor.logs import LogFile
from mediagate.supervisor.plan import PLAN_VARIABLE, ChildSpec
from mediagate.supervisor.processes import kill_session, send, spawn

BACKOFF_FIRST_S: Final = 0.1
BACKOFF_MAX_S: Final = 10.0
STEADY_AFTER_S: Final = 30.0
PASSED_ON: Final = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")


def environment(secrets: bool) -> dict[str, str]:
    """What a child sees of our environment: everything for our own code, next to nothing for anything else."""
    if not secrets:
        return {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    mine = {name: value for name, value in os.environ.items() if name != PLAN_VARIABLE}
    # glibc gives every thread an arena of its own; two are enough here and save tens of MiB.
    return {"MALLOC_ARENA_MAX": "2", **mine}


class Child:
    """A process that should run until it is told to stop. Times are those of `clock`, in seconds."""

    def __init__(
        self,
        spec: ChildSpec,
        log: LogFile | None,
        *,
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
        self._stop_signal = stop_signal
        self._kill_signal = kill_signal
        self._on_our_death = on_our_death
        self._user = user
        self._before_start = before_start
        self._clock = clock
        self._started_at = 0.0
        self._delay_s = BACKOFF_FIRST_S
        self._wanted = True
        self.start_again_at: float | None = None

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
        if self._before_start:
            self._before_start()
        output = self.log.open() if self.log else None
        try:
            self.process = spawn(
                self.spec.argv,
                env=environment(self.spec.secrets),
                output=output,
                on_our_death=self._on_our_death,
                user=self._user,
            )
        finally:
            if output:
                output.close()
        self._started_at = self._clock()

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
        """End it now, with all that it started; in the way it asked for, where it has one."""
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
