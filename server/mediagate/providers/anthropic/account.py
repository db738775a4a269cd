"""An account at Anthropic: its address and its headers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mediagate.providers.account import Account
from mediagate.providers.http import Headers
from mediagate.providers.settings import key_of, root_of

VERSION: Final = "2023-06-01"


def headers_of(account: Account) -> Headers:
    """The headers of every call. Raises `ValueError` for an account without a key."""
    key = key_of(account, "ANTHROPIC_API_KEY")

    async def headers() -> Mapping[str, str]:
        return {"x-api-key": key, "anthropic-version": account.api_version or VERSION}

    return headers


def root_of_account(account: Account) -> str:
    """Where the API is, without `/v1`."""
    return root_of(account, "ANTHROPIC_BASE_URL", "https://api.anthropic.com")
