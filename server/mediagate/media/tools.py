"""Look into finished videos, each in a process of its own: their bytes are a stranger's."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from mediagate.media.containers import BadVideo, Measured
from mediagate.media.modest import modest_environment

AT_ONCE: Final = 2
WALL_S_MAX: Final = 300.0
OUTPUT_BYTES_MAX: Final = 16 << 20
# What a decoder that stumbles dies of. The others are the machine's, or somebody's who ended us.
_OF_THE_VIDEO: Final = frozenset(
    -number
    for number in (
        signal.SIGSEGV,
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGSYS,
        signal.SIGXCPU,
    )
)


class NotLookedInto(Exception):
    """The video could not be looked into, which says nothing about it."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """The small pictures of a video: a thumbnail (WebP) and a sheet of twenty (JPEG)."""

    thumbnail: bytes
    spritesheet: bytes


class VideoTools:
    """Starts the processes, `AT_ONCE` at the same time. A descriptor is of a regular file; its offset moves."""

    def __init__(self, python: str = sys.executable) -> None:
        self._python = python
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="video-tools")
        self._running: set[subprocess.Popen[bytes]] = set()

    async def measure(self, descriptor: int) -> Measured:
        """Prove that it is a whole video. Raises `BadVideo`, and `NotLookedInto`."""
        found, _ = await self._run("measure", descriptor)
        try:
            return Measured(**found)
        except TypeError as error:
            raise NotLookedInto("an answer that makes no sense") from error

    async def draw(self, descriptor: int) -> Pictures:
        """Make its pictures. Raises as `measure` does."""
        found, rest = await self._run("draw", descriptor)
        lengths = found.get("lengths", [])
        if len(lengths) != 2 or len(rest) != sum(lengths):
            raise NotLookedInto("the pictures are not whole")
        return Pictures(rest[: lengths[0]], rest[lengths[0] :])

    async def shrink(self, descriptor: int) -> bytes:
        """Make a small JPEG of a picture. Raises as `measure` does, for a picture that is none too."""
        found, rest = await self._run("shrink", descriptor)
        if found.get("lengths") != [len(rest)] or not rest:
            raise NotLookedInto("the picture is not whole")
        return rest

    async def _run(self, what: str, descriptor: int) -> tuple[dict[str, Any], bytes]:
        # A descriptor of our own: the caller may be cancelled, close its file and see the number given to another.
        own = os.dup(descriptor)
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._work, what, own)
        output = await asyncio.shield(work)
        line, _, rest = output.partition(b"\n")
        try:
            found: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise NotLookedInto("an answer that makes no sense") from error
        if "bad" in found:
            raise BadVideo(str(found["bad"]))
        return found, rest

    def _work(self, what: str, descriptor: int) -> bytes:
        command = [self._python, "-P", "-m", "mediagate.media.program", what, str(descriptor), str(os.getpid())]
        try:
            process = subprocess.Popen(  # noqa: S603 - our own program and numbers
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=modest_environment(),
                pass_fds=(descriptor,),
            )
        except OSError as error:
            raise NotLookedInto(type(error).__name__) from error
        finally:
            os.close(descriptor)
        with process:
            self._running.add(process)
            try:
                output, _ = process.communicate(timeout=WALL_S_MAX)
            except subprocess.TimeoutExpired as error:
                raise NotLookedInto("it took too long") from error
            finally:
                self._running.discard(process)
                process.kill()
        if process.returncode in _OF_THE_VIDEO:
            raise BadVideo("The provider's video cannot be decoded.")
        if process.returncode != 0 or not 0 < len(output) <= OUTPUT_BYTES_MAX:
            raise NotLookedInto(f"exit {process.returncode}")
        return output

    def close(self) -> None:
        """End those that run, and start no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for process in tuple(self._running):
            process.kill()
