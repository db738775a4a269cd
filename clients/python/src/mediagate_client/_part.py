"""What a download writes to before all of it is there."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import sys
import threading
from pathlib import Path
from typing import Any

from mediagate_client._errors import DiskFull, LocalFileError
from mediagate_client._transport import Bytes

PART_BYTES = 16 << 20
READ_BYTES = 1 << 20
# What one call writes: for more, Linux looks for larger pages, which took five times the processor time.
PAGES_BYTES = 32 << 10
FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

if hasattr(os, "pwrite"):

    def _write_at(descriptor: int, view: memoryview, offset: int) -> int:
        return os.pwrite(descriptor, view, offset)

    def _read_at(descriptor: int, length: int, offset: int) -> bytes:
        return os.pread(descriptor, length, offset)

else:
    # Windows has one position for all who use a descriptor.
    _position = threading.Lock()

    def _write_at(descriptor: int, view: memoryview, offset: int) -> int:
        with _position:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.write(descriptor, view)

    def _read_at(descriptor: int, length: int, offset: int) -> bytes:
        with _position:
            os.lseek(descriptor, offset, os.SEEK_SET)
            return os.read(descriptor, length)


if sys.platform == "win32":

    def _is_mine(descriptor: int) -> bool:
        return True

else:
    import fcntl

    def _is_mine(descriptor: int) -> bool:
        """Whether nobody else writes to it; nobody else will, then, until it is closed."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            # A file system without locks.
            return True
        return True


class Part:
    """The temporary file, beside the target so that it can be renamed, and its journal where it may be resumed."""

    def __init__(self, target: Path, journal: str | None, size: int, etag: str, *, overwrite: bool) -> None:
        self._target = target
        self._path = self._beside(journal or secrets.token_hex(6))
        self._journal = self._path.with_suffix(".json") if journal else None
        self._size = size
        self._etag = etag
        self._overwrite = overwrite
        self._fd = -1
        self._done: dict[int, int] = {}
        # A thread may open it, or give it its name, while the caller leaves: only one of both.
        self._turn = threading.Lock()
        self._is_over = False

    def _beside(self, mark: str) -> Path:
        # A name may be as long as the file system allows; ours must not be longer.
        stem = self._target.name.encode()[:120].decode("utf-8", "ignore")
        return self._target.with_name(f".{stem}.{mark}.part")

    def open(self) -> dict[int, int]:
        """Open it; returns how many bytes of each part a call before has fetched, by the part's number."""
        with self._turn, self._told("written"):
            if self._is_over:
                return {}
            if self._journal is not None and not self._resumed():
                # Somebody fetches the same to the same place by now.
                self._path, self._journal = self._beside(secrets.token_hex(6)), None
            if self._fd < 0:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | FLAGS, 0o666)
        return dict(self._done)

    def _resumed(self) -> bool:
        """Open what a call before has left, or make it. False where another call has it."""
        assert self._journal is not None
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | FLAGS, 0o666)
        try:
            if not _is_mine(descriptor) or not os.path.samestat(os.fstat(descriptor), self._path.stat()):
                return False
            if self._etag and os.fstat(descriptor).st_size:
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                    known = json.loads(self._journal.read_text())
                    if (known["etag"], known["size"], known["part_bytes"]) == (self._etag, self._size, PART_BYTES):
                        self._done = {int(number): int(count) for number, count in known["done"].items()}
            if not self._done:
                os.ftruncate(descriptor, 0)
            self._fd, descriptor = descriptor, -1
        except FileNotFoundError:
            # It has just been given its name.
            return False
        finally:
            if descriptor >= 0:
                os.close(descriptor)
        return True

    @contextlib.contextmanager
    def _told(self, what: str) -> Any:
        try:
            yield
        except OSError as error:
            if error.errno in FULL:
                raise DiskFull(f"There is no room for {str(self._target)!r} ({self._size} bytes).") from None
            raise LocalFileError(f"{str(self._target)!r} cannot be {what}: {error.strerror or error}.") from None

    def write(self, chunks: list[Bytes], offset: int) -> None:
        """Write all of them, one behind the other."""
        with self._told("written"):
            for chunk in chunks:
                view = memoryview(chunk)
                for start in range(0, len(view), PAGES_BYTES):
                    piece = view[start : start + PAGES_BYTES]
                    while piece:
                        written = _write_at(self._fd, piece, offset)
                        piece, offset = piece[written:], offset + written

    def hash_into(self, digest: Any, offset: int, length: int) -> None:
        """Read a stretch back and hash it."""
        with self._told("read"):
            while length > 0:
                data = _read_at(self._fd, min(READ_BYTES, length), offset)
                if not data:
                    return
                digest.update(data)
                offset, length = offset + len(data), length - len(data)

    def note(self, start: int, count: int) -> None:
        """Remember how much of the part that begins there is written."""
        self._done[start // PART_BYTES] = count

    def _keep_journal(self) -> None:
        assert self._journal is not None
        known = {"etag": self._etag, "size": self._size, "part_bytes": PART_BYTES, "done": self._done}
        self._journal.write_text(json.dumps(known))

    def finish(self) -> None:
        """Make it durable, then give it its name."""
        with self._told("written"):
            os.ftruncate(self._fd, self._size)
            os.fsync(self._fd)
            with self._turn:
                if self._is_over:
                    return
                if not self._overwrite and self._target.exists():
                    raise LocalFileError(f"{str(self._target)!r} is there already.")
                self._let_go()
                os.replace(self._path, self._target)
                self._is_over = True
                if self._journal is not None:
                    self._journal.unlink(missing_ok=True)
                self._close()
        with contextlib.suppress(OSError):
            folder = os.open(self._target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def abandon(self, *, keep: bool) -> None:
        """Close it, and remove it unless it shall be resumed."""
        with self._turn:
            if not self._is_over:
                self._is_over = True
                self._leave(keep=keep)
            self._close()

    def _leave(self, *, keep: bool) -> None:
        if self._fd < 0:
            return
        if keep and self._done and self._journal is not None:
            with contextlib.suppress(OSError):
                self._keep_journal()
                return
        self._let_go()
        for path in (self._path, self._journal):
            if path is not None:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)

    def _let_go(self) -> None:
        # Windows neither renames nor removes what is open; elsewhere another call may claim what is closed.
        if sys.platform == "win32":
            self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
