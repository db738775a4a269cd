"""Files at any server that speaks OpenAI's Files API, or a part of it."""

from __future__ import annotations

from typing import Any, Final

from mediagate.providers.account import Account
from mediagate.providers.http import Explain, ProviderHttp
from mediagate.providers.openai.api import FilesApi
from mediagate.providers.openai.files import OpenAIFiles
from mediagate.providers.openai.wire import explain_for
from mediagate.providers.openai_compatible.spec import FILES
from mediagate.providers.settings import silence_of

# Most of these servers refuse more than this at once.
PAGE_FILES_MAX: Final = 100


def build(account: Account) -> OpenAIFiles:
    """The server at `api_base`, which ends where OpenAI's `/v1` does. A key is sent where there is one. Raises
    `ValueError` where there is no address."""
    http = connect(account, FILES.title, explain_for(FILES, routes_may_lack=True))
    # Few of these servers know `/uploads` or `expires_after`, and some refuse what they do not know.
    return OpenAIFiles(FilesApi(FILES, http, expires=False, page_files_max=PAGE_FILES_MAX))


def connect(account: Account, title: str, explain: Explain, **options: Any) -> ProviderHttp:
    """The server's address, and its key where there is one; `options` are `ProviderHttp`'s. Raises `ValueError` where
    there is no address."""
    if not account.api_base:
        raise ValueError("api_base is missing; set it in files_settings")
    headers = {"authorization": f"Bearer {account.api_key}"} if account.api_key else {}

    async def credentials() -> dict[str, str]:
        return headers

    options.setdefault("silence_s", silence_of(account))
    return ProviderHttp(title, account.api_base, credentials, explain=explain, **options)
