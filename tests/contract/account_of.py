"""Real accounts, as the environment names them."""

from __future__ import annotations

import json
import os
from typing import Any

from mediagate.providers.account import Account

PREFIX = "mediagate-contract"
FIELDS = ("api_key", "api_base", "api_version", "bucket_name", "prefix")


def account_of(name: str) -> Account:
    """The account that the environment names."""
    settings: dict[str, Any] = json.loads(os.environ.get(f"MEDIAGATE_CONTRACT_{name.upper()}_SETTINGS") or "{}")
    known = {key: settings.pop(key) for key in FIELDS if key in settings}
    return Account("contract", name, **{"prefix": PREFIX, **known}, options=settings, environ=dict(os.environ))
