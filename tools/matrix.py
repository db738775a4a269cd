"""Write the tables of what providers can do for files and for videos into README.md, from their specs.

`python tools/matrix.py --check` changes nothing and fails where a table is not current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec
from mediagate.providers.files import FileOperation, FileSpec
from mediagate.providers.registry import FILE_PROVIDERS, VIDEO_PROVIDERS, file_spec, video_spec

README = Path(__file__).parent.parent / "README.md"
VIDEO_INPUTS = ("text", "image")
DERIVED = (VideoKind.REMIX, VideoKind.EDIT, VideoKind.EXTEND)
ABILITIES = (
    ("cancel", "cancels"),
    ("progress", "reports_progress"),
    ("cost", "reports_cost"),
    ("idempotent", "idempotent_submit"),
    ("calls back", "calls_back"),
)
VIDEO_NOTES = (
    "1 any model that the provider has, named in the configuration; which of these it can is the model's matter",
    "`progress` and `cost` are what the provider itself says: elsewhere progress is estimated from finished videos, "
    "and the cost comes from the price list",
    "`idempotent`: a submit whose answer was lost is repeated",
    "what the edge does not stream goes through the server",
)
UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (10**6, "MB"))


def size(size_bytes: int | None) -> str:
    """Bytes in the unit that makes a whole number."""
    if size_bytes is None:
        return "its own"
    unit, name = next((unit, name) for unit, name in UNITS if size_bytes % unit == 0)
    return f"{size_bytes // unit} {name}"


def life(spec: FileSpec) -> str:
    """What ends a file there."""
    if spec.life_s is not None:
        return f"after {spec.life_s // 3600} h"
    return "bucket rule or sweep" if spec.lifecycle else "sweep"


def files_table() -> str:
    """What each provider can do for files, as Markdown, with its notes."""
    notes: list[str] = []
    lines = [
        f"| provider | {' | '.join(FileOperation)} | largest file | expires |",
        f"|---|{'---|' * (len(FileOperation) + 2)}",
    ]
    for spec in (file_spec(name) for name in FILE_PROVIDERS):
        cells = [cell(spec, operation, notes) for operation in FileOperation]
        lines.append(
            f"| `{spec.name}` ({spec.title}) | {' | '.join(cells)} | {size(spec.file_bytes_max)} | {life(spec)} |"
        )
    numbered = "; ".join(f"{number} {note}" for number, note in enumerate(notes, 1))
    return "\n".join([*lines, "", f"Notes: {numbered}.", ""])


def cell(spec: FileSpec, operation: FileOperation, notes: list[str]) -> str:
    """One operation of one provider."""
    if operation not in spec.supports or (operation is FileOperation.CONTENT and not spec.reads_uploads):
        mark = "-"
    else:
        mark = "yes"
    note = spec.notes.get(operation)
    if note is None:
        return mark
    if note not in notes:
        notes.append(note)
    return f"{mark} ({notes.index(note) + 1})"


def videos_table() -> str:
    """What each provider can do for videos, as Markdown, with its notes."""
    columns = (*VIDEO_INPUTS, *DERIVED, "characters", "audio", *(name for name, _ in ABILITIES), "edge streams")
    lines = [f"| provider | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for spec in map(video_spec, VIDEO_PROVIDERS):
        # Where models are listed, the one that stands for all others has no limits because nobody knows them.
        models = list(spec.models.values()) or [spec.any_model] * (spec.any_model is not None)
        cells = [
            *(share(name in model.inputs for model in models) for name in VIDEO_INPUTS),
            *(share(kind in model.kinds for model in models) for kind in DERIVED),
            share(model.characters_max > 0 for model in models),
            sound(models),
            *(mark(getattr(spec, ability)) for _, ability in ABILITIES),
            mark(streams_directly(spec)),
        ]
        any_model = "" if spec.models else " (1)"
        lines.append(f"| `{spec.name}` ({spec.title}){any_model} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Notes: {'; '.join(VIDEO_NOTES)}.", ""])


def share(able: Iterable[bool]) -> str:
    """Whether all, some or none of a provider's models can."""
    answers = set(able)
    return "some" if len(answers) == 2 else mark(True in answers)


def sound(models: Iterable[VideoModel]) -> str:
    """Whether videos have sound."""
    kinds = {model.audio for model in models}
    words = {Audio.NEVER: "-", Audio.ALWAYS: "always", Audio.OPTIONAL: "yes"}
    return words[kinds.pop()] if len(kinds) == 1 else "some"


def mark(able: bool) -> str:
    """One cell that has two answers."""
    return "yes" if able else "-"


def streams_directly(spec: VideoSpec) -> bool:
    """Whether Envoy itself can fetch a finished video from there."""
    known = vars(import_module(f"mediagate.providers.{spec.name}.videos")).values()
    makers = [kind for kind in known if isinstance(kind, type) and hasattr(kind, "submit") and hasattr(kind, "poll")]
    return any(hasattr(maker, "origin") for maker in makers)


def main() -> int:
    text = current = README.read_text()
    for name, table in (("providers", files_table()), ("video-providers", videos_table())):
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not place.search(current):
            print(f"README.md has no place <!-- {name} -->", file=sys.stderr)
            return 1
        current = place.sub(lambda match, table=table: f"{match[1]}{table}{match[2]}", current)
    if "--check" in sys.argv:
        if current != text:
            print("README.md: the tables of providers are not current; run `poe generate`", file=sys.stderr)
        return int(current != text)
    README.write_text(current)
    return 0


if __name__ == "__main__":
    sys.exit(main())
