"""What tests need from npm, installed once on a machine: into a cache folder that is named after the lock file."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path


def npm_installed(source: Path, then: Callable[[Path], None] | None = None) -> Path:
    """The folder that holds `node_modules` of the package.json and package-lock.json in `source`. Downloads nothing
    where it is there already; else `then` is called with the folder, for what is made of the packages once."""
    lock = (source / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mediagate-tests"
    folder = cache / f"{source.name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{source.name}.lock").open("w") as guard:
        # Two test runs at once install it once.
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(source / name, folder / name)
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
            if then is not None:
                then(folder)
            (folder / "done").touch()
    return folder
