"""`mediagate videos`: ask for videos, follow them, fetch them."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urljoin

import typer

from mediagate_client.cli import complete, show, transfers, watch
from mediagate_client.cli.options import command, group
from mediagate_client.cli.shell import Shell

if TYPE_CHECKING:
    from mediagate_client import Video

PAGE: Final = 100

Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of videos.", autocompletion=complete.videos)]
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a video.", autocompletion=complete.videos)]
Prompt = Annotated[str, typer.Argument(metavar="PROMPT", help="What it shall show; `-` reads it from stdin.")]
Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Which model makes it.", autocompletion=complete.models)
]
Seconds = Annotated[str | None, typer.Option("--seconds", "-s", help="How long it shall be.")]
Size = Annotated[str | None, typer.Option("--size", metavar="WxH", help="Width and height: 1280x720.")]
MaxCost = Annotated[float | None, typer.Option("--max-cost", help="Refuse what costs more US dollars.")]
Extra = Annotated[
    str | None, typer.Option("--extra-body", metavar="JSON", help="Members for the provider's own request.")
]
Watch = Annotated[bool, typer.Option("--watch", "-w", help="Watch it to its end.")]
Output = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", metavar="PATH", help="Watch it, then fetch it to this file or folder; `-` is stdout."
    ),
]
Variant = Annotated[
    str | None, typer.Option("--variant", help="`thumbnail` or `spritesheet` in the place of the video.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")]

app = group("Videos: create, watch, list, fetch, open and delete them.")


@command(app, "create")
def create(
    shell: Shell,
    prompt: Prompt,
    model: Model = None,
    seconds: Seconds = None,
    size: Size = None,
    reference: Annotated[
        str | None,
        typer.Option("--reference", "-i", metavar="IMAGE", help="An image to begin with: a path, URL or file id."),
    ] = None,
    aspect_ratio: Annotated[str | None, typer.Option("--aspect-ratio", help="16:9, say.")] = None,
    resolution: Annotated[str | None, typer.Option("--resolution", help="720p, say.")] = None,
    audio: Annotated[bool | None, typer.Option("--audio/--no-audio", help="With sound.", show_default=False)] = None,
    max_cost: MaxCost = None,
    start_timeout: Annotated[
        str | None, typer.Option("--start-timeout", metavar="TIME", help="Cancel it where it does not begin by then.")
    ] = None,
    cancel_after: Annotated[
        str | None, typer.Option("--cancel-after", metavar="TIME", help="Cancel it where it is not finished by then.")
    ] = None,
    character: Annotated[list[str] | None, typer.Option("--character", metavar="ID", help="Repeat it.")] = None,
    placement: transfers.Placement = None,
    extra_body: Extra = None,
    watch_it: Watch = False,
    output: Output = None,
) -> None:
    """Ask for a video. Prints its id; the gateway carries it to its end, whoever watches."""
    video = shell.client.videos.create(
        _text(prompt),
        model=model,
        seconds=seconds,
        size=size,
        input_reference=reference,
        aspect_ratio=aspect_ratio,
        resolution=resolution,
        generate_audio=audio,
        max_cost=max_cost,
        start_timeout=start_timeout,
        cancel_after=cancel_after,
        characters=character or (),
        placement=transfers.pairs("--placement", placement),
        extra_body=_body(extra_body),
    )
    _begun(shell, video, watch_it, output)


@command(app, "remix")
def remix(
    shell: Shell,
    video: Id,
    prompt: Prompt,
    max_cost: MaxCost = None,
    extra_body: Extra = None,
    watch_it: Watch = False,
    output: Output = None,
) -> None:
    """Ask for a new video made of a finished one. Prints its id."""
    made = shell.client.videos.remix(video, _text(prompt), max_cost=max_cost, extra_body=_body(extra_body))
    _begun(shell, made, watch_it, output)


def _text(prompt: str) -> str:
    return sys.stdin.read().strip() if prompt == transfers.STDIN else prompt


def _body(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise typer.BadParameter(f"{text!r} is no JSON object.", param_hint="--extra-body")
    return body


def _begun(shell: Shell, video: Video, watch_it: bool, output: str | None) -> None:
    """Print what was asked for, and follow it where that is wished."""
    to_stdout = output == transfers.STDIN
    if not to_stdout:
        shell.one_of_many(video.to_dict(), video.id)
    if watch_it or output is not None:
        watch.follow(shell, [video.id], aside=True)
    if output is not None and not shell.failed:
        _fetch(shell, [video.id], output, None, overwrite=False)


@command(app, "estimate")
def estimate(
    shell: Shell, prompt: Prompt = "A video", model: Model = None, seconds: Seconds = None, size: Size = None
) -> None:
    """Say what a video would cost and how long it would take. Nothing is made."""
    found = shell.client.videos.estimate(_text(prompt), model=model, seconds=seconds, size=size).to_dict()
    eta = found.get("eta") or {}
    shell.answer(
        found,
        lambda: [
            f"cost   {show.dollars(found.get('cost_usd'))}",
            f"video  {found['seconds']} s of {found['size']} by {found['model']} ({found['provider']})",
            f"ready  in {show.span(eta.get('p50_seconds'))}, nine of ten in {show.span(eta.get('p90_seconds'))}"
            if eta
            else "ready  nobody knows: too few such videos were made here",
            f"queue  {found.get('waiting', 0)} wait for the same account",
        ],
    )


@command(app, "watch")
def watch_videos(
    shell: Shell,
    videos: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Ids of videos; all of yours without any.", autocompletion=complete.videos),
    ] = None,
) -> None:
    """Watch videos to their ends: a live table, or a line for each event where stdout is no terminal.

    Without ids it shows all videos, new ones too, until Ctrl-C. Exits with 8 where one of them failed.
    """
    watch.follow(shell, list(dict.fromkeys(videos or ())))


@command(app, "wait")
def wait(
    shell: Shell,
    videos: Ids,
    within: Annotated[
        str | None, typer.Option("--within", metavar="TIME", help="Give up behind so long; the videos go on.")
    ] = None,
) -> None:
    """Wait until videos are finished, then print their ids. Exits with 8 where one of them failed."""
    limit_s = transfers.lifetime(within)

    def wait_for(video: str) -> None:
        try:
            finished = shell.client.videos.wait(video, timeout_s=limit_s)
        except KeyboardInterrupt:
            raise watch.goes_on([video]) from None
        shell.one_of_many(finished.to_dict(), finished.id)

    shell.each(videos, wait_for)


@command(app, "ls")
def ls(
    shell: Shell,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many at most; 0 is all.")] = 20,
    after: Annotated[str | None, typer.Option("--after", metavar="ID", help="Begin behind this one.")] = None,
    oldest: Annotated[bool, typer.Option("--oldest-first", help="The oldest first, not the newest.")] = False,
) -> None:
    """List videos, the newest first."""
    found: list[Video] = []
    more = True
    while more and (limit <= 0 or len(found) < limit):
        wanted = PAGE if limit <= 0 else min(PAGE, limit - len(found))
        page = shell.client.videos.list(after=after, limit=wanted, order="asc" if oldest else None)
        found += page
        more, after = bool(page.has_more) and bool(len(page)), page.last_id
    shell.table(
        [video.to_dict() for video in found],
        ("ID", "STATUS", "PROGRESS", "MODEL", "SECONDS", "SIZE", "CREATED", "PROMPT"),
        lambda: [_row(video) for video in found],
    )
    if more and found:
        shell.note(f"There are more: --after {found[-1].id}, or --limit 0 for all.")


def _row(video: Video) -> tuple[Any, ...]:
    prompt = " ".join((video.prompt or "").split())
    short = prompt if len(prompt) <= 40 else prompt[:39] + "…"
    created = show.moment(video.created_at)
    return video.id, video.status, f"{video.progress or 0} %", video.model, video.seconds, video.size, created, short


@command(app, "show")
def show_one(shell: Shell, video: Id) -> None:
    """Show what is known of a video."""
    found = shell.client.videos.get(video)
    details = found.mediagate
    failure, output, cost = details.failure, details.output, details.cost
    facts = {
        "id": found.id,
        "status": f"{found.status} ({details.phase})",
        "progress": f"{found.progress or 0} %",
        "why": failure and f"{failure.message} ({failure.code})",
        "retry": "asking again can help" if failure and failure.retryable else None,
        "model": found.model,
        "prompt": found.prompt,
        "asked": f"{found.seconds} s of {found.size}",
        "made": output
        and f"{output.duration_seconds:g} s of {output.width}x{output.height}, {show.size(output.bytes)}"
        f"{', with sound' if output.has_audio else ''}",
        "cost": cost and show.dollars(cost.get("charged_usd") or cost.get("held_usd")),
        "created": show.moment(found.created_at),
        "done": show.moment(found.completed_at) if found.completed_at else None,
        "expires": show.moment(found.expires_at) if found.expires_at else None,
        "from": found.remixed_from_video_id,
        "user": details.user,
    }
    shell.answer(found.to_dict(), lambda: [f"{name:<8} {show.plain(value)}" for name, value in facts.items() if value])


@command(app, "get")
def get(
    shell: Shell,
    videos: Ids,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="PATH", help="A file or folder; `-` is stdout. [default: .]")
    ] = None,
    variant: Variant = None,
    overwrite: Overwrite = False,
) -> None:
    """Fetch finished videos. Prints where each is.

    Nothing has its name before all of it is there and proven. What is interrupted goes on with the same command.
    """
    _fetch(shell, videos, output, variant, overwrite=overwrite)


def _fetch(shell: Shell, videos: list[str], output: str | None, variant: str | None, *, overwrite: bool) -> None:
    if output == transfers.STDIN:
        for video in videos:
            _pour(shell, video, variant)
        return
    transfers.check_output(videos, output)
    with shell.bars() as bars:

        def fetch(video: str) -> None:
            transfers.download(
                shell,
                video,
                lambda **given: shell.client.videos.download(video, output or ".", variant=variant, **given),
                bars.of(video),
                overwrite=overwrite or transfers.is_named(output),
            )

        shell.each(videos, fetch)


def _pour(shell: Shell, video: str, variant: str | None) -> None:
    """Write it to stdout once it is proven to be whole."""
    import shutil
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mediagate-") as folder, shell.bars() as bars:
        path = shell.client.videos.download(video, f"{folder}/video", variant=variant, on_progress=bars.of(video))
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
    sys.stdout.buffer.flush()


@command(app, "open")
def open_in_browser(
    shell: Shell,
    video: Id,
    expires: Annotated[
        str, typer.Option("--expires", metavar="TIME", help="How long the link works: 15m, 12h.")
    ] = "1h",
    browser: Annotated[
        bool | None,
        typer.Option("--browser/--no-browser", help="Open it. [default: on a terminal]", show_default=False),
    ] = None,
) -> None:
    """Play a video in the browser, by a link that ends by itself and opens nothing else. Prints the link."""
    token = shell.rest.post(f"/v1/videos/{_in_path(video)}/tokens", {"kind": "playback", "expires_in": expires})
    token["url"] = url = urljoin(f"{shell.place.url.rstrip('/').removesuffix('/v1')}/", token["url"].lstrip("/"))
    shell.answer(token, lambda: [url])
    if browser if browser is not None else sys.stdout.isatty() and not shell.json and _has_display():
        import webbrowser

        if not webbrowser.open(url):
            shell.note("No browser could be opened: open the link yourself.")


def _has_display() -> bool:
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _in_path(id_: str) -> str:
    from urllib.parse import quote

    return quote(id_, safe="").replace(".", "%2E")


@command(app, "cancel")
def cancel(shell: Shell, videos: Ids) -> None:
    """Stop videos that run."""

    def stop(video: str) -> None:
        stopped = shell.client.videos.cancel(video)
        shell.one_of_many(stopped.to_dict(), stopped.id)

    shell.each(videos, stop)


@command(app, "rm")
def rm(shell: Shell, videos: Ids) -> None:
    """Delete videos, and stop those that run."""

    def delete(video: str) -> None:
        gone = shell.client.videos.delete(video)
        shell.one_of_many(gone.to_dict(), gone.id)

    shell.each(videos, delete)
