"""Bearer tokens for Google's APIs, by google-auth.

google-auth blocks, so it runs in one thread of its own. A token is taken again before it ends: a call that starts with
it can outlive it otherwise.
"""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import google.auth
import google.auth.transport.requests
import google.oauth2.credentials
from google.auth.credentials import Credentials
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.oauth2 import service_account

from mediagate.core.errors import MediagateError, ProviderRefused, Unavailable, Unsupported
from mediagate.providers.account import Account

# Vertex AI takes it too, so that one token serves files and models.
SCOPES: Final = ("https://www.googleapis.com/auth/cloud-platform",)
EARLY: Final = timedelta(minutes=5)
CALL_S: Final = 20.0
# https://cloud.google.com/docs/authentication/token-types#access
_TOKEN_START: Final = "ya29."  # noqa: S105 (how any of them begins)

Source = Callable[[], Credentials]


class GoogleToken:
    """The `authorization` header of one account. Nothing is asked for, and no file is read, before the first use."""

    def __init__(self, source: Source, title: str) -> None:
        self._source = source
        self._title = title
        self._credentials: Credentials | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="google-auth")

    async def headers(self) -> Mapping[str, str]:
        """Raises `ProviderRefused` where there are no credentials or Google does not take them, `Unavailable` where it
        cannot be asked."""
        if self._is_due():
            await self._renew()
        assert self._credentials is not None
        return {"authorization": f"Bearer {self._credentials.token}"}

    def _is_due(self) -> bool:
        return self._credentials is None or not self._lasts(self._credentials, EARLY)

    @staticmethod
    def _lasts(credentials: Credentials, longer_than: timedelta) -> bool:
        # google-auth's times are UTC without a zone.
        end = credentials.expiry
        return bool(credentials.token) and (end is None or datetime.now(UTC).replace(tzinfo=None) + longer_than < end)

    async def _renew(self) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._pool, self._fetch)
        except GoogleAuthError as error:
            if self._credentials is None or not self._lasts(self._credentials, timedelta()):
                raise _explained(error, self._title) from error
        except (OSError, ValueError) as error:
            raise _unusable(self._title) from error

    def _fetch(self) -> None:
        # Callers at the same time come here one after the other, and find what the first of them fetched.
        credentials = self._credentials or self._source()
        if not self._lasts(credentials, EARLY):
            _untyped(credentials).refresh(partial(_untyped(google.auth.transport.requests).Request(), timeout=CALL_S))
        self._credentials = credentials

    async def signer(self) -> tuple[str, Callable[[bytes], Awaitable[bytes]]]:
        """The service account of the credentials, and what signs with its key. Raises as `headers` does, and
        `Unsupported` for credentials without a key."""
        credentials = await self._known()
        if not isinstance(credentials, service_account.Credentials):
            raise Unsupported(
                f"{self._title} signs links with the key of a service account alone.", code="provider_cannot_sign"
            )

        async def sign(text: bytes) -> bytes:
            work = partial(_untyped(credentials).sign_bytes, text)
            return cast(bytes, await asyncio.get_running_loop().run_in_executor(self._pool, work))

        return str(_untyped(credentials).service_account_email), sign

    async def _known(self) -> Credentials:
        if self._credentials is not None:
            return self._credentials
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self._source)
        except GoogleAuthError as error:
            raise _explained(error, self._title) from error
        except (OSError, ValueError) as error:
            raise _unusable(self._title) from error

    def close(self) -> None:
        """End the thread, once it is done with what it does."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class NoToken:
    """For an emulator, which takes calls without credentials."""

    async def headers(self) -> Mapping[str, str]:
        """Nothing."""
        return {}

    async def signer(self) -> tuple[str, Callable[[bytes], Awaitable[bytes]]]:
        """Raises `Unsupported`."""
        raise Unsupported("An emulator has no key to sign links with.", code="provider_cannot_sign")

    def close(self) -> None:
        """Nothing to end."""


def source_of(account: Account) -> Source:
    """Where the account's credentials come from, in the order of what was said most explicitly. Reads no file yet."""
    if account.api_key and account.api_key.startswith(_TOKEN_START):
        return partial(_given, account.api_key)
    said = account.options.get("vertex_credentials")
    if isinstance(said, Mapping):
        return partial(_from_info, dict(said))
    path = said or account.env("GCS_PATH_SERVICE_ACCOUNT", "GOOGLE_APPLICATION_CREDENTIALS")
    if path:
        return partial(_from_text, str(path))
    return _ambient


def is_explicit(account: Account) -> bool:
    """Whether the account itself names credentials."""
    return source_of(account) is not _ambient


def _given(token: str) -> Credentials:
    return cast(Credentials, _untyped(google.oauth2.credentials).Credentials(token=token))


def _from_text(text: str) -> Credentials:
    """A key file's path, or what stands in one."""
    return _from_info(json.loads(text if text.lstrip().startswith("{") else Path(text).expanduser().read_text()))


def _from_info(info: Any) -> Credentials:
    if not isinstance(info, Mapping):
        raise ValueError("not a JSON object")
    if info.get("type") == "service_account":
        return cast(Credentials, _untyped(service_account).Credentials.from_service_account_info(info, scopes=SCOPES))
    with warnings.catch_warnings():
        # It warns of configurations from strangers; this one is the operator's.
        warnings.simplefilter("ignore", DeprecationWarning)
        credentials, _ = _untyped(google.auth).load_credentials_from_dict(dict(info), scopes=SCOPES)
    return cast(Credentials, credentials)


def _ambient() -> Credentials:
    """gcloud's own credentials, or those of the machine (Application Default Credentials)."""
    credentials, _ = google.auth.default(scopes=SCOPES)
    return credentials


def _untyped(thing: Any) -> Any:
    """google-auth has types for some of its functions only."""
    return thing


def _explained(error: GoogleAuthError, title: str) -> MediagateError:
    if isinstance(error, DefaultCredentialsError):
        return ProviderRefused(
            f"{title} has no credentials here. The gateway's operator has to set vertex_credentials, or "
            "GOOGLE_APPLICATION_CREDENTIALS.",
            code="provider_credentials_missing",
        )
    if isinstance(error, TransportError) or error.retryable:
        return Unavailable(
            f"{title}'s credentials cannot be renewed at the moment. Try again later.", code="provider_unavailable"
        )
    return ProviderRefused(
        f"{title} does not accept the gateway's credentials for this. The gateway's operator has to check them.",
        code="provider_credentials_refused",
    )


def _unusable(title: str) -> ProviderRefused:
    return ProviderRefused(
        f"{title}'s credentials cannot be read. The gateway's operator has to check vertex_credentials.",
        code="provider_credentials_missing",
    )
