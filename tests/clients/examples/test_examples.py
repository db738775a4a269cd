"""The examples for any language, by the commands of clients/examples/README.md: all do the same, and leave nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.clients.typescript.package import CLIENT, NEWEST_NODE
from tests.conftest import Gateway
from tests.installed import npm_installed

ROOT = Path(__file__).resolve().parents[3]
BLOCKS = re.findall(
    r"^## ([\w ]+)$.*?^```sh\n(.*?)^```", (ROOT / "clients/examples/README.md").read_text(), re.M | re.S
)
COMMANDS = {name: text.replace("\\\n", " ").splitlines() for name, text in BLOCKS}
Run = Callable[..., str]


@pytest.fixture
def folder(gateway: Gateway, tmp_path: Path) -> Path:
    """A checkout: what generates clients, the examples, and what `mediagate dev` made."""
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    for name in ("examples", "plugins"):
        shutil.copytree(ROOT / "clients" / name, tmp_path / "clients" / name)
    for path in (ROOT / "clients").glob("*.yaml"):
        shutil.copy(path, tmp_path / "clients")
    (tmp_path / ".mediagate").mkdir()
    (tmp_path / ".mediagate" / "master_key").write_text(f"{gateway.key}\n")
    return tmp_path


@pytest.fixture
def run(gateway: Gateway, folder: Path) -> Run:
    """Runs commands as they are printed, with the port of this gateway; what `pip` and `npm install` bring is there."""
    (folder / "bin").mkdir()
    # The installed packages without the product itself, which is linked from there by a file that -S leaves unread.
    packages = sysconfig.get_path("purelib")
    python = folder / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{packages}" exec {sys.executable} -W ignore -S "$@"\n')
    pip = folder / "bin" / "pip"
    pip.write_text(f'#!/bin/sh\nshift; exec {sys.executable} {ROOT}/tests/docs/installed.py "$@"\n')
    for script in (python, pip):
        script.chmod(0o755)
    tools = f"{Path(sys.executable).parent}:{NEWEST_NODE.parent}"
    path = f"{folder / 'bin'}:{tools}:/usr/local/bin:/usr/bin:/bin"

    def execute(*commands: str, fails: bool = False) -> str:
        text = "\n".join(commands).replace("127.0.0.1:4000", f"127.0.0.1:{gateway.port}")
        environ = {"PATH": path, "HOME": os.environ["HOME"], "npm_config_update_notifier": "false"}
        done = subprocess.run(["sh", "-ec", text], cwd=folder, env=environ, capture_output=True, text=True, timeout=200)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + (done.stderr if fails else "")

    return execute


def check(gateway: Gateway, folder: Path, printed: str) -> None:
    """That the file came back, the video was watched and fetched, and neither is there any more."""
    assert (folder / "README.md.copy").exists() or (folder / "README.copy").exists()
    assert (folder / "video.mp4").read_bytes()[4:8] == b"ftyp"
    assert f"downloaded {(folder / 'video.mp4').stat().st_size} bytes to video.mp4" in printed
    words = printed.split()
    assert words.index("snapshot") < words.index("end")
    (stored,) = re.findall(r"stored (file-\w+)", printed)
    with gateway.http() as http:
        assert http.get(f"/v1/files/{stored}").status_code == 404
        assert "A paper boat on a river" not in [video["prompt"] for video in http.get("/v1/videos").json()["data"]]


def test_python_from_its_template(gateway: Gateway, folder: Path, run: Run) -> None:
    check(gateway, folder, run(*COMMANDS["Python"]))
    assert (folder / "stubs" / "mediagate" / "v1" / "files_pb2.pyi").exists()


def test_typescript_from_its_template(gateway: Gateway, folder: Path, run: Run) -> None:
    (folder / "node_modules").symlink_to(npm_installed(CLIENT) / "node_modules")
    (install,) = (line for line in COMMANDS["TypeScript"] if line.startswith("npm install"))
    known = json.loads((CLIENT / "package.json").read_text())["dependencies"]
    for name, version in re.findall(r" (@\S+)@(\S+)", install):
        assert known[name] == version
    check(gateway, folder, run(*(line for line in COMMANDS["TypeScript"] if line != install)))


def test_java_with_the_jdk_alone(gateway: Gateway, folder: Path, run: Run) -> None:
    if shutil.which("java") is None:
        pytest.skip("there is no JDK on this machine")
    check(gateway, folder, run(*COMMANDS["Java"]))


def test_curl(gateway: Gateway, folder: Path, run: Run) -> None:
    (command,) = COMMANDS["curl"]
    check(gateway, folder, run(command))
    assert "Incorrect API key" in run(command.replace("$(cat .mediagate/master_key)", "sk-nobody"), fails=True)


def test_reflection_alone(gateway: Gateway, folder: Path, run: Run) -> None:
    """The same steps, with JSON alone."""
    _, listing, upload, videos = COMMANDS["Reflection"]
    assert "FileService/UploadFile(stream UploadFileRequest) returns (File)" in run(listing)
    stored = json.loads(run(upload))
    assert (stored["filename"], stored["bytes"]) == ("hello.txt", 5)
    begin = videos.partition(" VideoService")[0]

    def call(method: str, **body: object) -> list[dict[str, object]]:
        return [json.loads(line) for line in run(f"{begin} {method} '{json.dumps(body)}'").splitlines()]

    def content(method: str, **body: object) -> bytes:
        *pieces, end = call(method, **body)
        data = b"".join(base64.b64decode(str(piece["chunk"])) for piece in pieces if "chunk" in piece)
        assert end["end"]["sha256"] == hashlib.sha256(data).hexdigest()  # type: ignore[index]
        return data

    assert content("FileService/DownloadFile", file_id=stored["id"]) == b"hello"
    wishes = {"model": "local-video", "prompt": "A boat", "seconds": "1", "size": "320x180"}
    (video,) = call("VideoService/CreateVideo", **wishes)
    events = [event["type"] for event in call("VideoService/WatchVideo", video_id=video["id"])]
    assert (events[0], events[-1]) == ("snapshot", "end")
    assert content("VideoService/DownloadVideo", video_id=video["id"])[4:8] == b"ftyp"
    assert call("VideoService/DeleteVideo", video_id=video["id"])[0]["deleted"] is True
    assert call("FileService/DeleteFile", file_id=stored["id"])[0]["deleted"] is True
    for words, said in (
        ("FileService/Nothing", "there is no method"),
        ("FileService/GetFile '{\"x\": 1}'", "no GetFileRequest"),
        ('FileService/GetFile \'{"file_id": "file-x"}\'', "NOT_FOUND"),
    ):
        failed = run(f"{begin} {words}", fails=True)
        assert said in failed
        assert "Traceback" not in failed


def test_every_template_says_how_it_is_used() -> None:
    templates = sorted((ROOT / "clients").glob("buf.gen.*.yaml"))
    assert len(templates) == 5
    for path in templates:
        text = path.read_text()
        assert text.startswith(f"# buf generate --template clients/{path.name}\n# ")
        template = yaml.safe_load(text)
        assert template["version"] == "v2"
        assert all(("remote" in plugin) != ("local" in plugin) for plugin in template["plugins"])
        assert ("buf.build" in text.partition("version:")[0]) == any("remote" in one for one in template["plugins"])
