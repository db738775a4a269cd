"""`mediagate retention`: the life-cycle rules of buckets."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mediagate.cli.options import Config

if TYPE_CHECKING:
    from mediagate.config import Settings
    from mediagate.providers.files import RetentionPlan

WOULD_CHANGE = 3


class Action(StrEnum):
    """What to do with the rules."""

    PLAN = "plan"
    APPLY = "apply"


def retention(
    action: Annotated[Action, typer.Argument(help="plan: print what would change. apply: change it.")],
    config: Config = None,
) -> None:
    """Keep a rule of ours in each bucket, as `retention_period` says, and none where nothing is said; the rules of
    others stay as they are.

    Needs no database. `plan` exits with 3 if `apply` would change something. Both exit with 1 if a provider fails.
    """
    import asyncio

    from mediagate.supervisor.prepare import load_settings
    from mediagate.telemetry.logs import configure_logs

    configure_logs("retention")
    changes, failures = asyncio.run(_run(load_settings(config_path=config), action))
    if failures:
        raise typer.Exit(1)
    if changes and action is Action.PLAN:
        raise typer.Exit(WOULD_CHANGE)


async def _run(settings: Settings, action: Action) -> tuple[int, int]:
    """How many buckets had another rule, and how many accounts failed."""
    import os

    from mediagate.accounts import accounts_of
    from mediagate.cli.failures import tell
    from mediagate.composition import file_stores
    from mediagate.files.retention import Retention

    stores = file_stores(settings, accounts_of(settings, os.environ).files)
    rules = Retention(stores)
    changes = failures = 0
    try:
        for account in rules.accounts():
            try:
                plan = await (rules.plan(account) if action is Action.PLAN else rules.apply(account))
            except Exception as error:
                failures += 1
                tell(account, error)
            else:
                changes += plan.rules is not None
                print(_told(account, plan))
    finally:
        await stores.close()
    if not rules.accounts():
        print("No account has a store that keeps life-cycle rules.")
    return changes, failures


def _told(account: str, plan: RetentionPlan) -> str:
    rows = {
        "bucket": plan.bucket,
        "prefix": f"{plan.prefix.strip('/')}/",
        "now": _days(plan.current_days),
        "wanted": _days(plan.days),
        "change": "none" if plan.rules is None else plan.summary,
    }
    return "\n".join([account, *(f"  {name:<7} {value}" for name, value in rows.items())])


def _days(days: int | None) -> str:
    return "no rule" if days is None else f"{days} {'day' if days == 1 else 'days'}"
