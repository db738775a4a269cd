"""Stands for `pip install`: what it names must be installed here already."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path


def main() -> int:
    for name in sys.argv[1:]:
        if name.startswith("-"):
            continue
        project = Path(name.partition("[")[0]) / "pyproject.toml"
        named = tomllib.loads(project.read_text())["project"]["name"] if project.exists() else name
        distribution(named.partition("[")[0].partition("=")[0].strip("<>~! "))
    return 0


if __name__ == "__main__":
    sys.exit(main())
