"""Signed calls to Bedrock without the SDK's client: its credentials and its signature, over a connection of ours.

The SDK's client holds a thread for as long as an answer streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import yarl
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError
from botocore.session import Session

from mediagate.core.limits import MIB
from mediagate.providers.bedrock.client import translated
from mediagate.providers.bedrock.credentials import session_of
from mediagate.providers.bedrock.runtime import RuntimePlace
from mediagate.providers.bedrock.settings import REGION_DEFAULT, Settings

# Bedrock's services are signed for one name.
SIGNED_FOR: Final = "bedrock"
# The digest of a longer body holds the loop up.
_IN_LOOP_BYTES_MAX: Final = 1 * MIB


class Signer:
    """Signs an account's calls to one of Bedrock's services, such as `bedrock-runtime`. Nothing is read, and no
    credential looked for, before the first call."""

    def __init__(self, settings: Settings, place: RuntimePlace, service: str, title: str) -> None:
        self._settings = settings
        self._place = place
        self._service = service
        self._title = title
        self._opening = asyncio.Lock()
        self._session: Session | None = None
        self._credentials: Any = None
        self._region = ""
        self._endpoint = ""

    async def url(self, path: str) -> str:
        """The address of `path`, whose segments are quoted, as it goes onto the wire: that is what is signed."""
        await self._opened()
        return str(yarl.URL(f"{self._endpoint}/{path.lstrip('/')}"))

    async def headers(self, method: str, url: str, body: bytes, given: Mapping[str, str]) -> dict[str, str]:
        """`given` and those that carry the credentials. Raises `ProviderRefused` where there are none."""
        if self._place.api_key:
            return {**given, "authorization": f"Bearer {self._place.api_key}"}
        await self._opened()
        with translated(self._title):
            frozen = await self._frozen()
            if len(body) > _IN_LOOP_BYTES_MAX:
                return await asyncio.to_thread(self._signed, frozen, method, url, body, given)
            return self._signed(frozen, method, url, body, given)

    def _signed(
        self, frozen: ReadOnlyCredentials, method: str, url: str, body: bytes, given: Mapping[str, str]
    ) -> dict[str, str]:
        request = AWSRequest(method=method, url=url, data=body, headers=dict(given))
        SigV4Auth(frozen, SIGNED_FOR, self._region).add_auth(request)
        return dict(request.headers.items())

    async def _frozen(self) -> ReadOnlyCredentials:
        # Those of a role or of the machine are fetched anew before they expire, which may take a while.
        renewing = getattr(self._credentials, "refresh_needed", None)
        if renewing is not None and renewing():
            frozen: ReadOnlyCredentials = await asyncio.to_thread(self._credentials.get_frozen_credentials)
            return frozen
        found: ReadOnlyCredentials = self._credentials.get_frozen_credentials()
        return found

    async def _opened(self) -> None:
        if self._endpoint:
            return
        async with self._opening:
            if not self._endpoint:
                with translated(self._title):
                    self._endpoint = await asyncio.to_thread(self._open)

    def _open(self) -> str:
        session = session_of(self._settings)
        region = self._settings.region or session.get_config_variable("region") or REGION_DEFAULT
        credentials = None if self._place.api_key else session.get_credentials()
        if credentials is None and not self._place.api_key:
            raise NoCredentialsError
        self._session, self._region, self._credentials = session, region, credentials
        if self._place.endpoint:
            return self._place.endpoint.rstrip("/")
        # Only a client knows the address: partitions, FIPS and both stacks have hosts of their own.
        client = session.create_client(self._service, region_name=region)
        endpoint: str = client.meta.endpoint_url
        client.close()
        return endpoint.rstrip("/")
