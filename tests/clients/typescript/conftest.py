"""The TypeScript client on the shared gateway, in Node 20 and in headless Chromium."""

from __future__ import annotations

import pytest

from tests.clients.typescript.package import Package, built


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """The client, built once."""
    return built(tmp_path_factory.mktemp("typescript"))
