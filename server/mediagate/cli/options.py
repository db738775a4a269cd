"""Options that several sub-commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Config = Annotated[str | None, typer.Option("--config", help="Config file. [env: MEDIAGATE_CONFIG]")]
DataDir = Annotated[str | None, typer.Option("--data-dir", help="Where everything is kept. [env: MEDIAGATE_DATA_DIR]")]
Host = Annotated[str, typer.Option("--host", help="Address to listen on; 0.0.0.0 for all.")]
Port = Annotated[int, typer.Option("--port", help="Port to listen on; 0 picks a free one.")]
