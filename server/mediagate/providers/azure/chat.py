"""Chats with the models of an Azure OpenAI resource; a model is the name of a deployment there."""

from __future__ import annotations

from urllib.parse import quote

from mediagate.core.chat import Dialect
from mediagate.providers.account import Account
from mediagate.providers.azure.entra import EntraToken
from mediagate.providers.azure.resource import resource_of
from mediagate.providers.azure.spec import CHAT
from mediagate.providers.chat import RawCall
from mediagate.providers.http import ProviderHttp
from mediagate.providers.openai.chat import PATHS, OpenAIChat
from mediagate.providers.openai.chat_refusals import explain_chat
from mediagate.providers.settings import chat_options


class AzureChat(OpenAIChat):
    """One resource, by the v1 API or by a dated version."""

    token: EntraToken | None = None

    async def close(self) -> None:
        """Close connections."""
        await super().close()
        if self.token is not None:
            await self.token.close()


def _dated_path(call: RawCall) -> str:
    if call.dialect is Dialect.RESPONSES:
        return PATHS[call.dialect]
    return f"deployments/{quote(call.model, safe='')}/{PATHS[call.dialect]}"


def build(account: Account) -> AzureChat:
    """One resource, by `api_base` and `api_version`. Raises `ValueError` without an endpoint or credentials."""
    at = resource_of(account)
    http = ProviderHttp(CHAT.title, at.base_url, at.credentials, explain=explain_chat, **chat_options(account))
    if at.is_v1:
        provider = AzureChat(CHAT, http, query=at.query)
    else:
        provider = AzureChat(CHAT, http, path=_dated_path, query=at.query)
    provider.token = at.token
    return provider
