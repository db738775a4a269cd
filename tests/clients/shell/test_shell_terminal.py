"""What a person sees: bars, a live table, and what Ctrl-C says."""

from __future__ import annotations

import os

from tests.clients.shell.kit import MIB, Shell, valve
from tests.conftest import Gateway

SMALL = ("--model", "local-video", "--seconds", "1", "--size", "320x180")


def test_an_upload_has_a_bar_with_rate_and_remaining_time_and_goes_on_behind_ctrl_c(
    gateway: Gateway, shell: Shell
) -> None:
    (shell.folder / "film ü.bin").write_bytes(os.urandom(90 * MIB))
    with valve(gateway.port) as door:
        door.let(up=80 * MIB)
        upload = shell.terminal("files", "upload", "film ü.bin", "--parts", MEDIAGATE_URL=door.url)
        upload.until(r"film ü\.bin .*[1-9][0-9.]*/94\.4 MB .* [MG]B/s +\d+:\d\d")
        upload.press_ctrl_c()
        upload.until("parts are kept for an hour")
        assert upload.end() == 130
        door.open()
        again = shell.terminal("files", "upload", "film ü.bin", MEDIAGATE_URL=door.url, NO_COLOR="1")
        again.until("Going on with the upload")
        again.until("file-[0-9a-z]+")
        assert again.end() == 0
        assert "94.4/94.4 MB" in again.text
    assert "\x1b[3" in upload.raw
    assert "\x1b[3" not in again.raw


def test_videos_are_watched_in_a_live_table(shell: Shell) -> None:
    good = shell("videos", "create", "A boat", *SMALL).out
    bad = shell("videos", "create", "A [mediagate:reject] boat", *SMALL).out
    watch = shell.terminal("videos", "watch", good, bad)
    watch.until(f"{good} +local-video +ready .*100 .*took 0:")
    watch.until(f"{bad} +local-video +failed")
    assert watch.end() == 8
    assert "Traceback" not in watch.text


def test_a_watch_that_is_left_says_that_the_video_goes_on(shell: Shell) -> None:
    create = shell.terminal("videos", "create", "[mediagate:stuck]", *SMALL, "--watch")
    create.until("rendering")
    create.press_ctrl_c()
    create.until("the gateway goes on")
    create.until("videos cancel video_")
    assert create.end() == 130


def test_a_dumb_terminal_and_a_quiet_command_have_no_bars(shell: Shell) -> None:
    (shell.folder / "a.bin").write_bytes(os.urandom(MIB))
    for arguments, environment in ((["--quiet"], {}), ([], {"TERM": "dumb"})):
        upload = shell.terminal("files", "upload", "a.bin", *arguments, **environment)
        assert upload.end() == 0
        assert "\x1b" not in upload.raw
        assert upload.raw.startswith("file-")


def test_a_key_is_asked_for_without_being_shown(shell: Shell, gateway: Gateway) -> None:
    add = shell.terminal("profiles", "add", "here", MEDIAGATE_API_KEY="")
    add.until("Key for http")
    add.type(f"{gateway.key}\n")
    assert add.end() == 0
    assert gateway.key not in add.raw
    shell("files", "ls", "-n", "1", "--profile", "here", MEDIAGATE_URL="", MEDIAGATE_API_KEY="")
