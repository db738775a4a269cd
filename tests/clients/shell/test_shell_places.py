"""Where a command goes: profiles, the environment, and the folder of a `mediagate dev`."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from mediagate_client.cli.exits import ShellError
from mediagate_client.cli.where import Flags, find
from tests.clients.shell.kit import Shell
from tests.conftest import Gateway


def test_a_profile_is_kept_used_and_forgotten(nobody: Shell, gateway: Gateway) -> None:
    added = nobody("profiles", "add", "here", "--url", gateway.url, stdin=f"{gateway.key}\n".encode())
    assert "It is in use." in added.err
    path = nobody.folder / "home" / ".config" / "mediagate" / "profiles.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    nobody("files", "ls", "-n", "1")
    nobody("profiles", "add", "away", "--url", "http://127.0.0.1:9", "--key", "sk-secret-away")
    listed = nobody("profiles", "ls").out
    assert "sk-secret" not in listed
    assert [line.split()[:2] for line in listed.splitlines()[1:]] == [["away", "http://127.0.0.1:9"], ["*", "here"]]
    nobody("profiles", "use", "away")
    assert "127.0.0.1:9" in nobody("files", "ls", code=5).err
    nobody("files", "ls", "-n", "1", "--profile", "here")
    nobody("--profile", "here", "files", "ls", "-n", "1")
    nobody("files", "ls", "-n", "1", MEDIAGATE_PROFILE="here")
    nobody("profiles", "rm", "away", "here")
    assert nobody("profiles", "ls", "--json").json == []
    assert "mediagate profiles add" in nobody("files", "ls", "--profile", "here", code=4).err
    assert "MEDIAGATE_API_KEY" in nobody("files", "ls", code=2).err


def test_a_short_key_is_not_shown_by_its_ends(nobody: Shell) -> None:
    nobody("profiles", "add", "dev", "--url", "http://127.0.0.1:9", "--key", "sk-1234")
    assert "1234" not in nobody("profiles", "ls").out + nobody("profiles", "ls", "--json").out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON (line 1, column 2)"),
        ("[]", "holds no profiles"),
        ('{"profiles": {"a": {"url": 1, "key": "k"}}}', "holds no profiles"),
        ('{"profiles": {"a": {"url": "http://x", "key": "k", "colour": "red"}}}', "holds no profiles"),
        ("\udcff", "holds no profiles"),
        ('{"profiles": {}, "current": ["a"]}', "holds no profiles"),
    ],
)
def test_a_damaged_file_is_named_and_left_alone(nobody: Shell, text: str, words: str) -> None:
    path = nobody.folder / "home" / ".config" / "mediagate" / "profiles.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for arguments in (["files", "ls"], ["profiles", "add", "b", "--url", "http://x", "--key", "k"], ["profiles", "ls"]):
        said = nobody(*arguments, code=2).err
        assert words in said
        assert str(path) in said
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "a/b", "--key", "k"], "no name of a profile"),
        (["add", "a", "--url", "gateway", "--key", "k"], "http://HOST"),
        (["add", "a", "--key", "two words"], "characters"),
        (["add", "a", "--key", "k", "--ca-file", "gone.pem"], "no file"),
        (["add", "a"], "key"),
    ],
)
def test_what_cannot_be_a_profile_is_not_kept(nobody: Shell, arguments: list[str], words: str) -> None:
    assert words in nobody("profiles", *arguments, code=2).err
    assert nobody("profiles", "ls", "--json").json == []


class TestPrecedence:
    """An option, the environment, a profile, the folder of a `mediagate dev`; and no key goes elsewhere."""

    @pytest.fixture
    def environment(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
        monkeypatch.chdir(tmp_path)
        folder = tmp_path / "mediagate"
        folder.mkdir()
        (folder / "profiles.json").write_text(
            '{"current": "prod", "profiles": {"prod": {"url": "https://prod.example", "key": "sk-prod", "transport": '
            '"rest"}, "test": {"url": "https://test.example", "key": "sk-test"}}}'
        )
        (tmp_path / ".mediagate").mkdir()
        (tmp_path / ".mediagate" / "url").write_text("http://127.0.0.1:4010\n")
        (tmp_path / ".mediagate" / "master_key").write_text("sk-dev\n")
        return {"XDG_CONFIG_HOME": str(tmp_path)}

    @pytest.mark.parametrize(
        ("flags", "variables", "url", "key", "transport"),
        [
            ({}, {}, "https://prod.example", "sk-prod", "rest"),
            ({"profile": "test"}, {}, "https://test.example", "sk-test", "grpc"),
            ({}, {"MEDIAGATE_PROFILE": "test"}, "https://test.example", "sk-test", "grpc"),
            ({}, {"MEDIAGATE_API_KEY": "sk-env"}, "https://prod.example", "sk-env", "rest"),
            ({"profile": "test"}, {"MEDIAGATE_API_KEY": "sk-env"}, "https://test.example", "sk-test", "grpc"),
            ({"key": "sk-flag"}, {"MEDIAGATE_API_KEY": "sk-env"}, "https://prod.example", "sk-flag", "rest"),
            ({"url": "https://prod.example/v1"}, {}, "https://prod.example/v1", "sk-prod", "rest"),
            ({}, {"MEDIAGATE_URL": "http://127.0.0.1:4000"}, "http://127.0.0.1:4000", "sk-dev", "grpc"),
            ({"url": "http://localhost:4000"}, {}, "http://localhost:4000", "sk-dev", "grpc"),
            ({"data_dir": ".mediagate"}, {"MEDIAGATE_URL": "http://x"}, "http://127.0.0.1:4010", "sk-dev", "grpc"),
            ({"url": "https://host/gateway", "key": "k"}, {}, "https://host/gateway", "k", "rest"),
            ({"transport": "grpc"}, {}, "https://prod.example", "sk-prod", "grpc"),
        ],
    )
    def test_the_first_that_says_it_counts(
        self,
        environment: dict[str, str],
        flags: dict[str, str],
        variables: dict[str, str],
        url: str,
        key: str,
        transport: str,
    ) -> None:
        place = find(Flags(**flags), {**environment, **variables})  # type: ignore[arg-type]
        assert (place.url, place.key, place.transport) == (url, key, transport)
        assert key not in repr(place)

    @pytest.mark.parametrize(
        ("flags", "variables"),
        [
            ({"url": "https://prod.example.evil"}, {}),
            ({"url": "http://prod.example"}, {}),
            ({"profile": "test", "url": "https://prod.example"}, {}),
            ({}, {"MEDIAGATE_URL": "https://elsewhere.example"}),
        ],
    )
    def test_a_key_goes_to_no_other_gateway(
        self, environment: dict[str, str], flags: dict[str, str], variables: dict[str, str]
    ) -> None:
        with pytest.raises(ShellError, match="another gateway"):
            find(Flags(**flags), {**environment, **variables})  # type: ignore[arg-type]

    def test_administration_takes_the_master_key_first(self, environment: dict[str, str]) -> None:
        both = {**environment, "MEDIAGATE_API_KEY": "sk-mine", "MEDIAGATE_MASTER_KEY": "sk-master"}
        assert find(Flags(), both).key == "sk-mine"
        assert find(Flags(), both, admin=True).key == "sk-master"

    def test_a_folder_is_enough(self, environment: dict[str, str]) -> None:
        os.unlink(Path(environment["XDG_CONFIG_HOME"]) / "mediagate" / "profiles.json")
        place = find(Flags(), environment)
        assert (place.url, place.key) == ("http://127.0.0.1:4010", "sk-dev")


def test_a_dev_gateway_tells_the_shell_where_it_is(gateway: Gateway, nobody: Shell) -> None:
    nobody("files", "ls", "-n", "1", "--data-dir", str(gateway.data_dir), MEDIAGATE_MASTER_KEY=gateway.key)
