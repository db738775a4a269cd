"""Write the reference of the documents into `docs/reference/`: from the protos, the configuration's schema, the command
line and the tree of errors.

`python tools/reference.py --check` writes nothing and exits 1 where the committed pages differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

import reference_cli
import reference_config
import reference_errors
import reference_protos

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "docs" / "reference"


def pages() -> dict[str, str]:
    """Every generated page by its name below `docs/reference/`."""
    return {
        **reference_protos.pages(ROOT),
        "configuration.md": reference_config.page(),
        "cli.md": reference_cli.page(),
        "errors.md": reference_errors.page(ROOT),
    }


def main() -> int:
    made = pages()
    if "--check" in sys.argv:
        there = {path.relative_to(OUT).as_posix() for path in OUT.rglob("*.md")}
        stale = {name for name, text in made.items() if name not in there or (OUT / name).read_text() != text}
        for name in sorted(stale | (there - set(made))):
            print(f"not current: docs/reference/{name}; run `poe generate`", file=sys.stderr)
        return int(stale != set() or there != set(made))
    for path in OUT.rglob("*.md"):
        path.unlink()
    for name, text in made.items():
        (OUT / name).parent.mkdir(parents=True, exist_ok=True)
        (OUT / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
