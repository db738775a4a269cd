"""`mediagate serve`: the production server."""

from __future__ import annotations

from typing import Annotated

import typer

from mediagate.cli.options import Config, DataDir, Host, Port


def serve(
    config: Config = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, max=128, help="gRPC server processes. Default: from the config.")
    ] = None,
    envoy: Annotated[bool, typer.Option("--envoy/--no-envoy", help="Run Envoy beside the server.")] = True,
    host: Host = "0.0.0.0",  # noqa: S104
    port: Port = 4000,
    grpc_listen: Annotated[
        str, typer.Option("--grpc-listen", help="With --no-envoy: address that the gRPC server listens on.")
    ] = "0.0.0.0:50051",
    data_dir: DataDir = None,
) -> None:
    """Serve in production: needs MEDIAGATE_DATABASE_URL, a migrated database and a key. Jobs run in `worker`."""
    from mediagate.supervisor import StartError
    from mediagate.supervisor.prepare import become, load_settings, prepare_serve

    settings = load_settings(data_dir=data_dir, config_path=config)
    if settings.config_path is None:
        raise StartError("serve needs a config file. Name it with --config or MEDIAGATE_CONFIG.")
    become(prepare_serve(settings, host, port, workers=workers, envoy=envoy, grpc_listen=grpc_listen))
