"""The fenced blocks of the documents, and what stands beside each about how it is tested."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELL = ("sh", "bash", "console")
RUNNABLE = (*SHELL, "python", "js", "javascript", "ts", "typescript", "yaml")
FENCE = re.compile(r"^( *)```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"<!-- (not run|run by|refused on purpose)(?:: | )?(.*?) *-->\s*\Z")
PAGE_MARK = re.compile(r"(?<!`)<!-- this page is run by (\S+) -->")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `mark` and `note` are those of the comment above it: `not run` with a reason, `run by` with a
    test, or `refused on purpose` where a command ends with an error of the API."""

    page: str
    line: int
    language: str
    text: str
    mark: str
    note: str

    @property
    def name(self) -> str:
        """Page and line."""
        return f"{self.page}:{self.line}"


class Anything(dict[str, str]):
    """An environment in which every variable is set, to something that a secret may be."""

    def __contains__(self, _: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" if name.endswith("SECRET") else "set"


def documents() -> list[str]:
    """Every document for readers, by its path in the repository."""
    found = [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("clients/*/README.md"),
    ]
    names = sorted(path.relative_to(ROOT).as_posix() for path in found)
    return [name for name in names if not name.startswith("docs/reference/")]


def run_elsewhere(page: str) -> str:
    """The test that runs a whole page, where it says one."""
    match = PAGE_MARK.search((ROOT / page).read_text())
    return match[1] if match else ""


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page, in their order."""
    text = (ROOT / page).read_text()
    for fence in FENCE.finditer(text):
        before = MARK.search(text[: fence.start()])
        mark, note = (before[1], before[2]) if before else ("", "")
        body = re.sub(rf"^{fence[1]}", "", fence[3], flags=re.MULTILINE)
        yield Block(page, text[: fence.start()].count("\n") + 1, fence[2], body, mark, note)
