"""Lines on their way to standard error. A thread writes them, so that a reader who is slow stops nobody."""

from __future__ import annotations

import atexit
import os
import stat
import threading
import time
from collections.abc import Iterator
from typing import Final

LINES_MAX: Final = 50_000
"""More than these wait for nobody: the newest are dropped, and counted."""
GATHER_S: Final = 0.02
"""So long the thread sleeps for lines to come together: one write then takes many."""
PIPE_BYTES: Final = 4096
"""What a pipe takes as a whole. Several processes may write into the same one."""
CLOSE_S: Final = 2.0
FLUSH_LOOK_S: Final = 0.002


class LineWriter:
    """Takes lines without their end, from any thread, and writes them in order."""

    def __init__(self, descriptor: int = 2, *, lines_max: int = LINES_MAX) -> None:
        self.dropped = 0
        self._descriptor = descriptor
        self._lines_max = lines_max
        self._waiting: list[str] = []
        self._news = threading.Event()
        self._urgent = threading.Event()
        self._writing = threading.Lock()
        self._busy = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write in a thread; until then lines are written where they are given."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
            self._thread.start()
            atexit.register(self.flush)

    def write(self, line: str, *, urgent: bool = False) -> None:
        """Take a line; an urgent one does not wait for others."""
        if len(self._waiting) >= self._lines_max:
            self.dropped += 1
            return
        self._waiting.append(line)
        if self._thread is None:
            self._drain()
            return
        if urgent:
            self._urgent.set()
        if not self._news.is_set():
            self._news.set()

    def flush(self, within_s: float = CLOSE_S) -> None:
        """Wait until everything is written, unless that takes too long."""
        if self._thread is None:
            self._drain()
            return
        end = time.monotonic() + within_s
        while (self._waiting or self._busy) and time.monotonic() < end:
            self._urgent.set()
            self._news.set()
            time.sleep(FLUSH_LOOK_S)

    def _run(self) -> None:
        while True:
            self._news.wait()
            self._urgent.wait(GATHER_S)
            self._urgent.clear()
            self._news.clear()
            self._drain()

    def _drain(self) -> None:
        with self._writing:
            self._busy = True
            try:
                self._take_and_write()
            finally:
                self._busy = False

    def _take_and_write(self) -> None:
        lines, self._waiting = self._waiting, []
        if self.dropped:
            dropped, self.dropped = self.dropped, 0
            lines.append(f'{{"level":"warning","event":"lines_dropped","lines":{dropped}}}')
        for data in self._pieces(lines):
            self._put(data)

    def _pieces(self, lines: list[str]) -> Iterator[bytes]:
        if not lines:
            return
        data = ("\n".join(lines) + "\n").encode("utf-8", "replace")
        if len(data) <= PIPE_BYTES or not self._is_pipe():
            yield data
            return
        piece = b""
        for line in data.splitlines(keepends=True):
            if piece and len(piece) + len(line) > PIPE_BYTES:
                yield piece
                piece = b""
            piece += line
        yield piece

    def _is_pipe(self) -> bool:
        try:
            return stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)
        except OSError:
            return False

    def _put(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                time.sleep(GATHER_S)
            except OSError:
                # A terminal that was closed, a disk that is full: nobody is left to be told.
                return
