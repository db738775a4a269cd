"""The Python client's transfers against curl's, of the same bytes over the same gateway, in turns.

    uv run python -m bench.client_transfer [--size-mib=1024] [--rounds=5]

Each round sends one file with curl (one form to `/v1/files`), then with the client over gRPC and over REST, and fetches
one with curl into a file, then with the client in parts. Each ratio is of one round, so that what else the machine does
weighs on both. curl neither hashes what it sends nor what it gets; the client does both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.harness import GIB, KEY, MIB, gateway, report
from mediagate_client import Client

WIRES = ("grpc", "rest")
UPLOAD_BAR = 0.9
DOWNLOAD_BAR = 1.0


def curl(*arguments: str) -> bytes:
    """One call of curl, with the key."""
    command = ["curl", "-sS", "--fail-with-body", "-H", f"authorization: Bearer {KEY}", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of a call, and its answer. What earlier ones left to write is on disk before it starts."""
    os.sync()
    began = time.perf_counter()
    answer = work()
    return time.perf_counter() - began, answer


def one_round(url: str, clients: dict[str, Client], path: Path, folder: Path) -> dict[str, float]:
    """MB/s of each way to send, and of each way to fetch."""
    size_mb, rates = path.stat().st_size / MIB, {}
    spent, answer = timed(lambda: curl("-F", "purpose=user_data", "-F", f"file=@{path}", f"{url}/v1/files"))
    rates["up_curl"] = size_mb / spent
    kept = str(json.loads(answer)["id"])
    for wire, client in clients.items():
        spent, file = timed(lambda client=client: client.files.upload(path))  # type: ignore[misc]
        rates[f"up_{wire}"] = size_mb / spent
        client.files.delete(file.id)
    target = folder / "fetched"
    spent, _ = timed(lambda: curl("-o", str(target), f"{url}/v1/files/{kept}/content"))
    rates["down_curl"] = size_mb / spent
    for wire, client in clients.items():
        target.unlink()
        spent, _ = timed(lambda client=client: client.files.download(kept, target))  # type: ignore[misc]
        rates[f"down_{wire}"] = size_mb / spent
    target.unlink()
    clients["grpc"].files.delete(kept)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size-mib", type=int, default=GIB // MIB)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with gateway() as running, tempfile.TemporaryDirectory(prefix="mediagate-bench-") as named:
        folder, url = Path(named), f"http://127.0.0.1:{running.port}"
        path = folder / "sent.bin"
        with path.open("wb") as file:
            for _ in range(given.size_mib):
                file.write(os.urandom(MIB))
        clients = {wire: Client(url, KEY, transport=wire) for wire in WIRES}  # type: ignore[arg-type]
        rounds = []
        for number in range(given.rounds):
            rounds.append(one_round(url, clients, path, folder))
            print(number + 1, {name: round(rate) for name, rate in rounds[-1].items()}, flush=True)
        for client in clients.values():
            client.close()
    bars = {}
    for wire in WIRES:
        for way, bar, words in (("up", UPLOAD_BAR, "sent"), ("down", DOWNLOAD_BAR, "fetched in parts")):
            ratio = statistics.median(one[f"{way}_{wire}"] / one[f"{way}_curl"] for one in rounds)
            bars[f"{given.size_mib} MiB {words} over {wire} against curl"] = (ratio, ">=", bar)
    report("client_transfer", {"rounds": rounds}, bars)


if __name__ == "__main__":
    main()
