"""The children's log files: rotated at start, read for warnings while they run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Final

ROTATE_AT_BYTES: Final = 10 * 1024**2
KEPT: Final = 3
LINES_AT_ONCE: Final = 20
READ_AT_ONCE_BYTES: Final = 256 * 1024

# structlog as JSON and on a console, the standard library's and Envoy's forms, PostgreSQL's severities.
WARNING: Final = re.compile(
    rb'"level": ?"(warning|error|critical)"|\[(warning|error|critical) *\]|^(\S+ ){0,3}(WARNING|ERROR|CRITICAL)\b'
    rb"|\] (WARNING|FATAL|PANIC): ",
)


class LogFile:
    """One child's log. The child writes to the file itself, so neither can block or break the other."""

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / f"{name}.log"
        self._rotate()
        self._offset = self.path.stat().st_size if self.path.exists() else 0

    def open(self) -> IO[bytes]:
        """The file to hand to a child."""
        return open(self.path, "ab", buffering=0)

    def news(self) -> list[str]:
        """The warnings written since the last call, at most `LINES_AT_ONCE`."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self._offset)
                fresh = file.read(READ_AT_ONCE_BYTES)
        except OSError:
            return []
        whole = len(fresh) if len(fresh) == READ_AT_ONCE_BYTES else fresh.rfind(b"\n") + 1
        self._offset += whole
        found = [line.decode("utf-8", "replace") for line in fresh[:whole].splitlines() if WARNING.search(line)]
        if len(found) <= LINES_AT_ONCE:
            return found
        return [*found[:LINES_AT_ONCE], f"... and {len(found) - LINES_AT_ONCE} more in {self.path}"]

    def last_line(self) -> str:
        """What a child said last, for the sentence about its death: of its last five lines the last grave one."""
        try:
            with open(self.path, "rb") as file:
                file.seek(max(0, self.path.stat().st_size - 8192))
                lines = file.read().decode("utf-8", "replace").splitlines()
        except OSError:
            return ""
        last = [line.strip() for line in lines if line.strip()][-5:]
        grave = [line for line in last if WARNING.search(line.encode())]
        return (grave or last or [""])[-1]

    def _rotate(self) -> None:
        if not self.path.exists() or self.path.stat().st_size < ROTATE_AT_BYTES:
            return
        for number in range(KEPT, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            if newer.exists():
                newer.replace(older)
