"""What is uploaded: a path, an open file, or bytes, read by position where that is possible."""

from __future__ import annotations

import asyncio
import io
import os
import select
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from mediagate_client._errors import FileChanged, LocalFileError

Answer = TypeVar("Answer")
Readable = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
# What a pipe holds at most, as systems are set up.
PIPE_BYTES = 1 << 16


class Source:
    """Bytes to send. `size` is None for what can be read only once, such as a pipe."""

    def __init__(self, given: Readable, filename: str | None) -> None:
        self._lock = threading.Lock()
        self._owns = False
        self._path: Path | None = None
        if isinstance(given, (bytes, bytearray, memoryview)):
            given = io.BytesIO(bytes(given))
        if isinstance(given, (str, os.PathLike)):
            self._path = Path(given).expanduser()
            self._file: IO[bytes] = _opened(self._path)
            self._owns = True
        elif hasattr(given, "read"):
            self._file = given
        else:
            raise TypeError(f"Cannot upload a {type(given).__name__}: give a path, bytes or a file opened with 'rb'.")
        if isinstance(self._file, io.TextIOBase):
            raise TypeError("Open the file with 'rb': text has no bytes of its own.")
        self.filename = _clean(filename or self._name())
        self._start, self.size = self._extent()
        self._stamp = self._stat()

    def _name(self) -> str:
        name = self._path or getattr(self._file, "name", None)
        return os.path.basename(os.fspath(name)) if isinstance(name, (str, os.PathLike)) else "upload"

    def _extent(self) -> tuple[int, int | None]:
        try:
            start = self._file.tell()
            end = self._file.seek(0, os.SEEK_END)
            self._file.seek(start)
        except (OSError, AttributeError, io.UnsupportedOperation):
            return 0, None
        return start, max(0, end - start)

    def _stat(self) -> tuple[int, int] | None:
        try:
            known = os.fstat(self._file.fileno())
        except (OSError, AttributeError, io.UnsupportedOperation):
            return None
        return known.st_size, known.st_mtime_ns

    @property
    def stamp(self) -> list[int] | None:
        """Size and time of the last change, where there are such."""
        return list(self._stamp) if self._stamp else None

    async def read_at(self, offset: int, length: int) -> bytes:
        """Exactly these bytes. Raises FileChanged where there are fewer."""
        return await asyncio.to_thread(self._read_at, offset, length)

    def _read_at(self, offset: int, length: int) -> bytes:
        try:
            with self._lock:
                self._file.seek(self._start + offset)
                data = self._file.read(length)
        except OSError as error:
            raise LocalFileError(f"{self.filename!r} cannot be read: {error.strerror or error}.") from None
        if len(data) != length:
            raise FileChanged(f"{self.filename!r} became shorter while it was sent.")
        return data

    async def read_hashed(self, offset: int, length: int, digest: Any) -> bytes:
        """The same, hashed on the way."""

        def read() -> bytes:
            data = self._read_at(offset, length)
            digest.update(data)
            return data

        return await asyncio.to_thread(read)

    async def read_next(self, length: int) -> bytes:
        """The next bytes of what can be read only once; empty at its end."""
        try:
            if isinstance(self._file, io.FileIO):
                return await _aside(lambda: _filled(self._file, length))
            return await asyncio.to_thread(self._file.read, length)
        except OSError as error:
            raise LocalFileError(f"{self.filename!r} cannot be read: {error.strerror or error}.") from None

    def check(self) -> None:
        """Raises FileChanged where somebody has written to it since it was opened."""
        if self.size is not None and self._stamp != self._stat():
            raise FileChanged(f"{self.filename!r} changed while it was sent.")

    def close(self) -> None:
        """Close what was opened here."""
        if self._owns:
            self._file.close()


async def source_of(given: Readable, filename: str | None) -> Source:
    """What there is to read. A named pipe is opened aside: that waits until somebody writes."""
    if isinstance(given, (str, os.PathLike)) and _is_pipe(Path(given)):
        return await _aside(lambda: Source(given, filename))
    return Source(given, filename)


def _is_pipe(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.expanduser().stat().st_mode)
    except (OSError, ValueError):
        return False


def _opened(path: Path) -> IO[bytes]:
    try:
        # Unbuffered: every read is as large as what is sent at once.
        return path.open("rb", buffering=0)
    except OSError as error:
        raise LocalFileError(f"{str(path)!r} cannot be read: {error.strerror or error}.") from None


async def _aside(work: Callable[[], Answer]) -> Answer:
    """What may never end, such as reading a silent pipe, in a thread that the end of the process does not wait for."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Answer] = loop.create_future()

    def tell(result: Answer | None, error: BaseException | None) -> None:
        if answer.done():
            _drop(result)
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(cast(Answer, result))

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        try:
            loop.call_soon_threadsafe(tell, result, failure)
        except RuntimeError:
            # The loop is closed: nobody waits any more.
            _drop(result)

    threading.Thread(target=run, name="mediagate-reader", daemon=True).start()
    return await answer


def _drop(result: object) -> None:
    if isinstance(result, Source):
        result.close()


def _filled(file: IO[bytes], length: int) -> bytes:
    """So many bytes, or what there is before the end."""
    held = bytearray()
    while len(held) < length:
        piece = file.read(min(PIPE_BYTES, length - len(held)))
        if piece is None:
            # Whoever shares the pipe made it one that does not wait.
            select.select([file], [], [])
        elif piece:
            held += piece
        else:
            break
    return bytes(held)


def _clean(name: str) -> str:
    """A name of a file system that knows bytes, as text."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace") or "upload"


def as_text(value: Any) -> list[str]:
    """One name, or several, as a list."""
    return [value] if isinstance(value, str) else list(value or ())
