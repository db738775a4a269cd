"""One job of the `local` video provider, as a directory. No state lives anywhere else.

spec.json          what to make; written before the directory becomes visible, never changed
image, source      the inputs, until the job has ended
progress.json      how far the running renderer is
starts, crashes    one byte for every start and every crash of a renderer
render.log         what the last renderer wrote to its standard error
video.mp4, thumbnail.webp, spritesheet.jpg
end.json           how the job ended; exists exactly once, and whoever creates it first decides
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from mediagate.providers.base import Failure, FailureStage, JobState, VideoKind, VideoOutput, VideoVariant
from mediagate.providers.local.words import Words

FPS: Final = 24
CRASHES_MAX: Final = 3
STARTS_MAX: Final = 20
FILE_NAMES: Final = {
    VideoVariant.VIDEO: "video.mp4",
    VideoVariant.THUMBNAIL: "thumbnail.webp",
    VideoVariant.SPRITESHEET: "spritesheet.jpg",
}

_REF: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_KEPT: Final = frozenset({"spec.json", "end.json", "render.log"})


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What to make. `seed` stands for the whole prompt, `text` is as much of it as could ever be drawn."""

    kind: VideoKind
    text: str
    seed: str
    seconds: int
    width: int
    height: int
    created_ns: int
    words: Words

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(**{**data, "kind": VideoKind(data["kind"]), "words": Words(**data["words"])})


@dataclass(frozen=True, slots=True)
class StoredOutput:
    """One finished file: its length in bytes and the hexadecimal SHA-256 of its bytes."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class End:
    """How a job ended. `output` and `files` are there exactly when it succeeded, `failure` when it failed."""

    state: JobState
    failure: Failure | None = None
    output: VideoOutput | None = None
    files: Mapping[VideoVariant, StoredOutput] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        failure, output = data["failure"], data["output"]
        return cls(
            state=JobState(data["state"]),
            failure=Failure(**{**failure, "stage": FailureStage(failure["stage"])}) if failure else None,
            output=VideoOutput(**output) if output else None,
            files={VideoVariant(name): StoredOutput(**stored) for name, stored in data["files"].items()},
        )


RENDER_FAILED: Final = End(
    JobState.FAILED,
    failure=Failure(
        stage=FailureStage.PROVIDER,
        code="render_failed",
        message="The video could not be rendered. Try again.",
        retryable=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a renderer is: frames encoded of all frames, and whether it is past the last of them."""

    frames: int
    frames_total: int
    finalizing: bool = False

    @property
    def percent(self) -> float:
        return 100.0 * self.frames / self.frames_total if self.frames_total else 0.0


def ref_of(token: str) -> str:
    """Return the one ref that stands for `token`, whatever characters that has: at most 57 of `A-Z a-z 0-9 _ -`."""
    readable = re.sub(r"[^A-Za-z0-9_-]", "", token, flags=re.ASCII)[:40].strip("-")
    return f"{readable or 'video'}-{hashlib.sha256(token.encode('utf-8', 'surrogatepass')).hexdigest()[:16]}"


class Job:
    """A job's directory. Every method raises `FileNotFoundError` where the job is gone, unless it says otherwise."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def find(cls, root: Path, ref: str) -> Self:
        """Return the job that `ref` names. Raises `FileNotFoundError`, also for what cannot be a ref."""
        if not _REF.fullmatch(ref) or not (root / ref / "spec.json").is_file():
            raise FileNotFoundError(ref)
        return cls(root / ref)

    @property
    def ref(self) -> str:
        return self.path.name

    @property
    def image(self) -> Path:
        return self.path / "image"

    @property
    def source(self) -> Path:
        return self.path / "source"

    def output(self, variant: VideoVariant) -> Path:
        return self.path / FILE_NAMES[variant]

    def write_spec(self, spec: JobSpec) -> None:
        with self._complete_file("spec.json", spec.to_json()) as written:
            written.replace(self.path / "spec.json")

    def read_spec(self) -> JobSpec:
        return JobSpec.from_json(json.loads((self.path / "spec.json").read_bytes()))

    def exists(self) -> bool:
        return (self.path / "spec.json").is_file()

    def has_ended(self) -> bool:
        return (self.path / "end.json").is_file()

    def read_end(self) -> End | None:
        """Return how the job ended, or None where it has not (or is gone)."""
        try:
            return End.from_json(json.loads((self.path / "end.json").read_bytes()))
        except FileNotFoundError:
            return None

    def settle(self, end: End) -> bool:
        """End the job like this, durably; False where it had already ended and stays as it was.

        A hard link is the compare-and-set: it appears with its whole content, and only one can.
        """
        with self._complete_file("end.json", end.to_json()) as written:
            try:
                os.link(written, self.path / "end.json")
            except FileExistsError:
                return False
            except FileNotFoundError:
                # Whoever ended the job may have tidied our file away before we could link it.
                if self.has_ended():
                    return False
                raise
        return True

    def write_progress(self, progress: Progress) -> None:
        with self._complete_file("progress.json", asdict(progress), durable=False) as written:
            written.replace(self.path / "progress.json")

    def read_progress(self) -> Progress:
        """Return how far the renderer is; nothing done where it has not said so yet."""
        try:
            return Progress(**json.loads((self.path / "progress.json").read_bytes()))
        except FileNotFoundError:
            return Progress(0, 0)

    def count_start(self) -> None:
        """Remember that a renderer is started, and forget how far the one before it was."""
        (self.path / "progress.json").unlink(missing_ok=True)
        self._count("starts")

    def count_crash(self) -> None:
        """Remember that a renderer died and nobody wanted it to."""
        self._count("crashes")

    def is_exhausted(self) -> bool:
        """Whether no further renderer may be started.

        A crash that its parent saw is the job's own fault, and three are enough. A renderer that went together with its
        parent is not; the limit of starts only ends what takes the whole machine down each time.
        """
        return self._counted("crashes") >= CRASHES_MAX or self._counted("starts") >= STARTS_MAX

    def discard_inputs(self) -> None:
        """Remove what an ended job needs no longer; never raises for what is missing."""
        end = self.read_end()
        outputs = {FILE_NAMES[variant] for variant in end.files} if end else set()
        with suppress(FileNotFoundError):
            for path in list(self.path.iterdir()):
                if path.name not in _KEPT | outputs:
                    path.unlink(missing_ok=True)

    def _count(self, name: str) -> None:
        with (self.path / name).open("ab") as file:
            file.write(b".")

    def _counted(self, name: str) -> int:
        try:
            return (self.path / name).stat().st_size
        except FileNotFoundError:
            return 0

    @contextmanager
    def _complete_file(self, name: str, content: object, *, durable: bool = True) -> Iterator[Path]:
        """Write JSON under a name of its own, for the caller to put in place as a whole."""
        path = self.path / f".{name}.{secrets.token_hex(6)}"
        try:
            with path.open("xb") as file:
                file.write(json.dumps(content).encode())
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            yield path
        finally:
            path.unlink(missing_ok=True)
