"""Which renderers run: a queue and render slots that all processes on a machine share through files and locks.

    .queue/CREATED.REF   one empty file per job that may still need a renderer; the names sort by age
    .slots/N.lock        locked (flock) as long as slot N renders; says "REF PID"
    .lock                held for the few milliseconds in which anyone looks at the two or changes them

A slot's lock belongs to the renderer, which inherits it, and to the process that started it, which lets go after it has
noted how the renderer ended. Whatever dies, and however, the kernel gives the slot back.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mediagate.media.modest import modest_environment
from mediagate.providers.local.video_job import RENDER_FAILED, Job

LOCK_WAIT_S: Final = 5.0
# The supervisor's or the terminal's signals reach the renderer too; dying of them is no fault of the job.
QUIET_EXITS: Final = frozenset({0, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP})


@dataclass(frozen=True, slots=True)
class Queue:
    """One look at the queue: the process ids of what renders by ref, and the refs that wait, oldest first."""

    running: Mapping[str, int]
    waiting: tuple[str, ...]


class RenderQueue:
    """Starts renderers for the jobs below `root`, oldest first, at most `slots` at the same time on this machine."""

    def __init__(self, root: Path, *, slots: int, python: str) -> None:
        self._root = root
        self._slots = slots
        self._python = python
        for name in (".queue", ".slots"):
            (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def add(self, job: Job, created_ns: int) -> None:
        """Let the job have a renderer; adding it twice is adding it once."""
        (self._root / ".queue" / f"{created_ns:020d}.{job.ref}").touch()

    def advance(self) -> Queue:
        """Fill the free slots with the oldest waiting jobs, whoever asks. Raises `OSError` where that fails."""
        with self._locked():
            running, free = self._probe()
            try:
                waiting = [job for job in self._queued() if job.ref not in running]
                while waiting and free:
                    job = waiting.pop(0)
                    try:
                        if job.is_exhausted():
                            job.settle(RENDER_FAILED)
                        else:
                            running[job.ref] = self._start(job, free.pop(0))
                    except FileNotFoundError:
                        if job.exists():
                            raise
            finally:
                for slot in free:
                    os.close(slot)
        return Queue(running, tuple(job.ref for job in waiting))

    def wait_stopped(self, ref: str, timeout_s: float) -> bool:
        """Wait until no renderer works for the job; False where one still does after `timeout_s` seconds."""
        give_up_at = time.monotonic() + timeout_s
        while ref in self._running():
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.02)
        return True

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a renderer: `-P` keeps the working directory out of its imports."""
        return [self._python, "-P", "-m", "mediagate.providers.local.renderer", *arguments, str(os.getpid())]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._root / ".lock").open("ab") as lock:
            give_up_at = time.monotonic() + LOCK_WAIT_S
            while not _try_lock(lock.fileno()):
                if time.monotonic() > give_up_at:
                    raise TimeoutError("another process holds the render queue")
                time.sleep(0.002)
            yield

    def _running(self) -> Mapping[str, int]:
        with self._locked():
            running, free = self._probe()
            for slot in free:
                os.close(slot)
            return running

    def _probe(self) -> tuple[dict[str, int], list[int]]:
        """Return what runs, in any slot, and the locked descriptors of the free slots that we may use."""
        slots = self._root / ".slots"
        ours = [slots / f"{number}.lock" for number in range(self._slots)]
        running: dict[str, int] = {}
        free: list[int] = []
        for path in sorted({*ours, *slots.glob("*.lock")}):
            slot = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if _try_lock(slot):
                if path in ours:
                    free.append(slot)
                else:
                    os.close(slot)
                continue
            ref, _, pid = os.pread(slot, 256, 0).decode().partition(" ")
            os.close(slot)
            running[ref] = int(pid or 0)
        return running, free

    def _queued(self) -> list[Job]:
        """Return the jobs that have not ended, oldest first, and drop the queue files of all others."""
        jobs: dict[str, Job] = {}
        for entry in sorted((self._root / ".queue").iterdir()):
            job = Job(self._root / entry.name.partition(".")[2])
            if job.exists() and not job.has_ended():
                jobs.setdefault(job.ref, job)
            else:
                entry.unlink(missing_ok=True)
        return list(jobs.values())

    def _start(self, job: Job, slot: int) -> int:
        """Start a renderer that owns `slot` from now on; return its process id."""
        try:
            job.count_start()
            os.ftruncate(slot, 0)
            os.pwrite(slot, job.ref.encode(), 0)
            with (job.path / "render.log").open("wb") as log:
                child = subprocess.Popen(  # noqa: S603 - our own program and a path that we made
                    self.command(str(job.path)),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    env=modest_environment(),
                    pass_fds=(slot,),
                )
            os.pwrite(slot, f"{job.ref} {child.pid}".encode(), 0)
            threading.Thread(target=_reap, args=(job, child, slot), name=f"reap-{job.ref}", daemon=True).start()
        except BaseException:
            os.close(slot)
            raise
        return child.pid


def _reap(job: Job, child: subprocess.Popen[bytes], slot: int) -> None:
    """Wait for a renderer and note a crash before the slot is free, so that nobody starts the job once too often."""
    try:
        if child.wait() not in QUIET_EXITS and job.exists() and not job.has_ended():
            with suppress(FileNotFoundError):
                job.count_crash()
                if job.is_exhausted():
                    job.settle(RENDER_FAILED)
    finally:
        os.close(slot)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
