"""Write the table of what file providers can do into README.md, from their specs.

`python tools/matrix.py --check` changes nothing and fails where the table is not current.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from mediagate.providers.files import FileOperation, FileSpec
from mediagate.providers.registry import FILE_PROVIDERS, file_spec

README = Path(__file__).parent.parent / "README.md"
PLACE = re.compile(r"(<!-- providers -->\n).*?(<!-- /providers -->)", re.DOTALL)
UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (10**6, "MB"))


def size(size_bytes: int | None) -> str:
    """Bytes in the unit that makes a whole number."""
    if size_bytes is None:
        return "its own"
    unit, name = next((unit, name) for unit, name in UNITS if size_bytes % unit == 0)
    return f"{size_bytes // unit} {name}"


def life(spec: FileSpec) -> str:
    """What ends a file there."""
    if spec.life_s is not None:
        return f"after {spec.life_s // 3600} h"
    return "bucket rule or sweep" if spec.lifecycle else "sweep"


def table() -> str:
    """The table as Markdown, with its notes."""
    notes: list[str] = []
    lines = [
        f"| provider | {' | '.join(FileOperation)} | largest file | expires |",
        f"|---|{'---|' * (len(FileOperation) + 2)}",
    ]
    for spec in (file_spec(name) for name in FILE_PROVIDERS):
        cells = [cell(spec, operation, notes) for operation in FileOperation]
        lines.append(
            f"| `{spec.name}` ({spec.title}) | {' | '.join(cells)} | {size(spec.file_bytes_max)} | {life(spec)} |"
        )
    numbered = "; ".join(f"{number} {note}" for number, note in enumerate(notes, 1))
    return "\n".join([*lines, "", f"Notes: {numbered}.", ""])


def cell(spec: FileSpec, operation: FileOperation, notes: list[str]) -> str:
    """One operation of one provider."""
    if operation not in spec.supports or (operation is FileOperation.CONTENT and not spec.reads_uploads):
        mark = "-"
    else:
        mark = "yes"
    note = spec.notes.get(operation)
    if note is None:
        return mark
    if note not in notes:
        notes.append(note)
    return f"{mark} ({notes.index(note) + 1})"


def main() -> int:
    text = README.read_text()
    current = PLACE.sub(lambda match: f"{match[1]}{table()}{match[2]}", text)
    if "--check" in sys.argv:
        if current != text:
            print("README.md: the table of providers is not current; run `poe generate`", file=sys.stderr)
        return int(current != text)
    README.write_text(current)
    return 0


if __name__ == "__main__":
    sys.exit(main())
