"""Links to the content of one file for whoever has them, for some minutes: signed, and written down nowhere.

They are for providers that fetch what they shall read by its URL. What is signed cannot be taken back, so such a link
lives shortly; it also ends with its file.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import Unauthenticated
from mediagate.core.handles import HANDLE_PREFIX, Handle, HandleKind
from mediagate.core.objects import File, Principal
from mediagate.store.files import FileLookup

_SIGNATURE_CHARS: Final = 32
_TOKEN_CHARS_MAX: Final = 128
_PATH: Final = "/v1/files/{file_id}/content?token={token}"


@dataclass(frozen=True, slots=True)
class SignedLinks:
    """Makes and reads such tokens: `mgt_ID.SECONDS.SIGNATURE`. No other token has a dot."""

    files: FileLookup
    clock: Clock
    secret: bytes = field(repr=False)

    def path(self, file: File, until: datetime) -> str:
        """Where the content of `file` is until then, with a token; to stand behind the gateway's address."""
        body = f"{file.id.removeprefix(ids.FILE.prefix)}.{int(until.timestamp())}"
        token = f"{HANDLE_PREFIX}{body}.{self._signature(body)}"
        return _PATH.format(file_id=file.id, token=token)

    def are(self, token: str) -> bool:
        """Whether a token claims to be such a one."""
        return "." in token

    async def who(self, token: str) -> Principal:
        """Whoever has this token: nobody but a reader of the file. Raises `Unauthenticated`."""
        body, _, signature = token.removeprefix(HANDLE_PREFIX).rpartition(".")
        genuine = len(token) <= _TOKEN_CHARS_MAX and hmac.compare_digest(
            self._signature(body).encode(), signature.encode("utf-8", "surrogateescape")
        )
        if not genuine:
            raise Unauthenticated("This token is not known.", code="invalid_token")
        rest, _, seconds = body.partition(".")
        if datetime.fromtimestamp(int(seconds), UTC) <= self.clock.now():
            raise Unauthenticated("This token has expired.", code="token_expired")
        file = await self.files.any(f"{ids.FILE.prefix}{rest}")
        if file is None:
            raise Unauthenticated("What this token was for is gone.", code="invalid_token")
        handle = Handle(id="link", kind=HandleKind.PLAYBACK, object_id=file.id)
        return Principal(file.owner_id, end_user=file.end_user, handle=handle)

    def _signature(self, body: str) -> str:
        digest = hmac.digest(self.secret, f"link {body}".encode("utf-8", "surrogateescape"), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode()[:_SIGNATURE_CHARS]


def links_secret(master_key: str) -> bytes:
    """What links are signed with: nothing leads back from it."""
    return hmac.digest(master_key.encode(), b"links to files", hashlib.sha256)
