"""The directories, locks, keys and ports that one start of mediagate claims for itself."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import socket
import stat
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from mediagate.supervisor import StartError

# Linux allows 107 bytes for a socket's path and macOS 103; the longest name we put behind it is PostgreSQL's.
RUN_DIR_BYTES_MAX: Final = 70


def claim_data_dir(path: Path) -> int:
    """Make the data directory if need be, prove that it can be written, and lock it. Returns the lock's descriptor."""
    make_data_dir(path)
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    holder = take_lock(lock)
    if holder is not None:
        raise StartError(
            f"The data dir {path} is in use by process {holder}. Stop it or choose another with --data-dir."
        )
    return lock


def make_data_dir(path: Path) -> None:
    """Make the data directory if need be and prove that it can be written."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"probe")
    except OSError as error:
        raise StartError(
            f"The data dir {path} cannot be written: {error.strerror}. Choose another with --data-dir."
        ) from None


def take_lock(descriptor: int) -> str | None:
    """Lock an open file for this process and write its id there; or tell the id of the process that holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise StartError(f"The data dir is on a file system without locks: {error.strerror}.") from None
        return os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return None


def run_dir_for(data_dir: Path) -> Path:
    """Make the directory for sockets: in the data dir, or in a private short one where that path is too long."""
    inside = data_dir / "run"
    if len(os.fsencode(inside)) <= RUN_DIR_BYTES_MAX:
        inside.mkdir(mode=0o700, exist_ok=True)
        return inside
    return runtime_dir(hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:10])


def runtime_dir(label: str) -> Path:
    """A directory of this machine, for this user alone, that the same label finds again."""
    bases = [os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"]  # noqa: S108
    name = f"mediagate-{os.geteuid()}-{label}"
    for base in bases:
        path = Path(base, name)
        if not base or not os.access(base, os.W_OK | os.X_OK) or len(os.fsencode(path)) > RUN_DIR_BYTES_MAX:
            continue
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o066:
            raise StartError(f"{path} belongs to somebody else or is open to others. Remove it.")
        return path
    raise StartError("There is no directory for sockets: set XDG_RUNTIME_DIR or make /tmp writable.")


def master_key(data_dir: Path) -> str:
    """The key of this data directory: made once, then always the same."""
    path = data_dir / "master_key"
    try:
        kept = path.read_text().strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        return kept
    made = f"sk-{secrets.token_urlsafe(24)}"
    scratch = path.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{made}\n")
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    return made


def keep_url(data_dir: Path, url: str) -> None:
    """Tell the shell where the gateway of this data directory answers."""
    scratch = data_dir / "url.new"
    scratch.write_text(f"{url}\n")
    scratch.replace(data_dir / "url")


def package_dir(name: str) -> Path:
    """Where an installed package lies, without importing it."""
    package = find_spec(name)
    if package is None or not package.submodule_search_locations:
        raise StartError(f"The Python package {name} is missing. Install mediagate with its dependencies again.")
    return Path(package.submodule_search_locations[0])


def lock_port(host: str, port: int) -> int:
    """Keep other starts of mediagate by this user away from a port. Returns the lock's descriptor."""
    path = runtime_dir("ports") / f"{host.replace('/', '_')}-{port}"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    holder = take_lock(lock)
    if holder is not None:
        raise StartError(f"Port {port} on {host} is in use by mediagate process {holder}. Choose another with --port.")
    return lock


def check_port(host: str, port: int) -> int:
    """Prove that nobody listens there, and return the port; 0 picks a free one.

    Envoy and gRPC share a port with whoever else sets SO_REUSEPORT, and each then gets a part of the requests. So the
    proof is a bind without that option; `lock_port` keeps two starts from proving the same port at the same time.
    """
    if not 0 <= port <= 65535:
        raise StartError(f"{port} is not a port: it lies outside 0-65535.")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise StartError(_port_sentence(host, port, error)) from None


def _port_sentence(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Stop what listens there or choose another with --port."
    if error.errno == errno.EACCES:
        return f"Port {port} may not be used by this user. Choose one above 1023 with --port."
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine. Choose another with --host."
    return f"Port {port} on {host} cannot be used: {error.strerror}."
