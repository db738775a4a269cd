"""`mediagate completion`."""

from __future__ import annotations

import os
from typing import Annotated, Final

import typer

from mediagate_client.cli.options import single
from mediagate_client.cli.root import ASKED_BY
from mediagate_client.cli.shell import Shell

SHELLS: Final = ("bash", "zsh", "fish")


def completion(
    shell: Shell,
    name: Annotated[str | None, typer.Argument(metavar="[bash|zsh|fish]", help="[default: that of $SHELL]")] = None,
) -> None:
    """Print the completion script of a shell.

    For this session: eval "$(mediagate completion bash)", in fish `mediagate completion fish | source`. For all: put
    that line into ~/.bashrc, ~/.zshrc (behind compinit) or ~/.config/fish/config.fish.
    """
    from typer._completion_shared import get_completion_script

    name = name or os.path.basename(os.environ.get("SHELL", ""))
    if name not in SHELLS:
        raise typer.BadParameter(f"{name!r} is none of {', '.join(SHELLS)}.")
    script = get_completion_script(prog_name="mediagate", complete_var=ASKED_BY, shell=name)
    shell.answer({"shell": name, "script": script}, lambda: [script])


def ready() -> None:
    """Tell typer how each shell asks, which it does by itself only where its own options for that are wanted."""
    from typer._completion_classes import completion_init

    completion_init()


app = single("completion", completion)
