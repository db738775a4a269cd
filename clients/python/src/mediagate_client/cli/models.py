"""`mediagate models` and `mediagate providers`: what can be asked, and how it fares."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

from mediagate_client.cli import show
from mediagate_client.cli.exits import UNAVAILABLE
from mediagate_client.cli.options import command, group
from mediagate_client.cli.shell import Shell

NONE: Final = {"healthy_deployments": 0, "deployments": 0}

app = group("Models: which ones the key may use.")
providers = group("Providers: how those behind the gateway fare.")


@command(app, "ls")
def ls(
    shell: Shell,
    video: Annotated[bool, typer.Option("--video", help="Those for videos, with what they can make.")] = False,
) -> None:
    """List models."""
    found: list[dict[str, Any]] = shell.rest.get("/v1/videos/models" if video else "/v1/models")["data"]
    if video:
        shell.table(
            found,
            ("MODEL", "PROVIDER", "SECONDS", "SIZES", "INPUTS", "A SECOND"),
            lambda: [
                (
                    one["id"],
                    one.get("provider"),
                    _some(one.get("seconds")),
                    _some(one.get("sizes")),
                    _some(one.get("inputs")),
                    show.dollars(one.get("usd_per_second")),
                )
                for one in found
            ],
        )
        return
    shell.table(
        found,
        ("MODEL", "OWNER", "HEALTH", "DEPLOYMENTS"),
        lambda: [
            (
                one["id"],
                one.get("owned_by"),
                one.get("mediagate", {}).get("health"),
                "{healthy_deployments}/{deployments}".format_map(NONE | one.get("mediagate", {})),
            )
            for one in found
        ],
    )


def _some(values: list[Any] | None) -> str:
    texts = [str(value) for value in values or ()]
    return ", ".join(texts[:5]) + (f", … ({len(texts)})" if len(texts) > 5 else "")


@command(providers, "health")
def health(shell: Shell) -> None:
    """Show how the deployments fare, as their own traffic tells: nobody is asked. Exits with 5 where none is well."""
    found = shell.rest.get("/health")
    well, ill = found.get("healthy_endpoints", []), found.get("unhealthy_endpoints", [])
    rows = [("healthy", one) for one in well] + [("unhealthy", one) for one in ill]
    shell.table(
        found,
        ("STATE", "MODEL", "DEPLOYMENT", "ACCOUNT", "WHY", "FOR"),
        lambda: [
            (
                state,
                one.get("model_name"),
                one.get("deployment"),
                one.get("account"),
                one.get("reason"),
                show.span(one.get("cooling_seconds")) if one.get("cooling_seconds") else None,
            )
            for state, one in rows
        ],
    )
    if ill and not well:
        shell.failed = UNAVAILABLE
