"""Turning this process into one of the server's programs."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from mediagate.supervisor import StartError
from mediagate.supervisor.prepare import load_settings
from mediagate.telemetry import metrics_folder

SERVES = "mediagate.app"


def hand_over(module: str, *arguments: str, **flags: str | None) -> NoReturn:
    """Replace this process with `python -m module`, given the settings in its environment."""
    settings = load_settings(**flags)
    if settings.database_url is None:
        raise StartError("There is no database. Set MEDIAGATE_DATABASE_URL or database_url in the config.")
    environment = {
        **os.environ,
        **(metrics_folder.prepare(settings.data_dir) if module == SERVES else {}),
        "MEDIAGATE_DATA_DIR": str(settings.data_dir),
        "MEDIAGATE_DATABASE_URL": settings.database_url.get_secret_value(),
    }
    if settings.config_path:
        environment["MEDIAGATE_CONFIG"] = str(settings.config_path)
    if settings.master_key:
        environment["MEDIAGATE_MASTER_KEY"] = settings.master_key.get_secret_value()
    os.execve(sys.executable, [sys.executable, "-m", module, *arguments], environment)  # noqa: S606
