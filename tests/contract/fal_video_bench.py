"""fal for the suites of video providers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
from tests.doubles.fal_videos import FalApi, Queued

# In no catalogue: it is asked by the usual names.
ANY = "acme/films/any-to-video"
REF = "acme/films/requests/764cabcf-b745-4b3e-ae38-1200304cf45b"
VEO = "fal-ai/veo3.1/image-to-video"
WORDS = {Said.QUEUED: "IN_QUEUE", Said.RENDERING: "IN_PROGRESS"}
MEANINGS = {
    "IN_QUEUE": JobState.QUEUED,
    "IN_PROGRESS": JobState.RENDERING,
    "COMPLETED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
    "CANCELED": JobState.CANCELLED,
}
EXTRA = {"seed": 7, "resolution": "1080p", "elements": {"camera": {"pan": 3}}}
REJECTED = "provider_rejected_request"
POLICY = "The content could not be processed because it contained material flagged by a content checker."


def account(url: str, **options: object) -> Account:
    bases = {"fal_storage_base": url, "fal_platform_base": url}
    return Account("fal-1", "fal", api_key="test-key", api_base=url, options={**bases, **options})


def detail(kind: str, message: str, *location: str) -> dict[str, Any]:
    """A model's own error."""
    return {"detail": [{"loc": ["body", *location], "msg": message, "type": kind, "input": None}]}


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


class FalBench(VideoBench):
    model = ANY
    absent_ref = REF
    words = MEANINGS
    extra = EXTRA
    cancels_at = Said.RENDERING
    tells_position = True
    streams_inputs = True

    def __init__(self, api: FalApi) -> None:
        self.api = api
        self.provider = build_videos(account(api.url, media_hosts=f"{api.delivery.host},{ELSEWHERE}"))

    def submits(self) -> int:
        return sum(asked.method == "POST" and "storage" not in asked.path for asked in self.api.asked)

    def jobs(self) -> int:
        return len(self.api.requests)

    def queued(self, ref: str) -> Queued:
        return self.api.requests[ref.rpartition("/")[2]]

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        queued = self.queued(ref)
        queued.status = details["word"] if said is Said.WORD else WORDS.get(said, "COMPLETED")
        queued.position = details.get("position", 1) - 1
        reason = details.get("reason", "it broke")
        if said in (Said.SUCCEEDED, Said.WORD):
            self.api.delivery.put(queued.id, details.get("video", VIDEO))
            queued.shows_video, queued.answer = queued.status != "FAILED", (200, {}, {})
        elif said is Said.NO_VIDEO:
            queued.answer = (200, {"seed": 7}, {})
        elif said is Said.MODERATED:
            queued.answer = (422, detail("content_policy_violation", POLICY, "prompt"), {})
        elif said is Said.CANCELLED:
            self.api.stop(queued)
        elif said is Said.GONE:
            queued.shows_video, queued.answer = False, (404, {"detail": "Request not found"}, {})
        elif said in (Said.FAILED, Said.WITH_ERROR):
            queued.error, queued.error_type = reason, "runner_server_error"
            queued.answer = (500, {"detail": reason, "error_type": "runner_server_error"}, {})
            if said is Said.WITH_ERROR:
                queued.shows_video, queued.answer = True, (200, {}, {})
                self.api.delivery.put(queued.id, VIDEO)

    async def made(self, ref: str) -> bytes:
        return self.api.delivery.get(self.queued(ref).id)

    def sent(self, ref: str) -> Mapping[str, Any]:
        return self.queued(ref).body

    def image_of(self, ref: str) -> bytes:
        return self.api.received(self.sent(ref)["image_url"])

    def source_of(self, ref: str) -> bytes:
        return self.api.received(self.sent(ref)["video_url"])

    async def cut(self, ref: str, at: int) -> None:
        self.api.delivery.cut(self.queued(ref).id, at)

    async def expire_links(self) -> None:
        self.api.delivery.expire()

    async def redirect_content(self, url: str) -> None:
        self.api.delivery.redirect(url)


@contextmanager
def running_fal() -> Iterator[FalApi]:
    """The double, with the place where its videos lie."""
    with delivery("test-key") as there, FalApi(there).running() as api:
        yield api
