"""What authentication, limits and the log cost GetFile: the gateway as it is, against a server of the same database
behind an Envoy of the same configuration that has none of them.

Two callers: the master key, and a virtual key whose key, user and team each have every limit, none of them near. Once
more with 100,000 keys in the database. `keys` on the command line stops before these.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from bench.harness import KEY, Gateway, free_port, gateway, load, processor_s, report, simple_get
from bench.requests import store_file
from mediagate.core.access import Policy
from mediagate.core.ids import KEY as KEY_IDS
from mediagate.envoy.render import EdgeSettings, envoy_arguments, render_config

ROUNDS = 7
SECONDS = 1.5
CONNECTIONS = 32
MANY = 100_000
LIMITED = "sk-bench-limited"
FAR = Policy(
    requests_per_minute=10**8,
    uploads_per_minute=10**8,
    bytes_per_minute=10**15,
    parallel_requests=10**5,
    parallel_uploads=10**5,
    max_budget_usd=1e9,
)


def environment_of(running: Gateway) -> dict[str, str]:
    """The settings of its server."""
    raw = Path(f"/proc/{running.api_pids()[0]}/environ").read_bytes().split(b"\0")
    pairs = (line.decode().partition("=") for line in raw if line.startswith(b"MEDIAGATE_"))
    return {name: value for name, _, value in pairs}


def issue(database_url: str) -> None:
    """A key of a user in a team, all of them with limits that are far away."""
    policy = Jsonb(FAR.stored())
    with psycopg.connect(database_url, autocommit=True) as connection:
        for table in ("team", "access_user"):
            connection.execute(
                f"INSERT INTO {table} (id, is_blocked, policy, info, created_at, updated_at, version)"
                " VALUES ('bench', false, %s, '{}', now(), now(), 1)",
                [policy],
            )
        connection.execute(
            "INSERT INTO api_key (id, hash, hint, user_id, team_id, is_admin, uses_providers, is_blocked, policy, info,"
            " created_at, updated_at, version) VALUES (%s, %s, '', 'bench', 'bench', false, false, false, %s, '{}',"
            " now(), now(), 1)",
            [KEY_IDS.new(), hashlib.sha256(LIMITED.encode()).digest(), policy],
        )
        # One owner for all: the file is the master key's.
        connection.execute("UPDATE file SET owner_id = 'team:bench' WHERE filename = 'b.bin'")


def add_many(database_url: str) -> None:
    """Keys of nobody."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO api_key (id, hash, hint, is_admin, uses_providers, is_blocked, policy, info, created_at,"
            " updated_at, version) SELECT 'key_' || number, sha256(number::text::bytea), '', false, false, false, %s,"
            " '{}', now(), now(), 1 FROM generate_series(1, %s) AS number",
            [Jsonb(FAR.stored()), MANY],
        )
        connection.execute("ANALYZE api_key")


@contextmanager
def bare(running: Gateway) -> Iterator[tuple[int, list[int]]]:
    """The port of an Envoy, and the server behind it with nothing in front of its methods."""
    with tempfile.TemporaryDirectory(prefix="mediagate-bench-") as folder:
        socket, port = f"unix:{folder}/api.sock", free_port()
        environment = {**os.environ, **environment_of(running)}
        server = subprocess.Popen([sys.executable, "-m", "bench.access_off", socket], env=environment)
        edge = EdgeSettings("127.0.0.1", port, [socket], f"{folder}/admin.sock", access_log_min_status=1000)
        path = Path(folder) / "envoy.yaml"
        path.write_text(render_config(edge))
        program = Path(f"/proc/{running.envoy_pids()[0]}/exe").resolve()
        envoy = subprocess.Popen([str(program), *envoy_arguments(edge, str(path))], start_new_session=True)
        try:
            for _ in range(600):
                try:
                    if simple_get(port, "/readyz", timeout_s=5)[0] == 200:
                        break
                except OSError:
                    pass
                time.sleep(0.1)
            yield port, [server.pid]
        finally:
            for process in (envoy, server):
                process.send_signal(signal.SIGTERM)
            for process in (envoy, server):
                process.wait(30)


def compare(running: Gateway, bare_port: int, bare_pids: list[int], paths: dict[str, str]) -> list[dict[str, Any]]:
    """Rounds of every way in turn: requests/s, and the server's processor time for one in microseconds."""
    ways = {
        "bare": (bare_port, bare_pids, KEY, paths["master"]),
        "master": (running.port, running.api_pids(), KEY, paths["master"]),
        "limited": (running.port, running.api_pids(), LIMITED, paths["team"]),
    }
    rounds = []
    for number in range(ROUNDS + 1):
        figures: dict[str, Any] = {}
        for name, (port, pids, key, path) in ways.items():
            before = processor_s(pids)
            reached = asyncio.run(load(port, path, connections=CONNECTIONS, seconds=SECONDS, key=key))
            spent_us = (processor_s(pids) - before) / (reached["requests_per_s"] * SECONDS) * 1e6
            figures[name] = {**reached, "server_us": round(spent_us, 1)}
        if number:
            rounds.append(figures)
    return rounds


def ratio(rounds: list[dict[str, Any]], name: str, figure: str) -> float:
    """The median over the rounds, against the bare server's in the same round."""
    return statistics.median(one[name][figure] / one["bare"][figure] for one in rounds)


def main() -> None:
    with gateway({"limits": {"requests_in_flight_max": None}}) as running:
        database_url = environment_of(running)["MEDIAGATE_DATABASE_URL"]
        paths = {"master": f"/v1/files/{store_file(running)}", "team": ""}
        team_file = store_file(running)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("UPDATE file SET filename = 'b.bin' WHERE id = %s", [team_file])
        paths["team"] = f"/v1/files/{team_file}"
        issue(database_url)
        with bare(running) as (port, pids):
            few = compare(running, port, pids, paths)
            many = []
            if "keys" not in sys.argv:
                add_many(database_url)
                many = compare(running, port, pids, paths)
    for rounds in (few, many):
        for name in ("bare", "master", "limited") if rounds else ():
            shown = [
                f"{statistics.median(one[name][figure] for one in rounds):.1f} {figure}" for figure in rounds[0][name]
            ]
            print(f"{name}: {', '.join(shown)}")
    bars = {
        "GetFile requests/s with a limited key, against nothing in front of it": (
            ratio(few, "limited", "requests_per_s"),
            ">=",
            0.85,
        ),
        "the same with the master key": (ratio(few, "master", "requests_per_s"), ">=", 0.85),
    }
    if many:
        bars["the same with a limited key and 100,000 others"] = (ratio(many, "limited", "requests_per_s"), ">=", 0.85)
    report("access", {"few_keys": few, "many_keys": many}, bars)


if __name__ == "__main__":
    main()
