"""Looking into videos: what is whole is measured, and what is not is never taken for it, however it is made."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from PIL import Image

from mediagate.media.containers import BadVideo, Kind, Measured, kind_of_whole
from mediagate.media.measuring import measure
from mediagate.media.tools import NotLookedInto, Pictures, VideoTools
from tests.api.videos_kit import png
from tests.unit.media.clips import box, clip, in_boxes, patched, sound_alone, with_credentials

MP4 = clip()
FASTSTART = clip(options={"movflags": "+faststart"})
FRAGMENTED = clip(options={"movflags": "+frag_keyframe+empty_moov"})
WEBM = clip(form="webm")
LOUD = clip(sound=True)


@pytest.fixture(scope="module")
def tools() -> Iterator[VideoTools]:
    made = VideoTools()
    yield made
    made.close()


async def measured(tools: VideoTools, data: bytes) -> Measured:
    """What the real process finds."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return await tools.measure(file.fileno())


async def drawn(tools: VideoTools, data: bytes) -> Pictures:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return await tools.draw(file.fileno())


def found(folder: Path, data: bytes) -> Measured | str:
    """The same in this process, where there are many."""
    path = folder / "video"
    path.write_bytes(data)
    try:
        return measure(path)
    except BadVideo as error:
        return str(error)


class TestWhole:
    @pytest.mark.parametrize("data", [MP4, FASTSTART, FRAGMENTED], ids=["plain", "faststart", "fragmented"])
    async def test_an_mp4_is_measured(self, tools: VideoTools, data: bytes) -> None:
        assert await measured(tools, data) == Measured(2.0, 64, 36, False, "video/mp4")

    async def test_a_webm_is_measured(self, tools: VideoTools) -> None:
        video = await measured(tools, WEBM)
        assert (video.width, video.height, video.has_audio, video.content_type) == (64, 36, False, "video/webm")
        assert abs(video.duration_s - 2.0) < 0.06

    async def test_sound_is_found(self, tools: VideoTools) -> None:
        video = await measured(tools, LOUD)
        assert (video.has_audio, video.duration_s) == (True, 2.0)
        assert (await measured(tools, clip(form="webm", sound=True))).has_audio

    async def test_content_credentials_are_no_harm(self, tools: VideoTools) -> None:
        assert await measured(tools, with_credentials(MP4)) == await measured(tools, MP4)

    async def test_padding_behind_the_last_box_is_none(self, tools: VideoTools) -> None:
        assert (await measured(tools, MP4 + bytes(512))).duration_s == 2.0

    def test_kinds_are_told_by_structure(self) -> None:
        assert kind_of_whole(io.BytesIO(MP4), len(MP4)) is Kind.MP4
        assert kind_of_whole(io.BytesIO(WEBM), len(WEBM)) is Kind.WEBM


class TestCutOff:
    @pytest.mark.parametrize("data", [MP4, FASTSTART, LOUD, WEBM], ids=["plain", "faststart", "with_sound", "webm"])
    def test_every_cut_shows(self, data: bytes) -> None:
        """At each byte of the file, by its structure alone."""
        for length in range(len(data)):
            with pytest.raises(BadVideo):
                kind_of_whole(io.BytesIO(data[:length]), length)

    @pytest.mark.parametrize("data", [MP4, WEBM], ids=["mp4", "webm"])
    async def test_the_process_says_the_same(self, tools: VideoTools, data: bytes) -> None:
        for length in (1, 7, 8, 100, len(data) // 2, len(data) - 1):
            with pytest.raises(BadVideo):
                await measured(tools, data[:length])

    def test_bytes_that_are_missing_in_the_middle_show(self, tmp_path: Path) -> None:
        """The boxes are whole, and the samples lie outside of the one that shall hold them."""
        start, end = in_boxes(FASTSTART, b"mdat")
        short = FASTSTART[: start - 8] + box(b"mdat", FASTSTART[start : start + (end - start) // 2])
        assert isinstance(found(tmp_path, short), str)

    def test_half_of_a_fragmented_video_shows_where_it_is_cut(self, tmp_path: Path) -> None:
        start, _ = in_boxes(FRAGMENTED, b"moof")
        assert isinstance(found(tmp_path, FRAGMENTED[: start + 100]), str)
        assert isinstance(found(tmp_path, FRAGMENTED[: start - 8]), str)


class TestHostile:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\0" * 4096,
            b"not a video at all",
            png(),
            bytes(range(256)) * 64,
            b'{"error": {"message": "gone"}}',
            b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n",
            b"\x1a\x45\xdf\xa3",
            b"\x1a\x45\xdf\xa3" + b"\xff" * 64,
            box(b"ftyp", b"isom\0\0\0\0"),
            box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", b"") + box(b"mdat", b"x"),
            box(b"ftyp", b"isom\0\0\0\0") + box(b"moov", os.urandom(512)) + box(b"mdat", os.urandom(512)),
        ],
        ids=[
            *("nothing", "zeros", "text", "png", "garbage", "json", "playlist", "half_ebml", "bad_ebml"),
            *("ftyp_alone", "empty_moov", "random_moov"),
        ],
    )
    async def test_what_is_no_video_is_told(self, tools: VideoTools, data: bytes) -> None:
        with pytest.raises(BadVideo):
            await measured(tools, data)

    async def test_sound_alone_is_no_video(self, tools: VideoTools) -> None:
        with pytest.raises(BadVideo, match="no picture"):
            await measured(tools, sound_alone())

    async def test_a_picture_under_the_name_of_a_video_is_none(self, tools: VideoTools) -> None:
        with pytest.raises(BadVideo):
            await measured(tools, box(b"ftyp", b"isom\0\0\0\0") + png())

    def test_a_length_in_the_header_counts_for_nothing(self, tmp_path: Path) -> None:
        """`mvhd` says 49 days; what lasts is what the packets hold."""
        at, _ = in_boxes(MP4, b"moov", b"mvhd")
        assert found(tmp_path, patched(MP4, at + 16, 0xFFFFFFFF)) == Measured(2.0, 64, 36, False, "video/mp4")

    def test_a_track_that_claims_more_than_it_has_is_refused(self, tmp_path: Path) -> None:
        at, _ = in_boxes(FRAGMENTED, b"moov", b"trak", b"mdia", b"mdhd")
        assert isinstance(found(tmp_path, patched(FRAGMENTED, at + 16, 0x7FFFFFFF)), str)

    def test_pictures_that_each_last_for_years_are_refused(self, tmp_path: Path) -> None:
        at, _ = in_boxes(MP4, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stts")
        assert isinstance(found(tmp_path, patched(MP4, at + 12, 0x7FFFFFFF)), str)

    def test_bytes_that_decode_to_nothing_are_refused(self, tmp_path: Path) -> None:
        start, end = in_boxes(MP4, b"mdat")
        assert isinstance(found(tmp_path, MP4[:start] + bytes(end - start) + MP4[end:]), str)

    def test_any_byte_may_be_wrong(self, tmp_path: Path) -> None:
        """A verdict, of whichever kind, for every flipped byte of the headers; nothing else is raised."""
        start, end = in_boxes(MP4, b"moov")
        for at in range(start - 8, end, 3):
            verdict = found(tmp_path, patched(MP4, at, MP4[at] ^ 0xFF, 1))
            assert isinstance(verdict, Measured | str)

    async def test_a_process_that_the_video_kills_is_a_verdict(self, tmp_path: Path) -> None:
        for number, expected in (
            (signal.SIGSEGV, BadVideo),
            (signal.SIGXCPU, BadVideo),
            (signal.SIGKILL, NotLookedInto),
        ):
            stand_in = tmp_path / f"dies-of-{number.value}"
            stand_in.write_text(f"#!/bin/sh\nkill -{number.value} $$\n")
            stand_in.chmod(0o700)
            dying = VideoTools(python=str(stand_in))
            with pytest.raises(expected):
                await measured(dying, MP4)
            dying.close()

    @pytest.mark.parametrize("said", ["", "nonsense", "[]", '{"bad": null', '{"duration_s": 1}'])
    async def test_an_answer_that_makes_no_sense_is_no_verdict(self, tmp_path: Path, said: str) -> None:
        stand_in = tmp_path / "says"
        stand_in.write_text(f"#!/bin/sh\nprintf '%s\\n' '{said}'\n")
        stand_in.chmod(0o700)
        confused = VideoTools(python=str(stand_in))
        with pytest.raises(NotLookedInto):
            await measured(confused, MP4)
        confused.close()

    def test_the_process_ends_with_its_parent(self, tmp_path: Path) -> None:
        pipe = tmp_path / "never-a-byte"
        os.mkfifo(pipe)
        keep = os.open(pipe, os.O_RDWR)
        program = (
            "import os, subprocess, sys;"
            f"file = os.open({str(pipe)!r}, os.O_RDWR);"
            "child = subprocess.Popen([sys.executable, '-P', '-m', 'mediagate.media.program', 'measure', str(file),"
            " str(os.getpid())], pass_fds=(file,)); print(child.pid, flush=True); os.kill(os.getpid(), 9)"
        )
        parent = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=30)
        child = int(parent.stdout)
        end = time.monotonic() + 10
        while (
            Path(f"/proc/{child}").exists()
            and "Z" not in Path(f"/proc/{child}/stat").read_text().rpartition(")")[2][:3]
        ):
            assert time.monotonic() < end
            time.sleep(0.05)
        os.close(keep)


class TestPictures:
    @pytest.mark.parametrize("data", [MP4, FRAGMENTED, WEBM, LOUD], ids=["mp4", "fragmented", "webm", "with_sound"])
    async def test_both_show_the_video_at_its_times(self, tools: VideoTools, data: bytes) -> None:
        pictures = await drawn(tools, data)
        thumbnail = Image.open(io.BytesIO(pictures.thumbnail))
        sheet = Image.open(io.BytesIO(pictures.spritesheet))
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (64, 36))
        assert (sheet.format, sheet.size) == ("JPEG", (5 * 64, 4 * 36))
        # The video grows brighter all the time, and so do the tiles.
        grey = sheet.convert("L")
        tones = [grey.getpixel((64 * column + 32, 36 * row + 18)) for row in range(4) for column in range(5)]
        assert tones == sorted(tones)
        assert tones[-1] - tones[0] > 150
        middle = thumbnail.convert("L").getpixel((32, 18))
        assert isinstance(middle, int)
        assert abs(middle - tones[10]) < 20

    async def test_a_large_video_gives_small_pictures(self, tools: VideoTools) -> None:
        pictures = await drawn(tools, clip(0.5, width=1280, height=720))
        assert Image.open(io.BytesIO(pictures.thumbnail)).size == (480, 270)
        assert Image.open(io.BytesIO(pictures.spritesheet)).size == (5 * 256, 4 * 144)

    async def test_one_picture_is_enough(self, tools: VideoTools) -> None:
        one = await drawn(tools, clip(1 / 24))
        assert Image.open(io.BytesIO(one.spritesheet)).size == (320, 144)

    async def test_what_is_no_video_has_none(self, tools: VideoTools) -> None:
        with pytest.raises(BadVideo):
            await drawn(tools, MP4[:-1])


def test_the_clips_are_what_they_say() -> None:
    with av.open(io.BytesIO(with_credentials(MP4))) as container:
        assert len(list(container.decode(video=0))) == 48
