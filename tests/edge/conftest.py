"""One edge with one scripted server for the tests that break nothing; `own_edge` for those that do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# Pytest imports test modules by path (importlib mode), so their neighbours are found by this alone.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from edge_harness import Edge


@pytest.fixture(scope="session")
def edge() -> Iterator[Edge]:
    running = Edge(
        options={
            "max_request_bytes": 300_000_000,
            "headers_timeout_s": 1.0,
            "upload_idle_s": 1.0,
            "small_body_timeout_s": 1.0,
        }
    )
    running.start()
    yield running
    running.stop()


@pytest.fixture
def own_edge() -> Iterator[Callable[[Edge], Edge]]:
    """Starts an edge that the test may break; it is gone behind it."""
    started: list[Edge] = []

    def start(prepared: Edge) -> Edge:
        started.append(prepared)
        prepared.start()
        return prepared

    yield start
    for running in started:
        running.stop()
