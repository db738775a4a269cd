"""Generators read the OpenAPI document: types made of it say what the document says."""

from __future__ import annotations

import subprocess
from pathlib import Path

from mediagate.pages.folder import ROOT
from tests.installed import npm_installed

SOURCE = Path(__file__).parents[1] / "openapi-types"


def test_types_can_be_made_and_used(tmp_path: Path) -> None:
    programs = npm_installed(SOURCE) / "node_modules"
    (tmp_path / "consumer.ts").write_text((SOURCE / "consumer.ts").read_text())
    generate = [programs / "openapi-typescript" / "bin" / "cli.js", ROOT / "docs" / "openapi.json", "-o", "api.d.ts"]
    compile_ = [programs / "typescript" / "bin" / "tsc", "--noEmit", "--strict", "consumer.ts"]
    for command in (generate, compile_):
        ended = subprocess.run(["node", *command], cwd=tmp_path, capture_output=True, text=True, timeout=280)
        assert ended.returncode == 0, ended.stdout + ended.stderr
