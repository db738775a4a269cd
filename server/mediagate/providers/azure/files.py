"""Files at Azure OpenAI: the same API under another address, with keys or tokens, and files that take a while."""

from __future__ import annotations

from mediagate.providers.account import Account
from mediagate.providers.azure.entra import EntraToken
from mediagate.providers.azure.resource import resource_of
from mediagate.providers.azure.spec import FILES
from mediagate.providers.http import ProviderHttp
from mediagate.providers.openai.api import FilesApi
from mediagate.providers.openai.files import FORM_BYTES_MAX, OpenAIFiles
from mediagate.providers.openai.wire import explain_for
from mediagate.providers.settings import silence_of


class AzureFiles(OpenAIFiles):
    """The Files API of one Azure resource."""

    def __init__(self, api: FilesApi, token: EntraToken | None) -> None:
        super().__init__(api)
        self._token = token

    async def close(self) -> None:
        """Close connections."""
        await super().close()
        if self._token is not None:
            await self._token.close()


def build(account: Account) -> AzureFiles:
    """One resource, by `api_base` and `api_version`. Raises `ValueError` without an endpoint or credentials."""
    at = resource_of(account)
    http = ProviderHttp(
        FILES.title, at.base_url, at.credentials, silence_s=silence_of(account), explain=explain_for(FILES)
    )
    # A dated version of before the v1 API knows no `expires_after` for files.
    return AzureFiles(FilesApi(FILES, http, at.query, form_bytes_max=FORM_BYTES_MAX, expires=at.is_v1), at.token)
