"""What one supervisor has to run, decided before it starts.

It is handed over in the environment, not in a file or on the command line: the ready message holds the key.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

PLAN_VARIABLE: Final = "MEDIAGATE_SUPERVISOR_PLAN"


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One process to keep running."""

    name: str
    argv: list[str]
    # Only our own Python processes get the MEDIAGATE_ variables: Envoy and PostgreSQL need no secret.
    secrets: bool = False
    # Modules that a `python -m` program imports first, maybe before its turn comes; see preload.py.
    preload: list[str] = field(default_factory=list)
    # The socket that it makes once it serves.
    socket: str | None = None


@dataclass(frozen=True, slots=True)
class PostgresSpec:
    """The embedded PostgreSQL: where its programs, its data and its socket are, and whose process it is."""

    bin_dir: str
    data_dir: str
    socket_dir: str
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a supervisor needs. Paths are absolute, waits are seconds."""

    data_dir: str
    run_dir: str
    migrate: ChildSpec
    # Needed to be ready; `background` starts when these are.
    servers: list[ChildSpec]
    background: list[ChildSpec] = field(default_factory=list)
    envoy: ChildSpec | None = None
    postgres: PostgresSpec | None = None
    # Names the schema that `migrate` makes; the embedded database that bears this name is not migrated again.
    schema: str = ""
    # Logs go to files under this directory and their warnings to the terminal; None leaves them on the terminal.
    log_dir: str | None = None
    # An HTTP address whose /readyz must answer 200, or a TCP address that must take connections.
    ready_http: tuple[str, int] | None = None
    ready_tcp: tuple[str, int] | None = None
    envoy_admin: str | None = None
    drain_s: float = 1.0
    shutdown_s: float = 20.0
    ready_within_s: float = 90.0
    # What to say then; `{seconds}` becomes the time since `began`, a reading of the monotonic clock.
    ready_message: str = ""
    began: float = field(default_factory=time.monotonic)
    # Locks taken before the supervisor started; they stay locked for as long as it keeps these open.
    lock_fds: list[int] = field(default_factory=list)

    def to_json(self) -> str:
        """The plan as one line."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """The inverse of `to_json`."""
        raw: dict[str, Any] = json.loads(text)
        raw["migrate"] = ChildSpec(**raw["migrate"])
        raw["servers"] = [ChildSpec(**child) for child in raw["servers"]]
        raw["background"] = [ChildSpec(**child) for child in raw["background"]]
        raw["envoy"] = ChildSpec(**raw["envoy"]) if raw.get("envoy") else None
        raw["postgres"] = PostgresSpec(**raw["postgres"]) if raw.get("postgres") else None
        for name in ("ready_http", "ready_tcp"):
            raw[name] = tuple(raw[name]) if raw.get(name) else None
        return cls(**raw)

    @property
    def pids_file(self) -> Path:
        """Where the running children are written down for the next start."""
        return Path(self.run_dir) / "pids.json"
