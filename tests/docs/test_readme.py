"""What the documents tell a reader to paste works as it is printed: only port and folder are put in."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import Gateway

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "clients" / "examples" / "watch_video.py"
ADDRESS = "127.0.0.1:4000"
PATIENCE_S = 240

Run = Callable[..., subprocess.CompletedProcess[str]]


def snippets(text: str, language: str) -> list[str]:
    """The fenced blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def the_one(found: list[str], word: str) -> str:
    """The snippet that holds a word."""
    (snippet,) = (text for text in found if word in text)
    return snippet


def example_commands() -> list[str]:
    """What the first lines of the example tell to run."""
    said = EXAMPLE.read_text().split('"""')[1].replace("\\\\\n", "\\\n")
    lines = re.sub(r"\\\n\s*", "", "".join(re.findall(r"^    .*\n", said, re.MULTILINE))).splitlines()
    return [line.strip() for line in lines]


def make_stubs(folder: Path) -> None:
    """Generate a client's stubs in the reader's working directory."""
    (command,) = (line for line in example_commands() if "grpc_tools" in line)
    path = f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin"
    subprocess.run(["sh", "-ec", command], cwd=folder, env={"PATH": path}, check=True, timeout=PATIENCE_S)


@pytest.fixture
def folder(gateway: Gateway, tmp_path: Path) -> Path:
    """The reader's working directory: the checkout's documents, protos and examples, and what `mediagate dev` made."""
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    shutil.copytree(EXAMPLE.parent, tmp_path / "clients" / "examples")
    (tmp_path / "bin").mkdir()
    # The installed packages without the product itself, which is linked from there by a file that -S leaves unread.
    packages = sysconfig.get_path("purelib")
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="$PYTHONPATH:{packages}" exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    (tmp_path / ".mediagate").mkdir()
    (tmp_path / ".mediagate" / "master_key").write_text(f"{gateway.key}\n")
    return tmp_path


@pytest.fixture
def run(gateway: Gateway, folder: Path) -> Run:
    """Runs what was printed, with the port of this gateway; what fails shows its output."""

    def execute(command: list[str], text: str, **environment: str) -> subprocess.CompletedProcess[str]:
        assert ADDRESS in text
        text = text.replace(ADDRESS, f"127.0.0.1:{gateway.port}")
        done = subprocess.run(
            [*command, text],
            cwd=folder,
            env={"PATH": f"{folder / 'bin'}:/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), **environment},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stderr
        return done

    return execute


@pytest.fixture(scope="module")
def readme() -> str:
    return (ROOT / "README.md").read_text()


@pytest.fixture
def uv(folder: Path, gateway: Gateway) -> None:
    """`uv run mediagate`, beside what `mediagate dev` leaves for the shell."""
    command = folder / "bin" / "uv"
    command.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} -m mediagate_client.cli "$@"\n')
    command.chmod(0o755)
    (folder / ".mediagate" / "url").write_text(f"{gateway.url}\n")


@pytest.mark.usefixtures("uv")
def test_the_readmes_commands_store_a_file_and_make_a_video(readme: str, folder: Path) -> None:
    commands = the_one(snippets(readme, "sh"), "videos create")
    done = subprocess.run(
        ["sh", "-exc", commands],
        cwd=folder,
        env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr
    assert "the same bytes" in done.stdout
    assert "README.md" in done.stdout
    assert "completed" in done.stdout
    assert (folder / "boat.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_readmes_client_stores_watches_and_fetches(readme: str, run: Run, folder: Path) -> None:
    snippet = the_one(snippets(readme, "python"), "mediagate_client")
    done = run([sys.executable, "-c"], snippet)
    assert done.stdout.splitlines()[-1].endswith(" end")
    assert (folder / "copy.md").read_bytes() == (folder / "README.md").read_bytes()
    assert (folder / "boat.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_readmes_python_runs(readme: str, run: Run) -> None:
    snippet = the_one(snippets(readme, "python"), "client.files.list()")
    assert "README.md" in run([sys.executable, "-W", "ignore", "-c"], snippet).stdout


def test_the_readmes_video_is_made_watched_and_downloaded(readme: str, run: Run, folder: Path) -> None:
    snippet = the_one(snippets(readme, "python"), "stream_cls")
    done = run([sys.executable, "-W", "ignore", "-c"], snippet)
    assert done.stdout.splitlines()[-1].startswith("end")
    assert (folder / "boat.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_readmes_curl_tells_a_video_to_its_end(readme: str, run: Run, gateway: Gateway) -> None:
    video = gateway.openai().videos.create(model="local-video", prompt="A boat", seconds="4", size="1280x720")
    done = run(["sh", "-ec"], the_one(snippets(readme, "sh"), "curl -N"), VIDEO_ID=video.id)
    assert "event: snapshot\n" in done.stdout
    assert "event: end\n" in done.stdout.split("\n\n")[-2] + "\n"


@pytest.fixture(scope="module")
def commands(readme: str) -> str:
    """What the section tells to run once the gateway runs."""
    return the_one(snippets(readme, "sh"), "teams create")


@pytest.fixture(scope="module")
def shared(readme: str, own_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway with the section's configuration."""
    begins = the_one(snippets(readme, "sh"), "share.yaml")
    return own_gateway(yaml.safe_load(begins.split("'YAML'\n")[1].split("\nYAML\n")[0]))


class TestShareIt:
    """The section's configuration and its ten commands."""

    def test_it_takes_ten_commands(self, commands: str) -> None:
        assert len(commands.splitlines()) == 10

    def test_a_team_is_refused_over_its_budget_and_its_spend_is_shown(
        self, commands: str, shared: Gateway, folder: Path
    ) -> None:
        uv = folder / "bin" / "uv"
        uv.write_text(f'#!/bin/sh\nshift 2\nexec {sys.executable} -m mediagate.cli.main "$@"\n')
        uv.chmod(0o755)
        (folder / ".mediagate" / "master_key").write_text(f"{shared.key}\n")
        address = f"127.0.0.1:{shared.port}"
        done = subprocess.run(
            ["sh", "-ec", commands.replace(ADDRESS, address).replace("\n", "\necho; echo ---\n")],
            cwd=folder,
            env={"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "MEDIAGATE_URL": shared.url},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stderr
        said = [part.strip() for part in done.stdout.split("---")]
        assert '"status":"completed"' in said[4].replace(" ", "")
        refused = json.loads(said[5])["error"]
        assert (refused["code"], refused["type"]) == ("insufficient_quota", "insufficient_quota")
        assert "this team is 5 US dollars, of which 1 are left" in refused["message"]
        (log,) = json.loads(said[6])["data"]
        assert (log["spend"], log["key_alias"], log["model"]) == (4, "ada", "film")
        assert "ada,4" in said[7]
        assert "Films" in said[8]
        assert said[9].startswith("key_")


def test_the_readmes_grpc_calls_run(readme: str, run: Run, folder: Path) -> None:
    """With stubs that are made as the example says that they name."""
    snippet = the_one(snippets(readme, "python"), "WatchVideo")
    make_stubs(folder)
    done = run(["python", "-c"], snippet, PYTHONPATH="stubs")
    assert done.stdout.splitlines()[-1].split()[1] == "end"
    assert (folder / "boat.mp4").read_bytes()[4:8] == b"ftyp"


def test_the_example_client_runs_as_its_first_lines_say(run: Run, folder: Path) -> None:
    """With stubs that are generated from the protos as they say, and nothing of the product's own."""
    install, *commands = example_commands()
    assert install == "pip install grpcio grpcio-tools"
    done = run(["sh", "-ec"], "\n".join(commands))
    assert f"read back {(folder / 'README.md').stat().st_size} bytes" in done.stdout
    assert (folder / "video.mp4").read_bytes()[4:8] == b"ftyp"
    assert (folder / "README.copy").read_bytes() == (folder / "README.md").read_bytes()


def test_every_link_of_the_documents_leads_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", document.read_text())
        assert [target for target in targets if not (document.parent / target).exists()] == [], document.name
