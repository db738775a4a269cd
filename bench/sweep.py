"""100,000 files past their end, swept by the worker of a running gateway: rows, copies and objects on the disk."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import procrastinate
import psycopg

from bench.harness import Gateway, PeakMemory, gateway, report
from mediagate.core.ids import new_file_id

FILES = 100_000
KEPT = 1_000
SIZE = 512
WAIT_S = 300.0
FILE_COLUMNS = (
    "id, owner_id, filename, purpose, size_bytes, sha256, content_type, state, internal, created_at, expires_at"
)
REPLICA_COLUMNS = "file_id, account, provider, ref, state, seen_at"


def database_url(running: Gateway) -> str:
    """The embedded database."""
    environment = Path(f"/proc/{running.api_pids()[0]}/environ").read_bytes().split(b"\0")
    (line,) = [line for line in environment if line.startswith(b"MEDIAGATE_DATABASE_URL=")]
    return line.decode().partition("=")[2]


def write_objects(root: Path, keys: list[str]) -> None:
    """Real objects where the local store keeps them."""
    for folder in {key[-2:] for key in keys}:
        (root / folder).mkdir(parents=True, exist_ok=True)

    def write(key: str) -> None:
        (root / key[-2:] / key).write_bytes(b"x" * SIZE)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, keys, chunksize=500))


def insert(connection: psycopg.Connection, keys: list[str], life: str) -> None:
    """Rows of files, and of their one copy, that end `life` from now."""
    common = ("master", "a.bin", "user_data", SIZE, "0" * 64, "application/octet-stream", "processed", False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT now() - interval '1 day', now() + %s::interval", (life,))
        created_at, expires_at = cursor.fetchone() or (None, None)
        with cursor.copy(f"COPY file ({FILE_COLUMNS}) FROM STDIN") as copy:
            for key in keys:
                copy.write_row((key, *common, created_at, expires_at))
        with cursor.copy(f"COPY file_replica ({REPLICA_COLUMNS}) FROM STDIN") as copy:
            for key in keys:
                copy.write_row((key, "local", "local", key, "ready", created_at))


def sweep(url: str) -> None:
    """Have the worker begin at once, in place of within ten seconds."""
    queue = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=url))
    with queue.open(), contextlib.suppress(procrastinate.exceptions.AlreadyEnqueued):
        queue.configure_task("maintenance.sweep", queueing_lock="sweep", lock="sweep").defer(timestamp=0)


def left(connection: psycopg.Connection) -> Iterator[int]:
    """How many files are not swept yet, until none is."""
    end = time.monotonic() + WAIT_S
    while True:
        (row,) = connection.execute(
            "SELECT count(*) FROM file WHERE state = 'deleting' OR state = 'processed' AND expires_at <= now()"
        ).fetchall()
        yield row[0]
        if row[0] == 0:
            return
        if time.monotonic() > end:
            raise RuntimeError(f"{row[0]} files are still there")
        time.sleep(0.25)


def objects(root: Path) -> int:
    """Objects on the disk."""
    return sum(1 for path in root.rglob("*") if path.is_file())


def main() -> None:
    with gateway({"local": {"fsync": False}}) as running:
        root, url = running.data_dir / "files", database_url(running)
        expired, kept = ([new_file_id() for _ in range(number)] for number in (FILES, KEPT))
        write_objects(root, expired + kept)
        with psycopg.connect(url, autocommit=True) as connection:
            with connection.transaction():
                insert(connection, kept, "1 day")
                insert(connection, expired, "-1 second")
            began = time.perf_counter()
            sweep(url)
            with PeakMemory(running.pids_of("mediagate.app worker")) as memory:
                course = [(round(time.perf_counter() - began, 1), number) for number in left(connection)]
            spent = time.perf_counter() - began
            rows = connection.execute("SELECT (SELECT count(*) FROM file), (SELECT count(*) FROM file_replica)")
            assert rows.fetchall() == [(KEPT, KEPT)]
        assert objects(root) == KEPT
    print(f"{FILES / spent:.0f} files/s")
    report(
        "sweep",
        {
            "files_per_s": round(FILES / spent),
            "growth_of_the_worker_mib": round(memory.growth / (1 << 20), 1),
            "left_after_s": course[:: max(1, len(course) // 10)],
        },
        {"100,000 expired files swept, s": (spent, "<", 60)},
    )


if __name__ == "__main__":
    main()
