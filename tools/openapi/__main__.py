"""Write the OpenAPI document; with `--check`, exit 1 where the committed one is not current."""

from __future__ import annotations

import sys

from tools.openapi.document import document
from tools.openapi.protos import ROOT

TARGET = ROOT / "server" / "mediagate" / "pages" / "docs" / "openapi.json"


def main() -> int:
    made = document()
    if "--check" in sys.argv:
        if not TARGET.is_file() or TARGET.read_text() != made:
            print(f"not current: {TARGET}", file=sys.stderr)
            return 1
        return 0
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
