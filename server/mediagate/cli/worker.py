"""`mediagate worker`: the job worker."""

from __future__ import annotations

from mediagate.cli.options import Config, DataDir


def worker(config: Config = None, data_dir: DataDir = None) -> None:
    """Run background jobs until SIGTERM: videos, deletes, expiry. Any number may share one database."""
    from mediagate.cli.hand_over import hand_over

    hand_over("mediagate.app", "worker", config_path=config, data_dir=data_dir)
