"""Bars with rate and remaining time, on a terminal alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from mediagate_client.cli import show

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress

Told = Callable[[int, int | None], None]


class Bars:
    """Several transfers; `lively` says whether anything is drawn."""

    def __init__(self, *, lively: bool) -> None:
        self._progress: Progress | None = _drawn() if lively else None

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def of(self, label: str) -> Told | None:
        """What a transfer reports to, as `(done, size)` in bytes."""
        progress = self._progress
        if progress is None:
            return None
        task = progress.add_task(show.plain(label), total=None)

        def told(done: int, size: int | None) -> None:
            progress.update(task, completed=done, total=size)

        return told


def _drawn() -> Progress:
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.table import Column
    from rich.text import Text

    class Label(TextColumn):
        def render(self, task: object) -> Text:
            return Text(getattr(task, "description", ""), overflow="ellipsis", no_wrap=True)

    return Progress(
        Label(escape(""), table_column=Column(ratio=1, no_wrap=True)),
        BarColumn(bar_width=24),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(compact=True),
        console=Console(stderr=True),
        expand=True,
    )
