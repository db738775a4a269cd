"""A user of the shell, at the shared gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.shell.kit import Shell
from tests.conftest import Gateway


@pytest.fixture
def nobody(tmp_path: Path) -> Shell:
    """A user who has set nothing."""
    return Shell(tmp_path)


@pytest.fixture
def shell(gateway: Gateway, tmp_path: Path) -> Shell:
    """A user whose environment names the gateway."""
    return Shell(tmp_path, {"MEDIAGATE_URL": gateway.url, "MEDIAGATE_API_KEY": gateway.key})
