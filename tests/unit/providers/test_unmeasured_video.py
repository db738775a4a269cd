"""A video whose server does not tell its length."""

from __future__ import annotations

import os

import pytest

from mediagate.core.errors import ProviderFailed
from mediagate.providers.http import ProviderHttp
from mediagate.providers.inline_video import InlineVideo
from mediagate.providers.unmeasured_video import video_at
from tests.doubles.origin import running_origin

VIDEO = os.urandom(3_000_017)


async def nothing() -> dict[str, str]:
    return {}


async def test_it_waits_in_a_file() -> None:
    with running_origin() as origin:
        held = origin.hold("/v.mp4", VIDEO, chunked=True, ignores_range=True, headers={"content-type": "video/webm"})
        http = ProviderHttp("Test", origin.url, nothing)
        content = await video_at(http, "v.mp4")
        assert isinstance(content, InlineVideo)
        assert (content.size_bytes, content.content_type) == (len(VIDEO), "video/webm")
        held.status = 404
        assert b"".join([piece async for piece in content.read(0, len(VIDEO))]) == VIDEO
        assert b"".join([piece async for piece in content.read(5, 2_000_000)]) == VIDEO[5:2_000_000]
        await http.close()


async def test_one_that_breaks_off_is_none() -> None:
    with running_origin() as origin:
        origin.hold("/v.mp4", VIDEO, chunked=True, ignores_range=True, reset_at=1_000_000)
        http = ProviderHttp("Test", origin.url, nothing)
        with pytest.raises(ProviderFailed):
            await video_at(http, "v.mp4")
        await http.close()


async def test_one_without_an_end_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.unmeasured_video.VIDEO_BYTES_MAX", 1_000_000)
    with running_origin() as origin:
        origin.hold("/v.mp4", VIDEO, chunked=True, ignores_range=True)
        http = ProviderHttp("Test", origin.url, nothing)
        with pytest.raises(ProviderFailed, match="without an end"):
            await video_at(http, "v.mp4")
        await http.close()


async def test_one_with_a_length_is_not_copied() -> None:
    with running_origin() as origin:
        origin.hold("/v.mp4", VIDEO)
        http = ProviderHttp("Test", origin.url, nothing)
        content = await video_at(http, "v.mp4")
        assert not isinstance(content, InlineVideo)
        assert content.size_bytes == len(VIDEO)
        await http.close()
