"""The command line's reference: every command with its arguments and options, from the program itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from markdown_words import table

from mediagate_client.cli.main import main
from mediagate_client.cli.root import root

INTRODUCTION = """# Command line

From the program's own `--help`.
"""


def page() -> str:
    """The whole page."""
    command = root()
    lines = [INTRODUCTION]
    main_doc = paragraph(main.__doc__ or "")
    if main_doc:
        lines += [main_doc, ""]
    lines += [*command_lines(command, ["mediagate"], None)]
    return "\n".join(lines).rstrip("\n") + "\n"


def command_lines(command: Any, path: list[str], parent: Any) -> Iterator[str]:
    """One command, and those below it."""
    context = typer.Context(command, info_name=path[-1], parent=parent)
    own = [param for param in command.params if not getattr(param, "hidden", False) and param.name != "help"]
    children = [(name, command.get_command(context, name)) for name in listed(command, context)]
    yield f"{'#' * min(len(path) + 1, 4)} {' '.join(path)}"
    yield ""
    yield paragraph(command.help or "") + "\n"
    if not children:
        yield f"```text\n{' '.join([*path, *command.collect_usage_pieces(context)])}\n```\n"
    rows = [row(param, context) for param in own]
    if rows:
        yield from (*table(("", ""), rows), "")
    for name, child in children:
        if child is not None and not child.hidden:
            yield from command_lines(child, [*path, name], context)


def listed(command: Any, context: Any) -> list[str]:
    """The names of what lies below a command."""
    return command.list_commands(context) if hasattr(command, "list_commands") else []


def row(param: Any, context: Any) -> tuple[str, str]:
    """One argument or option, as `--help` has it."""
    names, meaning = param.get_help_record(context) or ("", "")
    return f"`{names}`", meaning


def paragraph(text: str) -> str:
    """A docstring without its line breaks; its paragraphs stay apart."""
    return "\n\n".join(" ".join(part.split()) for part in text.replace("\f", "").strip().split("\n\n"))
