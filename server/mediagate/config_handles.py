"""The section `handles`: tokens that may be given to browsers."""

from __future__ import annotations

from typing import Final

from pydantic import Field, field_validator

from mediagate.config_sections import Strict

DAY_S: Final = 86_400.0


class Handles(Strict):
    """Tokens that may be given to browsers."""

    public_url: str | None = Field(
        default=None,
        max_length=1024,
        description="Where browsers reach this gateway, such as `https://media.example.com`: it stands before the URLs "
        "that are made with tokens, which have no host without it.",
    )
    lifetime_s: float = Field(default=3600.0, ge=1, description="How long a token lives where nobody says.")
    lifetime_s_max: float = Field(default=30 * DAY_S, ge=1, le=30 * DAY_S, description="How long a token may live.")
    playback_lifetime_s_max: float = Field(
        default=30 * DAY_S, ge=1, le=3660 * DAY_S, description="How long a token that plays a video or a file may live."
    )

    @field_validator("public_url")
    @classmethod
    def _is_base(cls, url: str | None) -> str | None:
        if url is None:
            return None
        if not url.startswith(("https://", "http://")) or any(char in url for char in "?#@ "):
            raise ValueError("must be an http:// or https:// URL without a query")
        return url.rstrip("/")
