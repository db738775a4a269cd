"""Server-sent events, read as their bytes come: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from mediagate.core.limits import MIB

EVENT_BYTES_MAX: Final = 64 * MIB
_LINE_END: Final = re.compile(rb"\r\n|\n|\r")
_BOM: Final = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """One event has more bytes than may be held."""


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event. `event` is its type, empty where the stream names none; lines of data are joined by a line feed."""

    data: str
    event: str = ""
    id: str = ""


class SseReader:
    """Reads one stream. Bytes may be cut anywhere, also within a character or a line end. What is held is one event, at
    most `event_bytes_max` bytes of it."""

    def __init__(self, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self._bytes_max = event_bytes_max
        self._held_bytes = 0
        # The line that is not complete, in pieces: a long one that comes in many chunks is searched once.
        self._pieces: list[bytes] = []
        self._after_cr = False
        self._first = True
        self._data: list[str] = []
        self._event = ""
        self._id = ""

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that are complete with these bytes. Raises `EventTooLarge`."""
        if not chunk:
            return []
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._after_cr = chunk.endswith(b"\r")
        found: list[SseEvent] = []
        *lines, rest = _LINE_END.split(chunk)
        for line in lines:
            self._hold(line)
            if (event := self._line()) is not None:
                found.append(event)
        self._hold(rest)
        return found

    def end(self) -> list[SseEvent]:
        """The event of which nothing but the empty line behind it is missing, where the stream ends like that. One that
        ends within a line is not complete, and is not given."""
        if self._pieces and any(self._pieces):
            return []
        event = self._complete()
        return [] if event is None else [event]

    def _hold(self, piece: bytes) -> None:
        self._held_bytes += len(piece)
        if self._held_bytes > self._bytes_max:
            raise EventTooLarge(f"an event has more than {self._bytes_max} bytes")
        if piece or not self._pieces:
            self._pieces.append(piece)

    def _line(self) -> SseEvent | None:
        """Take the line that is complete now; the event that it ends."""
        line = b"".join(self._pieces)
        self._pieces.clear()
        if self._first:
            line, self._first = line.removeprefix(_BOM), False
        if not line:
            return self._complete()
        name, _, value = line.partition(b":")
        if name in (b"data", b"event", b"id"):
            self._field(name, value.removeprefix(b" ").decode(errors="replace"))
        return None

    def _field(self, name: bytes, value: str) -> None:
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value
        elif "\0" not in value:
            self._id = value

    def _complete(self) -> SseEvent | None:
        data, event = self._data, self._event
        self._data, self._event, self._held_bytes = [], "", 0
        return SseEvent("\n".join(data), event, self._id) if data else None
