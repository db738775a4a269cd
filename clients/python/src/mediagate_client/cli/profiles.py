"""`mediagate profiles`: URLs and keys of gateways, by name."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Annotated, Any

import typer

from mediagate_client.cli import complete, show
from mediagate_client.cli.exits import ShellError
from mediagate_client.cli.options import command, group
from mediagate_client.cli.profiles_file import NAME, Profile, load, open_to_others
from mediagate_client.cli.shell import Shell
from mediagate_client.cli.where import DEFAULT_URL

Name = Annotated[str, typer.Argument(metavar="NAME", help="The profile.", autocompletion=complete.profiles)]

app = group("Profiles: URLs and keys of gateways, by name.")


@command(app, "add")
def add(
    shell: Shell,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of yours: letters, digits, `.`, `_`, `-`.")],
    use: Annotated[
        bool | None, typer.Option("--use/--no-use", help="Use it from now on. [default: the first one]")
    ] = None,
) -> None:
    """Keep a gateway's URL and key, or change them.

    The URL is --url, the key --key, MEDIAGATE_API_KEY, a line on stdin, or asked for without being shown. --transport,
    --ca-file and --user are kept too.
    """
    if not NAME.fullmatch(name):
        raise ShellError(f"{name!r} is no name of a profile: letters, digits, `.`, `_` and `-`, at most 64.")
    profiles = load(os.environ)
    before, given = profiles.known.get(name), shell.flags
    url = given.url or os.environ.get("MEDIAGATE_URL") or (before.url if before else DEFAULT_URL)
    key = given.key or os.environ.get("MEDIAGATE_API_KEY") or _asked_for(url)
    profile = replace(
        before or Profile(url, key),
        url=url,
        key=key,
        **{
            member: value
            for member, value in (
                ("transport", given.transport),
                ("ca_file", given.ca_file and os.path.abspath(os.path.expanduser(given.ca_file))),
                ("user", given.user),
            )
            if value is not None
        },
    )
    _check(profile)
    profiles.known[name] = profile
    if use or (use is None and len(profiles.known) == 1):
        profiles.current = name
    profiles.save()
    shell.note(f"Kept in {profiles.path}." + (" It is in use." if profiles.current == name else ""))
    shell.answer(_shown(name, profile, profiles.current), list)


def _asked_for(url: str) -> str:
    if sys.stdin.isatty():
        from getpass import getpass

        return getpass(f"Key for {url}: ").strip()
    return sys.stdin.readline().strip()


def _check(profile: Profile) -> None:
    from mediagate_client._transport import Options

    try:
        Options(url=profile.url, key=profile.key, ca_file=profile.ca_file)
    except ValueError as error:
        raise ShellError(str(error).replace("`key`", "--key").replace("`ca_file`", "--ca-file")) from None


@command(app, "use")
def use(shell: Shell, name: Name) -> None:
    """Use a profile from now on."""
    profiles = load(os.environ)
    profile = profiles.named(name)
    profiles.current = name
    profiles.save()
    shell.answer(_shown(name, profile, name), list)


@command(app, "ls")
def ls(shell: Shell) -> None:
    """List the profiles; the one in use has a star. Keys are not shown."""
    profiles = load(os.environ)
    if open_to_others(profiles.path):
        shell.note(f"Others can read {profiles.path}: chmod 600 it.")
    current = os.environ.get("MEDIAGATE_PROFILE") or profiles.current
    found = [_shown(name, one, current) for name, one in sorted(profiles.known.items())]
    shell.table(
        found,
        ("", "NAME", "URL", "KEY", "TRANSPORT"),
        lambda: [
            ("*" if one["current"] else " ", one["name"], one["url"], one["key"], one["transport"]) for one in found
        ],
    )


@command(app, "rm")
def rm(
    shell: Shell,
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Profiles.", autocompletion=complete.profiles)],
) -> None:
    """Forget profiles."""
    profiles = load(os.environ)
    for name in names:
        profiles.named(name)
    for name in dict.fromkeys(names):
        del profiles.known[name]
    if profiles.current not in profiles.known:
        profiles.current = None
    profiles.save()
    shell.answer({"deleted": names}, lambda: names)


def _shown(name: str, profile: Profile, current: str | None) -> dict[str, Any]:
    return {
        "name": name,
        "url": profile.url,
        # The ends of a short one would be all of it.
        "key": f"{show.plain(profile.key[:3])}...{show.plain(profile.key[-4:])}" if len(profile.key) > 12 else "...",
        "transport": profile.transport or "grpc",
        "ca_file": profile.ca_file,
        "user": profile.user,
        "current": name == current,
    }
