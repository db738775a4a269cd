"""Files that are kept on one worker are there."""

from __future__ import annotations

from pathlib import Path

from tests.together import GROUPS

ROOT = Path(__file__).parents[2]


def test_every_file_that_is_kept_with_others_exists() -> None:
    assert [path for path in GROUPS if not (ROOT / path).is_file()] == []
