"""One more process of a gateway under test, for what requests to models need of its files."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from pydantic import SecretStr

from mediagate.composition import Parts, build_parts
from mediagate.config import Settings
from tests.conftest import MASTER_KEY, Gateway


@asynccontextmanager
async def process(gateway: Gateway, **chat_files: Any) -> AsyncIterator[Parts]:
    """Its parts; jobs are the gateway's. `chat_files` are keys of that section over those of the configuration."""
    settings = Settings.from_env(
        {**os.environ, "MEDIAGATE_MASTER_KEY": MASTER_KEY},
        {"data_dir": str(gateway.data_dir), "config_path": str(gateway.data_dir.parent / "data.yaml")},
    )
    config = settings.config
    config = config.model_copy(
        update={
            "chat_files": config.chat_files.model_copy(update=chat_files),
            "handles": config.handles.model_copy(update={"public_url": gateway.url}),
        }
    )
    parts = build_parts(replace(settings, config=config, database_url=SecretStr(gateway.database_url)))
    try:
        yield parts
    finally:
        await parts.copy_news.close()
        parts.outputs.tools.close()
        await parts.stores.close()
        await parts.db.close()
