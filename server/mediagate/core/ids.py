"""Our ids: a prefix that says the kind, and a UUIDv7 in 26 characters that sort by time.

The alphabet is Crockford's base 32 in lower case and not the shorter base 62: digits sort before letters of one case in
every database collation, while mixed case does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from uuid_utils import uuid7

from mediagate.core.errors import NotFound
from mediagate.core.limits import echo

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_SHIFTS: Final = range(125, -1, -5)


STAMP_BITS: Final = 20
# Of the gateway that this process belongs to; it replaces random bits that take no part in the order.
_stamp: int | None = None


def stamp_ids(stamp: int) -> None:
    """Let every id that this process makes from now on end with `stamp`, a number below 2 to the `STAMP_BITS`.

    Gateways that share an account at a provider tell each other's objects apart by it.
    """
    global _stamp
    _stamp = stamp


def is_stamped(text: str) -> bool:
    """Whether an id was made by this gateway, as far as its end tells; True before `stamp_ids`."""
    if _stamp is None:
        return True
    return text.endswith("".join(_ALPHABET[_stamp >> shift & 31] for shift in range(STAMP_BITS - 5, -1, -5)))


@dataclass(frozen=True, slots=True)
class IdKind:
    """One kind of id. `noun` is how OpenAI's messages call the object."""

    prefix: str
    noun: str
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        # The first character carries only the top 3 of 128 bits.
        object.__setattr__(self, "pattern", re.compile(re.escape(self.prefix) + f"[0-7][{_ALPHABET}]{{25}}"))

    def new(self) -> str:
        """Return an id that no other process makes, and that sorts after every id this process made before."""
        number = uuid7().int
        if _stamp is not None:
            number = number >> STAMP_BITS << STAMP_BITS | _stamp
        return self._text(number)

    def first_of(self, moment: datetime) -> str:
        """Return the smallest id that can have been made at `moment`, to the millisecond, or later."""
        return self._text(int(moment.timestamp() * 1000) << 80)

    def _text(self, number: int) -> str:
        return self.prefix + "".join(_ALPHABET[number >> shift & 31] for shift in _SHIFTS)

    def matches(self, text: str) -> bool:
        """Tell whether `text` has the form of such an id; it need not exist."""
        return self.pattern.fullmatch(text) is not None

    def parse(self, text: str) -> str:
        """Return `text` where it has the form of such an id. Raises `NotFound` as for an id that does not exist."""
        if not self.matches(text):
            raise self.not_found(text)
        return text

    def time_of(self, text: str) -> datetime:
        """Return when the id `text` was made, in UTC, to the millisecond. Raises `NotFound` for what is no id."""
        number = 0
        for char in self.parse(text).removeprefix(self.prefix):
            number = number << 5 | _ALPHABET.index(char)
        return datetime.fromtimestamp((number >> 80) / 1000, UTC)

    def not_found(self, text: str) -> NotFound:
        """Return OpenAI's answer for an id that is malformed, unknown or of another owner; safe for any `text`."""
        shown = echo(text)
        return NotFound(f"No such {self.noun} object: {shown}", param="id", id=shown)


FILE: Final = IdKind("file-", "File")
UPLOAD: Final = IdKind("upload_", "Upload")
PART: Final = IdKind("part_", "UploadPart")
CHAT: Final = IdKind("chatcmpl-", "ChatCompletion")
VIDEO: Final = IdKind("video_", "Video")
BATCH: Final = IdKind("batch_", "Batch")
CHARACTER: Final = IdKind("char_", "Character")
EVENT: Final = IdKind("evt_", "Event")
WEBHOOK_ENDPOINT: Final = IdKind("we_", "WebhookEndpoint")
KEY: Final = IdKind("key_", "Key")
TOKEN: Final = IdKind("tok_", "Token")
USER: Final = IdKind("user_", "User")
TEAM: Final = IdKind("team_", "Team")
AUDIT: Final = IdKind("audit_", "AuditEvent")
RESPONSE: Final = IdKind("resp_", "Response")
CALL: Final = IdKind("call_", "ToolCall")

FILE_ID, new_file_id, is_file_id, parse_file_id = FILE.pattern, FILE.new, FILE.matches, FILE.parse
UPLOAD_ID, new_upload_id, is_upload_id, parse_upload_id = UPLOAD.pattern, UPLOAD.new, UPLOAD.matches, UPLOAD.parse
PART_ID, new_part_id, is_part_id, parse_part_id = PART.pattern, PART.new, PART.matches, PART.parse
VIDEO_ID, new_video_id, is_video_id, parse_video_id = VIDEO.pattern, VIDEO.new, VIDEO.matches, VIDEO.parse
CHARACTER_ID, new_character_id, is_character_id, parse_character_id = (
    CHARACTER.pattern,
    CHARACTER.new,
    CHARACTER.matches,
    CHARACTER.parse,
)
EVENT_ID, new_event_id, is_event_id, parse_event_id = EVENT.pattern, EVENT.new, EVENT.matches, EVENT.parse
