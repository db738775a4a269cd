"""Reading what providers answer: their records, their times."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from mediagate.core.errors import ProviderFailed
from mediagate.providers.files import ProviderFile, unmarked_name

Tree = dict[str, Any]


def bad_answer(title: str) -> ProviderFailed:
    """What an answer that lacks its members means."""
    return ProviderFailed(f"{title} gave an answer that cannot be read.", code="provider_bad_answer")


@contextmanager
def reading(title: str) -> Iterator[None]:
    """Around code that takes members out of an answer: one that is missing or of another type is a `bad_answer`."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError):
        raise bad_answer(title) from None


def matched(pattern: re.Pattern[str], value: Any) -> str:
    """A text of this form, to be called under `reading`. Raises `ValueError` for anything else."""
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(value)
    return value


def text_in(value: Any) -> str:
    """A text that is not empty, to be called under `reading`. Raises `ValueError` for anything else."""
    if not isinstance(value, str) or not value:
        raise ValueError(value)
    return value


def marked_file(name: str, ref: str, **more: Any) -> ProviderFile:
    """A record of a file whose name may carry our key."""
    filename, key = unmarked_name(name)
    return ProviderFile(ref=ref, filename=filename, key=key, **more)


def at_unix(seconds: float | None) -> datetime | None:
    """A time in seconds since 1970."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def at_rfc3339(text: str | None) -> datetime | None:
    """A time such as `2026-09-27T11:47:48.599144777Z`; what is finer than a microsecond is cut. Raises `ValueError`."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
