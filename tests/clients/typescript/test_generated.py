"""The messages that the TypeScript client carries are those of the protos."""

from __future__ import annotations

import subprocess
import sys

from tests.clients.typescript.package import CLIENT


def test_the_generated_code_is_current() -> None:
    command = [sys.executable, "-m", "tools.generate_typescript", "--check"]
    done = subprocess.run(command, cwd=CLIENT.parent.parent, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{done.stderr}\nuv run poe generate"
