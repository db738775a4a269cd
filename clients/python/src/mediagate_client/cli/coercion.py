"""Commands and groups as this shell wants them.

Typer turns what was typed into Python values with pydantic, which takes longer to load than most commands take. Words,
numbers and yes or no need none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

# What people type who come from another shell.
ALIASES: Final = {
    "list": "ls",
    "ls": "list",
    "delete": "rm",
    "rm": "delete",
    "remove": "rm",
    "download": "get",
    "info": "show",
    "cp": "copy",
}


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no whole number.") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no number.") from None


def _yes(value: bool | str) -> bool:
    if isinstance(value, bool):
        return value
    if value.lower() in ("1", "true", "yes", "on"):
        return True
    if value.lower() in ("0", "false", "no", "off"):
        return False
    raise typer.BadParameter(f"{value!r} is neither yes nor no.")


PLAIN: Final[dict[Any, Callable[[Any], Any]]] = {
    str: str,
    int: lambda value: value if isinstance(value, int) else _whole(value),
    float: lambda value: float(value) if isinstance(value, (int, float)) else _number(value),
    bool: _yes,
    list[str]: lambda values: [str(value) for value in values],
}


METAVARS: Final[dict[Any, str]] = {str: "TEXT", list[str]: "TEXT", int: "NUMBER", float: "NUMBER"}


class _Plain:
    """What typer asks for the value of a parameter of a plain type."""

    def __init__(self, convert: Callable[[Any], Any]) -> None:
        self._convert = convert

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The Python value; what was not given stays away."""
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        return self._convert(value)


def lighten(params: list[Any]) -> list[Any]:
    """The same parameters, those of plain types with a conversion that loads nothing; all others keep typer's."""
    for param in params:
        kind = getattr(param, "type_descriptor", None)
        convert = PLAIN.get(kind.annotation) if kind is not None else None
        if kind is None or convert is None:
            continue
        if not kind.is_ranged and kind.parameter_info.parser is None:
            param._runtime_param = _Plain(convert)
        if param.metavar is None and param.param_type_name == "option":
            param.metavar = METAVARS.get(kind.annotation)
    return params


class Command(TyperCommand):
    """A command whose parameters load nothing."""

    def get_params(self, ctx: Any) -> Any:
        """Its parameters, `--help` among them."""
        return lighten(super().get_params(ctx))


class Group(TyperGroup):
    """A group that knows what other shells call its commands."""

    def get_params(self, ctx: Any) -> Any:
        """Its parameters, `--help` among them."""
        return lighten(super().get_params(ctx))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or of the name that another shell has for it."""
        found = super().get_command(ctx, cmd_name)
        return found or super().get_command(ctx, ALIASES.get(cmd_name, cmd_name))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As typer does; a name that is not known is answered with the ones it may have been."""
        refuse_unknown(self, ctx, args)
        return super().resolve_command(ctx, args)


def refuse_unknown(group: TyperGroup, ctx: Any, args: list[str]) -> None:
    """Refuse a name that is no command, with those that it may have been."""
    if not args or args[0].startswith("-") or ctx.resilient_parsing or group.get_command(ctx, args[0]) is not None:
        return
    known = group.list_commands(ctx)
    near = get_close_matches(args[0], known)
    hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(known)}."
    ctx.fail(f"No such command {args[0]!r}. {hint}")
