"""256 MiB in one upload to three targets (disk, S3, Google Cloud Storage), against the same to the slowest alone.

The clouds are real servers on this machine (moto, gcp-storage-emulator), each behind a link of its own that passes as
much as a cloud's might. Without the links both servers and the gateway compete for the same cores, and the figure tells
how many there are; it is measured too, without a bar.
"""

from __future__ import annotations

import json
import statistics
from contextlib import ExitStack

import boto3

from bench.copy import KEYS, LINK_BYTES_PER_S, REGION, config_of, link_to, s3_server
from bench.harness import MIB, Gateway, PeakMemory, free_port, gateway, report, request
from bench.upload import upload
from tests.doubles.gcs import gcs_emulator

SIZE = 256 * MIB
LINKED_ROUNDS, BARE_ROUNDS = 3, 1
TARGETS = ("local", "bedrock", "vertex_ai")
S3_BUCKET = "bench-source"
TOGETHER = ",".join(TARGETS)


def store(running: Gateway, targets: str, size: int = SIZE) -> float:
    """Upload, check that every target has it, and remove it; MB/s."""
    speed, answer = upload(running.port, f"/v1/files?custom_llm_provider={targets}", size)
    file = json.loads(answer)
    states = {replica["account"]: replica["state"] for replica in file["replicas"]}
    assert states == dict.fromkeys(targets.split(","), "ready"), file
    head = f"DELETE /v1/files/{file['id']} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    assert request(running.port, head, b"")[0] == 200
    return speed


def one_round(running: Gateway) -> dict[str, float]:
    """Each target alone, then all of them."""
    found = {name: store(running, name) for name in TARGETS}
    with PeakMemory(running.api_pids()) as memory:
        found[TOGETHER] = store(running, TOGETHER)
    found["ratio"] = found[TOGETHER] / min(found[name] for name in TARGETS)
    found["growth_mib"] = memory.growth / MIB
    print({name: round(value, 2) for name, value in found.items()}, flush=True)
    return found


def measured(rounds: int, *, linked: bool) -> list[dict[str, float]]:
    """Rounds between servers of their own, in MB/s."""
    with ExitStack() as stack:
        s3_url = stack.enter_context(s3_server())
        gcs_url = stack.enter_context(gcs_emulator(free_port()))
        boto3.client("s3", endpoint_url=s3_url, region_name=REGION, **KEYS).create_bucket(Bucket=S3_BUCKET)
        if linked:
            s3_url, gcs_url = (stack.enter_context(link_to(url)) for url in (s3_url, gcs_url))
        running = stack.enter_context(gateway(config_of(s3_url, gcs_url)))
        store(running, TOGETHER, 8 * MIB)
        return [one_round(running) for _ in range(rounds)]


def main() -> None:
    linked, bare = measured(LINKED_ROUNDS, linked=True), measured(BARE_ROUNDS, linked=False)
    report(
        "targets",
        {
            "link_mb_per_s": LINK_BYTES_PER_S / MIB,
            "behind_links": [{name: round(value, 2) for name, value in each.items()} for each in linked],
            "without_links": [{name: round(value, 2) for name, value in each.items()} for each in bare],
        },
        {
            "256 MiB to three targets, against the slowest alone": (
                statistics.median(each["ratio"] for each in linked),
                ">=",
                0.8,
            )
        },
    )


if __name__ == "__main__":
    main()
