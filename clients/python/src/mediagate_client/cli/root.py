"""All commands by name. Each is loaded when it is called, so that `--help` answers at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from mediagate_client.cli.coercion import Command, lighten, refuse_unknown
from mediagate_client.cli.options import (
    CaFile,
    DataDir,
    Json,
    Key,
    Profile,
    Quiet,
    Timeout,
    Transport,
    Url,
    User,
    flags,
)

# Where the server's distribution has a table like the one below.
SERVER: Final = "mediagate.cli.commands"
OURS: Final = "mediagate_client.cli"
# The variable by which a shell asks for what TAB shall offer.
ASKED_BY: Final = "_MEDIAGATE_COMPLETE"


@dataclass(frozen=True, slots=True)
class Entry:
    """One command: the module and the name in it, its line in the help, and the part of the help."""

    place: str
    help: str
    part: str


COMMANDS: Final[dict[str, Entry]] = {
    "files": Entry(f"{OURS}.files:app", "Upload, list, fetch, copy and delete files.", "Files and videos"),
    "videos": Entry(f"{OURS}.videos:app", "Create, watch, list, fetch, open and delete videos.", "Files and videos"),
    "chat": Entry(f"{OURS}.chat:app", "Ask a model, about files too.", "Files and videos"),
    "models": Entry(f"{OURS}.models:app", "The models that the key may use.", "Files and videos"),
    "providers": Entry(f"{OURS}.models:providers", "How the providers behind the gateway fare.", "Files and videos"),
    "keys": Entry(f"{OURS}.admin:keys", "Keys: make, list, change and delete them.", "Administration"),
    "users": Entry(f"{OURS}.admin:users", "Users: make, list, change and delete them.", "Administration"),
    "teams": Entry(f"{OURS}.admin:teams", "Teams: make, list, change and delete them.", "Administration"),
    "spend": Entry(f"{OURS}.spend:app", "What was spent, by whom and on what, and budgets.", "Administration"),
    "profiles": Entry(f"{OURS}.profiles:app", "URLs and keys of gateways, by name.", "This shell"),
    "completion": Entry(f"{OURS}.completion:app", "Print the completion script of a shell.", "This shell"),
    "version": Entry(f"{OURS}.version:version", "Print the version.", "This shell"),
}


def commands() -> dict[str, Entry]:
    """Every command that is installed."""
    try:
        server: Mapping[str, tuple[str, str]] = import_module(SERVER).COMMANDS
    except ModuleNotFoundError as error:
        if error.name is None or not SERVER.startswith(error.name):
            raise
        server = {}
    theirs = {
        name: Entry(place, help, COMMANDS[name].part if name in COMMANDS else "Server")
        for name, (place, help) in server.items()
    }
    return {**COMMANDS, **theirs}


class Root(TyperGroup):
    """The group that all commands are in."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._entries = commands()

    def get_params(self, ctx: Any) -> Any:
        """As in every group."""
        return lighten(super().get_params(ctx))

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names, without loading them."""
        return list(self._entries)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load one; None where there is none."""
        entry = self._entries.get(cmd_name)
        if entry is None:
            return None
        if cmd_name not in self.commands:
            self.commands[cmd_name] = _load(cmd_name, entry)
        return self.commands[cmd_name]

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As in every group."""
        refuse_unknown(self, ctx, args)
        return super().resolve_command(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The commands by parts, and before the options, which are many."""
        for part in dict.fromkeys(entry.part for entry in self._entries.values()):
            with formatter.section(part):
                formatter.write_dl([(name, one.help) for name, one in self._entries.items() if one.part == part])
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Nothing: they stand before the options."""

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """The names that begin so."""
        from typer._click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=one.help) for name, one in self._entries.items() if name.startswith(incomplete)
        ]


def _load(name: str, entry: Entry) -> Any:
    module, _, attribute = entry.place.partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        function, found = (
            found,
            typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False),
        )
        found.command(name, cls=Command)(function)
    command = get_command(found)
    command.name = name
    return command


def root() -> Any:
    """The command line."""
    app = typer.Typer(
        cls=Root,
        name="mediagate",
        help="One gateway for files and generated videos, over any mix of model providers and cloud stores.",
        epilog="`mediagate COMMAND --help` says more. Options for the gateway stand before or behind the command.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def options(
        ctx: typer.Context,
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
        debug: bool = typer.Option(False, "--debug", help="Show stack traces."),
    ) -> None:
        ctx.obj = flags(profile, url, key, data_dir, transport, ca_file, user, timeout, as_json, quiet)

    if ASKED_BY in os.environ:
        import_module(f"{OURS}.completion").ready()
    return get_command(app)
