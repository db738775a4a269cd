"""`mediagate files`: what is known of files, and the commands that move no bytes through this machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from mediagate_client.cli import complete, show, transfers
from mediagate_client.cli.exits import FAILED, ShellError
from mediagate_client.cli.options import command, group
from mediagate_client.cli.shell import Shell

if TYPE_CHECKING:
    from mediagate_client import File

PAGE: Final = 1000
LOOK_S: Final = (0.2, 2.0)

Ids = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of files.", autocompletion=complete.files)]
Id = Annotated[str, typer.Argument(metavar="ID", help="Id of a file.", autocompletion=complete.files)]
Provider = Annotated[
    str | None,
    typer.Option(
        "--provider",
        help="The provider's own files, by its own ids; for the master key.",
        autocompletion=complete.providers,
    ),
]

app = group("Files: upload, list, fetch, copy and delete them.")
command(app, "upload")(transfers.upload)
command(app, "get")(transfers.get)
command(app, "cat")(transfers.cat)


@command(app, "ls")
def ls(
    shell: Shell,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many at most; 0 is all.")] = 100,
    after: Annotated[str | None, typer.Option("--after", metavar="ID", help="Begin behind this one.")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="Only files of this purpose.")] = None,
    provider: Provider = None,
    oldest: Annotated[bool, typer.Option("--oldest-first", help="The oldest first, not the newest.")] = False,
) -> None:
    """List files, the newest first."""
    found: list[File] = []
    more = True
    while more and (limit <= 0 or len(found) < limit):
        page = shell.client.files.list(
            after=after,
            limit=PAGE if limit <= 0 else min(PAGE, limit - len(found)),
            order="asc" if oldest else None,
            purpose=purpose,
            headers=transfers.at(provider),
        )
        found += page
        more, after = bool(page.has_more) and bool(len(page)), page.last_id
    shell.table(
        [file.to_dict() for file in found],
        ("ID", "NAME", "SIZE", "PURPOSE", "STATUS", "CREATED", "AT"),
        lambda: [_row(file) for file in found],
    )
    if more and found:
        shell.note(f"There are more: --after {found[-1].id}, or --limit 0 for all.")


def _row(file: File) -> tuple[Any, ...]:
    at = ",".join(
        replica.provider + ("" if replica.state == "ready" else f" ({replica.state})")
        for replica in file.replicas or []
    )
    created = show.moment(file.created_at)
    return file.id, file.filename, show.size(file.bytes), file.purpose, file.status, created, at


@command(app, "show")
def show_one(shell: Shell, file: Id, provider: Provider = None) -> None:
    """Show what is known of a file."""
    found = shell.client.files.get(file, headers=transfers.at(provider))
    details = found.mediagate
    facts = {
        "id": found.id,
        "name": found.filename,
        "size": f"{show.size(found.bytes)} ({found.bytes} bytes)" if found.bytes is not None else None,
        "type": details and details.content_type,
        "purpose": found.purpose,
        "status": found.status,
        "why": found.status_details,
        "created": show.moment(found.created_at),
        "expires": show.moment(found.expires_at) if found.expires_at else None,
        "sha256": details and details.sha256,
        "source": details and details.source,
        "user": details and details.user,
        "at": ", ".join(f"{one.provider} ({one.state})" for one in found.replicas or []),
    }
    shell.answer(found.to_dict(), lambda: [f"{name:<8} {show.plain(value)}" for name, value in facts.items() if value])


@command(app, "replicas")
def replicas(shell: Shell, file: Id) -> None:
    """Show where a file's bytes lie."""
    found = shell.client.files.replicas(file)
    shell.table(
        [one.to_dict() for one in found],
        ("PROVIDER", "ACCOUNT", "STATE", "REFERENCE", "EXPIRES"),
        lambda: [(one.provider, one.account, one.state, one.reference, show.moment(one.expires_at)) for one in found],
    )


@command(app, "copy")
def copy(
    shell: Shell,
    source: Annotated[
        str,
        typer.Argument(help="s3://…, gs://…, https://…, or the id of a file or video.", autocompletion=complete.files),
    ],
    to: transfers.To = None,
    model: transfers.Models = None,
    purpose: Annotated[str | None, typer.Option("--purpose", help="What it is for. [default: as the source]")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Its name. [default: the source's]")] = None,
    expires: transfers.Expires = None,
    on_partial: transfers.OnPartial = None,
    placement: transfers.Placement = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it is there.")] = True,
) -> None:
    """Store what lies somewhere already; nothing passes this machine. Prints the id of the new file."""
    file = shell.client.files.copy(
        source,
        to=to or (),
        models=model or (),
        purpose=purpose,
        filename=name,
        expires_after_s=transfers.lifetime(expires),
        on_partial=on_partial,
        placement=transfers.pairs("--placement", placement),
        wait=False,
    )
    if wait:
        file = _copied(shell, file)
    shell.answer(file.to_dict(), lambda: [file.id])


def _copied(shell: Shell, file: File) -> File:
    """Look until the copy is there. Raises `ShellError` where it cannot be made."""
    pause_s, longest_s = LOOK_S
    try:
        with shell.bars() as bars:
            told = bars.of(file.filename)
            while file.status == "uploaded":
                time.sleep(pause_s)
                pause_s = min(longest_s, pause_s * 1.5)
                file = shell.client.files.get(file.id)
                if told is not None and file.mediagate.copied_bytes is not None:
                    told(file.mediagate.copied_bytes, file.bytes or None)
    except KeyboardInterrupt:
        shell.note(f"The copy goes on: `mediagate files show {file.id}` tells how far it is.")
        raise
    if file.status == "error":
        raise ShellError(
            f"{file.id} could not be copied: {file.status_details or 'no reason is known'}.", FAILED, "COPY_FAILED"
        )
    return file


@command(app, "rm")
def rm(shell: Shell, files: Ids, provider: Provider = None) -> None:
    """Delete files everywhere."""

    def delete(file: str) -> None:
        gone = shell.client.files.delete(file, headers=transfers.at(provider))
        shell.one_of_many(gone.to_dict(), gone.id)

    shell.each(files, delete)
