"""What a file may be: purposes, names and life-times, as OpenAI's contract has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from mediagate.core.disposition import safe_filename
from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.core.objects import PURPOSES

EXPIRY_S_MIN = 3600
EXPIRY_S_MAX = 2_592_000
# What `int` takes beside these (`3_600`, ` 3600`, digits of other scripts) is a mistake of the caller.
_SECONDS = re.compile("[0-9]{1,9}")
_JSONL_PURPOSES = {"batch": "Batch API", "fine-tune": "fine-tuning"}


def check_purpose(purpose: str | None) -> str:
    """Return the purpose. Raises `InvalidField`."""
    if not purpose:
        raise InvalidField(f"'purpose' is a required field: one of {', '.join(PURPOSES)}.", param="purpose")
    if purpose not in PURPOSES:
        raise InvalidField(
            f"'{echo(purpose)}' is not one of {list(PURPOSES)} - 'purpose'", param="purpose", purpose=echo(purpose)
        )
    return purpose


def check_filename(filename: str, purpose: str) -> str:
    """Return the name to keep. Raises `InvalidField` where the purpose wants another kind of file."""
    name = safe_filename(filename)
    if purpose in _JSONL_PURPOSES and not name.lower().endswith(".jsonl"):
        raise InvalidField(f"Invalid file format for {_JSONL_PURPOSES[purpose]}. Must be .jsonl", param="file")
    return name


def check_on_partial(value: Any) -> bool:
    """Whether what succeeded shall stay where a target fails. Raises `InvalidField`."""
    if value in (None, "", "undo"):
        return False
    if value == "keep":
        return True
    raise InvalidField("'on_partial' must be 'undo' or 'keep'.", param="on_partial")


def check_expiry(expires_after: Mapping[str, Any] | None) -> int | None:
    """Return the life that is asked for, in seconds; None where none is. `expires_after` is OpenAI's object, its
    numbers maybe as text.

    Raises `InvalidField`.
    """
    if not expires_after:
        return None
    if not isinstance(expires_after, Mapping):
        raise InvalidField("'expires_after' must be an object with 'anchor' and 'seconds'.", param="expires_after")
    if expires_after.get("anchor") != "created_at":
        raise InvalidField("'expires_after[anchor]' must be 'created_at'.", param="expires_after[anchor]")
    text = str(expires_after.get("seconds", ""))
    seconds = int(text) if _SECONDS.fullmatch(text) else -1
    if not EXPIRY_S_MIN <= seconds <= EXPIRY_S_MAX:
        raise InvalidField(
            f"'expires_after[seconds]' must be a whole number from {EXPIRY_S_MIN} to {EXPIRY_S_MAX}.",
            param="expires_after[seconds]",
        )
    return seconds


def expiry_time(created_at: datetime, life_s: int | None) -> datetime | None:
    """When a file that was created then is over."""
    return None if life_s is None else created_at + timedelta(seconds=life_s)
