"""Which `custom_id`s a file has had so far, a million of them in some MiB."""

from __future__ import annotations

from array import array
from typing import Final

_SLOTS_FIRST: Final = 1 << 12
_HASH: Final = (1 << 64) - 1


class CustomIds:
    """A set of texts by their hashes, of which this process's are known to nobody.

    Two texts of one hash would be taken for one: among a million of them that happens once in 30 million files. At most
    half of the slots are taken, so a million texts have 16 MiB.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _SLOTS_FIRST))
        self._mask = _SLOTS_FIRST - 1
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, text: str) -> bool:
        """Note one; False where it was there."""
        # 0 is an empty slot.
        wanted = hash(text) & _HASH or 1
        slots, mask = self._slots, self._mask
        at = wanted & mask
        while found := slots[at]:
            if found == wanted:
                return False
            at = (at + 1) & mask
        slots[at] = wanted
        self._count += 1
        if self._count * 2 > mask:
            self._grow()
        return True

    def _grow(self) -> None:
        old = self._slots
        slots = self._slots = array("Q", bytes(16 * len(old)))
        mask = self._mask = len(slots) - 1
        for wanted in old:
            if wanted:
                at = wanted & mask
                while slots[at]:
                    at = (at + 1) & mask
                slots[at] = wanted
