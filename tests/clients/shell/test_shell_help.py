"""Help, completion, and what the script needs."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import typer

from mediagate.cli.commands import COMMANDS as SERVERS
from mediagate_client.cli.root import COMMANDS, root
from tests.clients.shell.kit import Shell

SCRIPT = Path(sysconfig.get_path("scripts")) / "mediagate"


HEAVY = ("aiohttp", "asyncio", "grpc", "google.protobuf", "pydantic", "rich", "sqlalchemy", "yaml")


def loaded(shell: Shell, *arguments: str) -> tuple[str, str]:
    """What a command says, and what of the heavy it has loaded."""
    script = (
        f"import sys; sys.argv = ['mediagate', *{arguments!r}]\n"
        "from mediagate_client.cli.main import main\n"
        "try: main()\n"
        f"finally: print([one for one in {HEAVY} if one in sys.modules], file=sys.stderr)\n"
    )
    given = shell._environment({})
    done = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, check=True)
    return done.stdout, done.stderr


def test_help_loads_nothing_heavy(nobody: Shell) -> None:
    said, heavy = loaded(nobody, "--help")
    assert heavy == "[]\n"
    for command in (*COMMANDS, *SERVERS):
        assert f"\n  {command} " in said


@pytest.mark.parametrize(
    "command", [["files", "upload", "--help"], ["profiles", "ls", "-q"], ["models", "ls"]], ids=" ".join
)
def test_a_command_loads_what_it_needs(shell: Shell, command: list[str]) -> None:
    assert loaded(shell, *command)[1] in ("[]\n", "['asyncio']\n")


def everything() -> list[tuple[str, ...]]:
    """Every command with all of its groups."""
    found: list[tuple[str, ...]] = [()]
    command = root()
    context = typer.Context(command, info_name="mediagate")
    for name in command.list_commands(context):
        one = command.get_command(context, name)
        found.append((name,))
        found += [(name, part) for part in getattr(one, "commands", {})]
    return found


@pytest.mark.parametrize("command", everything(), ids=" ".join)
def test_every_command_has_help_in_sentences(nobody: Shell, command: tuple[str, ...]) -> None:
    said = nobody(*command, "--help").out
    assert said.startswith(f"Usage: mediagate {' '.join(command)}".rstrip())
    text = said.splitlines()[2].strip()
    assert text[0].isupper()
    assert "\x1b" not in said


def test_the_script_and_the_module_are_the_same(nobody: Shell) -> None:
    said = [
        subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
        for command in (
            [SCRIPT],
            [sys.executable, "-m", "mediagate_client.cli"],
            [sys.executable, "-m", "mediagate.cli.main"],
        )
    ]
    assert said[0] == said[1] == said[2]


def test_without_what_it_needs_it_says_what_to_install(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "import importlib.util as u; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'typer' else real(name, *rest)\n"
        "from mediagate_client.cli.main import main; main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "The command line needs more than the library: pip install 'mediagate-client[shell]'\n"


def test_without_the_server_its_commands_are_not_there() -> None:
    script = (
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] == 'mediagate': raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
        "sys.argv = ['mediagate', *sys.argv[1:]]\n"
        "from mediagate_client.cli.main import main; main()\n"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)

    said = run("--help").stdout
    assert "\n  files " in said
    assert "\n  serve " not in said
    assert run("version").stdout.startswith("0.")
    assert run("dev").returncode == 2


class TestCompletion:
    """What TAB offers, by bash itself and by what each shell asks."""

    def test_bash_completes_commands_and_ids(self, shell: Shell) -> None:
        file = shell("files", "upload", "-", stdin=b"x").out
        shell("profiles", "add", "here", "--url", "http://127.0.0.1:9", "--key", "k", "--no-use")
        asked = (
            'eval "$(mediagate completion bash)"\n'
            "ask() {\n"
            '  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n'
            "  _mediagate_completion mediagate; echo ${COMPREPLY[*]}\n"
            "}\n"
            "ask mediagate fi; ask mediagate files up\n"
            f"ask mediagate files cat {file[:20]}; ask mediagate profiles use h\n"
            "ask mediagate files upload --purp\n"
        )
        given = {**shell._environment({}), "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", asked], env=given, capture_output=True, text=True, timeout=60)
        words = done.stdout.splitlines()
        assert words[:2] == ["files", "upload"], done.stderr
        assert file in words[2].split()
        assert words[3:] == ["here", "--purpose"]

    @pytest.mark.parametrize(
        ("name", "asked"),
        [
            ("zsh", {"_MEDIAGATE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "mediagate vid"}),
            (
                "fish",
                {
                    "_MEDIAGATE_COMPLETE": "complete_fish",
                    "_TYPER_COMPLETE_FISH_ACTION": "get-args",
                    "_TYPER_COMPLETE_ARGS": "mediagate vid",
                },
            ),
        ],
    )
    def test_zsh_and_fish_are_answered(self, nobody: Shell, name: str, asked: dict[str, str]) -> None:
        assert "_MEDIAGATE_COMPLETE" in nobody("completion", name).out
        assert "videos" in nobody.script(**asked).out

    def test_a_shell_that_is_not_known_is_refused(self, nobody: Shell) -> None:
        assert "bash, zsh, fish" in nobody("completion", "tcsh", code=2).err

    def test_nothing_is_offered_where_the_gateway_is_away(self, nobody: Shell) -> None:
        asked = {"_MEDIAGATE_COMPLETE": "complete_bash", "COMP_WORDS": "mediagate files cat f", "COMP_CWORD": "3"}
        done = nobody.script(**asked)
        assert (done.out, done.err) == ("", "")
