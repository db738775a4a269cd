"""What the logs of the gateways say beside a test's failure."""

from __future__ import annotations

import re
from pathlib import Path

from mediagate.supervisor.logs import WARNING

LINES = 60
LINE_CHARS = 600
POSTGRES = re.compile(rb"\] (ERROR|DETAIL): ")

_folders: list[Path] = []
_read_to: dict[Path, int] = {}
_last_words: list[tuple[str, str]] = []


def watch(data_dir: Path) -> None:
    """Read what gateways in this folder write from now on."""
    _folders.append(data_dir)


def forget(data_dir: Path, *, failed: bool) -> None:
    """The folder is about to go; where a test `failed` in it, what it has to say is kept for the report."""
    if failed:
        _last_words.extend(_sections(data_dir))
    _folders.remove(data_dir)


def begin_test() -> None:
    """Leave out what came before."""
    _last_words.clear()
    _read_to.clear()
    _read_to.update({path: path.stat().st_size for folder in _folders for path in _logs(folder)})


def told() -> list[tuple[str, str]]:
    """The last warnings since `begin_test`, a title and a text for every log that has some."""
    return _last_words + [section for folder in _folders for section in _sections(folder)]


def _logs(data_dir: Path) -> list[Path]:
    return [*sorted((data_dir / "logs").glob("*.log")), data_dir.with_suffix(".out")]


def _sections(data_dir: Path) -> list[tuple[str, str]]:
    return [
        (f"{data_dir.parent.name}: {path.name}", "\n".join(lines))
        for path in _logs(data_dir)
        if path.exists() and (lines := _warnings(path))
    ]


def _warnings(path: Path) -> list[str]:
    with path.open("rb") as file:
        file.seek(_read_to.get(path, 0))
        lines = file.read().splitlines()
    if path.suffix == ".log":
        lines = [line for line in lines if WARNING.search(line) or POSTGRES.search(line)]
    return [line.decode("utf-8", "replace")[:LINE_CHARS] for line in lines[-LINES:]]
