"""Generators of code that other people write read the description of the API, as docs/openapi.md says. They come from
npm and PyPI, so this takes a while."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Gateway
from tests.docs.blocks import blocks


@pytest.mark.soak
def test_what_the_page_names_makes_types(gateway: Gateway, tmp_path: Path) -> None:
    (block,) = (block for block in blocks("docs/openapi.md") if "openapi-typescript" in block.text)
    if shutil.which("npx") is None or shutil.which("uvx") is None:
        pytest.skip("npx and uvx are not here")
    text = block.text.replace("127.0.0.1:4000", f"127.0.0.1:{gateway.port}").replace("npx ", "npx --yes ")
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run(["sh", "-ec", text], cwd=tmp_path, env=environment, check=True, timeout=280)
    assert "export interface paths" in (tmp_path / "mediagate.d.ts").read_text()
    compile((tmp_path / "models.py").read_text(), "models.py", "exec")
