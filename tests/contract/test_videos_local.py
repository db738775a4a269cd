"""The `local` video provider against the contract of all of them; the bench plays its renderer."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Unpack

import pytest
import pytest_asyncio

from mediagate.providers.account import Account
from mediagate.providers.base import (
    Failure,
    FailureStage,
    JobState,
    VideoOutput,
    VideoVariant,
)
from mediagate.providers.local.video_job import End, Job, Progress, StoredOutput
from mediagate.providers.local.videos import LocalVideos
from mediagate.providers.registry import build_videos
from tests.contract.video_bench import VIDEO, Details, Said, VideoBench, request_for
from tests.contract.video_suite import VideoProviderContract, read

POLL_S = 0.01
REASONS = {
    Said.FAILED: Failure(FailureStage.PROVIDER, "render_failed", "The video could not be rendered.", retryable=True),
    Said.MODERATED: Failure(
        FailureStage.OUTPUT, "content_policy_violation", "The output was rejected.", retryable=False
    ),
}


class Renders(LocalVideos):
    """Takes inputs without decoding them: the suite's are no pictures."""

    def _check_inputs(self, *_: Any) -> None:
        return


class LocalBench(VideoBench):
    """Plays the renderer through the same files and locks. No slot is free, so that no real one starts."""

    model = "local-video"
    says = frozenset({Said.QUEUED, Said.RENDERING, Said.SUCCEEDED, Said.FAILED, Said.MODERATED, Said.CANCELLED})
    forgets = True
    pictures = True
    far_content = False
    streams_inputs = True

    def __init__(self, root: Path) -> None:
        self.root = root
        self.provider = Renders(root, parallel_renders=0)
        self._inputs: dict[str, bytes] = {}

    def submits(self) -> int:
        return self.jobs()

    def jobs(self) -> int:
        return len([path for path in self.root.iterdir() if not path.name.startswith(".")])

    async def advance(self, ref: str, said: Said, **details: Unpack[Details]) -> None:
        job = Job(self.root / ref)
        if said is Said.RENDERING:
            await self._render(job, details.get("progress_percent", 10.0))
        elif said is Said.SUCCEEDED:
            await asyncio.to_thread(self._succeed, job, details.get("video", VIDEO))
        elif said is Said.CANCELLED:
            job.settle(End(JobState.CANCELLED))
        elif said in REASONS:
            job.settle(End(JobState.FAILED, failure=REASONS[said]))

    async def _render(self, job: Job, percent: float) -> None:
        job.write_progress(Progress(round(percent), 100))
        slot = os.open(self.root / ".slots" / f"{job.ref}.lock", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(slot)
            return
        os.pwrite(slot, f"{job.ref} {os.getpid()}".encode(), 0)
        threading.Thread(target=_until_the_end, args=(job, slot), daemon=True).start()

    def _succeed(self, job: Job, video: bytes) -> None:
        outputs = {VideoVariant.VIDEO: video, VideoVariant.THUMBNAIL: b"RIFF", VideoVariant.SPRITESHEET: b"\xff\xd8"}
        for variant, data in outputs.items():
            job.output(variant).write_bytes(data)
        files = {
            variant: StoredOutput(len(data), hashlib.sha256(data).hexdigest()) for variant, data in outputs.items()
        }
        job.settle(End(JobState.SUCCEEDED, output=VideoOutput(4.0, 720, 1280, len(video)), files=files))

    async def made(self, ref: str) -> bytes:
        return Job(self.root / ref).output(VideoVariant.VIDEO).read_bytes()

    def sent(self, ref: str) -> Mapping[str, Any]:
        return Job(self.root / ref).read_spec().to_json()

    def image_of(self, ref: str) -> bytes:
        return Job(self.root / ref).image.read_bytes()

    def source_of(self, ref: str) -> bytes:
        return Job(self.root / ref).source.read_bytes()

    async def cut(self, ref: str, at: int) -> None:
        os.truncate(Job(self.root / ref).output(VideoVariant.VIDEO), at)

    async def expire_links(self) -> None:
        """There are none."""


def _until_the_end(job: Job, slot: int) -> None:
    while job.exists() and not job.has_ended():
        time.sleep(POLL_S)
    os.close(slot)


class TestLocal(VideoProviderContract):
    @pytest_asyncio.fixture
    async def bench(self, tmp_path: Path) -> AsyncIterator[VideoBench]:  # type: ignore[override]
        made = LocalBench(tmp_path)
        yield made
        for path in tmp_path.glob(".slots/*.lock"):
            Job(tmp_path / path.stem).settle(End(JobState.CANCELLED)) if (tmp_path / path.stem).is_dir() else None
        await made.provider.close()


async def test_a_real_render_comes_back(tmp_path: Path) -> None:
    provider = build_videos(Account("local", "local", options={"root": str(tmp_path)}))
    bench = LocalBench(tmp_path / "unused")
    ref = await provider.submit(request_for(bench, seconds=1, width=320, height=180))
    states = []
    while (status := await provider.poll(ref)).state is not JobState.SUCCEEDED:
        states.append(status.state)
        assert status.failure is None
        await asyncio.sleep(0.05)
    assert status.cost_usd is None
    assert status.output is not None
    content = await provider.open(ref, VideoVariant.VIDEO)
    video = await read(content)
    assert len(video) == content.size_bytes == status.output.size_bytes
    assert video[4:8] == b"ftyp"
    await provider.close()


def test_an_account_without_a_folder_is_refused() -> None:
    with pytest.raises((KeyError, ValueError)):
        build_videos(Account("local", "local"))
