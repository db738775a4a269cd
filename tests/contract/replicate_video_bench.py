"""Replicate for the suites of video providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Unpack

from mediagate.providers.account import Account
from mediagate.providers.base import (
    JobState,
    VideoKind,
    VideoRequest,
)
from mediagate.providers.registry import build_videos
from tests.contract.video_bench import ELSEWHERE, VIDEO, Details, Said, VideoBench
from tests.doubles.delivery import delivery
from tests.doubles.replicate_videos import SENSITIVE, ReplicateApi

# Its schema cannot be had: it is asked by the usual names.
ANY = "acme/films"
SEEDANCE = "bytedance/seedance-1-pro"
WORDS = {
    Said.QUEUED: "starting",
    Said.RENDERING: "processing",
    Said.SUCCEEDED: "succeeded",
    Said.FAILED: "failed",
    Said.MODERATED: "failed",
    Said.CANCELLED: "canceled",
    Said.WITH_ERROR: "succeeded",
    Said.NO_VIDEO: "succeeded",
    Said.GONE: "succeeded",
}

MEANINGS = {
    "starting": JobState.QUEUED,
    "processing": JobState.RENDERING,
    "succeeded": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
    "canceled": JobState.CANCELLED,
    "aborted": JobState.FAILED,
}
EXTRA = {"input": {"seed": 7, "aspect_ratio": "9:16"}, "webhook": "https://example.com/hook"}


def account(url: str, **options: object) -> Account:
    return Account("replicate-1", "replicate", api_key="test-key", api_base=url, options=options)


def plain_request(model: str = ANY) -> VideoRequest:
    """A video of text alone."""
    return VideoRequest(
        token="video_0001",
        kind=VideoKind.CREATE,
        model=model,
        prompt="a paper boat",
        seconds=5,
        width=1280,
        height=720,
    )


class ReplicateBench(VideoBench):
    model = ANY
    words = MEANINGS
    extra = EXTRA
    streams_inputs = True

    def __init__(self, api: ReplicateApi) -> None:
        self.api = api
        self.provider = build_videos(account(api.url, media_hosts=f"{api.delivery.host},{ELSEWHERE}"))

    def submits(self) -> int:
        return sum(asked.method == "POST" and asked.path.endswith("/predictions") for asked in self.api.asked)

    def jobs(self) -> int:
        return len(self.api.predictions)

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        prediction = self.api.predictions[ref]
        prediction.status = details["word"] if said is Said.WORD else WORDS[said]
        if said is not Said.QUEUED:
            prediction.started_at = datetime.now(UTC)
        if said not in (Said.QUEUED, Said.RENDERING):
            prediction.completed_at = datetime.now(UTC)
        if said in (Said.FAILED, Said.WITH_ERROR):
            prediction.error = details.get("reason", "it broke")
        if said is Said.MODERATED:
            prediction.error = SENSITIVE
        if said in (Said.SUCCEEDED, Said.WORD, Said.WITH_ERROR):
            self.api.delivery.put(ref, details.get("video", VIDEO))
            prediction.has_video = True
        prediction.data_removed = said is Said.GONE

    async def made(self, ref: str) -> bytes:
        return self.api.delivery.get(ref)

    def sent(self, ref: str) -> Mapping[str, Any]:
        return self.api.predictions[ref].body

    def image_of(self, ref: str) -> bytes:
        return self.api.received(self.sent(ref)["input"]["image"])

    def source_of(self, ref: str) -> bytes:
        return self.api.received(self.sent(ref)["input"]["video"])

    async def cut(self, ref: str, at: int) -> None:
        self.api.delivery.cut(ref, at)

    async def expire_links(self) -> None:
        self.api.delivery.expire()

    async def redirect_content(self, url: str) -> None:
        self.api.delivery.redirect(url)


@contextmanager
def running_replicate() -> Iterator[ReplicateApi]:
    """The double, with the place where its videos lie."""
    with delivery("test-key") as there, ReplicateApi(there).running() as api:
        yield api
