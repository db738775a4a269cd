"""Batches at Azure OpenAI: the same API under another address. A line's model is the name of a deployment of the type
`Global Batch` or `Data Zone Batch`.

https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch
"""

from __future__ import annotations

from mediagate.providers.account import Account
from mediagate.providers.azure.entra import EntraToken
from mediagate.providers.azure.resource import resource_of
from mediagate.providers.azure.spec import BATCHES
from mediagate.providers.http import ProviderHttp
from mediagate.providers.http_failures import error_of
from mediagate.providers.openai.batches import BatchesApi, OpenAIBatches
from mediagate.providers.settings import silence_of


class AzureBatches(OpenAIBatches):
    """The batches of one Azure resource."""

    def __init__(self, api: BatchesApi, token: EntraToken | None) -> None:
        super().__init__(api)
        self._token = token

    async def close(self) -> None:
        """Close connections."""
        await super().close()
        if self._token is not None:
            await self._token.close()


def build(account: Account) -> AzureBatches:
    """One resource, by `api_base` and `api_version`. Raises `ValueError` without an endpoint or credentials."""
    at = resource_of(account)
    http = ProviderHttp(BATCHES.title, at.base_url, at.credentials, silence_s=silence_of(account), explain=error_of)
    # A dated version of before the v1 API names endpoints without it.
    named = (lambda name: name) if at.is_v1 else _without_v1
    return AzureBatches(BatchesApi(BATCHES, http, at.query, named), at.token)


def _without_v1(endpoint: str) -> str:
    return endpoint.removeprefix("/v1")
