"""`mediagate files upload`, `get` and `cat`: bytes from here and to here."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from mediagate_client._errors import (
    ConnectionFailed,
    FileChanged,
    InvalidRequest,
    LocalFileError,
    MediagateError,
)
from mediagate_client.cli import complete, show
from mediagate_client.cli.exits import INTERRUPTED, ShellError
from mediagate_client.cli.resume import Kept
from mediagate_client.cli.shell import Shell

STDIN: Final = "-"
STREAM_TRIES: Final = 5

To = Annotated[
    list[str] | None,
    typer.Option(
        "--to", help="A provider or account that shall have it; repeat it.", autocompletion=complete.providers
    ),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model", "-m", help="A model whose accounts shall have it; repeat it.", autocompletion=complete.models
    ),
]
Expires = Annotated[str | None, typer.Option("--expires", metavar="TIME", help="Keep it so long: 12h, 7d.")]
OnPartial = Annotated[
    str | None,
    typer.Option(
        "--on-partial", help="`keep` what succeeds where one of several places fails, or `undo` it. [default: undo]"
    ),
]
Placement = Annotated[
    list[str] | None, typer.Option("--placement", metavar="LABEL=VALUE", help="What accounts must be like; repeat it.")
]


def at(provider: str | None) -> dict[str, str]:
    """The header that speaks of a provider's own files."""
    return {"custom-llm-provider": provider} if provider else {}


def lifetime(text: str | None) -> int | None:
    """Seconds of `7d`."""
    if text is None:
        return None
    try:
        return show.seconds_of(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--expires") from None


def pairs(option: str, texts: list[str] | None) -> Mapping[str, str] | None:
    """`LABEL=VALUE` of an option."""
    found = [text.partition("=") for text in texts or ()]
    for label, equals, _ in found:
        if not label or not equals:
            raise typer.BadParameter(f"{label!r} is not LABEL=VALUE.", param_hint=option)
    return {label: value for label, _, value in found} or None


def upload(
    shell: Shell,
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Files; `-` is stdin.")],
    to: To = None,
    model: Models = None,
    purpose: Annotated[str, typer.Option("--purpose", help="What it is for.")] = "user_data",
    name: Annotated[str | None, typer.Option("--name", help="Its name there. [default: that of the file]")] = None,
    expires: Expires = None,
    on_partial: OnPartial = None,
    placement: Placement = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on with an upload of the same file that broke off.")
    ] = True,
    parts: Annotated[
        bool | None,
        typer.Option(
            "--parts/--no-parts", help="In parts. [default: what is large and takes long]", show_default=False
        ),
    ] = None,
) -> None:
    """Store files. Prints the id of each.

    What is larger than 32 MiB and takes more than some ten seconds goes in parts: where that is interrupted, the same
    command goes on within an hour.
    """
    if name is not None and len(paths) > 1:
        raise typer.BadParameter("is for one file.", param_hint="--name")
    meta: dict[str, Any] = {
        "to": to or (),
        "models": model or (),
        "purpose": purpose,
        "filename": name,
        "expires_after_s": lifetime(expires),
        "on_partial": on_partial,
        "placement": pairs("--placement", placement),
    }
    with shell.bars() as bars:

        def store(path: str) -> None:
            told = bars.of("stdin" if path == STDIN else Path(path).name)
            if path == STDIN:
                given = {**meta, "filename": name or "stdin", "parts": parts, "on_progress": told}
                file = _told_if_stopped(lambda: shell.client.files.upload(_stdin(), **given), path)
            else:
                kept = Kept.of(path, shell.place, meta) if parts is not False else None
                if kept is not None and not resume:
                    kept.forget()
                file = _upload_file(shell, path, {**meta, "parts": parts, "on_progress": told}, kept)
            shell.one_of_many(file.to_dict(), file.id)

        shell.each(paths, store)


def _stdin() -> Any:
    # Without a buffer: a thread that reads into one could not be left behind.
    return getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)


def _upload_file(shell: Shell, path: str, given: dict[str, Any], kept: Kept | None) -> Any:
    if os.path.isdir(os.path.expanduser(path)):
        raise LocalFileError(f"{path!r} is a folder; name the files in it.", reason="IS_A_FOLDER")
    if kept is None:
        return _told_if_stopped(lambda: shell.client.files.upload(path, **given), path)
    state = kept.state()
    if state is not None:
        shell.note(f"Going on with the upload of {path}: {len(state.parts)} parts are there.")
    try:
        file = shell.client.files.upload(path, **given, resume=state, on_state=kept.keep)
    except KeyboardInterrupt:
        raise _stopped(path, kept) from None
    except ConnectionFailed:
        raise
    except (FileChanged, InvalidRequest) as error:
        kept.forget()
        if state is None or (isinstance(error, InvalidRequest) and error.reason != "STATE_CONFLICT"):
            raise
        # What was begun is over, or of another file: begin anew.
        return _upload_file(shell, path, given, kept)
    except MediagateError as error:
        if error.reason != "UPLOAD_INTERRUPTED":
            kept.forget()
        raise
    kept.forget()
    return file


def _told_if_stopped(work: Any, path: str) -> Any:
    try:
        return work()
    except KeyboardInterrupt:
        raise _stopped(path, None) from None


def _stopped(path: str, kept: Kept | None) -> ShellError:
    state = kept.state() if kept is not None else None
    what = "stdin" if path == STDIN else path
    if state is None:
        message = f"The upload of {what} is cancelled; nothing is stored. Run the same command again to begin anew."
    else:
        count = -(-state.size // state.part_bytes)
        message = (
            f"The upload of {what} is interrupted; {len(state.parts)} of {count} parts are kept for an hour. Run the"
            " same command again to go on, or with --no-resume to begin anew."
        )
    return ShellError(message, INTERRUPTED, "INTERRUPTED")


def get(
    shell: Shell,
    files: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of files.", autocompletion=complete.files)],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="PATH", help="A file or folder; `-` is stdout. [default: .]")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
    provider: Annotated[
        str | None, typer.Option("--provider", help="By the provider's own ids.", autocompletion=complete.providers)
    ] = None,
) -> None:
    """Fetch files. Prints where each is.

    Nothing has its name before all of it is there and proven. What is interrupted goes on with the same command.
    """
    if output == STDIN:
        cat(shell, files, provider=provider)
        return
    check_output(files, output)
    with shell.bars() as bars:

        def fetch(file: str) -> None:
            download(
                shell,
                file,
                lambda **given: shell.client.files.download(file, output or ".", headers=at(provider), **given),
                bars.of(file),
                overwrite=overwrite or is_named(output),
            )

        shell.each(files, fetch)


def is_named(output: str | None) -> bool:
    """Whether somebody gave the very name: then it may be replaced. A name from the gateway replaces nothing."""
    return bool(output) and not os.path.isdir(os.path.expanduser(output or ""))


def check_output(ids: list[str], output: str | None) -> None:
    if len(ids) > 1 and is_named(output):
        raise typer.BadParameter("is no folder, and there are several to fetch.", param_hint="--output")


def download(shell: Shell, id_: str, fetch: Any, told: Any, *, overwrite: bool) -> None:
    """Fetch one thing to a path, say what becomes of it when it is interrupted, and print where it is."""
    moved = 0

    def on_progress(done: int, size: int | None) -> None:
        nonlocal moved
        moved = done
        if told is not None:
            told(done, size)

    try:
        path = fetch(resume=True, overwrite=overwrite, on_progress=on_progress)
    except KeyboardInterrupt:
        kept = "what is there is kept. Run the same command again to go on." if moved else "nothing is kept."
        raise ShellError(f"{id_} is interrupted; {kept}", INTERRUPTED, "INTERRUPTED") from None
    except LocalFileError as error:
        if error.message.endswith("is there already."):
            raise LocalFileError(error.message, reason="FILE_EXISTS") from None
        raise
    except ConnectionFailed as error:
        if not moved:
            raise
        raise ConnectionFailed(f"{id_}: {error.message}", reason="DOWNLOAD_INTERRUPTED") from None
    shell.one_of_many({"id": id_, "path": str(path), "bytes": path.stat().st_size}, show.plain(path))


def cat(
    shell: Shell,
    files: Annotated[list[str], typer.Argument(metavar="ID", help="Ids of files.", autocompletion=complete.files)],
    offset: Annotated[int, typer.Option("--offset", min=0, help="Begin at this byte.")] = 0,
    length: Annotated[int | None, typer.Option("--length", min=0, help="At most so many bytes.")] = None,
    provider: Annotated[
        str | None, typer.Option("--provider", help="By the provider's own ids.", autocompletion=complete.providers)
    ] = None,
) -> None:
    """Write the bytes of files to stdout, one behind the other."""
    for file in files:
        _pour(shell, file, offset, length, at(provider))
    sys.stdout.buffer.flush()


def _pour(shell: Shell, file: str, offset: int, length: int | None, headers: dict[str, str]) -> None:
    """A file never changes, so what a cut leaves out is asked for."""
    if length == 0:
        return
    written, tries = 0, 0
    while True:
        rest = None if length is None else length - written
        try:
            for chunk in shell.client.files.stream(file, offset=offset + written, length=rest, headers=headers):
                sys.stdout.buffer.write(chunk)
                written, tries = written + len(chunk), 0
            return
        except ConnectionFailed as error:
            tries += 1
            if not error.retryable or not written or tries > STREAM_TRIES:
                raise
            shell.note("The connection broke; going on.")
