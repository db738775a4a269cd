"""The process that renders one job of the `local` video provider, or checks the inputs of one.

    python -P -m mediagate.providers.local.renderer JOB_DIRECTORY PARENT_PID
    python -P -m mediagate.providers.local.renderer --check DIRECTORY WIDTHxHEIGHT PARENT_PID

Rendering exits with 0 when there is nothing left to do: the job has ended, by this process or by another, or the job or
the parent is gone. Every other exit is a crash. Checking prints one JSON object: empty, or what is wrong with an input.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from mediagate.media.modest import Watch, be_modest
from mediagate.media.pictures import SHEET_COLUMNS, SHEET_ROWS, SHEET_TILE_PX, THUMBNAIL_PX, sheet, small
from mediagate.providers.base import Failure, FailureStage, JobState, VideoKind, VideoOutput, VideoVariant
from mediagate.providers.local import pictures
from mediagate.providers.local.pictures import Overlay, Pan, Planes, Zoom
from mediagate.providers.local.render_source import BadInput, SourceVideo, load_image
from mediagate.providers.local.video_job import FPS, End, Job, JobSpec, Progress, StoredOutput

PROGRESS_INTERVAL_S: Final = 0.1
FRAME_S_MAX: Final = 60
# One thread, so that the same prompt gives the same bytes on every machine. No look-ahead worth its memory.
ENCODER: Final = {"preset": "superfast", "crf": "28", "g": str(2 * FPS), "bf": "0", "threads": "1"}


class Scene:
    """All frames of one job, before they are encoded. Raises `BadInput`."""

    def __init__(self, job: Job, spec: JobSpec) -> None:
        self._size = (spec.width, spec.height)
        self._kind = spec.kind
        self._image = job.image if job.image.exists() else None
        self._seed = spec.seed
        self._source = SourceVideo(job.source) if job.source.exists() else None
        self._kept = self._source.frames_total if self._source and spec.kind is VideoKind.EXTEND else 0
        self._new = spec.seconds * FPS
        self.frames_total = self._kept + self._new
        over_video = self._source is not None
        self._overlay = Overlay(spec.text, spec.seed, self._size, self.frames_total, over_video=over_video)

    def __iter__(self) -> Iterator[Planes]:
        last: Planes | None = None
        if self._source and self._kind is VideoKind.EXTEND:
            for last in self._source.frames(self._size):
                yield last
        for number, background in enumerate(self._backgrounds(last)):
            self._overlay.draw(background, self._kept + number)
            yield background

    def _backgrounds(self, last: Planes | None) -> Iterator[Planes]:
        """Yield the new frames without what is written on them, each its own to draw on."""
        if last is not None:
            zoom = Zoom(last, self._size)
        elif self._source:
            yield from self._held_source(self._source)
            return
        elif self._image:
            image = load_image(self._image, pictures.enlarged(self._size, pictures.ZOOM))
            zoom = Zoom.into(image, self._size)
        else:
            pan = Pan(self._seed, self._size)
            yield from (pan.at(number) for number in range(self._new))
            return
        yield from (zoom.at(number / self._new) for number in range(self._new))

    def _held_source(self, source: SourceVideo) -> Iterator[Planes]:
        """Yield the source's frames for as long as the new video is; the last one stays where they are too few."""
        frames = source.frames(self._size)
        picture = next(frames)
        for _ in range(self._new):
            yield picture.copy()
            picture = next(frames, picture)


class Pace:
    """Says when which frame is due, for the words that make a render slow or end it half-way."""

    def __init__(self, job: Job, spec: JobSpec, frames_total: int) -> None:
        self._job = job
        self._words = spec.words
        self._frames_total = frames_total
        self._started = time.monotonic()
        self._reported = 0.0

    def passed(self, frames: int) -> bool:
        """Report that so many frames are encoded; False where the job has to end here. May sleep, may never return."""
        faulthandler.dump_traceback_later(FRAME_S_MAX, exit=True)
        if frames >= self._frames_total // 2:
            if self._words.crash:
                os.kill(os.getpid(), signal.SIGKILL)
            if self._words.reject:
                return False
        self._report(frames)
        due = self._started + self._words.slow * frames / self._frames_total
        while (left := due - time.monotonic()) > 0:
            time.sleep(min(left, PROGRESS_INTERVAL_S))
            faulthandler.dump_traceback_later(FRAME_S_MAX, exit=True)
        return True

    def _report(self, frames: int) -> None:
        now = time.monotonic()
        if now - self._reported >= PROGRESS_INTERVAL_S:
            self._reported = now
            self._job.write_progress(Progress(frames, self._frames_total))


def render(job: Job, spec: JobSpec) -> End:
    """Make the video and its pictures; return how the job ends. Raises where a further attempt may go better."""
    part = job.path / "video.part"
    try:
        scene = Scene(job, spec)
        if not _encode(job, spec, scene, part):
            return _failed(FailureStage.OUTPUT, "content_policy_violation", "The content policy rejected the video.")
    except BadInput as error:
        return _failed(FailureStage.INPUT, error.code, str(error), field=error.field)
    job.write_progress(Progress(scene.frames_total, scene.frames_total, finalizing=True))
    output = _finish(job, spec, part, scene.frames_total)
    part.replace(job.output(VideoVariant.VIDEO))
    return End(JobState.SUCCEEDED, output=output, files={variant: _stored(job, variant) for variant in VideoVariant})


def check(directory: Path, size: tuple[int, int]) -> dict[str, str]:
    """Decode enough of the inputs to know that they can be used; return what is wrong, or nothing."""
    job = Job(directory)
    try:
        if job.image.exists():
            load_image(job.image, size)
        if job.source.exists():
            SourceVideo(job.source).check()
    except BadInput as error:
        return {"field": error.field, "code": error.code, "message": str(error)}
    return {}


def main(arguments: list[str]) -> int:
    be_modest()
    faulthandler.dump_traceback_later(FRAME_S_MAX, exit=True)
    parent = int(arguments[-1])
    if arguments[0] == "--check":
        Watch(parent).start()
        width, _, height = arguments[2].partition("x")
        print(json.dumps(check(Path(arguments[1]), (int(width), int(height)))))
        return 0
    job = Job(Path(arguments[0]))
    watch = Watch(parent, lambda: not job.exists() or job.has_ended())
    watch.start()
    try:
        end = render(job, job.read_spec())
        watch.stop()
        job.settle(end)
        job.discard_inputs()
    except Exception:
        # A job that ends or disappears while we work pulls the files away under us.
        if job.exists() and not job.has_ended():
            raise
    return 0


def _encode(job: Job, spec: JobSpec, scene: Scene, path: Path) -> bool:
    """Encode all frames into an MP4 that plays while it loads; False where the job has to end half-way."""
    pace = Pace(job, spec, scene.frames_total)
    with closing(av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})) as container:
        stream = container.add_stream("libx264", rate=FPS, options=dict(ENCODER))
        stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, "yuv420p"
        codec = stream.codec_context
        codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
        codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        for number, planes in enumerate(scene):
            frame = planes.to_frame()
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
            if not pace.passed(number + 1):
                return False
        container.mux(stream.encode())
    return True


def _finish(job: Job, spec: JobSpec, path: Path, frames_total: int) -> VideoOutput:
    """Decode the finished file once: prove that it is what was asked for, and take the small pictures from it."""
    places = SHEET_COLUMNS * SHEET_ROWS
    wanted = [place * frames_total // places for place in range(places)]
    tiles: list[Image.Image] = []
    frames = 0
    end_s = 0.0
    with closing(av.open(str(path))) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            if (frame.width, frame.height) != (spec.width, spec.height):
                raise RuntimeError("the encoder made another size")
            tiles += [small(frame, SHEET_TILE_PX)] * wanted.count(frames)
            if frames == frames_total // 2:
                thumbnail = small(frame, THUMBNAIL_PX)
                thumbnail.save(job.output(VideoVariant.THUMBNAIL), "WEBP", quality=80)
            end_s = frame.time + 1 / FPS
            frames += 1
            faulthandler.dump_traceback_later(FRAME_S_MAX, exit=True)
    if frames != frames_total or abs(end_s - frames_total / FPS) > 1 / FPS:
        raise RuntimeError("the encoder made another duration")
    sheet(tiles).save(job.output(VideoVariant.SPRITESHEET), "JPEG", quality=80)
    return VideoOutput(round(end_s, 6), spec.width, spec.height, path.stat().st_size)


def _stored(job: Job, variant: VideoVariant) -> StoredOutput:
    """Bring a finished file to the disk itself and measure it."""
    with job.output(variant).open("rb") as file:
        os.fsync(file.fileno())
        return StoredOutput(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _failed(stage: FailureStage, code: str, message: str, field: str | None = None) -> End:
    return End(JobState.FAILED, failure=Failure(stage=stage, code=code, message=message, retryable=False, field=field))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
