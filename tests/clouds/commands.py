"""The operator's commands, each in a process of its own, forked from one that has loaded everything: to import it anew
takes three seconds of processor time."""

from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

LOADED = (
    "mediagate.cli.reconcile",
    "mediagate.cli.retention",
    "mediagate.composition",
    "mediagate.supervisor.prepare",
    "mediagate.telemetry.logs",
    "mediagate_client.cli.root",
)
TIMEOUT_S = 240


def mediagate(*arguments: str, config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as an operator does; connections that it leaves open show on standard error."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MEDIAGATE_")}
    command = ("mediagate", *arguments, f"--config={config}")
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(list(LOADED))
    with tempfile.TemporaryDirectory() as folder:
        said = [f"{folder}/out", f"{folder}/err"]
        process = server.Process(target=become, args=(command, {**inherited, **environment}, said))
        process.start()
        process.join(TIMEOUT_S)
        if process.exitcode is None:
            process.kill()
            process.join()
        out, err = (Path(path).read_text() for path in said)
    assert process.exitcode is not None
    ended = subprocess.CompletedProcess(command, process.exitcode, out, err)
    process.close()
    assert "ResourceWarning" not in ended.stderr, ended.stderr
    return ended


def become(command: Sequence[str], environment: Mapping[str, str], said: Sequence[str]) -> None:
    """Run in the new process: what the `mediagate` script does, with its output in files."""
    for number, path in enumerate(said, start=1):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(command)
    warnings.simplefilter("always", ResourceWarning)
    from mediagate_client.cli.main import main

    try:
        main()
    finally:
        gc.collect()
