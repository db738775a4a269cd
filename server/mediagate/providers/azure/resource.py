"""One Azure OpenAI resource: where its API lies, which version of it, and who the gateway is there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from mediagate.providers.account import Account
from mediagate.providers.azure.entra import AUTHORITY, SCOPE, EntraToken
from mediagate.providers.settings import silence_of

# https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle: the v1 API takes no dated version.
V1: Final = ("v1", "preview", "latest")
_PREVIEW: Final = "preview"
_ENDING: Final = re.compile(r"/openai(/v1)?/?\Z")


@dataclass(frozen=True, slots=True)
class Resource:
    """`query` goes with every call. `is_v1` is whether calls are the v1 API's, or those of a dated version before it.
    `token` is to be closed with the provider."""

    base_url: str
    query: Mapping[str, str]
    is_v1: bool
    credentials: Callable[[], Awaitable[Mapping[str, str]]]
    token: EntraToken | None


def resource_of(account: Account) -> Resource:
    """The resource of an account. Raises `ValueError` without an endpoint or credentials."""
    root, version = place_of(account)
    is_v1 = version.lower() in V1
    query = {} if is_v1 and version.lower() != _PREVIEW else {"api-version": version}
    credentials, token = credentials_of(account)
    return Resource(f"{root}/openai/v1" if is_v1 else f"{root}/openai", query, is_v1, credentials, token)


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
