"""The `local` video provider: real H.264 MP4s, rendered from the prompt on this machine, with real progress.

For a first look without an account, and as a sandbox in other teams' CI: `words.py` lists what to put into a prompt in
order to meet a failure. All state is in files: every process that has the same directory can answer for every job.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final, NoReturn, TypeVar, TypeVarTuple

from mediagate.media.modest import modest_environment
from mediagate.providers.account import Account
from mediagate.providers.base import (
    Failure,
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
from mediagate.providers.local.spec import VIDEOS
from mediagate.providers.local.video_job import End, Job, JobSpec, ref_of
from mediagate.providers.local.video_queue import Queue, RenderQueue
from mediagate.providers.local.words import UnknownWord, Words, parse

CHUNK_BYTES: Final = 1024 * 1024
CHECK_S_MAX: Final = 30.0
CHECKS_MAX: Final = 2
THREADS: Final = 8
STOP_S_MAX: Final = 3.0
ABANDONED_AFTER_S: Final = 3600.0
SIDE_PX: Final = range(64, 4097, 2)
SECONDS: Final = range(1, 121)
TEXT_CHARS_MAX: Final = 4800
STUCK_PERCENT: Final = 42.0
CONTENT_TYPES: Final = {
    VideoVariant.VIDEO: "video/mp4",
    VideoVariant.THUMBNAIL: "image/webp",
    VideoVariant.SPRITESHEET: "image/jpeg",
}

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")


@dataclass(frozen=True, slots=True)
class VideoContent:
    """One finished file. `etag` is the hexadecimal SHA-256 of its bytes, without quotes."""

    pool: ThreadPoolExecutor
    path: Path
    size_bytes: int
    content_type: str
    etag: str

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Yield the bytes from `start` up to, not including, `end`, in chunks of 1 MiB at most, the next one being read
        while the caller has the last. Raises `OSError` where they cannot be read or are not all there."""
        if start >= end:
            return
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        ahead: asyncio.Task[bytes] | None = None
        try:
            ahead = self._read_ahead(file, start, end)
            while ahead is not None:
                chunk = await ahead
                if not chunk:
                    raise OSError("the file is shorter than it was")
                start += len(chunk)
                ahead = None
                if start < end:
                    ahead = self._read_ahead(file, start, end)
                yield chunk
        finally:
            if ahead is not None:
                await _ended(ahead)
            os.close(file)

    def _read_ahead(self, file: int, start: int, end: int) -> asyncio.Task[bytes]:
        return asyncio.create_task(in_thread(self.pool, os.pread, file, min(CHUNK_BYTES, end - start), start))


class LocalVideos:
    """`VideoProvider` on this machine, below `root`; `parallel_renders` is how many videos render at the same time.

    A renderer dies with the process that started it. Its job then waits again, and the next poll of any job, in any
    process, goes on with it.
    """

    spec = VIDEOS

    def __init__(self, root: Path, *, parallel_renders: int = 1, python: str = sys.executable) -> None:
        """Raises `OSError` where `root` cannot be made or written."""
        self._root = root.absolute()
        for name in (".tmp", ".trash"):
            (self._root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._queue = RenderQueue(self._root, slots=parallel_renders, python=python)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="local-videos")
        self._checkers = ThreadPoolExecutor(CHECKS_MAX, thread_name_prefix="local-videos-check")

    async def submit(self, request: VideoRequest) -> str:
        """Take the job; the same token is the same job, however often it comes.

        Raises `SubmitRefused`, and what an input's stream raises unless that is an `OSError`; then there is no job.
        """
        words, text = _understand(request)
        ref = ref_of(request.token)
        if (self._root / ref).is_dir():
            return ref
        spec = JobSpec(
            kind=request.kind,
            text=text[:TEXT_CHARS_MAX],
            seed=hashlib.sha256(" ".join(text.split()).encode("utf-8", "surrogatepass")).hexdigest(),
            seconds=request.seconds,
            width=request.width,
            height=request.height,
            created_ns=time.time_ns(),
            words=words,
        )
        draft = Job(self._root / ".tmp" / f"{ref}.{secrets.token_hex(6)}")
        try:
            await in_thread(self._pool, draft.path.mkdir, 0o700)
            for media, path in ((request.image, draft.image), (request.source_video, draft.source)):
                if media is not None:
                    await _save(self._pool, media, path)
            if request.image is not None or request.source_video is not None:
                await in_thread(self._checkers, self._check_inputs, draft, spec)
            await in_thread(self._pool, self._commit, draft, spec, ref)
        except OSError as error:
            raise SubmitRefused(
                Failure(
                    stage=FailureStage.PROVIDER,
                    code="storage_error",
                    message="The video job could not be stored. Try again.",
                    retryable=True,
                )
            ) from error
        finally:
            await in_thread(self._pool, _remove, draft.path)
        with suppress(OSError):
            await in_thread(self._pool, self._queue_up, Job(self._root / ref), spec)
        return ref

    async def poll(self, ref: str) -> JobStatus:
        """Ask once, and start what may render now. `position` is 1 for the next to start. Raises `FateUnknown`."""
        return await in_thread(self._pool, _or_unknown, self._poll, ref)

    async def cancel(self, ref: str) -> bool:
        """End the job for good, unless it has ended; True where it is cancelled, now or before. Returns when its
        renderer has stopped, or after 3 seconds. Raises `FateUnknown`."""
        return await in_thread(self._pool, _or_unknown, self._cancel, ref)

    async def delete(self, ref: str) -> None:
        """Remove the job, at once and whatever state it is in; what is absent is already deleted. Raises `FateUnknown`
        where a renderer does not stop within seconds; the job is cancelled then, and a repetition will do it."""
        await in_thread(self._pool, _or_unknown, self._delete, ref)

    async def open(self, ref: str, variant: VideoVariant) -> VideoContent:
        """Raises `FileNotFoundError` where there is no such output, or not yet."""
        return await in_thread(self._pool, self._open, ref, variant)

    async def close(self) -> None:
        """Let the threads go; what renders goes on."""
        self._pool.shutdown(wait=False)
        self._checkers.shutdown(wait=False)

    def _commit(self, draft: Job, spec: JobSpec, ref: str) -> None:
        """Make the job visible as a whole, unless another submit of the same token was faster."""
        draft.write_spec(spec)
        try:
            draft.path.rename(self._root / ref)
        except OSError:
            if not (self._root / ref).is_dir():
                raise
        self._sweep()

    def _queue_up(self, job: Job, spec: JobSpec) -> Queue | None:
        if not spec.words.renders or job.has_ended():
            return None
        self._queue.add(job, spec.created_ns)
        return self._queue.advance()

    def _check_inputs(self, draft: Job, spec: JobSpec) -> None:
        """Let a process of its own look at what strangers sent. Raises `SubmitRefused`."""
        try:
            checked = subprocess.run(  # noqa: S603 - our own program and a path that we made
                self._queue.command("--check", str(draft.path), f"{spec.width}x{spec.height}"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=modest_environment(),
                timeout=CHECK_S_MAX,
                check=True,
            )
            wrong = json.loads(checked.stdout)
        except (subprocess.SubprocessError, ValueError):
            field, code = ("input_reference", "invalid_image") if draft.image.exists() else ("video", "invalid_video")
            wrong = {"field": field, "code": code, "message": "The input cannot be read."}
        if wrong:
            _refuse(wrong["field"], wrong["code"], wrong["message"])

    def _poll(self, ref: str) -> JobStatus:
        job = Job.find(self._root, ref)
        spec = job.read_spec()
        end = job.read_end()
        queue = None
        if end is None:
            queue = self._queue_up(job, spec)
            end = job.read_end()
        _reach(spec)
        if end is not None:
            return _status_of(end)
        if spec.words.stuck:
            return JobStatus(JobState.RENDERING, progress_percent=STUCK_PERCENT)
        if queue is None or ref not in {*queue.running, *queue.waiting}:
            raise FileNotFoundError(ref)
        if ref in queue.waiting:
            return JobStatus(JobState.QUEUED, progress_percent=0.0, position=queue.waiting.index(ref) + 1)
        progress = job.read_progress()
        state = JobState.FINALIZING if progress.finalizing else JobState.RENDERING
        return JobStatus(state, progress_percent=progress.percent)

    def _cancel(self, ref: str) -> bool:
        job = Job.find(self._root, ref)
        _reach(job.read_spec())
        return self._stop(job)

    def _stop(self, job: Job) -> bool:
        """Cancel the job where it has not ended and wait for its renderer's end; return whether it is cancelled."""
        if job.settle(End(JobState.CANCELLED)) and self._queue.wait_stopped(job.ref, STOP_S_MAX):
            job.discard_inputs()
        end = job.read_end()
        return end is not None and end.state is JobState.CANCELLED

    def _delete(self, ref: str) -> None:
        try:
            job = Job.find(self._root, ref)
            self._stop(job)
            if not self._queue.wait_stopped(ref, STOP_S_MAX):
                raise FateUnknown("the renderer has not stopped yet")
            trash = self._root / ".trash" / f"{ref}.{secrets.token_hex(6)}"
            job.path.rename(trash)
        except FileNotFoundError:
            return
        _remove(trash)

    def _open(self, ref: str, variant: VideoVariant) -> VideoContent:
        job = Job.find(self._root, ref)
        end = job.read_end()
        stored = end.files.get(variant) if end else None
        path = job.output(variant)
        if stored is None or path.stat().st_size != stored.size_bytes:
            raise FileNotFoundError(ref)
        return VideoContent(self._pool, path, stored.size_bytes, CONTENT_TYPES[variant], stored.sha256)

    def _sweep(self) -> None:
        """Remove what processes left behind that died during a submit or a delete."""
        for path in (*(self._root / ".tmp").iterdir(), *(self._root / ".trash").iterdir()):
            with suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > ABANDONED_AFTER_S:
                    _remove(path)


async def in_thread(pool: ThreadPoolExecutor, function: Callable[[*Arguments], T], *arguments: *Arguments) -> T:
    """Call in a thread. A cancelled caller waits for the thread's end before it goes: nothing that the thread uses is
    closed or removed under it."""
    work = asyncio.get_running_loop().run_in_executor(pool, function, *arguments)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await _ended(work)
        raise


async def _ended(work: asyncio.Future[T]) -> None:
    """Wait until the work is over, however it ends and however often the waiter is cancelled."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])
    if not work.cancelled():
        work.exception()


async def _save(pool: ThreadPoolExecutor, media: MediaInput, path: Path) -> None:
    """Write an input to a file, one chunk in memory. Raises `OSError` where it is not as long as announced."""
    received = 0
    with path.open("xb", buffering=0) as file:
        async for chunk in media.open():
            received += len(chunk)
            if received > media.size_bytes:
                break
            await in_thread(pool, _write, file, chunk)
    if received != media.size_bytes:
        raise OSError("the input's length is not what was announced")


def _write(file: FileIO, chunk: bytes) -> None:
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)


def _understand(request: VideoRequest) -> tuple[Words, str]:
    """Return the prompt's magic words and the rest of it. Raises `SubmitRefused` for what can never be rendered."""
    try:
        words, text = parse(request.prompt)
    except UnknownWord as error:
        _refuse("prompt", "unknown_magic_word", str(error))
    if words.refuse_input:
        _refuse("prompt", "content_policy_violation", "The prompt was rejected by the content policy.")
    if request.width not in SIDE_PX or request.height not in SIDE_PX:
        _refuse("size", "invalid_size", "Width and height must be even numbers from 64 to 4096.")
    if request.seconds not in SECONDS:
        _refuse("seconds", "invalid_seconds", f"The duration must be from 1 to {SECONDS[-1]} seconds.")
    if request.kind is not VideoKind.CREATE and request.source_video is None:
        _refuse("video", "missing_video", f"A source video is needed to {request.kind.value} one.")
    return words, text


def _refuse(field: str, code: str, message: str) -> NoReturn:
    raise SubmitRefused(Failure(stage=FailureStage.INPUT, code=code, message=message, retryable=False, field=field))


def _reach(spec: JobSpec) -> None:
    """Raise `FateUnknown` while the job's magic words keep the provider out of reach."""
    if spec.words.lost or time.time_ns() < spec.created_ns + spec.words.late * 1e9:
        raise FateUnknown("the provider cannot be reached")


def _or_unknown(function: Callable[[str], T], ref: str) -> T:
    """Call, and tell what is wrong with the machine or the ref as what it is: no news about the job."""
    try:
        return function(ref)
    except FileNotFoundError as error:
        raise FateUnknown("no such job") from error
    except OSError as error:
        raise FateUnknown("the job's files cannot be used") from error


def _status_of(end: End) -> JobStatus:
    # No bill comes from here: what a video costs is what the prices say, nothing unless the configuration has one.
    progress = 100.0 if end.state is JobState.SUCCEEDED else None
    return JobStatus(end.state, progress_percent=progress, failure=end.failure, output=end.output)


def build(account: Account) -> LocalVideos:
    """The videos of this machine: `root` is their folder, `parallel_renders` how many render at the same time."""
    return LocalVideos(Path(account.options["root"]), parallel_renders=int(account.options.get("parallel_renders", 1)))
