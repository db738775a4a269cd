"""Units of size, and the one way in which text of a caller is put into a message of ours."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

ECHO_CHARS_MAX: Final = 64
MODEL_CHARS_MAX: Final = 256


def echo(text: str, *, chars_max: int = ECHO_CHARS_MAX) -> str:
    """Return `text` fit for a message or a log line: at most `chars_max` characters, the last an ellipsis where it was
    cut, and `?` for every character that does not print."""
    cut = text if len(text) <= chars_max else text[: chars_max - 1] + "…"
    return "".join(char if char.isprintable() else "?" for char in cut)


def is_model_name(text: str) -> bool:
    """Whether a model can be called so. Under a pattern any name is a model's, and one that the ledger cannot hold
    would keep back what is written together with it."""
    return len(text) <= MODEL_CHARS_MAX and text.isprintable()
