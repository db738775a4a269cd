"""The `local` video provider: what it makes, and what it makes of its inputs."""

import asyncio
import hashlib
import io
import json
import sys
import time
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from PIL import Image

from mediagate.providers.base import (
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    MediaInput,
    SubmitRefused,
    VideoKind,
    VideoRequest,
    VideoVariant,
)
from mediagate.providers.local.render_source import BadInput, SourceVideo
from mediagate.providers.local.videos import LocalVideos

FINAL = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}


def make_request(prompt: str = "a cat", token: str = "video_1", seconds: int = 1, **fields: object) -> VideoRequest:
    values = {"kind": VideoKind.CREATE, "model": "local-video", "width": 320, "height": 180, **fields}
    return VideoRequest(token=token, prompt=prompt, seconds=seconds, **values)  # type: ignore[arg-type]


def media(data: bytes, content_type: str = "image/png", size_bytes: int | None = None) -> MediaInput:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 10_000):
            yield data[start : start + 10_000]

    return MediaInput(content_type, len(data) if size_bytes is None else size_bytes, chunks)


def picture(colour: str, size: tuple[int, int] = (640, 480), kind: str = "PNG", mode: str = "RGB") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).convert(mode).save(file, kind)
    return file.getvalue()


def clip(colour: str, frames: int, rate: int, size: tuple[int, int] = (320, 180), kind: str = "mp4") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_image(Image.new("RGB", size, colour))
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


async def finished(videos: LocalVideos, ref: str, within_s: float = 80) -> JobStatus:
    give_up_at = time.monotonic() + within_s
    while (status := await videos.poll(ref)).state not in FINAL:
        assert time.monotonic() < give_up_at, status
        await asyncio.sleep(0.02)
    return status


async def read(videos: LocalVideos, ref: str, variant: VideoVariant = VideoVariant.VIDEO) -> bytes:
    content = await videos.open(ref, variant)
    return b"".join([chunk async for chunk in content.read(0, content.size_bytes)])


def decoded(data: bytes) -> list[Image.Image]:
    with av.open(io.BytesIO(data)) as container:
        return [frame.to_image() for frame in container.decode(video=0)]


def near(pixel: object, colour: tuple[int, int, int], tolerance: int = 12) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(one - other) <= tolerance for one, other in zip(pixel, colour, strict=True))


async def refusal(videos: LocalVideos, request: VideoRequest) -> tuple[str, str | None]:
    with pytest.raises(SubmitRefused) as caught:
        await videos.submit(request)
    assert caught.value.failure.stage is FailureStage.INPUT
    assert not caught.value.failure.retryable
    return caught.value.failure.code, caught.value.failure.field


@pytest.fixture
def videos(tmp_path: Path) -> LocalVideos:
    return LocalVideos(tmp_path / "videos")


async def test_a_prompt_becomes_a_playable_video(videos: LocalVideos) -> None:
    ref = await videos.submit(make_request("A cat walks along a roof", seconds=2))
    seen = [await videos.poll(ref)]
    while seen[-1].state not in FINAL:
        seen.append(await videos.poll(ref))
        await asyncio.sleep(0.01)
    progress = [status.progress_percent for status in seen if status.progress_percent is not None]
    assert progress == sorted(progress)
    assert seen[0].state is JobState.RENDERING
    assert seen[-1].state is JobState.SUCCEEDED
    assert seen[-1].progress_percent == 100

    data = await read(videos, ref)
    output = seen[-1].output
    assert output is not None
    assert (output.duration_s, output.width, output.height, output.size_bytes) == (2.0, 320, 180, len(data))
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.average_rate == 24
        assert float(stream.duration * stream.time_base) == 2.0
    frames = decoded(data)
    assert len(frames) == 48
    assert {frame.size for frame in frames} == {(320, 180)}
    assert len({frame.tobytes() for frame in frames}) == 48


async def test_the_small_pictures_show_the_video(videos: LocalVideos) -> None:
    ref = await videos.submit(make_request(width=180, height=320))
    await finished(videos, ref)
    thumbnail = await videos.open(ref, VideoVariant.THUMBNAIL)
    sheet = await videos.open(ref, VideoVariant.SPRITESHEET)
    assert (thumbnail.content_type, sheet.content_type) == ("image/webp", "image/jpeg")
    assert len({thumbnail.etag, sheet.etag, (await videos.open(ref, VideoVariant.VIDEO)).etag}) == 3
    with Image.open(io.BytesIO(await read(videos, ref, VideoVariant.THUMBNAIL))) as image:
        assert (image.format, image.size) == ("WEBP", (180, 320))
    with Image.open(io.BytesIO(await read(videos, ref, VideoVariant.SPRITESHEET))) as image:
        assert (image.format, image.size) == ("JPEG", (5 * 144, 4 * 256))
        tiles = {
            image.crop((x * 144, y * 256, x * 144 + 144, y * 256 + 256)).tobytes() for x in range(5) for y in range(4)
        }
        assert len(tiles) == 20


async def test_any_part_of_the_content_can_be_read(videos: LocalVideos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.local.videos.CHUNK_BYTES", 300)
    ref = await videos.submit(make_request())
    await finished(videos, ref)
    content = await videos.open(ref, VideoVariant.VIDEO)
    whole = await read(videos, ref)
    assert hashlib.sha256(whole).hexdigest() == content.etag
    chunks = [chunk async for chunk in content.read(7, 1000)]
    assert [len(chunk) for chunk in chunks] == [300, 300, 300, 93]
    assert b"".join(chunks) == whole[7:1000]
    assert [chunk async for chunk in content.read(5, 5)] == []
    with pytest.raises(OSError, match="shorter"):
        [chunk async for chunk in content.read(0, content.size_bytes + 1)]
    await videos.delete(ref)
    with pytest.raises(FileNotFoundError):
        [chunk async for chunk in content.read(0, 10)]


async def test_the_same_token_is_one_job_and_the_same_prompt_one_picture(videos: LocalVideos) -> None:
    refs = await asyncio.gather(*(videos.submit(make_request()) for _ in range(5)))
    assert len(set(refs)) == 1
    other = await videos.submit(make_request("a  cat [mediagate:slow=0.1]", token="video_2"))
    await finished(videos, refs[0])
    await finished(videos, other)
    assert await videos.submit(make_request()) == refs[0]
    assert (await videos.poll(refs[0])).state is JobState.SUCCEEDED
    assert await read(videos, refs[0]) == await read(videos, other)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_a_reference_image_is_the_background(videos: LocalVideos, kind: str) -> None:
    image = media(picture("#d02020", kind=kind, mode="P" if kind == "GIF" else "RGB"))
    ref = await videos.submit(make_request(image=image))
    assert (await finished(videos, ref)).state is JobState.SUCCEEDED
    frames = decoded(await read(videos, ref))
    assert near(frames[0].getpixel((160, 20)), (0xD0, 0x20, 0x20))
    assert near(frames[-1].getpixel((160, 20)), (0xD0, 0x20, 0x20))


async def test_an_image_is_turned_as_its_camera_says(videos: LocalVideos) -> None:
    image = Image.new("RGB", (640, 360), "#2020d0")
    image.paste("#20d020", (0, 0, 320, 360))
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    image.save(file, "JPEG", exif=exif)
    ref = await videos.submit(make_request(width=180, height=320, image=media(file.getvalue())))
    await finished(videos, ref)
    first = decoded(await read(videos, ref))[0]
    assert near(first.getpixel((90, 10)), (0x20, 0xD0, 0x20))
    assert near(first.getpixel((90, 180)), (0x20, 0x20, 0xD0))


async def test_an_extension_goes_on_after_the_last_frame(videos: LocalVideos) -> None:
    first = await videos.submit(make_request())
    await finished(videos, first)
    source = await read(videos, first)
    ref = await videos.submit(
        make_request("go on", "video_2", 2, kind=VideoKind.EXTEND, source_video=media(source, "video/mp4"))
    )
    status = await finished(videos, ref)
    assert status.output is not None
    assert status.output.duration_s == 3.0
    frames, old = decoded(await read(videos, ref)), decoded(source)
    assert len(frames) == 72
    for number in (0, 11, 23):
        assert near(frames[number].getpixel((160, 20)), old[number].getpixel((160, 20)))  # type: ignore[arg-type]
    assert near(frames[24].getpixel((10, 90)), old[-1].getpixel((10, 90)), 20)  # type: ignore[arg-type]


async def test_a_source_of_another_rate_shape_and_container_keeps_its_duration(videos: LocalVideos) -> None:
    source = media(clip("#20a0a0", 60, 30, size=(240, 240), kind="matroska"), "video/x-matroska")
    ref = await videos.submit(make_request(kind=VideoKind.EXTEND, source_video=source))
    status = await finished(videos, ref)
    assert status.output is not None
    assert status.output.duration_s == 3.0
    assert near(decoded(await read(videos, ref))[20].getpixel((5, 5)), (0x20, 0xA0, 0xA0))


@pytest.mark.parametrize("kind", [VideoKind.EDIT, VideoKind.REMIX])
async def test_edits_are_drawn_over_the_source(videos: LocalVideos, kind: VideoKind) -> None:
    source = media(clip("#c0c020", 12, 24), "video/mp4")
    ref = await videos.submit(make_request(kind=kind, source_video=source))
    await finished(videos, ref)
    frames = decoded(await read(videos, ref))
    assert len(frames) == 24
    assert near(frames[0].getpixel((160, 140)), (0xC0, 0xC0, 0x20))
    assert near(frames[-1].getpixel((160, 140)), (0xC0, 0xC0, 0x20))
    assert len({frame.tobytes() for frame in frames}) == 24


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "日本語のプロンプト、猫が屋根を歩く " * 40,
        "👩‍👩‍👧‍👦 🏳️‍🌈 émigré Ωμέγα قطة على السطح",
        "word " * 6400,
        "W" * 32_000,
        "\x00\x1b[31m\r\n\t\u202e\ud800 control",
    ],
)
async def test_any_text_can_be_drawn(videos: LocalVideos, prompt: str) -> None:
    ref = await videos.submit(make_request(prompt, width=128, height=96))
    assert (await finished(videos, ref)).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not an image",
        picture("red")[:100],
        picture("red", size=(6000, 5000), mode="L"),
        clip("red", 2, 24),
        b"%PDF-1.7\n",
    ],
    ids=["empty", "text", "cut", "bomb", "video", "pdf"],
)
async def test_a_bad_image_is_refused(videos: LocalVideos, tmp_path: Path, data: bytes) -> None:
    request = make_request(image=media(data))
    assert await refusal(videos, request) == ("invalid_image", "input_reference")
    assert not [path for path in (tmp_path / "videos").iterdir() if not path.name.startswith(".")]
    assert not list((tmp_path / "videos" / ".tmp").iterdir())


@pytest.mark.parametrize(
    "data",
    [b"", b"no video", clip("red", 4, 24)[:500], picture("red"), b"ffconcat version 1.0\nfile source\n"],
    ids=["empty", "text", "cut", "image", "playlist"],
)
async def test_a_bad_source_video_is_refused(videos: LocalVideos, data: bytes) -> None:
    request = make_request(kind=VideoKind.EDIT, source_video=media(data, "video/mp4"))
    assert await refusal(videos, request) == ("invalid_video", "video")


def test_a_source_cannot_name_another_file(tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(clip("red", 4, 24))
    playlist = tmp_path / "source"
    playlist.write_bytes(b"ffconcat version 1.0\nfile secret.mp4\n")
    with av.open(str(playlist)) as readable_without_our_options:
        assert len(list(readable_without_our_options.decode(video=0))) == 4
    with pytest.raises(BadInput):
        SourceVideo(playlist)


async def test_a_source_that_breaks_off_fails_or_is_held_but_never_hangs(videos: LocalVideos) -> None:
    whole = clip("red", 48, 24, kind="matroska")
    request = make_request(kind=VideoKind.EXTEND, source_video=media(whole[: len(whole) * 3 // 4], "video/x-matroska"))
    status = await finished(videos, await videos.submit(request))
    assert status.failure is None or (status.failure.stage, status.failure.field) == (FailureStage.INPUT, "video")


async def test_what_can_never_be_rendered_is_refused(videos: LocalVideos) -> None:
    assert await refusal(videos, make_request(width=321)) == ("invalid_size", "size")
    assert await refusal(videos, make_request(height=8192)) == ("invalid_size", "size")
    assert await refusal(videos, make_request(seconds=0)) == ("invalid_seconds", "seconds")
    assert await refusal(videos, make_request(kind=VideoKind.EXTEND)) == ("missing_video", "video")


async def test_a_cut_input_makes_no_job_and_may_be_repeated(videos: LocalVideos) -> None:
    data = picture("red")
    for size in (len(data) + 1, len(data) - 1):
        with pytest.raises(SubmitRefused) as caught:
            await videos.submit(make_request(image=media(data, size_bytes=size)))
        assert (caught.value.failure.stage, caught.value.failure.retryable) == (FailureStage.PROVIDER, True)
    assert (await finished(videos, await videos.submit(make_request(image=media(data))))).state is JobState.SUCCEEDED


async def test_a_submit_that_is_given_up_leaves_nothing(videos: LocalVideos, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def never_ending() -> AsyncIterator[bytes]:
        yield b"x" * 100
        begun.set()
        await asyncio.Event().wait()

    submit = asyncio.create_task(videos.submit(make_request(image=MediaInput("image/png", 1000, never_ending))))
    await begun.wait()
    submit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await submit
    root = tmp_path / "videos"
    assert not [path for place in (root, root / ".tmp") for path in place.iterdir() if not path.name.startswith(".")]


@pytest.mark.parametrize(
    "token", ["../../evil", "/etc/passwd", "..", "", ".slots", "a" * 5000, "x\x00y", "\ud800", "videos/../../x"]
)
async def test_no_token_leaves_the_directory(videos: LocalVideos, tmp_path: Path, token: str) -> None:
    ref = await videos.submit(make_request("[mediagate:stuck]", token))
    assert ref == await videos.submit(make_request("[mediagate:stuck]", token))
    assert (tmp_path / "videos" / ref).is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["videos"]
    assert len(ref) <= 64


@pytest.mark.parametrize("ref", ["", ".", "..", "../videos", ".slots", "/etc", "nothing-here", "a/b", "x\n"])
async def test_a_ref_that_is_none_is_unknown(videos: LocalVideos, ref: str) -> None:
    with pytest.raises(FateUnknown):
        await videos.poll(ref)
    with pytest.raises(FateUnknown):
        await videos.cancel(ref)
    with pytest.raises(FileNotFoundError):
        await videos.open(ref, VideoVariant.VIDEO)
    await videos.delete(ref)


async def test_nothing_can_be_opened_before_the_end(videos: LocalVideos) -> None:
    ref = await videos.submit(make_request("[mediagate:slow=1]"))
    await asyncio.sleep(0.5)
    for variant in VideoVariant:
        with pytest.raises(FileNotFoundError):
            await videos.open(ref, variant)
    assert (await videos.cancel(ref)) is True


async def test_the_api_process_never_loads_the_codecs() -> None:
    code = (
        "import sys, mediagate.providers.local.videos, json; "
        "print(json.dumps([name for name in ('av', 'PIL') if name in sys.modules]))"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=-1)
    output, _ = await process.communicate()
    assert json.loads(output) == []
