"""Which gateway a command speaks to, and with which key.

Each of URL and key comes from the first that has it: an option, the environment, a profile, the folder of a `mediagate
dev` here. A key that is kept for one gateway is never sent to another.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mediagate_client.cli.exits import ShellError

if TYPE_CHECKING:
    from mediagate_client.cli.profiles_file import Profile

DEFAULT_URL: Final = "http://127.0.0.1:4000"
DATA_DIR: Final = ".mediagate"
LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
TRANSPORTS: Final = ("grpc", "rest")


@dataclass(frozen=True, slots=True)
class Flags:
    """What every command takes, before or behind its name. What was not given is None."""

    profile: str | None = None
    url: str | None = None
    key: str | None = field(default=None, repr=False)
    data_dir: str | None = None
    transport: str | None = None
    ca_file: str | None = None
    user: str | None = None
    timeout_s: float | None = None
    json: bool | None = None
    quiet: bool | None = None

    def over(self, other: Flags) -> Flags:
        """These, and the other's where these have none."""
        mine = {one.name: getattr(self, one.name) for one in fields(self)}
        return Flags(**{name: getattr(other, name) if value is None else value for name, value in mine.items()})


@dataclass(frozen=True, slots=True)
class Place:
    """A gateway, and how to speak to it."""

    url: str
    key: str = field(repr=False)
    transport: str
    ca_file: str | None
    user: str | None
    timeout_s: float


def find(flags: Flags, environment: Mapping[str, str], *, admin: bool = False) -> Place:
    """Where to go. `admin` commands take the master key before another one. Raises `ShellError`."""
    from mediagate_client.cli import profiles_file

    named = flags.profile or environment.get("MEDIAGATE_PROFILE")
    profiles = profiles_file.load(environment)
    profile = profiles.named(named) if named else profiles.known.get(profiles.current or "")
    names = ("MEDIAGATE_API_KEY", "MEDIAGATE_MASTER_KEY")
    keys = (environment.get(name) for name in (reversed(names) if admin else names))
    surroundings = (environment.get("MEDIAGATE_URL"), next((key for key in keys if key), None))
    # A profile that an option names counts as an option; one of the environment comes behind the single variables.
    asked_for = profile if flags.profile else None
    folder = Path(flags.data_dir or environment.get("MEDIAGATE_DATA_DIR") or DATA_DIR)

    url = flags.url or (asked_for and asked_for.url)
    url = url or (_kept(folder, "url") if flags.data_dir else None) or surroundings[0]
    url = url or (profile and profile.url) or _kept(folder, "url") or DEFAULT_URL
    key = flags.key or (asked_for and _same(asked_for.url, url) and asked_for.key) or None
    key = key or (_kept(folder, "master_key") if flags.data_dir else None)
    key = key or (surroundings[1] if not asked_for else None)
    matches = profile is not None and _same(profile.url, url)
    if not key and profile and matches:
        key = profile.key
    if not key and not asked_for and (_is_local(url) or environment.get("MEDIAGATE_DATA_DIR")):
        key = _kept(folder, "master_key")
    if not key:
        raise ShellError(_no_key(url, named or profiles.current, profile, folder))
    return Place(
        url=url,
        key=key,
        transport=flags.transport
        or environment.get("MEDIAGATE_TRANSPORT")
        or (profile.transport if profile and matches else None)
        # gRPC has no paths, so a URL with one needs the other.
        or ("rest" if urlsplit(url).path.strip("/") not in ("", "v1") else "grpc"),
        ca_file=flags.ca_file or environment.get("MEDIAGATE_CA_FILE") or (profile.ca_file if profile else None),
        user=flags.user or (profile.user if profile and matches else None),
        timeout_s=60.0 if flags.timeout_s is None else flags.timeout_s,
    )


def _kept(folder: Path, name: str) -> str | None:
    try:
        return (folder / name).read_text().strip() or None
    except (OSError, ValueError):
        return None


def _same(one: str, other: str) -> bool:
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        return url, None, None


def _is_local(url: str) -> bool:
    return _origin(url)[1] in LOOPBACK


def _no_key(url: str, name: str | None, profile: Profile | None, folder: Path) -> str:
    if profile is not None and not _same(profile.url, url):
        return (
            f"The key of profile {name!r} is for {profile.url}, and {url} is another gateway: give its key with --key."
        )
    return (
        f"There is no key for {url}: set MEDIAGATE_API_KEY (an administrator MEDIAGATE_MASTER_KEY), or keep URL and key"
        " with `mediagate profiles add NAME`."
        f" (No `mediagate dev` has made {os.fspath(folder / 'master_key')}.)"
    )
