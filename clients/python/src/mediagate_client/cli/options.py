"""What every command takes, and how a function becomes a command.

A command is a function whose first argument is the `Shell`; the options for the gateway are added to its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import fields
from typing import Annotated, Any, Final, TypeVar

import typer

from mediagate_client.cli.coercion import Command, Group
from mediagate_client.cli.where import TRANSPORTS, Flags

Function = TypeVar("Function", bound=Callable[..., None])

# Help without colours, frames or the library that draws them.
_PLAIN: Final[dict[str, Any]] = {
    "add_completion": False,
    "rich_markup_mode": None,
    "pretty_exceptions_enable": False,
}
EVERYWHERE: Final = (
    "With every command: --json, --profile, --url, --key, --data-dir, --transport, --ca-file, --user, --timeout,"
    " --quiet, --debug; see `mediagate --help`."
)


def _transport(value: str | None) -> str | None:
    if value not in (None, *TRANSPORTS):
        raise typer.BadParameter(f"{value!r} is none of {', '.join(TRANSPORTS)}.")
    return value


Profile = Annotated[
    str | None, typer.Option("--profile", metavar="NAME", help="Use this profile. [env: MEDIAGATE_PROFILE]")
]
Url = Annotated[str | None, typer.Option("--url", metavar="URL", help="The gateway's URL. [env: MEDIAGATE_URL]")]
Key = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="KEY", help="The key; other users of this machine see options. [env: MEDIAGATE_API_KEY]"
    ),
]
DataDir = Annotated[
    str | None,
    typer.Option(
        "--data-dir", metavar="DIR", help="Where a `mediagate dev` keeps its URL and key. [env: MEDIAGATE_DATA_DIR]"
    ),
]
Transport = Annotated[
    str | None,
    typer.Option("--transport", metavar="WIRE", callback=_transport, help="grpc or rest. [env: MEDIAGATE_TRANSPORT]"),
]
CaFile = Annotated[
    str | None, typer.Option("--ca-file", metavar="FILE", help="A CA to trust. [env: MEDIAGATE_CA_FILE]")
]
User = Annotated[str | None, typer.Option("--user", metavar="NAME", help="Act for this end user.")]
Timeout = Annotated[
    float | None, typer.Option("--timeout", metavar="SECONDS", help="How long an answer may take. [default: 60]")
]
Json = Annotated[bool | None, typer.Option("--json", help="Answer with JSON: a document, or a line for each item.")]
Quiet = Annotated[bool | None, typer.Option("--quiet", "-q", help="No bars and no notes.")]


def flags(
    profile: Profile = None,
    url: Url = None,
    key: Key = None,
    data_dir: DataDir = None,
    transport: Transport = None,
    ca_file: CaFile = None,
    user: User = None,
    timeout: Timeout = None,
    as_json: Json = None,
    quiet: Quiet = None,
) -> Flags:
    """The options that every command takes."""
    return Flags(profile, url, key, data_dir, transport, ca_file, user, timeout, as_json, quiet)


assert len(fields(Flags)) == len(inspect.signature(flags).parameters)


def hidden_options() -> list[inspect.Parameter]:
    """The same as parameters of a command, which its help does not repeat."""
    found = []
    for one in inspect.signature(flags, eval_str=True).parameters.values():
        kind, option = one.annotation.__origin__, copy(one.annotation.__metadata__[0])
        option.hidden = True
        found.append(one.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[kind, option]))
    return found


def group(help: str) -> typer.Typer:
    """A group of commands."""
    app = typer.Typer(cls=Group, no_args_is_help=True, help=help, epilog=EVERYWHERE, **_PLAIN)
    # With a callback it stays a group where it has one command.
    app.callback()(lambda: None)
    return app


def single(name: str, function: Callable[..., None]) -> typer.Typer:
    """A command without a group."""
    app = typer.Typer(**_PLAIN)
    command(app, name)(function)
    return app


def command(
    app: typer.Typer, name: str, *, help: str | None = None, admin: bool = False
) -> Callable[[Function], Function]:
    """Add a function to a group. It may be undone by any error of the client, which `main` tells."""

    def register(function: Function) -> Function:
        app.command(name, cls=Command, help=help, epilog=EVERYWHERE)(with_shell(function, admin=admin))
        return function

    return register


def with_shell(function: Callable[..., None], *, admin: bool = False) -> Callable[..., None]:
    """The function as typer calls it."""
    _, *own = inspect.signature(function, eval_str=True).parameters.values()
    common = hidden_options()
    # `data_dir` of the one kind and the other would meet; a command's own option goes first.
    names = {one.name for one in own}
    common = [one for one in common if one.name not in names]

    def run(ctx: typer.Context, **given: Any) -> None:
        from mediagate_client.cli.shell import Shell

        chosen = flags(**{one.name: given.pop(one.name) for one in common})
        before = ctx.obj if isinstance(ctx.obj, Flags) else Flags()
        with Shell(chosen.over(before), admin=admin) as shell:
            shell.run(lambda: function(shell, **given))
        raise typer.Exit(shell.failed)

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    # An argument may have no default where an option before it has one, so all go by name.
    own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own]
    parameters = [context, *own, *common]
    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run
