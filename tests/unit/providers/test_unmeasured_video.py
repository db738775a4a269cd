"""A video whose server does not tell its length."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mediagate.core.errors import ProviderFailed, ProviderTimeout, Unavailable
from mediagate.providers import http_session
from mediagate.providers.http import ProviderHttp
from mediagate.providers.inline_video import InlineVideo
from mediagate.providers.unmeasured_video import video_at
from mediagate.providers.video_spool import VideoSpool
from tests.doubles.origin import Origin, running_origin

VIDEO = os.urandom(3_000_017)


async def nothing() -> dict[str, str]:
    return {}


@pytest.fixture
def origin() -> Iterator[Origin]:
    with running_origin() as running:
        yield running


@pytest.fixture
async def http(origin: Origin) -> AsyncIterator[ProviderHttp]:
    made = ProviderHttp("Test", origin.url, nothing)
    yield made
    await made.close()


@pytest.fixture
def spool(tmp_path: Path) -> VideoSpool:
    return VideoSpool(str(tmp_path / "spool"), copies_max=2)


async def read(content: InlineVideo, start: int, end: int) -> bytes:
    return b"".join([piece async for piece in content.read(start, end)])


def on_disk(folder: Path) -> int:
    """How many files without a name this process has open there."""
    links = (os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_open(name))
    return sum(link.startswith(str(folder)) for link in links)


def _is_open(name: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{name}")


async def test_it_waits_in_a_file_of_the_spool(
    origin: Origin, http: ProviderHttp, spool: VideoSpool, tmp_path: Path
) -> None:
    held = origin.hold("/v.mp4", VIDEO, chunked=True, ignores_range=True, headers={"content-type": "video/webm"})
    content = await video_at(http, "v.mp4", spool, key="v")
    assert isinstance(content, InlineVideo)
    assert (content.size_bytes, content.content_type) == (len(VIDEO), "video/webm")
    assert on_disk(tmp_path) == 1
    held.status = 404
    assert await read(content, 0, len(VIDEO)) == VIDEO
    assert await read(content, 5, 2_000_000) == VIDEO[5:2_000_000]


async def test_everybody_who_asks_reads_the_same_copy(origin: Origin, http: ProviderHttp, spool: VideoSpool) -> None:
    origin.hold("/v.mp4", VIDEO, chunked=True, ignores_range=True)
    copies = await asyncio.gather(*(video_at(http, "v.mp4", spool, key="v") for _ in range(9)))
    assert len(set(map(id, copies))) == 1
    asked = len(origin.asked)
    assert await video_at(http, "v.mp4", spool, key="v") is copies[0]
    assert len(origin.asked) == asked
    spool.forget("v")
    assert await video_at(http, "v.mp4", spool, key="v") is not copies[0]


async def test_copies_have_a_bound(origin: Origin, http: ProviderHttp, spool: VideoSpool, tmp_path: Path) -> None:
    origin.hold("/v.mp4", VIDEO, chunked=True, ignores_range=True)
    first = await video_at(http, "v.mp4", spool, key="1")
    # Nobody reads the second any more when the third comes.
    for key in ("2", "3"):
        await video_at(http, "v.mp4", spool, key=key)
    assert on_disk(tmp_path) == 2
    held = await video_at(http, "v.mp4", spool, key="3")
    with pytest.raises(Unavailable):
        await video_at(http, "v.mp4", spool, key="4")
    del first, held
    await video_at(http, "v.mp4", spool, key="4")
    spool.close()
    assert on_disk(tmp_path) == 0


async def test_a_copy_that_nobody_reads_goes(origin: Origin, http: ProviderHttp, tmp_path: Path) -> None:
    spool = VideoSpool(str(tmp_path), kept_s=0.05)
    origin.hold("/v.mp4", VIDEO, chunked=True, ignores_range=True)
    await video_at(http, "v.mp4", spool, key="v")
    async with asyncio.timeout(5):
        while on_disk(tmp_path):
            await asyncio.sleep(0.01)


async def test_one_that_breaks_off_is_none(
    origin: Origin, http: ProviderHttp, spool: VideoSpool, tmp_path: Path
) -> None:
    origin.hold("/v.mp4", VIDEO, chunked=True, ignores_range=True, reset_at=1_000_000)
    with pytest.raises(ProviderFailed):
        await video_at(http, "v.mp4", spool, key="v")
    assert on_disk(tmp_path) == 0


async def test_one_without_an_end_is_none(
    monkeypatch: pytest.MonkeyPatch, origin: Origin, http: ProviderHttp, spool: VideoSpool
) -> None:
    monkeypatch.setattr("mediagate.providers.unmeasured_video.VIDEO_BYTES_MAX", 1_000_000)
    origin.hold("/v.mp4", VIDEO, chunked=True, ignores_range=True)
    with pytest.raises(ProviderFailed, match="without an end"):
        await video_at(http, "v.mp4", spool, key="v")


async def test_what_trickles_is_given_up_though_it_is_never_silent() -> None:
    async def trickle() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0.01)
            yield b"x"

    taken = 0

    async def take() -> None:
        nonlocal taken
        async for chunk in http_session.at_pace(trickle(), longest_s=lambda size: 0.2 + size / 1000):
            taken += len(chunk)

    with pytest.raises(TimeoutError):
        await take()
    assert 1 < taken < 60


async def test_a_copy_that_comes_too_slowly_is_a_timeout(
    monkeypatch: pytest.MonkeyPatch, origin: Origin, http: ProviderHttp, spool: VideoSpool
) -> None:
    origin.hold("/v.mp4", VIDEO, chunked=True, ignores_range=True)
    monkeypatch.setitem(http_session.at_pace.__kwdefaults__, "longest_s", lambda size: 0.0)
    with pytest.raises(ProviderTimeout):
        await video_at(http, "v.mp4", spool, key="v")


async def test_one_with_a_length_is_not_copied(origin: Origin, http: ProviderHttp, spool: VideoSpool) -> None:
    origin.hold("/v.mp4", VIDEO)
    content = await video_at(http, "v.mp4", spool, key="v")
    assert not isinstance(content, InlineVideo)
    assert content.size_bytes == len(VIDEO)
