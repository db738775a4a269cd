"""Watching videos: a live table on a terminal, a line for each event elsewhere."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mediagate_client._errors import MediagateError, NotFound, first_of
from mediagate_client.cli import show
from mediagate_client.cli.exits import INTERRUPTED, VIDEO_FAILED, ShellError
from mediagate_client.cli.shell import Shell, as_json

if TYPE_CHECKING:
    from mediagate_client import AsyncClient, Video, VideoEvent

OVER: Final = ("completed", "failed")
DRAWS_A_SECOND: Final = 8
ROWS: Final = 30


@dataclass(slots=True)
class Row:
    """What is known of one video by now."""

    id: str
    model: str = ""
    status: str = ""
    phase: str = ""
    percent: int = 0
    eta: dict[str, Any] | None = None
    note: str = ""
    cost_usd: float | None = None
    began: float = 0.0
    ended: float | None = None
    touched: float = field(default=0.0)

    def take(self, event: VideoEvent) -> None:
        """Add what an event tells."""
        self.touched = event.time
        if event.video is not None:
            self._take_video(event.video)
        if event.phase is not None:
            self.phase, self.status = event.phase["to"], event.phase["status"]
            hold, failure = event.phase.get("hold"), event.phase.get("failure")
            self.note = ""
            if hold is not None:
                self.note = f"{hold.get('position', 0)} of {hold.get('of', 0)} in line"
            if failure is not None:
                self.note = failure.get("message", "")
        if event.progress is not None:
            self.percent = event.progress["percent"]
            eta = event.progress.get("eta")
            self.eta = eta.to_dict() if eta is not None else None
        if event.attempt is not None and event.attempt.get("provider"):
            self.note = f"at {event.attempt['provider']}"
        if event.cost is not None and event.cost["kind"] in ("held", "charged"):
            self.cost_usd = event.cost["usd"]
        if event.type in ("end", "deleted"):
            self.ended = event.time
            if event.type == "deleted":
                self.phase = "deleted"

    def _take_video(self, video: Video) -> None:
        details = video.mediagate
        self.model, self.status, self.phase = video.model, video.status, details.phase
        self.percent, self.began = video.progress or 0, float(video.created_at)
        self.eta = details.eta.to_dict() if details.eta is not None else None
        cost = details.cost
        if cost is not None:
            self.cost_usd = cost.get("charged_usd") or cost.get("held_usd") or self.cost_usd
        if details.failure is not None:
            self.note = details.failure.message
        if video.status in OVER:
            self.ended = float(video.completed_at or self.touched)
        if video.status == "completed" and details.output is not None:
            out = details.output
            self.note = f"{out.duration_seconds:g} s, {out.width}x{out.height}, {show.size(out.bytes)}"

    @property
    def remaining(self) -> str:
        """The remaining time, or how long it took."""
        if self.ended is not None:
            return f"took {show.span(max(0.0, self.ended - self.began))}"
        if not self.eta:
            return ""
        return "overdue" if self.eta.get("overdue") else f"{show.span(self.eta.get('p50_seconds'))} left"


def follow(shell: Shell, videos: Sequence[str], *, aside: bool = False) -> None:
    """Watch them to their ends; none means all, without an end. `aside`: stdout has an answer already, so that this is
    shown on stderr, or not at all. Ends with 8 where one failed. Raises `ShellError` at Ctrl-C."""
    rows: dict[str, Row] = {}
    try:
        asyncio.run(_Watch(shell, rows, aside=aside).run(videos))
    except KeyboardInterrupt:
        raise goes_on([one.id for one in rows.values() if one.ended is None]) from None
    except BaseExceptionGroup as failures:
        raise first_of(failures) from None
    failed = [row for row in rows.values() if row.status == "failed" and (not videos or row.id in videos)]
    if failed and videos:
        shell.failed = shell.failed or VIDEO_FAILED
        for row in failed:
            if aside or not sys.stdout.isatty():
                shell.note(f"{row.id} failed: {row.note or 'no reason is known'}")


def goes_on(videos: Sequence[str]) -> ShellError:
    """What to say when somebody stops watching."""
    if not videos:
        return ShellError("Interrupted.", INTERRUPTED, "INTERRUPTED")
    ids = " ".join(videos[:5])
    return ShellError(
        f"No longer watched; the gateway goes on. `mediagate videos watch {ids}` looks again, `mediagate videos cancel"
        f" {ids}` stops.",
        INTERRUPTED,
        "INTERRUPTED",
    )


class _Watch:
    """One watch, and where it is shown."""

    def __init__(self, shell: Shell, rows: dict[str, Row], *, aside: bool) -> None:
        stream = sys.stderr if aside else sys.stdout
        self._shell = shell
        self._rows = rows
        self._tells_lines = not aside
        lively = stream.isatty() and shell.is_lively and not shell.json
        self._table = _Table(stream) if lively else None

    async def run(self, videos: Sequence[str]) -> None:
        """Watch these, or all, and draw meanwhile."""
        try:
            async with self._shell.async_client() as client, asyncio.TaskGroup() as group:
                drawing = group.create_task(self._draw())
                if videos:
                    await asyncio.gather(*(group.create_task(self._one(client, video)) for video in videos))
                else:
                    async for event in _all_of(client):
                        self._take(event)
                drawing.cancel()
        finally:
            if self._table is not None:
                self._table.draw(self._rows.values())
                self._table.close()

    async def _one(self, client: AsyncClient, video: str) -> None:
        try:
            async for event in client.videos.watch(video):
                self._take(event)
        except NotFound as error:
            self._shell.tell(error)

    def _take(self, event: VideoEvent) -> None:
        row = self._rows.setdefault(event.video_id, Row(event.video_id))
        row.take(event)
        if self._shell.json:
            print(as_json(event.to_dict()), flush=True)
        elif self._table is None and self._tells_lines:
            print(_line(event, row), flush=True)

    async def _draw(self) -> None:
        while self._table is not None:
            self._table.draw(self._rows.values())
            await asyncio.sleep(1 / DRAWS_A_SECOND)


async def _all_of(client: AsyncClient) -> AsyncIterator[VideoEvent]:
    """Every event of all videos; a cut is mended behind the last one."""
    after, failures = None, 0
    while True:
        try:
            async for event in client.videos.watch_all(after=after):
                after, failures = event.cursor or after, 0
                yield event
        except MediagateError as error:
            failures += 1
            if not error.retryable or failures > 5:
                raise
        await asyncio.sleep(min(8.0, 0.4 * 2**failures))


def _line(event: VideoEvent, row: Row) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(event.time))
    what = row.phase if event.type in ("snapshot", "phase", "end", "deleted") else event.type
    return f"{clock}  {row.id}  {event.type:<8}  {what:<15}  {row.percent:>3} %  {show.plain(row.note or '')}".rstrip(
        " -"
    )


class _Table:
    """The live table."""

    def __init__(self, stream: Any) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(file=stream), auto_refresh=False, transient=False)
        self._live.start()

    def draw(self, rows: Any) -> None:
        """Draw what is known by now; of many videos those that moved last."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("VIDEO", "MODEL", "PHASE"):
            table.add_column(column, no_wrap=True)
        table.add_column("", width=16)
        table.add_column("%", justify="right", no_wrap=True)
        table.add_column("TIME", no_wrap=True)
        table.add_column("COST", justify="right", no_wrap=True)
        table.add_column("", overflow="ellipsis", no_wrap=True, ratio=1)
        shown = sorted(rows, key=lambda row: row.touched)[-ROWS:] if len(rows) > ROWS else list(rows)
        for row in shown:
            style = {"completed": "green", "failed": "red"}.get(row.status, "")
            table.add_row(
                Text(show.plain(row.id)),
                Text(show.plain(row.model)),
                Text(show.plain(row.phase or "…"), style=style),
                ProgressBar(total=100, completed=row.percent, width=16),
                str(row.percent),
                row.remaining,
                show.dollars(row.cost_usd) if row.cost_usd else "",
                Text(show.plain(row.note) if row.note else ""),
            )
        self._live.update(table, refresh=True)

    def close(self) -> None:
        """Leave it as it is."""
        self._live.stop()
