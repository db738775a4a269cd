"""`mediagate videos`: asked for, watched, fetched."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.clients.shell.kit import Shell

SMALL = ("--model", "local-video", "--seconds", "1", "--size", "320x180")


def test_a_video_from_the_first_to_the_last(shell: Shell) -> None:
    video = shell("videos", "create", "A paper boat", *SMALL).out
    assert video.startswith("video_")
    lines = shell("videos", "watch", video).out.splitlines()
    assert [line.split()[2] for line in lines][:1] == ["snapshot"]
    assert "end" in lines[-1]
    assert "100 %" in lines[-1]
    assert "1 s, 320x180" in lines[-1]
    assert shell("videos", "wait", video, "--json").json["status"] == "completed"
    assert "completed (ready)" in shell("videos", "show", video).out
    assert video in shell("videos", "ls", "-n", "5").out
    assert shell("videos", "ls", "-n", "1", "--json").json[0]["object"] == "video"
    assert shell("videos", "get", video, "-o", "boat.mp4").out == "boat.mp4"
    assert (shell.folder / "boat.mp4").read_bytes()[4:8] == b"ftyp"
    assert shell("videos", "get", video, "--variant", "thumbnail", "-o", "-").raw[:4] == b"RIFF"
    again = shell("videos", "remix", video, "At night", "-w").out
    assert shell("videos", "show", again, "--json").json["remixed_from_video_id"] == video
    assert shell("videos", "rm", video, again).out.split() == [video, again]
    assert "No such" in shell("videos", "show", video, code=4).err


def test_a_link_opens_the_video_alone(shell: Shell) -> None:
    video = shell("videos", "create", "-", *SMALL, "-o", "new.mp4", stdin="Ein Böötchen".encode()).out.split()[0]
    assert (shell.folder / "new.mp4").exists()
    assert shell("videos", "show", video, "--json").json["prompt"] == "Ein Böötchen"
    link = shell("videos", "open", video, "--expires", "15m").out
    assert httpx.get(link, headers={"range": "bytes=4-7"}).content == b"ftyp"
    token = shell("videos", "open", video, "--json").json
    assert (token["kind"], token["video_id"]) == ("playback", video)
    assert token["url"].startswith("http://")
    shell("videos", "open", "video_nobodys", code=4)


def test_several_are_watched_at_once_and_a_failed_one_is_told_by_the_exit_code(shell: Shell) -> None:
    good = shell("videos", "create", "A boat", *SMALL).out
    bad = shell("videos", "create", "A [mediagate:reject] boat", *SMALL).out
    done = shell("videos", "watch", good, bad, "video_nobodys", "--json", code=4)
    events = done.lines
    assert {one["video_id"] for one in events} == {good, bad}
    assert sorted(one["video"]["status"] for one in events if one["type"] == "end") == ["completed", "failed"]
    assert json.loads(done.err)["error"]["reason"] == "NOT_FOUND"
    assert f"{bad} failed" in shell("videos", "watch", good, bad, code=8).err
    refused = shell("videos", "wait", bad, "--json", code=8)
    assert json.loads(refused.err)["error"]["reason"] == "VIDEO_FAILED"
    assert shell("videos", "create", "A [mediagate:reject] boat", *SMALL, "-o", "none.mp4", code=8).out.startswith(
        "video_"
    )
    assert not (shell.folder / "none.mp4").exists()


def test_a_video_is_waited_for_as_long_as_is_said_and_cancelled(shell: Shell) -> None:
    video = shell("videos", "create", "[mediagate:stuck]", *SMALL).out
    assert "it goes on" in shell("videos", "wait", video, "--within", "1s", code=5).err
    assert shell("videos", "cancel", video).out == video
    assert shell("videos", "wait", video, code=8).err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["videos", "create", "A boat", "--seconds", "77"], "77"),
        (["videos", "create", "A boat", "--model", "no-such"], "no-such"),
        (["videos", "create", "A boat", "--extra-body", "[1]"], "no JSON object"),
        (["videos", "create", "A boat", "--reference", "gone.png"], "gone.png"),
    ],
)
def test_what_cannot_be_made_is_refused(shell: Shell, arguments: list[str], words: str) -> None:
    done = shell(*arguments, code=9 if "gone.png" in words else 2)
    assert words in done.err


def test_what_it_would_cost(shell: Shell) -> None:
    assert shell("videos", "estimate", "A boat", *SMALL, "--json").json["object"] == "video.estimate"
    assert "1 s of 320x180" in shell("videos", "estimate", "A boat", *SMALL).out
