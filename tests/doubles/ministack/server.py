"""ministack, a server of another hand that speaks S3 and Bedrock's asynchronous invocations:
https://pypi.org/project/ministack/.

It wants another botocore than ours, so it lives in an environment of its own, which uv makes once from the pinned
requirements beside this, in a cache folder that is named after them. An invocation is completed at once there, and
writes nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.conftest import free_port

REQUIREMENTS = Path(__file__).parent / "requirements.txt"


def installed() -> Path:
    """The folder of its programs. Downloads nothing where it is there already."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mediagate-tests"
    folder = cache / f"ministack-{hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "ministack.lock").open("w") as guard:
        # Two test runs at once install it once.
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            python = folder / "bin" / "python"
            _run("uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
            _run(
                "uv", "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(REQUIREMENTS)
            )
            (folder / "done").touch()
    return folder / "bin"


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=300)


@contextmanager
def ministack_server(folder: Path) -> Iterator[str]:
    """ministack on a free port, with what it writes below `folder`; yields its address."""
    port = free_port()
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SERVICES": "s3,bedrock-runtime",
    }
    with (folder / "out").open("wb") as output:
        process = subprocess.Popen(
            [installed() / "ministack"], stdout=output, stderr=subprocess.STDOUT, env=environ, cwd=folder
        )
    try:
        _wait_ready(process, f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _wait_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(url, timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers at {url}")
