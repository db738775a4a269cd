"""aimock, a server of another hand that speaks OpenAI's Files API, and the video APIs of OpenAI and OpenRouter:
https://www.npmjs.com/package/@copilotkit/aimock.

The lock file beside this pins it. npm installs it once, into a cache folder that is named after the lock file.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.conftest import free_port
from tests.installed import npm_installed

HERE = Path(__file__).parent
KEY = "sk-aimock"
# What a key of Google Cloud's looks like.
GOOGLE_TOKEN = "ya29.aimock"
# It keeps nothing larger (`FILES_MAX_BYTES` in its dist/files.js).
FILE_BYTES_MAX = 10 << 20


def installed() -> Path:
    """The folder that holds aimock's `node_modules`."""
    return npm_installed(HERE)


@contextmanager
def aimock_server(fixtures: Sequence[Mapping[str, Any]] = ()) -> Iterator[str]:
    """aimock on a free port; yields its address, without a path. It takes no keys but `KEY` and `GOOGLE_TOKEN`.
    `fixtures` are what it answers where it has nothing of its own: `{"match": ..., "response": ...}`, the first that
    fits."""
    folder = installed()
    script = folder / "node_modules/@copilotkit/aimock/dist/cli.js"
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump({"fixtures": list(fixtures)}, file)
        file.flush()
        port = free_port()
        with _running(
            port, [str(script), "-p", str(port), "-f", file.name, "--log-level", "silent", "--journal-max", "0"]
        ):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def aimock_moderations(word: str, category: str) -> Iterator[str]:
    """The same for its moderation endpoint, which flags texts with `word`."""
    port = free_port()
    with _running(port, [str(HERE / "moderations.mjs"), str(installed()), str(port), word, category]):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(port: int, arguments: Sequence[str]) -> Iterator[None]:
    process = subprocess.Popen(
        ["node", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "AIMOCK_API_KEYS": f"{KEY},{GOOGLE_TOKEN}"},
        start_new_session=True,
    )
    try:
        _wait_ready(process, f"http://127.0.0.1:{port}")
        yield
    finally:
        # `node` may be a program that starts the real one.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers at {url}")
