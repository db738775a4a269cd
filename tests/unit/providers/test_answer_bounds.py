"""Answers that are read whole: how large they may be, and how slow."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from mediagate.core.errors import InvalidRequest, ProviderFailed, ProviderTimeout
from mediagate.providers import http, http_session
from mediagate.providers.http import TOO_LARGE, ProviderHttp
from tests.doubles.origin import Origin, running_origin

LARGE = json.dumps({"a": "x" * 200_000}).encode()


async def nothing() -> dict[str, str]:
    return {}


@pytest.fixture
def origin() -> Iterator[Origin]:
    with running_origin() as running:
        yield running


@pytest.fixture
async def calls(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProviderHttp]:
    monkeypatch.setattr("mediagate.providers.http.BACK_OFF_S", 0.01)
    made = ProviderHttp("Test", origin.url, nothing)
    yield made
    await made.close()


# With a member that only httpx knows, a GET goes another way.
@pytest.mark.parametrize("more", [{}, {"timeout": 5.0}], ids=["plain", "httpx"])
class TestBounds:
    async def test_an_answer_is_not_read_beyond_them(
        self, origin: Origin, calls: ProviderHttp, more: dict[str, float]
    ) -> None:
        origin.hold("/x", LARGE, chunked=True, ignores_range=True)
        assert len((await calls.json("GET", "x", **more))["a"]) == 200_000
        with pytest.raises(ProviderFailed) as refused:
            await calls.json("GET", "x", bytes_max=100_000, **more)
        assert refused.value.code == TOO_LARGE

    async def test_what_counts_is_what_comes_out(
        self, origin: Origin, calls: ProviderHttp, more: dict[str, float]
    ) -> None:
        origin.hold("/x", gzip.compress(LARGE), headers={"content-encoding": "gzip"}, ignores_range=True)
        assert await calls.json("GET", "x", **more) == json.loads(LARGE)
        with pytest.raises(ProviderFailed):
            await calls.json("GET", "x", bytes_max=100_000, **more)

    async def test_a_refusal_is_cut(
        self, origin: Origin, calls: ProviderHttp, more: dict[str, float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http, "REFUSAL_BYTES_MAX", 1000)
        origin.hold("/x", LARGE, status=400)
        with pytest.raises(InvalidRequest):
            await calls.json("GET", "x", **more)

    async def test_an_answer_that_trickles_is_a_timeout(
        self, origin: Origin, calls: ProviderHttp, more: dict[str, float], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(http_session.at_pace.__kwdefaults__, "longest_s", lambda size: 0.0)
        origin.hold("/x", LARGE)
        with pytest.raises(ProviderTimeout):
            await calls.json("GET", "x", repeatable=False, **more)
