"""Lines that differ in their words alone are written by the first of them, with other words put into its bytes.

A provider's mapper takes some thirty microseconds for a line, and most files ask one question about many texts. What a
mapper writes for texts that stand for any other is cut where they are; a line of the same shape is the pieces with its
own words between them. A shape is taken only where each text comes out once, and where the first lines prove it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import orjson

from mediagate.core.chat import Uses
from mediagate.core.errors import MediagateError

LineWriter: TypeAlias = Callable[[str, dict[str, Any], Uses], bytes]
"""A line of the provider's, from its key, its body and how its files are told."""
SHAPES_MAX: Final = 64
PROOFS: Final = 3
# A file of ever new shapes gains nothing.
MISSES_MAX: Final = 256
_KEY: Final = "r7777777777"
_MEMBERS: Final = frozenset({"role", "content"})
_ROLES: Final = frozenset({"system", "developer", "user", "assistant"})


@dataclass(slots=True)
class _Shape:
    """`pieces` stand around what `order` says: a number is that of a text, None the key. None of both: it cannot be
    cut."""

    pieces: list[bytes] = field(default_factory=list)
    order: list[int | None] = field(default_factory=list)
    proofs: int = 0

    @property
    def is_sound(self) -> bool:
        """Whether lines can be put together from it."""
        return bool(self.pieces)

    def line(self, key: str, texts: list[str]) -> bytes:
        """The line with these words."""
        own = key.encode()
        put = [own if at is None else orjson.dumps(texts[at])[1:-1] for at in self.order]
        found = [b""] * (2 * len(put) + 1)
        found[::2] = self.pieces
        found[1::2] = put
        return b"".join(found)


class Shapes:
    """A writer of lines that remembers shapes. `write` must do with texts nothing but put them somewhere: what is empty
    or begins or ends with blanks, which some providers do not take as it is, goes to it in any case."""

    def __init__(self, write: LineWriter) -> None:
        self._write = write
        self._shapes: dict[bytes, _Shape] = {}
        self._misses = 0

    def write(self, key: str, body: dict[str, Any], uses: Uses) -> bytes:
        """One line."""
        texts = None if uses or self._misses > MISSES_MAX else _texts(body)
        if texts is None:
            return self._write(key, body, uses)
        name = orjson.dumps([{**body, "messages": None}, [message["role"] for message in body["messages"]]])
        shape = self._shapes.get(name)
        if shape is None:
            return self._first(name, key, body, len(texts))
        if not shape.is_sound:
            return self._write(key, body, uses)
        line = shape.line(key, texts)
        if shape.proofs < PROOFS:
            proper = self._write(key, body, uses)
            shape.proofs += 1
            if line != proper:
                shape.pieces = []
            return proper
        return line

    def _first(self, name: bytes, key: str, body: dict[str, Any], texts: int) -> bytes:
        self._misses += 1
        # Raises what is wrong with any line of this shape.
        line = self._write(key, _copied(body), {})
        if len(self._shapes) < SHAPES_MAX:
            self._shapes[name] = self._shape(body, texts)
        return line

    def _shape(self, body: dict[str, Any], texts: int) -> _Shape:
        try:
            return _cut(self._write(_KEY, _copied(body, texts), {}), texts)
        except MediagateError:
            # It is the signs that are wrong.
            return _Shape()


def _texts(body: dict[str, Any]) -> list[str] | None:
    """The words of a body that has nothing else in its messages; None for any other."""
    messages = body.get("messages")
    if type(messages) is not list:
        return None
    texts = []
    for message in messages:
        if type(message) is not dict or message.keys() != _MEMBERS or message["role"] not in _ROLES:
            return None
        text = message["content"]
        if type(text) is not str or not text or text[0].isspace() or text[-1].isspace():
            return None
        texts.append(text)
    return texts


def _copied(body: dict[str, Any], texts: int = 0) -> dict[str, Any]:
    """The body with texts that stand for any other; as it is without."""
    messages = body["messages"]
    if texts:
        messages = [{**message, "content": _sign(number)} for number, message in enumerate(messages)]
    return {**body, "messages": messages}


def _sign(number: int) -> str:
    return f"@@words of line {number:05d}@@"


def _cut(line: bytes, texts: int) -> _Shape:
    """The shape of a line whose texts are signs."""
    places: list[tuple[int, int, int | None]] = []
    for number in range(texts):
        sign = orjson.dumps(_sign(number))[1:-1]
        if line.count(sign) != 1:
            return _Shape()
        places.append((line.index(sign), len(sign), number))
    own, found = _KEY.encode(), line.find(_KEY.encode())
    while found >= 0:
        places.append((found, len(own), None))
        found = line.find(own, found + 1)
    shape, end = _Shape(), 0
    for start, length, what in sorted(places, key=lambda place: place[0]):
        shape.pieces.append(line[end:start])
        shape.order.append(what)
        end = start + length
    shape.pieces.append(line[end:])
    return shape
