"""Write the tables of what providers can do for files, chats, batches and videos, from their specs: a short one into
README.md, the whole ones into docs/providers/README.md.

`python tools/matrix.py --check` changes nothing and fails where a table is not current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path

from mediagate.core.chat import Dialect, MediaKind, Way
from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec
from mediagate.providers.batches import ENDPOINTS, BatchSpec
from mediagate.providers.chat import ChatSpec
from mediagate.providers.files import FileOperation, FileSpec
from mediagate.providers.registry import (
    BATCH_PROVIDERS,
    CHAT_PROVIDERS,
    FILE_PROVIDERS,
    VIDEO_PROVIDERS,
    batch_spec,
    chat_spec,
    file_spec,
    video_spec,
)

ROOT = Path(__file__).parent.parent
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


WAYS = {Way.FILE_ID: "copy", Way.URI: "store", Way.LINK: "link", Way.DATA: "inline"}
CHAT_NOTES = (
    "`copy`: the provider's own copy by its id, made first where there is none",
    "`store`: an object in S3 or Google Cloud Storage, or a file of Gemini's, by its URI",
    "`link`: a URL that the provider fetches, one of the gateway's or the store's that ends within minutes",
    "`inline`: the bytes themselves, for small files",
    "(C) in Chat Completions alone, (R) in Responses alone",
)


def chats_table() -> str:
    """How each provider's chat models are given files, as Markdown, with its notes."""
    lines = [f"| provider | asked in | {' | '.join(MediaKind)} |", f"|---|{'---|' * (len(MediaKind) + 1)}"]
    for spec in map(chat_spec, CHAT_PROVIDERS):
        words = " and ".join({Dialect.CHAT: "Chat", Dialect.RESPONSES: "Responses"}[one] for one in spec.dialects)
        cells = [ways(spec, kind) for kind in MediaKind]
        lines.append(f"| `{spec.name}` ({spec.title}) | {words or 'its own words'} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Notes: {'; '.join(CHAT_NOTES)}.", ""])


def ways(spec: ChatSpec, kind: MediaKind) -> str:
    """How one kind of media is given."""
    found: dict[Way, set[Dialect]] = {}
    for taken in spec.takes:
        if taken.kind is kind:
            found.setdefault(taken.way, set()).update(taken.dialects or Dialect)
    told = [WAYS[way] + only(dialects) for way, dialects in found.items()]
    return ", ".join(told) or "-"


def only(dialects: set[Dialect]) -> str:
    """A mark for a way that one of the APIs has not."""
    return "" if len(dialects) == len(Dialect) else f" ({'R' if Dialect.RESPONSES in dialects else 'C'})"


BATCH_NOTES = (
    "what a provider itself takes; files in lines are told as in chats, but never by a link",
    "`finds`: a submit whose answer was lost is looked for, `once`: it is repeated and makes one job",
)


def batches_table() -> str:
    """What each provider can do with batches, as Markdown, with its notes."""
    columns = ("chat", "responses", "embeddings", "lines", "file", "lost submit", "stops")
    lines = [f"| provider | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for spec in map(batch_spec, BATCH_PROVIDERS):
        cells = [
            *(mark(endpoint in spec.endpoints) for endpoint in ENDPOINTS),
            counts(spec),
            size(spec.input_bytes_max),
            "once" if spec.idempotent_submit else "finds",
            mark(spec.cancels),
        ]
        lines.append(f"| `{spec.name}` ({spec.title}) | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"Notes: {'; '.join(BATCH_NOTES)}.", ""])


def counts(spec: BatchSpec) -> str:
    """How many lines a file may have."""
    most = "its own" if spec.lines_max is None else f"{spec.lines_max:,}"
    return most if spec.lines_min < 2 else f"{spec.lines_min} to {most}"


def short_table() -> str:
    """Which provider does what, as Markdown, each with its page."""
    names = sorted({*FILE_PROVIDERS, *CHAT_PROVIDERS, *BATCH_PROVIDERS, *VIDEO_PROVIDERS})
    lines = ["| provider | files | chats | batches | videos |", "|---|---|---|---|---|"]
    for name in names:
        page = f"docs/providers/{name}.md"
        title = title_of(name)
        shown = f"[{title}]({page})" if (ROOT / page).exists() else title
        does = (name in having for having in (FILE_PROVIDERS, CHAT_PROVIDERS, BATCH_PROVIDERS, VIDEO_PROVIDERS))
        lines.append(f"| {shown} `{name}` | {' | '.join('yes' if one else '-' for one in does)} |")
    return "\n".join([*lines, ""])


def title_of(name: str) -> str:
    """How a provider is called."""
    if name in VIDEO_PROVIDERS:
        return video_spec(name).title
    return file_spec(name).title if name in FILE_PROVIDERS else chat_spec(name).title


TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"providers": short_table},
    "docs/providers/README.md": {
        "providers": files_table,
        "chat-providers": chats_table,
        "batch-providers": batches_table,
        "video-providers": videos_table,
    },
}


def with_tables(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """A page with its tables as they should be; raises ValueError where it has no place for one."""
    for name, table in tables.items():
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        if not place.search(text):
            raise ValueError(f"there is no place <!-- {name} -->")
        text = place.sub(lambda match, table=table: f"{match[1]}{table()}{match[2]}", text)
    return text


def main() -> int:
    failed = False
    for name, tables in TABLES.items():
        page = ROOT / name
        text = page.read_text()
        try:
            current = with_tables(text, tables)
        except ValueError as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        if "--check" not in sys.argv:
            page.write_text(current)
        elif current != text:
            print(f"{name}: the tables of providers are not current; run `poe generate`", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
