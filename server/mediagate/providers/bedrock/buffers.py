"""The memory that parts of uploads fill, used again while uploads run."""

from __future__ import annotations

from typing import Final

# A file below this never takes the memory of a whole part.
SMALL_BYTES: Final = 1 << 20
SPARE_MAX: Final = 4


class BufferPool:
    """Buffers of an account's uploads. To free them and to ask for as much again leaves gaps that the process keeps
    (measured: an upload of 512 MiB then holds 43 MiB instead of 35). Nothing is kept when nobody uploads."""

    def __init__(self) -> None:
        self._spare: list[bytearray] = []
        self._lent = 0

    def lend(self, length: int) -> bytearray:
        """A buffer of `length` bytes, with anything in it, until it is given back."""
        self._lent += 1
        if self._spare and len(self._spare[-1]) == length:
            return self._spare.pop()
        return bytearray(length)

    def give_back(self, buffer: bytearray | bytes) -> None:
        """End a loan. Bytes are nobody's loan."""
        if not isinstance(buffer, bytearray):
            return
        self._lent -= 1
        if self._lent == 0:
            self._spare.clear()
        elif len(self._spare) < SPARE_MAX:
            self._spare.append(buffer)


class PartBuffer:
    """One part that fills. A small one has the size of what is in it, a large one is lent by the pool."""

    def __init__(self, pool: BufferPool) -> None:
        self._pool = pool
        self._small = bytearray()
        self._large: bytearray | None = None
        self.filled = 0

    def add(self, view: memoryview, length: int) -> int:
        """Take what fits into a part of `length` bytes; returns how many bytes that were."""
        taken = min(len(view), length - self.filled)
        if self._large is None and self.filled + taken <= SMALL_BYTES:
            self._small += view[:taken]
        else:
            if self._large is None:
                self._large = self._pool.lend(length)
                self._large[: self.filled] = self._small
                self._small = bytearray()
            self._large[self.filled : self.filled + taken] = view[:taken]
        self.filled += taken
        return taken

    def take(self) -> bytearray | bytes:
        """The bytes that were added, to be given back to the pool; the next part begins empty."""
        full: bytearray | bytes = bytes(self._small)
        if self._large is not None:
            del self._large[self.filled :]
            full = self._large
        self._small, self._large, self.filled = bytearray(), None, 0
        return full

    def close(self) -> None:
        """Drop what is held. Safe when called twice."""
        self._pool.give_back(self.take())
