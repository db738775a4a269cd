"""Files at Azure OpenAI: the same API under another address, with keys or tokens, and files that take a while."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from mediagate.providers.account import Account
from mediagate.providers.azure.entra import AUTHORITY, SCOPE, EntraToken
from mediagate.providers.azure.spec import FILES
from mediagate.providers.http import ProviderHttp
from mediagate.providers.openai.api import FilesApi
from mediagate.providers.openai.files import FORM_BYTES_MAX, OpenAIFiles
from mediagate.providers.openai.wire import explain_for
from mediagate.providers.settings import silence_of

# https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle: the v1 API takes no dated version.
_V1: Final = ("v1", "preview", "latest")
_ENDING: Final = re.compile(r"/openai(/v1)?/?\Z")


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
    root, version = place_of(account)
    v1 = version.lower() in _V1
    base_url = f"{root}/openai/v1" if v1 else f"{root}/openai"
    query = {} if v1 and version.lower() != "preview" else {"api-version": version}
    credentials, token = credentials_of(account)
    http = ProviderHttp(FILES.title, base_url, credentials, silence_s=silence_of(account), explain=explain_for(FILES))
    # A dated version of before the v1 API knows no `expires_after` for files.
    return AzureFiles(FilesApi(FILES, http, query, form_bytes_max=FORM_BYTES_MAX, expires=v1), token)


def place_of(account: Account) -> tuple[str, str]:
    """The resource's address and the API's version. Raises `ValueError` without an endpoint."""
    endpoint = account.api_base or account.env("AZURE_OPENAI_ENDPOINT", "AZURE_API_BASE")
    if not endpoint:
        raise ValueError("api_base is missing; set it in files_settings or AZURE_OPENAI_ENDPOINT")
    version = account.api_version or account.env("OPENAI_API_VERSION", "AZURE_API_VERSION") or "v1"
    return _ENDING.sub("", endpoint.rstrip("/")), version


def credentials_of(account: Account) -> tuple[Callable[[], Awaitable[Mapping[str, str]]], EntraToken | None]:
    """What the configuration gives goes before what the environment gives; a key goes before a token. Raises
    `ValueError` without any."""
    for key, bearer, application in (
        (account.api_key, account.option("azure_ad_token"), _application(account.option, str)),
        (
            account.env("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
            account.env("AZURE_OPENAI_AD_TOKEN", "AZURE_AD_TOKEN"),
            _application(account.env, lambda name: f"AZURE_{name.upper()}"),
        ),
    ):
        if key:
            return _fixed({"api-key": key}), None
        if bearer:
            return _fixed({"authorization": f"Bearer {bearer}"}), None
        if application:
            token = _token(account, *application)
            return _bearer(token), token
    raise ValueError(
        "api_key is missing; set it in files_settings or AZURE_OPENAI_API_KEY, or give azure_ad_token, or tenant_id, "
        "client_id and client_secret"
    )


def _application(read: Callable[[str], str | None], spelled: Callable[[str], str]) -> tuple[str, str, str] | None:
    tenant, client, secret = (read(spelled(name)) for name in ("tenant_id", "client_id", "client_secret"))
    return (tenant, client, secret) if tenant and client and secret else None


def _token(account: Account, tenant: str, client: str, secret: str) -> EntraToken:
    authority = account.option("azure_authority_host") or account.env("AZURE_AUTHORITY_HOST") or AUTHORITY
    if "://" not in authority:
        authority = f"https://{authority}"
    scope = account.option("azure_scope") or account.env("AZURE_SCOPE") or SCOPE
    return EntraToken(tenant, client, secret, authority=authority, scope=scope, silence_s=silence_of(account))


def _fixed(headers: dict[str, str]) -> Callable[[], Awaitable[Mapping[str, str]]]:
    async def credentials() -> Mapping[str, str]:
        return headers

    return credentials


def _bearer(token: EntraToken) -> Callable[[], Awaitable[Mapping[str, str]]]:
    async def credentials() -> Mapping[str, str]:
        return {"authorization": f"Bearer {await token.get()}"}

    return credentials
