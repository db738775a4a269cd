"""What lies between a client and its gateway: a line that is cut or slow, and a door that speaks TLS."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import Gateway
from tests.doubles.tls import certified


class Cutter:
    """A TCP proxy that cuts the connection which brings the count of bytes one way above a limit."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.limits: dict[str, int] = {}
        self.cuts = 0
        # How long each 64 KiB takes on the way up.
        self.pace_s = 0.0
        # Whether a cut line stays so, and whether it is.
        self.stays = self.away = False
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []

    def run(self) -> None:
        carriers = []
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._ends += [near, far]
                for way, source, sink in (("up", near, far), ("down", far, near)):
                    carriers.append(threading.Thread(target=self._carry, args=(way, source, sink)))
                    carriers[-1].start()
        for end in self._ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for carrier in carriers:
            carrier.join()
        for end in (*self._ends, self._listener):
            end.close()

    def _carry(self, way: str, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while (data := source.recv(65536)) and not self._is_over(way, len(data)):
                if self.pace_s and way == "up":
                    time.sleep(self.pace_s)
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _is_over(self, way: str, count: int) -> bool:
        with self._lock:
            if self.away:
                return True
            if way not in self.limits:
                return False
            self.limits[way] -= count
            if self.limits[way] >= 0:
                return False
            del self.limits[way]
            self.cuts += 1
            self.away = self.stays
            return True

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)


@contextmanager
def cutting(gateway: Gateway) -> Iterator[Cutter]:
    cutter = Cutter(gateway.port)
    thread = threading.Thread(target=cutter.run)
    thread.start()
    try:
        yield cutter
    finally:
        cutter.close()
        thread.join()


@contextmanager
def over_tls(gateway: Gateway, folder: Path) -> Iterator[tuple[int, Path]]:
    """The gateway behind a door that speaks TLS, with a certificate of its own; port and CA."""
    authority, server = certified("127.0.0.1", folder)
    server.set_alpn_protocols(["h2", "http/1.1"])
    listener = socket.create_server(("127.0.0.1", 0))
    threads = []

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)

    def serve(plain: socket.socket) -> None:
        try:
            near = server.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        with near, socket.create_connection(("127.0.0.1", gateway.port)) as far:
            back = threading.Thread(target=carry, args=(far, near))
            back.start()
            carry(near, far)
            back.join()

    def accept() -> None:
        with suppress(OSError):
            while True:
                threads.append(threading.Thread(target=serve, args=(listener.accept()[0],)))
                threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield listener.getsockname()[1], authority
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        for thread in threads:
            thread.join()
        listener.close()
