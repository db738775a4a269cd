"""`mediagate reconcile`: what the stores hold against what the database says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mediagate.cli.options import Config, DataDir

if TYPE_CHECKING:
    from pathlib import Path

    from mediagate.config import Settings
    from mediagate.files.reconcile import Findings


def reconcile(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what is found and change nothing.")] = False,
    account: Annotated[
        str | None, typer.Option("--account", help="Only this account; or a provider, for its first one.")
    ] = None,
    config: Config = None,
    data_dir: DataDir = None,
) -> None:
    """Remove objects of ours that no row stands for, and mark copies lost that their store no longer has.

    Uses MEDIAGATE_DATABASE_URL, or the database of the `mediagate dev` that runs on the data dir. Give it the config of
    the gateway whose database that is. Exits with 1 if a provider fails.
    """
    import asyncio
    from dataclasses import replace

    from pydantic import SecretStr

    from mediagate.supervisor.prepare import check_database, load_settings
    from mediagate.telemetry.logs import configure_logs

    configure_logs("reconcile")
    settings = load_settings(config_path=config, data_dir=data_dir)
    if settings.database_url is None:
        settings = replace(settings, database_url=SecretStr(database_of_dev(settings.data_dir)))
    else:
        check_database(settings.database_url.get_secret_value())
    _check_schema(settings)
    if asyncio.run(_run(settings, account, dry_run=dry_run)):
        raise typer.Exit(1)


def database_of_dev(data_dir: Path) -> str:
    """URL of the embedded database. Raises `StartError` where no `mediagate dev` runs on `data_dir`."""
    from mediagate.supervisor import StartError, places, postgres
    from mediagate.supervisor.plan import PostgresSpec
    from mediagate.supervisor.prepare import check_database

    try:
        if not (data_dir / "postgres").is_dir():
            raise StartError("no database was ever made here")
        socket_dir = places.run_dir_for(data_dir) / "pg"
        url = postgres.url(PostgresSpec(bin_dir="", data_dir="", socket_dir=str(socket_dir), user=None))
        check_database(url)
    except StartError:
        raise StartError(
            f"There is no database. Set MEDIAGATE_DATABASE_URL, or have `mediagate dev` run on {data_dir}."
        ) from None
    return url


def _check_schema(settings: Settings) -> None:
    """An empty database would make every object look like an orphan."""
    from sqlalchemy import create_engine

    from mediagate.store.database import engine_url
    from mediagate.store.migrate import SchemaMismatch, check
    from mediagate.supervisor import StartError

    assert settings.database_url is not None
    engine = create_engine(engine_url(settings.database_url.get_secret_value()))
    try:
        with engine.connect() as connection:
            check(connection)
    except SchemaMismatch as error:
        raise StartError(str(error)) from None
    finally:
        engine.dispose()


async def _run(settings: Settings, account: str | None, *, dry_run: bool) -> int:
    """How many accounts failed."""
    from mediagate.cli.failures import tell
    from mediagate.composition import build_parts, open_parts
    from mediagate.supervisor import StartError

    parts = build_parts(settings)
    try:
        await open_parts(parts)
        named = None if account is None else parts.stores.named(account)
        if account is not None and named is None:
            raise StartError(f"'{account}' is none of the accounts {', '.join(parts.stores.names())}.")
        failures = 0
        for name in [named] if named is not None else parts.stores.accounts:
            try:
                findings = await parts.reconcile.run(name, dry_run=dry_run, thorough=True)
            except Exception as error:
                failures += 1
                tell(name, error)
            else:
                print(_told(findings, dry_run=dry_run))
    finally:
        await parts.stores.close()
        await parts.db.close()
    return failures


def _told(findings: Findings, *, dry_run: bool) -> str:
    if findings.skipped is not None:
        return f"{findings.account}: skipped, {findings.skipped}"
    orphans, ghosts = ("", "") if dry_run else (" removed", " marked lost")
    counts = [
        _counted(findings.objects, "object"),
        f"{_counted(findings.orphans, 'orphan')}{orphans if findings.orphans else ''}",
        f"{_counted(findings.ghosts, 'ghost')}{ghosts if findings.ghosts else ''}",
    ]
    if findings.foreign:
        counts.append(f"{_counted(findings.foreign, 'object')} of another gateway left alone")
    return "\n".join([f"{findings.account}: {', '.join(counts)}", *(f"  {name}" for name in findings.examples)])


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
