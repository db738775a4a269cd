"""`mediagate check-config`: what is wrong with a config file."""

from __future__ import annotations

from typing import Annotated

import typer


def check_config(
    file: Annotated[str | None, typer.Argument(help="The file. [env: MEDIAGATE_CONFIG]")] = None,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema instead.")] = False,
) -> None:
    """Print every problem with its key path and exit with 2, or say that the file is good."""
    import json
    import os
    import sys

    from mediagate.config import Config, ConfigError, load_config
    from mediagate.supervisor import StartError

    if schema:
        print(json.dumps(Config.model_json_schema(), indent=2))
        return
    file = file or os.environ.get("MEDIAGATE_CONFIG")
    if not file:
        raise StartError("Name the file: mediagate check-config FILE.")
    try:
        warnings = load_config(file).warnings
    except ConfigError as error:
        raise StartError(str(error)) from None
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)
    print(f"{file} is good.")
