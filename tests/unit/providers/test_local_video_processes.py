"""The `local` video provider as several processes that share a directory, and that die at bad moments."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mediagate.providers.base import (
    FailureStage,
    FateUnknown,
    JobState,
    JobStatus,
    SubmitRefused,
    VideoKind,
    VideoRequest,
    VideoVariant,
)
from mediagate.providers.local.videos import LocalVideos

FINAL = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
POLLER = """
import asyncio, sys
from pathlib import Path
from mediagate.providers.local.videos import LocalVideos

async def main():
    videos = LocalVideos(Path(sys.argv[1]), parallel_renders=3)
    while True:
        status = await videos.poll(sys.argv[2])
        if status.state.value in ("succeeded", "failed"):
            return print(status.state.value)
        await asyncio.sleep(0.001)

asyncio.run(main())
"""


def make_request(prompt: str, token: str = "video_1") -> VideoRequest:
    return VideoRequest(token, VideoKind.CREATE, "local-video", prompt, seconds=1, width=160, height=96)


async def until(condition: Callable[[], bool], within_s: float = 40) -> None:
    give_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at
        await asyncio.sleep(0.01)


async def finished(videos: LocalVideos, ref: str, within_s: float = 80) -> JobStatus:
    give_up_at = time.monotonic() + within_s
    while (status := await videos.poll(ref)).state not in FINAL:
        assert time.monotonic() < give_up_at, status
        await asyncio.sleep(0.02)
    return status


async def until_it_renders(videos: LocalVideos, ref: str, percent: float = 0.1) -> JobStatus:
    give_up_at = time.monotonic() + 40
    while ((status := await videos.poll(ref)).progress_percent or 0) < percent:
        assert time.monotonic() < give_up_at, status
        await asyncio.sleep(0.02)
    return status


def renderer_pid(root: Path, slot: int = 0) -> int:
    return int((root / ".slots" / f"{slot}.lock").read_text().split()[1])


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie counts, because somebody forgot it."""
    return Path(f"/proc/{pid}").exists()


def is_running(pid: int) -> bool:
    """Whether the process runs; a zombie does not: init may take its time with what it inherits."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def counted(root: Path, ref: str, name: str) -> int:
    path = root / ref / name
    return path.stat().st_size if path.exists() else 0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "videos"


@pytest.fixture
def videos(root: Path) -> LocalVideos:
    return LocalVideos(root)


async def test_pollers_in_several_processes_start_one_renderer(root: Path) -> None:
    ref = await LocalVideos(root, parallel_renders=0).submit(make_request("[mediagate:slow=1]"))
    pollers = [
        subprocess.Popen([sys.executable, "-c", POLLER, str(root), ref], stdout=subprocess.PIPE) for _ in range(3)
    ]
    starts = {0}
    while any(poller.poll() is None for poller in pollers):
        starts.add(counted(root, ref, "starts"))
        await asyncio.sleep(0.02)
    assert [poller.communicate()[0] for poller in pollers] == [b"succeeded\n"] * 3
    assert starts == {0, 1}


async def test_polls_at_the_same_moment_start_one_renderer(root: Path, tmp_path: Path) -> None:
    sleeper = tmp_path / "sleeper"
    sleeper.write_text("#!/bin/sh\nexec sleep 0.5\n")
    sleeper.chmod(0o700)
    for number in range(10):
        place = root / str(number)
        ref = await LocalVideos(place, parallel_renders=0).submit(make_request("a cat"))
        pollers = [LocalVideos(place, parallel_renders=4, python=str(sleeper)) for _ in range(6)]
        statuses = await asyncio.gather(*(poller.poll(ref) for poller in pollers))
        assert {status.state for status in statuses} == {JobState.RENDERING}
        assert counted(place, ref, "starts") == 1


async def test_a_killed_renderer_is_replaced(videos: LocalVideos, root: Path) -> None:
    ref = await videos.submit(make_request("[mediagate:slow=1]"))
    await until_it_renders(videos, ref, 20)
    pid = renderer_pid(root)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: not is_alive(pid) and counted(root, ref, "crashes") == 1)
    assert (await finished(videos, ref)).state is JobState.SUCCEEDED


async def test_a_renderer_that_is_told_to_stop_did_not_crash(videos: LocalVideos, root: Path) -> None:
    ref = await videos.submit(make_request("[mediagate:slow=3]"))
    await until_it_renders(videos, ref, 10)
    pid = renderer_pid(root)
    os.kill(pid, signal.SIGINT)
    os.kill(pid, signal.SIGTERM)
    await until(lambda: not is_alive(pid))
    await until_it_renders(videos, ref, 20)
    assert (counted(root, ref, "starts"), counted(root, ref, "crashes")) == (2, 0)
    assert await videos.cancel(ref) is True


async def test_a_renderer_dies_with_its_parent_and_another_process_goes_on(videos: LocalVideos, root: Path) -> None:
    ref = await LocalVideos(root, parallel_renders=0).submit(make_request("[mediagate:slow=2]"))
    with subprocess.Popen([sys.executable, "-c", POLLER, str(root), ref]) as parent:
        await until(lambda: counted(root, ref, "starts") == 1)
        assert (await until_it_renders(videos, ref, 20)).state is JobState.RENDERING
        pid = renderer_pid(root)
        os.kill(pid, signal.SIGSTOP)
        parent.kill()
        parent.wait()
    assert (await videos.poll(ref)).state is JobState.RENDERING
    assert counted(root, ref, "starts") == 1
    os.kill(pid, signal.SIGCONT)
    await until(lambda: not is_running(pid))
    # Its slot is free once the last of its threads has gone.
    give_up_at = time.monotonic() + 40
    while counted(root, ref, "starts") == 1:
        assert time.monotonic() < give_up_at
        assert (await videos.poll(ref)).state is JobState.RENDERING
    assert counted(root, ref, "starts") == 2
    assert (await finished(videos, ref)).state is JobState.SUCCEEDED
    assert not (root / ref / "crashes").exists()


async def test_endless_restarts_end(videos: LocalVideos, root: Path) -> None:
    ref = await LocalVideos(root, parallel_renders=0).submit(make_request("a cat"))
    (root / ref / "starts").write_bytes(b"." * 20)
    status = await videos.poll(ref)
    assert status.failure is not None
    assert (status.failure.code, status.failure.retryable) == ("render_failed", True)


async def test_a_renderer_leaves_no_zombie_and_no_scraps(videos: LocalVideos, root: Path) -> None:
    ref = await videos.submit(make_request("a cat"))
    pid = renderer_pid(root)
    await finished(videos, ref)
    await until(lambda: not is_alive(pid))
    kept = {"spec.json", "end.json", "render.log", "video.mp4", "thumbnail.webp", "spritesheet.jpg"}
    assert {path.name for path in (root / ref).iterdir()} == kept
    await videos.submit(make_request("[mediagate:stuck]", "video_2"))
    other = await videos.submit(make_request("[mediagate:slow=1]", "video_3"))
    assert [entry.name.partition(".")[2] for entry in (root / ".queue").iterdir()] == [other]
    await videos.delete(other)


async def test_cancel_stops_a_render(videos: LocalVideos, root: Path) -> None:
    ref = await videos.submit(make_request("[mediagate:slow=20]"))
    await until_it_renders(videos, ref)
    pid = renderer_pid(root)
    began = time.monotonic()
    assert await videos.cancel(ref) is True
    assert time.monotonic() - began < 10
    assert not is_alive(pid)
    assert {path.name for path in (root / ref).iterdir()} == {"spec.json", "end.json", "render.log"}
    other_process = LocalVideos(root)
    assert (await other_process.poll(ref)).state is JobState.CANCELLED
    assert await other_process.cancel(ref) is True
    assert await other_process.submit(make_request("[mediagate:slow=20]")) == ref
    assert (await other_process.poll(ref)).state is JobState.CANCELLED


async def test_cancel_before_the_render_and_after_it(videos: LocalVideos, root: Path) -> None:
    done = await videos.submit(make_request("a cat"))
    await finished(videos, done)
    assert await videos.cancel(done) is False
    assert (await videos.poll(done)).state is JobState.SUCCEEDED
    waiting = await LocalVideos(root, parallel_renders=0).submit(make_request("a cat", "video_2"))
    assert await videos.cancel(waiting) is True
    assert (await videos.poll(waiting)).state is JobState.CANCELLED
    assert not (root / waiting / "starts").exists()


async def test_cancel_and_the_end_never_both_win(root: Path) -> None:
    videos = LocalVideos(root, parallel_renders=2)
    outcomes = set()
    for number in range(7):
        ref = await videos.submit(make_request("a cat", f"video_{number}"))
        await asyncio.sleep(random.Random(number).uniform(0.12, 0.3))
        cancelled = await videos.cancel(ref)
        status = await finished(videos, ref)
        assert status.state is (JobState.CANCELLED if cancelled else JobState.SUCCEEDED)
        for variant in VideoVariant:
            if cancelled:
                with pytest.raises(FileNotFoundError):
                    await videos.open(ref, variant)
            else:
                await videos.open(ref, variant)
        outcomes.add(status.state)
    assert outcomes <= {JobState.CANCELLED, JobState.SUCCEEDED}


async def test_delete_removes_a_job_in_any_state(videos: LocalVideos, root: Path) -> None:
    running = await videos.submit(make_request("[mediagate:slow=20]"))
    await until_it_renders(videos, running)
    pid = renderer_pid(root)
    waiting = await videos.submit(make_request("a cat", "video_2"))
    lost = await videos.submit(make_request("[mediagate:lost]", "video_3"))
    for ref in (running, waiting, lost):
        await videos.delete(ref)
        assert not (root / ref).exists()
        with pytest.raises(FateUnknown):
            await videos.poll(ref)
        await videos.delete(ref)
    assert not is_alive(pid)
    assert not list((root / ".trash").iterdir())
    done = await videos.submit(make_request("a cat"))
    assert (await finished(videos, done)).state is JobState.SUCCEEDED
    await videos.delete(done)
    with pytest.raises(FileNotFoundError):
        await videos.open(done, VideoVariant.VIDEO)


async def test_slots_are_few_and_the_oldest_job_comes_first(root: Path) -> None:
    videos = LocalVideos(root, parallel_renders=2)
    refs = [await videos.submit(make_request("[mediagate:slow=0.4]", f"video_{number}")) for number in range(5)]
    states = [await videos.poll(ref) for ref in refs]
    assert [status.state for status in states] == [JobState.RENDERING] * 2 + [JobState.QUEUED] * 3
    assert [status.position for status in states] == [None, None, 1, 2, 3]
    begun: list[str] = []
    for ref in reversed(refs):
        while (status := await videos.poll(ref)).state not in FINAL:
            running = [
                other for other in refs if counted(root, other, "starts") and not (root / other / "end.json").exists()
            ]
            assert len(running) <= 2
            begun += [other for other in running if other not in begun]
            await asyncio.sleep(0.02)
        assert status.state is JobState.SUCCEEDED
    assert begun[:2] == refs[:2]
    assert [ref for ref in begun if ref in refs[2:]] == [ref for ref in refs[2:] if ref in begun]


async def test_a_job_whose_queue_file_is_gone_is_queued_by_its_poll(videos: LocalVideos, root: Path) -> None:
    ref = await LocalVideos(root, parallel_renders=0).submit(make_request("a cat"))
    for entry in (root / ".queue").iterdir():
        entry.unlink()
    assert (await finished(videos, ref)).state is JobState.SUCCEEDED


async def test_a_missing_renderer_says_nothing_about_the_job(videos: LocalVideos, root: Path) -> None:
    broken = LocalVideos(root, python="/nonexistent/python")
    ref = await broken.submit(make_request("a cat"))
    with pytest.raises(FateUnknown):
        await broken.poll(ref)
    assert (await finished(videos, ref)).state is JobState.SUCCEEDED


async def test_a_reader_may_stop_early(videos: LocalVideos, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.local.videos.CHUNK_BYTES", 1000)
    ref = await videos.submit(make_request("a cat"))
    await finished(videos, ref)
    content = await videos.open(ref, VideoVariant.SPRITESHEET)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        parts = content.read(0, content.size_bytes)
        await anext(parts)
        await parts.aclose()  # type: ignore[attr-defined]
    assert len(os.listdir("/proc/self/fd")) == before


async def test_the_word_refuse_input(videos: LocalVideos) -> None:
    with pytest.raises(SubmitRefused) as caught:
        await videos.submit(make_request("a [mediagate:refuse-input] cat"))
    failure = caught.value.failure
    assert (failure.stage, failure.field) == (FailureStage.INPUT, "prompt")
    assert (failure.code, failure.retryable) == ("content_policy_violation", False)


async def test_an_unknown_word(videos: LocalVideos, root: Path) -> None:
    with pytest.raises(SubmitRefused) as caught:
        await videos.submit(make_request("a [mediagate:slwo] cat"))
    failure = caught.value.failure
    assert (failure.stage, failure.field, failure.code) == (FailureStage.INPUT, "prompt", "unknown_magic_word")
    assert "refuse-input" in failure.message
    assert not list((root / ".queue").iterdir())


async def test_the_word_reject(videos: LocalVideos, root: Path) -> None:
    ref = await videos.submit(make_request("[mediagate:reject] [mediagate:slow=0.5]"))
    await until_it_renders(videos, ref, 20)
    status = await finished(videos, ref)
    assert status.state is JobState.FAILED
    assert status.failure is not None
    assert (status.failure.stage, status.failure.code) == (FailureStage.OUTPUT, "content_policy_violation")
    assert not status.failure.retryable
    with pytest.raises(FileNotFoundError):
        await videos.open(ref, VideoVariant.VIDEO)


async def test_the_word_slow(videos: LocalVideos) -> None:
    began = time.monotonic()
    ref = await videos.submit(make_request("[mediagate:slow=1.5]"))
    seen: list[tuple[float, float]] = []
    while (status := await videos.poll(ref)).state is JobState.RENDERING:
        seen.append((time.monotonic() - began, status.progress_percent or 0))
        await asyncio.sleep(0.02)
    assert (await finished(videos, ref)).state is JobState.SUCCEEDED
    assert time.monotonic() - began >= 1.5
    percents = [percent for _, percent in seen]
    assert percents == sorted(percents)
    assert len(set(percents)) >= 4


async def test_the_word_stuck_holds_nothing_up(videos: LocalVideos) -> None:
    stuck = await videos.submit(make_request("[mediagate:stuck]"))
    other = await videos.submit(make_request("a cat", "video_2"))
    assert (await finished(videos, other)).state is JobState.SUCCEEDED
    assert await videos.poll(stuck) == JobStatus(JobState.RENDERING, progress_percent=42.0)
    assert await videos.cancel(stuck) is True
    assert (await videos.poll(stuck)).state is JobState.CANCELLED


async def test_the_word_late(root: Path) -> None:
    ref = await LocalVideos(root, parallel_renders=0).submit(make_request("[mediagate:late=1.5]"))
    videos = LocalVideos(root)
    began = time.monotonic()
    with pytest.raises(FateUnknown):
        await videos.poll(ref)
    with pytest.raises(FateUnknown):
        await videos.cancel(ref)
    await until((root / ref / "end.json").exists)
    while time.monotonic() - began < 1.3:
        with pytest.raises(FateUnknown):
            await videos.poll(ref)
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    assert (await videos.poll(ref)).state is JobState.SUCCEEDED


async def test_the_word_lost(videos: LocalVideos, root: Path) -> None:
    ref = await videos.submit(make_request("[mediagate:lost]"))
    for _ in range(3):
        with pytest.raises(FateUnknown):
            await videos.poll(ref)
    with pytest.raises(FateUnknown):
        await videos.cancel(ref)
    assert not (root / ref / "starts").exists()


async def test_the_word_crash(videos: LocalVideos, root: Path) -> None:
    ref = await videos.submit(make_request("[mediagate:crash]"))
    status = await finished(videos, ref)
    assert status.failure is not None
    assert (status.failure.stage, status.failure.code) == (FailureStage.PROVIDER, "render_failed")
    assert status.failure.retryable
    assert (counted(root, ref, "starts"), counted(root, ref, "crashes")) == (3, 3)
    assert (await videos.poll(ref)).state is JobState.FAILED
