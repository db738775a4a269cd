"""What may pass in a minute: a window of the last 60 seconds, which never lets through more than its limit.

Pure: times are Unix seconds that the caller gives, and nothing here waits. A unit counts for 60 seconds from when it
was taken. What is taken at once may be more than what is left, as long as something is left; the rest is a debt, which
the minutes after this one pay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

WINDOW_S: Final = 60.0
DEBT_MINUTES_MAX: Final = 60
"""A debt is over after this long, however large it was."""
CLOCK_STEP_S: Final = 5.0
"""A clock that is further behind than this was set back."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Units that count until a Unix time."""

    until_s: float
    amount: int


class Window:
    """What was taken under one limit and still counts, the earliest end first."""

    __slots__ = ("_pieces", "limit")

    def __init__(self, limit: int, pieces: Iterable[Piece] = ()) -> None:
        self.limit = max(0, limit)
        self._pieces = sorted(pieces, key=lambda piece: piece.until_s)

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None, limit: int, now_s: float) -> Window:
        """From JSON, without what is over. Where the clock was set back everything moves with it: or the window would
        stay full until the clock is again where it was."""
        if stored is None:
            return cls(limit)
        behind = float(stored["at"]) - now_s
        moved = behind if behind > CLOCK_STEP_S else 0.0
        pieces = (Piece(until_s - moved, amount) for until_s, amount in stored["pieces"])
        return cls(limit, (piece for piece in pieces if piece.until_s > now_s))

    def stored(self, now_s: float) -> dict[str, Any]:
        """As JSON."""
        return {"at": now_s, "pieces": [[piece.until_s, piece.amount] for piece in self._pieces]}

    @property
    def used(self) -> int:
        """Units that count; more than the limit where there is a debt."""
        return sum(piece.amount for piece in self._pieces)

    @property
    def room(self) -> int:
        """Units that are left."""
        return max(0, self.limit - self.used)

    def take(self, amount: int, now_s: float) -> tuple[Piece, ...]:
        """Count `amount` units from now, whatever is left; returns what `give_back` takes."""
        taken, before, left = [], self.used, amount
        while left > 0:
            minute = 0 if self.limit == 0 else min(before // self.limit, DEBT_MINUTES_MAX - 1)
            last = self.limit == 0 or minute == DEBT_MINUTES_MAX - 1
            part = left if last else min(left, (minute + 1) * self.limit - before)
            # Rounded here, not where it is stored: or a piece near the end of a second would be in another one there,
            # and what is given back would not find it.
            taken.append(self._add(Piece(round(now_s + WINDOW_S * (minute + 1), 3), part)))
            before, left = before + part, left - part
        return tuple(taken)

    def _add(self, piece: Piece) -> Piece:
        """Ends within one second become the latest of them: a window has some sixty pieces, not thousands."""
        for index, other in enumerate(self._pieces):
            if math.floor(other.until_s) == math.floor(piece.until_s):
                until_s = max(other.until_s, piece.until_s)
                self._pieces[index] = Piece(until_s, other.amount + piece.amount)
                return Piece(until_s, piece.amount)
        self._pieces.append(piece)
        self._pieces.sort(key=lambda one: one.until_s)
        return piece

    def give_back(self, pieces: Iterable[Piece], amount: int) -> None:
        """Count `amount` of what was taken no longer, the latest first. What is over by itself is passed over."""
        for piece in sorted(pieces, key=lambda one: -one.until_s):
            part = min(amount, piece.amount)
            amount -= part
            for index, other in enumerate(self._pieces):
                if math.floor(other.until_s) == math.floor(piece.until_s):
                    self._pieces[index] = Piece(other.until_s, max(0, other.amount - part))
        self._pieces = [piece for piece in self._pieces if piece.amount > 0]

    def room_at_s(self) -> float:
        """When something is left again; 0 where something is."""
        used = self.used
        if used < self.limit:
            return 0.0
        for piece in self._pieces:
            used -= piece.amount
            if used < self.limit:
                return piece.until_s
        return math.inf

    def full_at_s(self) -> float:
        """When nothing of what was taken counts any longer; 0 where nothing does."""
        return self._pieces[-1].until_s if self._pieces else 0.0


def duration_text(duration_s: float) -> str:
    """A duration as OpenAI's headers have it: `20ms`, `1s`, `6m0s`, `1h0m0s`; rounded up."""
    if duration_s <= 0:
        return "0s"
    if duration_s < 1:
        return f"{max(1, math.ceil(duration_s * 1000))}ms"
    minutes, seconds = divmod(math.ceil(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{seconds}s"
    return f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
