"""Processes that read what strangers made: little memory, no secret, and no life without their parent."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

WATCH_INTERVAL_S: Final = 0.1
MEMORY_BYTES_MAX: Final = 1536 * 1024 * 1024
# Such a process is not given the gateway's environment with its keys.
_ENVIRONMENT: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")


def modest_environment() -> dict[str, str]:
    """Return the few variables that such a process needs."""
    return {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}


def be_modest(cpu_s_max: int | None = None) -> None:
    """Leave the machine to the gateway, survive the terminal's Ctrl-C until the parent goes, and bound our memory and,
    where `cpu_s_max` says so, our processor time."""
    os.nice(5)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if cpu_s_max is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (cpu_s_max, cpu_s_max + 1))


class Watch(threading.Thread):
    """Ends this process, at once and quietly, when the parent dies or `is_over` says so."""

    def __init__(self, parent: int, is_over: Callable[[], bool] = lambda: False) -> None:
        super().__init__(name="watch", daemon=True)
        self._parent = parent
        self._is_over = is_over
        self._off = threading.Event()

    def run(self) -> None:
        while not self._off.wait(WATCH_INTERVAL_S):
            if os.getppid() != self._parent or self._is_over():
                os._exit(0)

    def stop(self) -> None:
        self._off.set()
