"""What the client's README tells a reader to paste works as it is printed, and is right for the compiler."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from playwright.sync_api import Browser, Route

from tests.chromium.browser import quiet_page
from tests.clients.typescript.package import CLIENT, Package
from tests.clients.typescript.test_browser import ORIGIN
from tests.conftest import Gateway

README = (CLIENT / "README.md").read_text()
# Uses that must not compile, and those whose types a reader relies on.
TYPES = """
import { Client, type File, type Video, NotFound } from "@mediagate/client";
import { Client as PageClient } from "@mediagate/client/browser";
const client = new Client({ key: "sk-a" });
export const file: Promise<File> = client.files.upload("a/path");
export const saved: Promise<string> = client.videos.download("video_x", "x.mp4");
export const bytes: Promise<Uint8Array> = client.files.download("file-x").bytes();
export const video: Promise<Video> = client.videos.create("A boat", { seconds: 2 });
export const hash = async (): Promise<string> => (await file).mediagate.sha256;
export const end = async (): Promise<number | null> => (await video).completedAt;
export const status = (error: unknown): number => (error instanceof NotFound ? error.httpStatus : 0);
// @ts-expect-error
client.files.upload(7);
// @ts-expect-error
new PageClient({ key: "sk-a" }).files.upload("a/path");
// @ts-expect-error
client.videos.create("A boat", { length: 2 });
"""


def snippets(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_first_pages_snippet_runs(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    """In README.md at the top, from a folder inside of the checkout, with the package that `npm ci` makes there."""
    (module,) = re.findall(r"<<'JS'\n(.*?)\nJS\n", (CLIENT.parents[1] / "README.md").read_text(), re.DOTALL)
    shutil.copy(CLIENT.parents[1] / "README.md", tmp_path)
    within = tmp_path / "clients" / "typescript"
    within.mkdir(parents=True)
    printed = package.run(gateway, module.replace("127.0.0.1:4000", f"127.0.0.1:{gateway.port}"), within)
    assert printed.splitlines()[-1].endswith("end")
    assert (tmp_path / "copy.md").read_bytes() == (tmp_path / "README.md").read_bytes()
    assert (tmp_path / "boat.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_snippets_compile_and_run(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    shutil.copy(CLIENT / "README.md", tmp_path)
    sources = [*snippets("ts"), TYPES]
    assert len(sources) == 5
    for number, source in enumerate(sources):
        (package.app / f"snippet{number}.mts").write_text(source)
    names = [str(package.app / f"snippet{number}.mts") for number in range(len(sources))]
    options = ["--strict", "--module", "nodenext", "--target", "es2022", "--types", "node", "--outDir", "compiled"]
    package.tool("tsc", *options, *names, cwd=package.app)
    for number in range(len(sources) - 1):
        module = (package.app / "compiled" / f"snippet{number}.mjs").read_text()
        printed = package.run(gateway, module, tmp_path)
        assert printed or "resume" in module
    assert (tmp_path / "copy.md").read_bytes() == (tmp_path / "README.md").read_bytes()
    assert (tmp_path / "boat.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_page_stores_what_is_chosen(gateway: Gateway, package: Package, browser: Browser) -> None:
    (source,) = snippets("html")
    bundle = (package.client / "dist" / "browser.bundle.js").read_text()
    page_of = {
        f"{ORIGIN}/": ("<!doctype html><link rel=icon href=data:,>" + source, "text/html"),
        f"{ORIGIN}/browser.bundle.js": (bundle, "text/javascript"),
    }

    def serve(route: Route) -> None:
        body, kind = page_of[route.request.url.partition("#")[0]]
        route.fulfill(body=body, content_type=kind)

    with quiet_page(browser, permissions=["local-network-access"]) as page:
        page.route(f"{ORIGIN}/*", serve)
        page.on("dialog", lambda asked: asked.accept(gateway.key))
        page.goto(f"{ORIGIN}/#url={gateway.url}")
        page.set_input_files("input", CLIENT / "README.md")
        page.wait_for_function("document.querySelector('output').value.startsWith('stored file-')")


def test_npm_builds_it_and_installs_it_from_its_folder(gateway: Gateway, package: Package, tmp_path: Path) -> None:
    leave_out = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(CLIENT, tmp_path / "clients" / "typescript", ignore=leave_out)
    # The packages have been fetched already.
    environ = {**os.environ, "npm_config_prefer_offline": "true", "npm_config_audit": "false"}
    commands = "\n".join(snippets("sh")[0].splitlines()[:2])
    subprocess.run(["bash", "-ec", commands], cwd=tmp_path, env=environ, check=True, capture_output=True, timeout=300)
    script = tmp_path / "program.mjs"
    script.write_text('import { Client } from "@mediagate/client"; await new Client().files.list({ limit: 1 });')
    options = package.node_options(gateway)
    subprocess.run([package.node, script], env=options, check=True, capture_output=True, timeout=60)


def test_the_package_has_what_it_needs(package: Package, tmp_path: Path) -> None:
    """What npm would publish has what a program needs, and nothing else."""
    packed = subprocess.run(
        ["npm", "pack", "--offline", "--ignore-scripts", "--pack-destination", str(tmp_path)],
        cwd=package.client,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    listed = subprocess.run(
        ["tar", "-tzf", str(tmp_path / packed.stdout.split()[-1])], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"package/dist/node.js", "package/dist/node.d.ts", "package/dist/browser.bundle.js"} <= set(listed)
    assert not [name for name in listed if "node_modules" in name]


def test_the_gateways_readme_stores_watches_and_fetches_from_node(
    package: Package, gateway: Gateway, tmp_path: Path
) -> None:
    text = (CLIENT.parents[1] / "README.md").read_text()
    (commands,) = re.findall(r"```sh\n(cd clients/typescript.*?)```", text, re.DOTALL)
    (tmp_path / "clients").mkdir()
    shutil.copytree(package.client, tmp_path / "clients" / "typescript", symlinks=True)
    shutil.copy(CLIENT.parents[1] / "README.md", tmp_path)
    (tmp_path / ".mediagate").mkdir()
    (tmp_path / ".mediagate" / "master_key").write_text(gateway.key)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "node").symlink_to(package.node)
    # The client is built as `npm ci` builds it, once for all tests.
    (tmp_path / "bin" / "npm").symlink_to("/bin/true")
    done = subprocess.run(
        ["sh", "-ec", commands.replace("127.0.0.1:4000", f"127.0.0.1:{gateway.port}")],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(" end")
    assert (tmp_path / "copy.md").read_bytes() == (tmp_path / "README.md").read_bytes()
    assert (tmp_path / "boat.mp4").read_bytes()[4:8] == b"ftyp"
