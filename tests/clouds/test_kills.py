"""Death at any moment, with the bytes in other people's stores: nothing that was acknowledged is lost or cut, and
soon after the restart nothing is left of what was not."""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import httpx
import pytest

from tests.api.wire import field, file_part, post_form, sql
from tests.clouds.conftest import GCS_BUCKET, S3_BUCKET, Clouds, config_of
from tests.conftest import Gateway, data_folder, start_gateway

pytestmark = pytest.mark.soak
MIB = 1 << 20
SEED = 4711
CALLS = 60
KILLS = 8
THREADS = 4
VICTIMS = ("api-0", "worker", "api-0", "postgres", "envoy")
TARGETS = (("bedrock",), ("vertex_ai",), ("openai",), ("bedrock", "vertex_ai"), ("bedrock", "openai", "local"))
AGE_MAX_S = 120.0
PREFIX = "killed"


@pytest.fixture(scope="module")
def killed(clouds: Clouds) -> Iterator[Clouds]:
    """Another gateway over the same stores, under a prefix of its own, that may be broken."""
    config = config_of(vars(clouds))
    for entry in config["files_settings"]:
        entry["prefix"] = PREFIX
    with data_folder() as folder, start_gateway(folder, config) as gateway:
        yield replace(clouds, gateway=gateway)


class Client:
    """Uploads and deletes, and remembers what it was told."""

    def __init__(self, clouds: Clouds) -> None:
        self._clouds = clouds
        self._lock = threading.Lock()
        self.kept: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.doubtful: set[str] = set()

    def call(self, number: int) -> None:
        """One upload, or the deletion of a file that was uploaded."""
        rng = random.Random(SEED * 1000 + number)
        self._clouds.gateway.wait_ready()
        with self._clouds.gateway.http() as http, suppress(httpx.TransportError):
            if number % 3 == 2 and self.kept:
                self._delete(http, rng)
            else:
                self._upload(http, rng)

    def _upload(self, http: httpx.Client, rng: random.Random) -> None:
        data = rng.randbytes(rng.choice([0, 1, rng.randrange(MIB), 9 * MIB + rng.randrange(MIB)]))
        targets = [field("custom_llm_provider", name) for name in rng.choice(TARGETS)]
        reply = post_form(http, field("purpose", "batch"), *targets, file_part(data, "rows.jsonl"))
        if reply.status_code == 200:
            with self._lock:
                self.kept[reply.json()["id"]] = hashlib.sha256(data).hexdigest()

    def _delete(self, http: httpx.Client, rng: random.Random) -> None:
        with self._lock:
            file_id = rng.choice(sorted(self.kept))
            del self.kept[file_id]
            self.doubtful.add(file_id)
        if http.delete(f"/v1/files/{file_id}").status_code == 200:
            self.deleted.add(file_id)


def kill_at_random(gateway: Gateway) -> None:
    rng = random.Random(SEED)
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.1, 0.8))
        gateway.kill(rng.choice(VICTIMS))
        gateway.wait_ready()


def leftovers(clouds: Clouds) -> list[str]:
    """What should not be: rows that are stuck, objects that no row stands for, copies without an object."""
    gateway = clouds.gateway
    stuck = [f"row {row[0]} {row[1]}" for row in sql(gateway, "SELECT id, state FROM file WHERE state <> 'processed'")]
    rows = sql(gateway, "SELECT account, ref, state FROM file_replica")
    stuck += [f"copy {row}" for row in rows if row[2] != "ready"]
    placed = {str(row[1]) for row in rows}
    there = {f"s3://{S3_BUCKET}/{key}" for key in clouds.s3_keys(f"{PREFIX}/")}
    there |= {f"gs://{GCS_BUCKET}/{key}" for key in clouds.gcs_keys(f"{PREFIX}/")}
    ours = {row[0] for row in sql(gateway, "SELECT id FROM file")} | set(SEEN)
    there |= {ref for ref, file in clouds.openai.files.items() if any(key in file["filename"] for key in ours)}
    there |= {path.name for path in (gateway.data_dir / "files").rglob("file-*") if path.is_file()}
    uploads = clouds.s3.list_multipart_uploads(Bucket=S3_BUCKET, Prefix=f"{PREFIX}/").get("Uploads", [])
    return (
        stuck
        + [f"orphan {ref}" for ref in there - placed]
        + [f"missing {ref}" for ref in placed - there]
        + [f"half {upload['Key']}" for upload in uploads]
    )


SEEN: list[str] = []


def test_no_kill_loses_a_file_or_leaves_a_trace(killed: Clouds) -> None:
    before = set(killed.openai.files)
    client, numbers = Client(killed), itertools.count()
    with concurrent.futures.ThreadPoolExecutor(THREADS + 1) as pool:
        killer = pool.submit(kill_at_random, killed.gateway)

        def work() -> None:
            while (number := next(numbers)) < CALLS or not killer.done():
                client.call(number)

        for worker in [pool.submit(work) for _ in range(THREADS)]:
            worker.result()
        killer.result()
    killed.gateway.kill("api-0")
    killed.gateway.kill("worker")
    restarted_at = time.monotonic()
    killed.gateway.wait_ready()
    assert len(client.kept) > 5, "some of it worked"
    with killed.gateway.http() as http:
        for file_id, digest in client.kept.items():
            reply = http.get(f"/v1/files/{file_id}/content")
            assert reply.status_code == 200, (file_id, reply.text)
            assert hashlib.sha256(reply.content).hexdigest() == digest
        for file_id in client.deleted:
            assert http.get(f"/v1/files/{file_id}").status_code == 404
    # A batch file of OpenAI's is marked by the id of ours, whoever remembers it.
    SEEN.extend(
        file["filename"].partition("--")[2].removesuffix(".jsonl")
        for ref, file in killed.openai.files.items()
        if ref not in before
    )
    while (left := leftovers(killed)) and time.monotonic() < restarted_at + AGE_MAX_S:
        time.sleep(1)
    assert left == []
    assert set(client.kept) <= {str(row[0]) for row in sql(killed.gateway, "SELECT id FROM file")}
