"""The files that the processes of one machine share their numbers by: where they lie, and when they go."""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
FILE_BYTES: Final = 1 << 20
"""Room for the numbers of one process. It is taken from the disk at once: a file with a hole in it, on a disk that is
full, would end the process that writes there."""
KINDS: Final = ("counter", "histogram")
ABANDONED_S: Final = 7 * 86_400
_OWNED: Final = re.compile(r"_(\d+)\.db$")


def folder_in(data_dir: Path) -> Path:
    """This machine's folder: several may share a data dir, and each answers for itself."""
    host = re.sub(r"[^A-Za-z0-9.-]", "_", socket.gethostname()) or "localhost"
    return data_dir / "metrics" / host


def prepare(data_dir: Path) -> dict[str, str]:
    """Remove what dead processes left, and say what the environment of new ones needs; nothing where the folder cannot
    be used, and then each process counts for itself."""
    folder = folder_in(data_dir)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.glob("*.db"):
            owner = _OWNED.search(path.name)
            if owner is None or not _is_alive(int(owner[1])):
                path.unlink(missing_ok=True)
        _drop_abandoned(folder)
    except OSError:
        return {}
    return {VARIABLE: str(folder)}


def claim() -> None:
    """Take the room for this process's files. Where there is none, it counts for itself alone."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return
    made: list[Path] = []
    try:
        Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        for kind in KINDS:
            path = Path(folder, f"{kind}_{os.getpid()}.db")
            made.append(path)
            # One of a process that had this number before is not ours to go on with.
            path.unlink(missing_ok=True)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(bytes(FILE_BYTES))
    except OSError:
        for path in made:
            with suppress(OSError):
                path.unlink(missing_ok=True)
        del os.environ[VARIABLE]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _drop_abandoned(folder: Path) -> None:
    """Folders of machines that are no more, such as containers of last week."""
    before = time.time() - ABANDONED_S
    for other in folder.parent.iterdir():
        if other == folder or not other.is_dir():
            continue
        with suppress(OSError):
            newest = max((path.stat().st_mtime for path in [other, *other.iterdir()]), default=0.0)
            if newest < before:
                shutil.rmtree(other)
