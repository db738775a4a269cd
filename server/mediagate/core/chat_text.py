"""The words in a caller's body, and how many tokens they can be. A body is walked without recursion and once."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

_CHARS_PER_TOKEN: Final = 4
# What stands there says how to answer and is not shown to a model.
_SILENT: Final = frozenset(
    {
        "call_id", "detail", "effort", "encrypted_content", "file_id", "finish_reason", "format", "guardrails", "id",
        "include", "logit_bias", "metadata", "model", "object", "previous_response_id", "prompt_cache_key", "role",
        "safety_identifier", "service_tier", "status", "stream_options", "tool_call_id", "type", "user", "verbosity",
    }
)  # fmt: skip
# In a schema these are names of properties, which a model reads.
_NAMING: Final = frozenset({"properties", "$defs", "definitions"})


def texts_of(body: Mapping[str, Any], skip: Collection[tuple[str | int, ...]] = ()) -> Iterator[str]:
    """Every text that a model may read, in the order of the body; `skip` are the paths of parts that hold a file."""
    parts = _parts(body, skip)
    # In reverse, since the last that is put on is the first that is taken off.
    stack: list[tuple[Any, bool]] = [(body, True)]
    while stack:
        value, is_ours = stack.pop()
        if isinstance(value, str):
            if value:
                yield value
        elif isinstance(value, Mapping):
            if id(value) in parts:
                continue
            for key, member in reversed(list(value.items())):
                if is_ours and key in _SILENT and not isinstance(member, (Mapping, list)):
                    continue
                stack.append((member, is_ours and key not in _NAMING))
                if not is_ours:
                    stack.append((key, False))
        elif isinstance(value, list):
            stack.extend((member, is_ours) for member in reversed(value))


def size_of(body: Mapping[str, Any], skip: Collection[tuple[str | int, ...]] = ()) -> tuple[int, int]:
    """UTF-8 bytes of everything in a body but the parts at `skip`, and about how many tokens they are. A token is never
    less than a byte."""
    parts = _parts(body, skip)
    size, tokens = 0, 0.0
    stack: list[Any] = [body]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            length, wide = measure(value)
            size += length
            tokens += (len(value) - wide) / _CHARS_PER_TOKEN + wide
        elif isinstance(value, Mapping):
            if id(value) not in parts:
                stack.extend(value.values())
                stack.extend(value.keys())
        elif isinstance(value, list):
            stack.extend(value)
        else:
            # A number, true, false or null, which a schema may have.
            size += (
                20 if isinstance(value, float) else 5 if isinstance(value, bool) or value is None else _digits(value)
            )
            tokens += 1
    return size, math.ceil(tokens)


def measure(text: str) -> tuple[int, int]:
    """How many bytes of UTF-8 a text has, and how many of its characters are of no western alphabet."""
    if text.isascii():
        return len(text), 0
    # Half of a pair has three bytes too.
    data = text.encode("utf-8", "surrogatepass")
    if text.isprintable() and len(data) < 1.2 * len(text):
        return len(data), 0
    return len(data), sum(char > "\u024f" for char in text)


def _digits(value: object) -> int:
    # Not as text: a number of a million digits takes a second to be written.
    return int(value.bit_length() * 0.31) + 2 if isinstance(value, int) else 20


def _parts(body: Mapping[str, Any], paths: Collection[tuple[str | int, ...]]) -> set[int]:
    """The identities of the objects at these paths."""
    found = set()
    for path in paths:
        value: Any = body
        try:
            for step in path:
                value = value[step]
        except (KeyError, IndexError, TypeError):
            continue
        found.add(id(value))
    return found
