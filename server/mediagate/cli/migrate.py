"""`mediagate migrate`: the database schema."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from mediagate.cli.options import Config


class Action(StrEnum):
    """What to do with the schema."""

    UP = "up"
    STATUS = "status"


def migrate(
    action: Annotated[Action, typer.Argument(help="up: to the newest revision. status: print both revisions.")] = (
        Action.UP
    ),
    config: Config = None,
) -> None:
    """Bring the database's schema to the revision of this version, or say whether it is there."""
    from mediagate.cli.hand_over import hand_over

    hand_over("mediagate.store.migrate", *(["--status"] if action is Action.STATUS else []), config_path=config)
