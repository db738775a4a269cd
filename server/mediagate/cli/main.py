"""The entry point. Each sub-command imports what it needs when it runs, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from mediagate.cli import admin, check_config, dev, healthcheck, migrate, reconcile, retention, serve, version, worker

app = typer.Typer(
    name="mediagate",
    help="One OpenAI-shaped gateway for files and generated videos.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    dev.dev,
    serve.serve,
    worker.worker,
    migrate.migrate,
    retention.retention,
    reconcile.reconcile,
    healthcheck.healthcheck,
    version.version,
):
    app.command()(command)
app.command("check-config")(check_config.check_config)
for kind in admin.KINDS:
    app.add_typer(admin.commands_of(kind), name=f"{kind.noun}s")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show stack traces; before or behind COMMAND.")] = False,
) -> None:
    """One OpenAI-shaped gateway for files and generated videos."""


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 usage, config or environment, 3 there is something to do
    or the key may not, 4 not found, 5 unavailable."""
    from mediagate.supervisor import StartError

    if "--debug" in sys.argv:
        os.environ["MEDIAGATE_DEBUG"] = "1"
        sys.argv.remove("--debug")
    try:
        app()
    except StartError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except Exception as error:
        if os.environ.get("MEDIAGATE_DEBUG") == "1":
            raise
        print(f"mediagate failed: {type(error).__name__}: {error}. --debug shows where.", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
