"""Tokens of Microsoft Entra ID by the client credentials flow.

https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from mediagate.core.errors import InvalidRequest, ProviderRefused
from mediagate.providers.answers import reading
from mediagate.providers.http import ProviderHttp

TITLE: Final = "Microsoft Entra ID"
AUTHORITY: Final = "https://login.microsoftonline.com"
SCOPE: Final = "https://cognitiveservices.azure.com/.default"
# Refreshed this long before its end, so that no token ends on its way.
EARLY_S: Final = 300.0


class EntraToken:
    """One application's token, fetched when it is first needed and kept until shortly before its end."""

    def __init__(
        self,
        tenant_id: str,
        client_id: str,
        client_secret: str,
        *,
        authority: str = AUTHORITY,
        scope: str = SCOPE,
        silence_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = f"{quote(tenant_id, safe='')}/oauth2/v2.0/token"
        self._form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
            "scope": scope,
        }
        self._http = ProviderHttp(TITLE, authority, _nothing, silence_s=silence_s)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def get(self) -> str:
        """The token. Raises `ProviderRefused` where Entra ID does not accept the application."""
        async with self._lock:
            if self._clock() >= self._until:
                await self._fetch()
            return self._token

    async def _fetch(self) -> None:
        try:
            tree = await self._http.json("POST", self._path, data=self._form)
        except (InvalidRequest, FileNotFoundError):
            # 400 for an unknown tenant, application or scope; its text names them.
            raise ProviderRefused(
                f"{TITLE} does not accept the gateway's application. The gateway's operator has to check it.",
                code="provider_credentials_refused",
            ) from None
        with reading(TITLE):
            self._token = str(tree["access_token"])
            life_s = float(tree["expires_in"])
        self._until = self._clock() + max(life_s - EARLY_S, life_s / 2)

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()


async def _nothing() -> dict[str, str]:
    return {}
