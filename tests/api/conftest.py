"""Gateways that more than one file of this folder shares: with webhooks, and with guardrails of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.api.guardrails_kit import NAME, example_server, guarded_config
from tests.api.webhooks_kit import CONFIG
from tests.conftest import Gateway, data_folder, start_gateway
from tests.doubles.moderations import Moderations
from tests.together import shared


@pytest.fixture(scope="module")
def hooks() -> Gateway:
    """A gateway that sends webhooks; a test removes its endpoints."""
    return shared.of("hooks", _hooks)


@contextmanager
def _hooks() -> Iterator[Gateway]:
    with data_folder() as folder, start_gateway(folder, CONFIG) as running:
        yield running


@pytest.fixture(scope="module")
def moderations() -> Moderations:
    """The endpoint that `guarded` asks."""
    return shared.of("moderations", Moderations.running)


@pytest.fixture(scope="module")
def guarded(moderations: Moderations) -> Gateway:
    """A gateway with guardrails of every kind."""
    return shared.of("guarded", lambda: _guarded(moderations))


@contextmanager
def _guarded(moderations: Moderations) -> Iterator[Gateway]:
    with Moderations.running() as slow, example_server(NAME) as example, data_folder() as folder:
        slow.stalls = True
        with start_gateway(folder, guarded_config(moderations, slow, example)) as running:
            yield running
