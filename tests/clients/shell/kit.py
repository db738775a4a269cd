"""The command line under test: in this process where that is the same, else as a script or on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from mediagate_client.cli import main

PATIENCE_S = 60
MIB = 1 << 20
ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self) -> str:
        return self.raw.decode().strip()

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.raw.splitlines()]


@dataclass
class Shell:
    """A user with a home of his own, in a folder of his own."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "home").mkdir(exist_ok=True)

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        known = {name: value for name, value in os.environ.items() if not name.startswith(("MEDIAGATE_", "XDG_"))}
        # What pytest or a CI sets to make colours is no setting of this user's.
        for name in ("FORCE_COLOR", "NO_COLOR", "PY_COLORS", "COLUMNS", "DISPLAY", "WAYLAND_DISPLAY"):
            known.pop(name, None)
        home = str(self.folder / "home")
        return {**known, "HOME": home, "TERM": "xterm", **self.environment, **more}

    def __call__(self, *arguments: str, code: int = 0, stdin: bytes = b"", **environment: str) -> Done:
        """Run a command in this process, as a script would whose streams are no terminals."""
        out, err = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True), io.StringIO()
        with (
            mock.patch.dict(os.environ, self._environment(environment), clear=True),
            mock.patch.object(sys, "argv", ["mediagate", *arguments]),
            mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), "utf-8")),
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main.main()
        out.flush()
        assert isinstance(out.buffer, io.BytesIO)
        done = Done(int(ended.value.code or 0), out.buffer.getvalue(), err.getvalue())
        assert done.code == code, done
        assert "Traceback" not in done.err
        return done

    def script(self, *arguments: str, **environment: str) -> Done:
        """Run the script itself."""
        command = [sys.executable, "-m", "mediagate_client.cli", *arguments]
        given = self._environment(environment)
        ended = subprocess.run(command, cwd=self.folder, env=given, capture_output=True, timeout=PATIENCE_S)
        return Done(ended.returncode, ended.stdout, ended.stderr.decode())

    def terminal(self, *arguments: str, **environment: str) -> Terminal:
        """Run the script on a terminal."""
        return Terminal(arguments, self.folder, self._environment(environment))


class Terminal:
    """A terminal of 40 lines with 140 columns."""

    def __init__(self, arguments: tuple[str, ...], folder: Path, environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mediagate_client.cli", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=environment,
            preexec_fn=_own_terminal,
        )
        os.close(slave)
        self.raw = ""

    @property
    def text(self) -> str:
        """What was shown, without what moves and colours."""
        return ESCAPE.sub("", self.raw)

    def until(self, pattern: str) -> None:
        """Read until it was shown."""
        end = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.text):
            assert time.monotonic() < end, self.text
            assert self._read(), self.text

    def _read(self) -> bool:
        if select.select([self._master], [], [], 1)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                return False
            self.raw += data.decode(errors="replace")
            return bool(data)
        return True

    def press_ctrl_c(self) -> None:
        os.write(self._master, b"\x03")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def end(self) -> int:
        """Wait for its end; the exit code."""
        while self._read():
            pass
        code = self._process.wait(PATIENCE_S)
        os.close(self._master)
        return code


def _own_terminal() -> None:
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)


class Valve:
    """A TCP proxy that lets a count of bytes through one way, and no more until it is opened."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.left = {"up": 0, "down": 0}
        self._open = threading.Event()
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def let(self, **left: int) -> None:
        """So many bytes may pass; a way that is not named is open."""
        self.left = {"up": 1 << 60, "down": 1 << 60, **left}
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._ends += [near, far]
                for way, source, sink in (("up", near, far), ("down", far, near)):
                    self._threads.append(threading.Thread(target=self._carry, args=(way, source, sink)))
                    self._threads[-1].start()

    def _carry(self, way: str, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                with self._lock:
                    self.left[way] -= len(data)
                    holds = self.left[way] < 0
                if holds:
                    self._open.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._open.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in (*self._ends, self._listener):
            end.close()


@contextlib.contextmanager
def valve(port: int) -> Iterator[Valve]:
    """A valve in front of a gateway."""
    one = Valve(port)
    try:
        yield one
    finally:
        one.close()
