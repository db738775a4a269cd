"""`python -m mediagate.store.migrate`: bring the database's schema to the revision of this code.

Without arguments it migrates; `--check` only looks; `--status` prints the revisions. Exit code 0 when the schema
fits, 2 with one sentence on standard error when it does not or cannot.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from mediagate.store.database import engine_url

# Any number: two processes that migrate at once take turns.
ADVISORY_LOCK = 7_305_211


class SchemaMismatch(Exception):
    """The database's schema is not this code's; the text says what to do."""


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def revisions(connection: Connection) -> tuple[str | None, str]:
    """The database's revision, and the newest one of this code. Raises `SchemaMismatch` for an unknown one."""
    script = ScriptDirectory.from_config(_config(connection))
    head = script.get_current_head()
    assert head is not None
    current = MigrationContext.configure(connection).get_current_revision()
    if current is not None:
        try:
            script.get_revision(current)
        except CommandError:
            raise SchemaMismatch(
                f"The database is at schema revision {current}, which this version of mediagate does not know. "
                "It was migrated by a newer version: upgrade mediagate, or use another database."
            ) from None
    return current, head


def check(connection: Connection) -> None:
    """Raises `SchemaMismatch` unless the schema is the newest this code knows."""
    current, head = revisions(connection)
    if current != head:
        raise SchemaMismatch(
            f"The database is at schema revision {current or 'none'}, mediagate needs {head}. Run `mediagate migrate`."
        )


def upgrade(connection: Connection) -> None:
    """Run the revisions that are missing; processes that do it at once take turns."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    current, head = revisions(connection)
    if current != head:
        command.upgrade(_config(connection), "head")


def main(arguments: list[str]) -> int:
    """Do what the arguments say on the database of `MEDIAGATE_DATABASE_URL`."""
    url = os.environ.get("MEDIAGATE_DATABASE_URL", "")
    try:
        engine = create_engine(engine_url(url), connect_args={"connect_timeout": 5})
        with engine.begin() as connection:
            if "--check" in arguments:
                check(connection)
            elif "--status" in arguments:
                current, head = revisions(connection)
                print(f"database: {current or 'none'}\nmediagate: {head}")
            else:
                upgrade(connection)
    except (SchemaMismatch, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except SQLAlchemyError as error:
        print(f"The database could not be migrated: {type(error).__name__}.", file=sys.stderr)
        if os.environ.get("MEDIAGATE_DEBUG"):
            raise
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
