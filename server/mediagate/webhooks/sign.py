"""The secrets of endpoints, and the headers of Standard Webhooks that they sign."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from standardwebhooks import Webhook

from mediagate.core.webhooks import HANDLE_PREFIX

SECRET_BYTES: Final = 32
HINT_CHARS: Final = 4


def new_secret() -> str:
    """A new secret: `whsec_` and the base64 of 256 random bits."""
    return HANDLE_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def hint_of(secret: str) -> str:
    """What may be shown of a secret at any time."""
    return f"{HANDLE_PREFIX}…{secret[-HINT_CHARS:]}"


def signed_headers(event_id: str, body: bytes, valid_secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """The headers for one attempt at `now`, with a signature by each secret."""
    text = body.decode()
    return {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(event_id, now, text) for secret in valid_secrets),
    }
