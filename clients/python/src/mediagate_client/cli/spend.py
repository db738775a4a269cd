"""`mediagate spend`: what was spent, by whom and on what, and budgets."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from mediagate_client.cli import complete, show
from mediagate_client.cli.options import command, group
from mediagate_client.cli.shell import Shell

FILTERS: Final = ("api_key", "user_id", "team_id", "end_user", "model", "provider", "start_date", "end_date")
GROUPS: Final = ("keys", "models", "users", "teams", "providers", "days")

ApiKey = Annotated[str | None, typer.Option("--key-id", metavar="ID", help="Only of this key.")]
UserId = Annotated[str | None, typer.Option("--user-id", metavar="ID", help="Only of this user.")]
TeamId = Annotated[str | None, typer.Option("--team-id", metavar="ID", help="Only of this team.")]
EndUser = Annotated[str | None, typer.Option("--end-user", metavar="NAME", help="Only of this end user.")]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Only with this model.", autocompletion=complete.models)
]
Provider = Annotated[
    str | None, typer.Option("--provider", help="Only at this provider.", autocompletion=complete.providers)
]
Since = Annotated[
    str | None, typer.Option("--since", metavar="DAY", help="From this day or moment on: 2026-11-01, UTC.")
]
Until = Annotated[str | None, typer.Option("--until", metavar="DAY", help="Up to this day, or before this moment.")]
Csv = Annotated[bool, typer.Option("--csv", help="As CSV.")]

app = group("Spend: what was spent, by whom and on what, and budgets.")


@command(app, "logs")
def logs(
    shell: Shell,
    api_key: ApiKey = None,
    user_id: UserId = None,
    team_id: TeamId = None,
    end_user: EndUser = None,
    model: Model = None,
    provider: Provider = None,
    start_date: Since = None,
    end_date: Until = None,
    status: Annotated[str | None, typer.Option("--status", help="Only reserved, charged or released ones.")] = None,
    request: Annotated[str | None, typer.Option("--request", metavar="ID", help="Only this one.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 100,
    after: Annotated[str | None, typer.Option("--after", metavar="ID", help="Begin behind this one.")] = None,
    csv: Csv = False,
) -> None:
    """List what each request cost, the newest first."""
    values = (api_key, user_id, team_id, end_user, model, provider, start_date, end_date)
    asked = {
        **dict(zip(FILTERS, values, strict=True)),
        "status": status,
        "request_id": request,
        "limit": limit,
        "after": after,
    }
    if csv:
        print(shell.rest.text("/v1/spend/logs", {**asked, "format": "csv"}), end="")
        return
    page = shell.rest.get("/v1/spend/logs", asked)
    found: list[dict[str, Any]] = page["data"]
    shell.table(
        found,
        ("REQUEST", "WHEN", "KEY", "TEAM", "MODEL", "PROVIDER", "STATUS", "SPENT", "HELD"),
        lambda: [
            (
                one["request_id"],
                one["start_time"][:16].replace("T", " "),
                one.get("key_alias") or one.get("api_key"),
                one.get("team_id"),
                one["model"],
                one["provider"],
                one["status"],
                show.dollars(one.get("spend", 0)),
                show.dollars(one.get("reserved", 0)),
            )
            for one in found
        ],
    )
    if page.get("has_more"):
        shell.note(f"There are more: --after {found[-1]['request_id']}.")


def _by(name: str) -> None:
    def report(
        shell: Shell,
        api_key: ApiKey = None,
        user_id: UserId = None,
        team_id: TeamId = None,
        end_user: EndUser = None,
        model: Model = None,
        provider: Provider = None,
        start_date: Since = None,
        end_date: Until = None,
        limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 100,
        csv: Csv = False,
    ) -> None:
        values = (api_key, user_id, team_id, end_user, model, provider, start_date, end_date)
        asked: dict[str, Any] = {**dict(zip(FILTERS, values, strict=True)), "limit": limit}
        if csv:
            print(shell.rest.text(f"/v1/spend/{name}", {**asked, "format": "csv"}), end="")
            return
        found: list[dict[str, Any]] = shell.rest.get(f"/v1/spend/{name}", asked)["data"]
        shell.table(
            found,
            (name.removesuffix("s").upper(), "NAME", "SPENT", "HELD", "REQUESTS"),
            lambda: [
                (
                    one.get("id"),
                    one.get("alias"),
                    show.dollars(one.get("spend", 0)),
                    show.dollars(one.get("reserved", 0)),
                    one.get("requests", 0),
                )
                for one in found
            ],
        )

    order = "the newest first" if name == "days" else "the dearest first"
    command(app, name, help=f"Add up by {name.removesuffix('s')}, {order}.")(report)


for _name in GROUPS:
    _by(_name)


@command(app, "budgets")
def budgets(shell: Shell) -> None:
    """Show how far budgets are used: those of the key, its user and its team, and for admins those of providers."""
    found: list[dict[str, Any]] = shell.rest.get("/v1/spend/budgets")["data"]
    shell.table(
        found,
        ("KIND", "ID", "SPENT", "HELD", "LIMIT", "LEFT", "PERIOD", "ANEW"),
        lambda: [
            (
                one.get("kind"),
                one.get("id"),
                show.dollars(one.get("spend", 0)),
                show.dollars(one.get("reserved", 0)),
                show.dollars(one.get("max_budget")),
                show.dollars(one.get("remaining")),
                one.get("budget_duration"),
                show.moment(one.get("budget_reset_at")),
            )
            for one in found
        ],
    )
