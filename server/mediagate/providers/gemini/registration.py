"""Objects of Google Cloud Storage as files of the Gemini API: `files:register` (https://ai.google.dev/api/files).

The API key does not open buckets: it takes credentials of Google Cloud beside it, whose holder can read the object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from mediagate.providers.account import Account

SCHEME = "gs://"


class Token(Protocol):
    """Where the `authorization` header comes from."""

    async def headers(self) -> Mapping[str, str]:
        """The header."""
        ...

    def close(self) -> None:
        """End what gets it."""
        ...


class Registration:
    """What an account needs to register objects. `project` is the one that is asked for quota, where one is named."""

    def __init__(self, token: Token, project: str | None) -> None:
        self._token = token
        self._project = project

    async def headers(self) -> dict[str, str]:
        """The headers for a call. Raises `ProviderRefused` where the credentials are none."""
        found = dict(await self._token.headers())
        return {**found, "x-goog-user-project": self._project} if self._project else found

    def close(self) -> None:
        """End the thread that gets tokens."""
        self._token.close()


def registration_of(account: Account, title: str) -> Registration | None:
    """None for an account without credentials of Google Cloud. The machine's own are not taken for granted: they may
    belong to another project."""
    if not account.options.get("vertex_credentials"):
        return None
    # Most accounts have a key alone, and need nothing of this.
    from mediagate.providers.vertex_ai.credentials import GoogleToken, source_of

    return Registration(GoogleToken(source_of(account), title), account.option("vertex_project"))
