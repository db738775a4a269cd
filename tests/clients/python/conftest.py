"""The Python client on the shared gateway, over both wires."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mediagate_client import Client
from tests.conftest import Gateway

# For what takes long and has nothing to do with how a call is sent.
MAINLY_GRPC = pytest.mark.parametrize("wire", ["grpc", pytest.param("rest", marks=pytest.mark.soak)], indirect=True)
MAINLY_REST = pytest.mark.parametrize("wire", ["rest", pytest.param("grpc", marks=pytest.mark.soak)], indirect=True)


@pytest.fixture(params=["grpc", "rest"])
def wire(request: pytest.FixtureRequest) -> str:
    """The client's transport."""
    return str(request.param)


@pytest.fixture
def media(gateway: Gateway, wire: str) -> Iterator[Client]:
    """The sync client."""
    with Client(gateway.url, gateway.key, transport=wire) as client:  # type: ignore[arg-type]
        yield client
