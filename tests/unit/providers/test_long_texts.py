"""JSON whose long texts wait in a file: the same tree, and the same bytes, however it is cut."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import tracemalloc
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.errors import ProviderFailed
from mediagate.providers.http import TOO_LARGE, ProviderHttp
from mediagate.providers.interactions import Interactions
from mediagate.providers.long_texts import LongTexts, long_json
from mediagate.providers.video_spool import VideoSpool
from tests.doubles.origin import Origin, running_origin

TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def fed(text: bytes, sizes: list[int], texts: LongTexts) -> LongTexts:
    at = 0
    while at < len(text):
        size = sizes[at % len(sizes)]
        texts.feed(text[at : at + size])
        at += size
    return texts


@given(TREES, st.lists(st.integers(1, 9), min_size=1, max_size=5), st.booleans())
def test_short_texts_stay_as_they_are(tree: Any, sizes: list[int], plain: bool) -> None:
    assert fed(json.dumps(tree, ensure_ascii=plain).encode(), sizes, LongTexts(long_bytes=100)).tree() == tree


@given(st.lists(st.binary(min_size=20, max_size=90), min_size=1, max_size=3), st.lists(st.integers(1, 50), min_size=1))
def test_long_texts_are_decoded_from_the_file(videos: list[bytes], sizes: list[int]) -> None:
    text = json.dumps({"made": [{"data": base64.b64encode(video).decode(), "of": "a"} for video in videos]})
    texts = fed(text.replace("/", "\\/").encode(), sizes, LongTexts(BytesIO(), long_bytes=10))
    for made, video in zip(texts.tree()["made"], videos, strict=True):
        assert made["of"] == "a"
        into = BytesIO()
        texts.decode(made["data"], into)
        assert into.getvalue() == video


@pytest.mark.parametrize("data", ["###", "YQ", "\0" + "7", "ä" * 40, "YQ==YQ=="])
def test_what_is_no_base64_is_no_video(data: str) -> None:
    for long_bytes in (1, 100):
        text = json.dumps({"d": data}, ensure_ascii=False).encode()
        texts = fed(text, [7], LongTexts(BytesIO(), long_bytes=long_bytes))
        with pytest.raises(ProviderFailed):
            texts.decode(texts.tree()["d"], BytesIO())


async def nothing() -> dict[str, str]:
    return {}


def answer(origin: Origin, video: bytes) -> None:
    part = {"type": "video", "mime_type": "video/webm", "data": base64.b64encode(video).decode()}
    tree = {"id": "1", "status": "completed", "steps": [{"type": "model_output", "content": [part]}]}
    origin.hold("/interactions/1", json.dumps(tree).encode(), headers={"content-type": "application/json"})


@pytest.mark.soak
async def test_a_video_inside_of_an_answer_costs_no_memory(tmp_path: Path) -> None:
    with running_origin() as origin:
        video = os.urandom(1 << 20) * 96
        answer(origin, video)
        http = ProviderHttp("Test", origin.url, nothing)
        with pytest.raises(ProviderFailed) as refused:
            await http.json("GET", "interactions/1")
        assert refused.value.code == TOO_LARGE
        interactions = Interactions(http, "interactions")
        assert (await interactions.poll("1")).state == "succeeded"
        tracemalloc.start()
        made = await interactions.spooled("1", VideoSpool(str(tmp_path)), "1")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (made.size_bytes, made.content_type) == (len(video), "video/webm")
        assert peak < 24 << 20
        at = 0
        async for piece in made.read(0, made.size_bytes):
            assert piece == video[at : at + len(piece)]
            at += len(piece)
        assert at == len(video)
        await http.close()


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a": "', b"[" * 100_000, b'{"a": \xff}'])
async def test_what_is_no_object_is_a_bad_answer(body: bytes) -> None:
    with running_origin() as origin, tempfile.TemporaryFile() as file:
        origin.hold("/x", body)
        http = ProviderHttp("Test", origin.url, nothing)
        with pytest.raises(ProviderFailed):
            await long_json(http, "x", file)
        await http.close()
