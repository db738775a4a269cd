"""Where Vertex AI is for an account: its project, its location, and the address of its API."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from mediagate.providers.account import Account
from mediagate.providers.vertex_ai.credentials import GoogleToken, NoToken, is_explicit, source_of

GLOBAL: Final = "global"
_MULTI_REGIONS: Final = frozenset({"us", "eu"})


@dataclass(frozen=True, slots=True)
class Place:
    """A project in a location. `base_url` is another address of the API than Google's own, where one is named."""

    project: str
    location: str
    base_url: str | None

    @property
    def url(self) -> str:
        """Where the API is."""
        return self.base_url or endpoint_of(self.location)

    @property
    def parent(self) -> str:
        """The collection that everything in this location belongs to."""
        return f"projects/{self.project}/locations/{self.location}"


def place_of(account: Account, default_location: str) -> Place:
    """Raises `ValueError` for an account without a project."""
    project = account.option("vertex_project") or account.env("VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT")
    project = project or _project_of(account.options.get("vertex_credentials"))
    if not project:
        raise ValueError("vertex_project is missing; set it at the model or in VERTEXAI_PROJECT")
    location = account.option("vertex_location") or account.env("VERTEXAI_LOCATION", "GOOGLE_CLOUD_LOCATION")
    return Place(project, location or default_location, base_url_of(account))


def token_of_account(account: Account, title: str) -> GoogleToken | NoToken:
    """The account's credentials, which are looked for at the first use; none for an emulator, where none are named."""
    is_emulator = (base_url_of(account) or "").startswith("http://") and not is_explicit(account)
    return NoToken() if is_emulator else GoogleToken(source_of(account), title)


def endpoint_of(location: str) -> str:
    """Where Vertex AI is, for a region, a multi-region or `global`."""
    if location == GLOBAL:
        return "https://aiplatform.googleapis.com"
    if location in _MULTI_REGIONS:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def base_url_of(account: Account) -> str | None:
    """Another address of the API than Google's own for the location, where one is named."""
    said = account.option("vertex_api_base") or account.env("GOOGLE_VERTEX_BASE_URL")
    if not said and (urlsplit(account.api_base or "").hostname or "").endswith("aiplatform.googleapis.com"):
        said = account.api_base
    if not said:
        return None
    parts = urlsplit(said if "://" in said else f"https://{said}")
    # Other gateways' configurations name the version, and the project behind it.
    return f"{parts.scheme}://{parts.netloc}{re.split(r'/v[0-9]', parts.path)[0].rstrip('/')}"


def _project_of(credentials: Any) -> str | None:
    """The project that a key names. Reads no file."""
    if isinstance(credentials, str) and credentials.lstrip().startswith("{"):
        with suppress(ValueError):
            credentials = json.loads(credentials)
    found = credentials.get("project_id") if isinstance(credentials, Mapping) else None
    return found if isinstance(found, str) else None
