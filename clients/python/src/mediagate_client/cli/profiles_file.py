"""Profiles: the URL and the key of each gateway, in one file for this user alone.

$XDG_CONFIG_HOME/mediagate/profiles.json     {"current": "prod", "profiles": {"prod": {"url": ..., "key": ...}}}
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from mediagate_client.cli.exits import LOCAL_FILE, NOT_FOUND, ShellError

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Profile:
    """One gateway, and how to speak to it."""

    url: str
    key: str = field(repr=False)
    transport: str | None = None
    ca_file: str | None = None
    user: str | None = None


@dataclass(slots=True)
class Profiles:
    """What the file holds."""

    path: Path
    current: str | None
    known: dict[str, Profile]

    def named(self, name: str) -> Profile:
        """One of them. Raises `ShellError`."""
        if name not in self.known:
            there = f"there are: {', '.join(sorted(self.known))}" if self.known else "there is none yet"
            raise ShellError(
                f"There is no profile {name!r}; {there}. `mediagate profiles add {name}` makes it.", NOT_FOUND
            )
        return self.known[name]

    def save(self) -> None:
        """Write all of it, readable for this user alone; another process sees the old file or the new one."""
        content = {
            "current": self.current,
            "profiles": {
                name: {member: value for member, value in asdict(one).items() if value is not None}
                for name, one in sorted(self.known.items())
            },
        }
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            scratch = self.path.with_name(f".{self.path.name}.{secrets.token_hex(6)}")
            try:
                with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(json.dumps(content, indent=2) + "\n")
                    file.flush()
                    os.fsync(file.fileno())
                scratch.replace(self.path)
            finally:
                scratch.unlink(missing_ok=True)
        except OSError as error:
            raise ShellError(f"{self.path} cannot be written: {error.strerror}.", LOCAL_FILE) from None


def config_folder(environment: Mapping[str, str]) -> Path:
    """Where this user's settings are."""
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "mediagate"


def load(environment: Mapping[str, str]) -> Profiles:
    """Read the file; none is there before the first profile. Raises `ShellError` for one that is damaged."""
    path = config_folder(environment) / "profiles.json"
    try:
        data = json.loads(path.read_text("utf-8"))
        known = {str(name): _profile(members) for name, members in data["profiles"].items()}
        current = data.get("current")
        if current is not None and not isinstance(current, str):
            raise ValueError
        return Profiles(path, current, known)
    except FileNotFoundError:
        return Profiles(path, None, {})
    except OSError as error:
        raise ShellError(f"{path} cannot be read: {error.strerror}.", LOCAL_FILE) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ShellError(f"{path} is no JSON ({place}). Mend it, or remove it and add the profiles again.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ShellError(
            f"{path} holds no profiles as `mediagate profiles add` writes them. Mend it, or remove it."
        ) from None


def open_to_others(path: Path) -> bool:
    """Whether other users of this machine can read it."""
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except OSError:
        return False


def _profile(members: Mapping[str, Any]) -> Profile:
    profile = Profile(**members)
    if not all(isinstance(value, str) for value in asdict(profile).values() if value is not None):
        raise ValueError
    return profile
