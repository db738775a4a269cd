"""`mediagate dev`: everything on one machine."""

from __future__ import annotations

from typing import Annotated

import typer

from mediagate.cli.options import Config, DataDir, Host, Port


def dev(
    port: Port = 4000,
    host: Host = "127.0.0.1",
    data_dir: DataDir = None,
    master_key: Annotated[
        str | None, typer.Option("--master-key", help="The key. Default: made once. [env: MEDIAGATE_MASTER_KEY]")
    ] = None,
    config: Config = None,
) -> None:
    """Run everything on this machine, with a database of its own, until Ctrl-C."""
    from mediagate.supervisor.prepare import become, load_settings, prepare_dev

    settings = load_settings(data_dir=data_dir, master_key=master_key, config_path=config)
    become(prepare_dev(settings, host, port))
