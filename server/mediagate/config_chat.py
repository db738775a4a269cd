"""The configuration of chats."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from mediagate.config_sections import Strict
from mediagate.core.limits import MIB

BODY_BYTES_MAX: Final = 31 * MIB
"""What a message of gRPC's takes, with room for the rest of it."""


class Chat(Strict):
    """Questions to models."""

    body_bytes_max: int = Field(
        default=BODY_BYTES_MAX,
        ge=1024,
        le=BODY_BYTES_MAX,
        description="Largest body of a chat or a response, with what lies in it as base64, bytes.",
    )
