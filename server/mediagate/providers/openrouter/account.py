"""An account at OpenRouter: its address, its key, and who it says that is calling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mediagate.providers.account import Account
from mediagate.providers.http import Explain, ProviderHttp
from mediagate.providers.settings import key_of

BASE_URL: Final = "https://openrouter.ai/api/v1"


def connect(account: Account, title: str, explain: Explain, **options: Any) -> ProviderHttp:
    """The account; `options` are `ProviderHttp`'s. Raises `ValueError` for one without a key."""
    headers = {"authorization": f"Bearer {key_of(account, 'OPENROUTER_API_KEY')}"}
    for name, option, *variables in (
        ("http-referer", "site_url", "OPENROUTER_HTTP_REFERER", "OR_SITE_URL"),
        ("x-openrouter-title", "app_name", "OPENROUTER_X_OPEN_ROUTER_TITLE", "OR_APP_NAME"),
    ):
        value = account.option(option) or account.env(*variables)
        if value:
            headers[name] = value

    async def credentials() -> Mapping[str, str]:
        return headers

    base_url = account.api_base or account.env("OPENROUTER_API_BASE") or BASE_URL
    return ProviderHttp(title, base_url, credentials, explain=explain, **options)
