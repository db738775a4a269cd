"""Stands for a command that starts the gateway, where one runs already: its options and its file must be good."""

from __future__ import annotations

import sys
from typing import Any

import typer

from mediagate.config import load_config
from mediagate_client.cli.root import root
from tests.docs.blocks import Anything


def main() -> int:
    command: Any = root()
    context = typer.Context(command, info_name="mediagate")
    name, *options = sys.argv[1:]
    child = command.get_command(context, name)
    parsed = child.make_context(name, options, parent=context).params
    if parsed.get("config"):
        for warning in load_config(parsed["config"], Anything()).warnings:
            print(f"warning: {warning}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
