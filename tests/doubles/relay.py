"""A wire between two ends that a test cuts: TCP passed on byte by byte, until it is told to break."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK_BYTES = 1 << 16


class Relay:
    """Listens at `port` and passes on to another port of this machine."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_cut = False
        self._flows = {forth: threading.Event() for forth in (True, False)}
        self.port = int(self._listener.getsockname()[1])
        self.passed = 0
        """Bytes on their way to the target so far."""
        self.mend()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and each that comes, until `mend`."""
        with self._lock:
            self._is_cut = True
            for end in self._ends:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def hold(self, *, answers: bool = False) -> None:
        """Keep what comes, of either end or the `answers` alone, until `mend`."""
        self._flows[False].clear()
        if not answers:
            self._flows[True].clear()

    def mend(self) -> None:
        """Pass on again."""
        self._is_cut = False
        self._flow()

    def close(self) -> None:
        """End it."""
        self.cut()
        self._flow()
        self._listener.close()

    def _flow(self) -> None:
        for flow in self._flows.values():
            flow.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                with suppress(OSError):
                    self._join(near)

    def _join(self, near: socket.socket) -> None:
        with self._lock:
            if self._is_cut:
                near.close()
                return
            far = socket.create_connection(("127.0.0.1", self._target))
            self._ends |= {near, far}
        threading.Thread(target=self._pass, args=(near, far, True), daemon=True).start()
        threading.Thread(target=self._pass, args=(far, near, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, forth: bool) -> None:
        with suppress(OSError):
            while chunk := source.recv(CHUNK_BYTES):
                self._flows[forth].wait()
                sink.sendall(chunk)
                self.passed += len(chunk) * forth
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._ends.discard(source)
        source.close()


@contextmanager
def relay(target: int) -> Iterator[Relay]:
    """A relay to a port, until the block ends."""
    made = Relay(target)
    try:
        yield made
    finally:
        made.close()
