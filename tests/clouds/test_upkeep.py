"""What keeps stores and rows in step: life-cycle rules, reconciliation, and the end of expired files."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from mediagate.core.ids import new_file_id
from mediagate.store.database import Database
from mediagate.store.replicas import ReplicaRepository
from tests.api.wire import eventually, field, file_part, post_form, sql, stored, sweep
from tests.clouds.commands import mediagate
from tests.clouds.conftest import CREDENTIALS, GCS_BUCKET, S3_BUCKET, Clouds
from tests.conftest import free_port

Json = dict[str, Any]
Finished = subprocess.CompletedProcess[str]
Run = Callable[..., Finished]
PURPOSE = field("purpose", "user_data")
FOREIGN_S3: Json = {
    "ID": "logs",
    "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "k", "Value": "v"}]}},
    "Status": "Enabled",
    "Expiration": {"Days": 3},
    "NoncurrentVersionExpiration": {"NoncurrentDays": 9},
}
FOREIGN_GCS: Json = {
    "action": {"type": "SetStorageClass", "storageClass": "COLDLINE"},
    "condition": {"age": 7, "matchesPrefix": ["logs/"], "matchesStorageClass": ["STANDARD"]},
}


class Journal:
    """Passes connections on to a server and keeps what clients sent."""

    def __init__(self, url: str) -> None:
        self._target = int(url.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.sent = bytearray()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def take(self) -> list[str]:
        """Methods of the requests since the last look."""
        seen = bytes(self.sent)
        self.sent.clear()
        return [method.decode() for method in re.findall(rb"(GET|PUT|POST|DELETE|PATCH) /\S* HTTP/1\.1\r\n", seen)]

    def close(self) -> None:
        """Take no more connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _accept(self) -> None:
        with self._listener, suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            answers = threading.Thread(target=self._pass, args=(server, client), daemon=True)
            answers.start()
            self._pass(client, server, self.sent)
            answers.join()

    @staticmethod
    def _pass(source: socket.socket, sink: socket.socket, kept: bytearray | None = None) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                if kept is not None:
                    kept += data
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class TestRetention:
    """`mediagate retention`, which needs neither a gateway nor a database."""

    @pytest.fixture
    def bucket(self, clouds: Clouds) -> str:
        """A bucket of this name at both clouds, with a rule of somebody else."""
        name = f"kept-{uuid.uuid4().hex[:8]}"
        clouds.s3.create_bucket(Bucket=name)
        clouds.s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [FOREIGN_S3]})
        body = {"name": name, "lifecycle": {"rule": [FOREIGN_GCS]}}
        httpx.post(f"{clouds.gcs_url}/storage/v1/b", params={"project": "p"}, json=body).raise_for_status()
        httpx.patch(f"{clouds.gcs_url}/storage/v1/b/{name}", json=body).raise_for_status()
        return name

    @pytest.fixture
    def journal(self, clouds: Clouds) -> Iterator[Journal]:
        """Everything that is said to S3."""
        made = Journal(clouds.moto_url)
        yield made
        made.close()

    @pytest.fixture
    def run(self, clouds: Clouds, bucket: str, journal: Journal, tmp_path: Path) -> Run:
        """Runs the command with these days in the config."""

        def run(action: str, days: int | None, **changes: Any) -> Finished:
            s3 = {"custom_llm_provider": "bedrock", "bucket_name": bucket, "s3_endpoint_url": journal.url}
            gcs = {"custom_llm_provider": "vertex_ai", "bucket_name": bucket, "api_base": clouds.gcs_url}
            accounts = [{**s3, **CREDENTIALS, **changes}, gcs, {"custom_llm_provider": "gemini", "api_key": "none"}]
            period = {} if days is None else {"retention_period": days}
            path = tmp_path / "retention.yaml"
            path.write_text(yaml.safe_dump({"files_settings": [{**account, **period} for account in accounts]}))
            return mediagate("retention", action, config=path)

        return run

    def s3_rules(self, clouds: Clouds, bucket: str) -> list[bytes]:
        """The rules of S3 as they come over the wire."""
        return re.findall(rb"<Rule>.*?</Rule>", httpx.get(f"{clouds.moto_url}/{bucket}?lifecycle").content, re.DOTALL)

    def gcs_bucket(self, clouds: Clouds, bucket: str) -> Json:
        """The bucket's record; `metageneration` counts its changes."""
        found: Json = httpx.get(f"{clouds.gcs_url}/storage/v1/b/{bucket}").json()
        return found

    @pytest.mark.soak
    def test_from_nothing_to_a_rule_to_another_to_none(
        self, clouds: Clouds, bucket: str, run: Run, journal: Journal
    ) -> None:
        (foreign,) = self.s3_rules(clouds, bucket)
        before = self.gcs_bucket(clouds, bucket)
        planned = run("plan", 7)
        assert (planned.returncode, planned.stderr) == (3, "")
        blocks = re.split(r"\n(?=\S)", planned.stdout.strip())
        assert [block.splitlines()[0] for block in blocks] == ["bedrock", "vertex_ai"]
        for block in blocks:
            said = dict(line.split(None, 1) for line in block.splitlines()[1:])
            assert (said["bucket"], said["prefix"], said["now"], said["wanted"]) == (
                bucket,
                "mediagate/",
                "no rule",
                "7 days",
            )
            assert f"{bucket}/mediagate/" in said["change"]
        assert self.s3_rules(clouds, bucket) == [foreign]
        assert self.gcs_bucket(clouds, bucket) == before

        assert run("apply", 7).returncode == 0
        kept, ours = self.s3_rules(clouds, bucket)
        assert kept == foreign
        assert b"<Prefix>mediagate/</Prefix>" in ours
        assert b"<Days>7</Days>" in ours
        rules = self.gcs_bucket(clouds, bucket)["lifecycle"]["rule"]
        assert rules[0] == FOREIGN_GCS
        assert {"action": {"type": "Delete"}, "condition": {"age": 7, "matchesPrefix": ["mediagate/"]}} in rules

        changes = self.gcs_bucket(clouds, bucket)["metageneration"]
        assert "PUT" in journal.take()
        again = run("apply", 7)
        assert (again.returncode, again.stdout.count("change  none")) == (0, 2)
        assert set(journal.take()) == {"GET"}
        assert self.gcs_bucket(clouds, bucket)["metageneration"] == changes

        assert "now     7 days\n  wanted  30 days" in run("apply", 30).stdout
        # A rule of ours that the config no longer asks for would go on removing files.
        assert run("apply", None).returncode == 0
        assert self.s3_rules(clouds, bucket) == [foreign]
        assert self.gcs_bucket(clouds, bucket)["lifecycle"]["rule"] == [FOREIGN_GCS]
        assert run("plan", None).returncode == 0

    def test_a_rule_that_somebody_removed_comes_back(self, clouds: Clouds, bucket: str, run: Run) -> None:
        run("apply", 7)
        clouds.s3.delete_bucket_lifecycle(Bucket=bucket)
        assert run("plan", 7).returncode == 3
        assert run("apply", 7).returncode == 0
        assert len(self.s3_rules(clouds, bucket)) == 1

    @pytest.mark.soak
    def test_one_account_that_fails_is_one_line(self, clouds: Clouds, bucket: str, run: Run) -> None:
        ended = run("apply", 7, s3_endpoint_url=f"http://127.0.0.1:{free_port()}")
        assert ended.returncode == 1
        (line,) = ended.stderr.splitlines()
        assert re.fullmatch(r"bedrock: Amazon S3 cannot be reached\. .*", line)
        assert "vertex_ai\n" in ended.stdout
        assert len(self.gcs_bucket(clouds, bucket)["lifecycle"]["rule"]) == 3


@pytest.fixture
def reconcile(clouds: Clouds, tmp_path: Path) -> Run:
    """Runs `mediagate reconcile` on the database of the running gateway."""
    data_dir = clouds.gateway.data_dir
    config = yaml.safe_load((data_dir.parent / f"{data_dir.name}.yaml").read_text())

    def run(*arguments: str, grace_s: float = 1, account: str = "bedrock") -> Finished:
        path = tmp_path / "reconcile.yaml"
        path.write_text(yaml.safe_dump({**config, "files": {"orphan_grace_s": grace_s}}))
        return mediagate("reconcile", *arguments, f"--account={account}", f"--data-dir={data_dir}", config=path)

    return run


def put_gcs(clouds: Clouds, name: str, data: bytes) -> None:
    path = f"/upload/storage/v1/b/{GCS_BUCKET}/o"
    httpx.post(f"{clouds.gcs_url}{path}", params={"uploadType": "media", "name": name}, content=data).raise_for_status()


def stored_file(http: httpx.Client, *accounts: str) -> tuple[Json, dict[str, str]]:
    """A file in these accounts, and its references."""
    targets = [field("custom_llm_provider", account) for account in accounts]
    reply = post_form(http, PURPOSE, *targets, file_part(os.urandom(5000)))
    assert reply.status_code == 200, reply.text
    file: Json = reply.json()
    return file, {replica["account"]: replica["reference"] for replica in file["replicas"]}


def states(clouds: Clouds, file_id: str) -> dict[str, str]:
    return dict(sql(clouds.gateway, "SELECT account, state FROM file_replica WHERE file_id = %s", file_id))


def is_marked_lost(told: str, file_id: str) -> bool:
    """Whether a report marks a file lost; other tests leave ghosts too."""
    return bool(re.search(rf"ghosts? marked lost\n(  .*\n)*  {file_id}\n", told))


def s3_key(reference: str) -> str:
    return reference.removeprefix(f"s3://{S3_BUCKET}/")


class TestReconcile:
    """`mediagate reconcile`, beside a gateway that runs."""

    @pytest.fixture
    def foreign(self, clouds: Clouds) -> Iterator[list[str]]:
        """Objects that are none of ours, under our prefix too."""
        names = ["theirs/notes.txt", "mediagate/readme.txt", "mediagate/file-short/a.txt"]
        for name in names:
            clouds.s3.put_object(Bucket=S3_BUCKET, Key=name, Body=b"theirs")
        yield names
        for name in names:
            clouds.s3.delete_object(Bucket=S3_BUCKET, Key=name)

    @pytest.mark.soak
    def test_an_orphan_goes_when_it_is_old_enough(
        self, clouds: Clouds, http: httpx.Client, reconcile: Run, foreign: list[str]
    ) -> None:
        file, references = stored_file(http, "bedrock", "vertex_ai")
        name = f"mediagate/{new_file_id()}/a.bin"
        clouds.s3.put_object(Bucket=S3_BUCKET, Key=name, Body=b"orphan")
        put_gcs(clouds, name, b"orphan")
        everything, rows = clouds.s3_keys(""), states(clouds, file["id"])
        assert name not in reconcile("--dry-run", grace_s=60).stdout

        for account, uri in (("bedrock", f"s3://{S3_BUCKET}/{name}"), ("vertex_ai", f"gs://{GCS_BUCKET}/{name}")):

            def seen(account: str = account, uri: str = uri) -> bool:
                return uri in reconcile("--dry-run", account=account).stdout

            eventually(seen, "the orphan is old enough")
        assert clouds.s3_keys("") == everything
        assert name in clouds.gcs_keys()

        for account in ("bedrock", "vertex_ai"):
            ended = reconcile(account=account)
            assert ended.returncode == 0, ended.stderr
            assert re.search(rf"{account}: \d+ objects, \d+ orphans? removed, \d+ ghosts?", ended.stdout), ended.stdout
            assert name in ended.stdout
        left = clouds.s3_keys("")
        assert name not in left
        assert {*foreign, s3_key(references["bedrock"])} <= set(left)
        assert name not in clouds.gcs_keys()
        assert states(clouds, file["id"]) == rows == {"bedrock": "ready", "vertex_ai": "ready"}
        assert http.get(f"/v1/files/{file['id']}/content").status_code == 200

    def test_a_ghost_is_made_anew_from_another_copy(self, clouds: Clouds, http: httpx.Client, reconcile: Run) -> None:
        file, references = stored_file(http, "bedrock", "vertex_ai")
        key = s3_key(references["bedrock"])
        whole = clouds.s3.get_object(Bucket=S3_BUCKET, Key=key)["Body"].read()
        clouds.s3.delete_object(Bucket=S3_BUCKET, Key=key)
        eventually(lambda: file["id"] in reconcile("--dry-run").stdout, "nobody has seen it for long enough")
        assert states(clouds, file["id"])["bedrock"] == "ready"
        assert not clouds.s3_keys(f"mediagate/{file['id']}/")

        ended = reconcile()
        assert ended.returncode == 0, ended.stderr
        assert is_marked_lost(ended.stdout, file["id"]), ended.stdout
        assert file["id"] in ended.stdout
        eventually(lambda: states(clouds, file["id"])["bedrock"] == "ready", "the copy is made anew", 30)
        (again,) = clouds.s3_keys(f"mediagate/{file['id']}/")
        assert clouds.s3.get_object(Bucket=S3_BUCKET, Key=again)["Body"].read() == whole
        assert "0 ghosts" in reconcile().stdout

    @pytest.mark.soak
    def test_a_ghost_without_another_copy_stays_lost(self, clouds: Clouds, http: httpx.Client, reconcile: Run) -> None:
        file, references = stored_file(http, "bedrock")
        clouds.s3.delete_object(Bucket=S3_BUCKET, Key=s3_key(references["bedrock"]))
        eventually(lambda: is_marked_lost(reconcile().stdout, file["id"]), "it is old enough to be missed")
        assert states(clouds, file["id"]) == {"bedrock": "lost"}
        reply = http.get(f"/v1/files/{file['id']}/content")
        assert reply.status_code >= 400
        assert reply.json()["error"]["code"]

    def test_what_fails_or_cannot_be_is_a_line(self, clouds: Clouds, reconcile: Run, tmp_path: Path) -> None:
        clouds.mistral.key, key = "another", clouds.mistral.key
        try:
            ended = reconcile(account="mistral")
        finally:
            clouds.mistral.key = key
        assert ended.returncode == 1
        assert re.fullmatch(r"mistral: Mistral \S.*\n", ended.stderr)
        nobody = reconcile(account="nobody")
        assert nobody.returncode == 2
        assert "'nobody' is none of the accounts anthropic, azure," in nobody.stderr
        nowhere = mediagate("reconcile", f"--data-dir={tmp_path}", config=tmp_path / "reconcile.yaml")
        assert nowhere.returncode == 2
        assert nowhere.stderr.startswith("There is no database. Set MEDIAGATE_DATABASE_URL, or have")


def test_an_expired_file_is_never_served_and_goes(clouds: Clouds, http: httpx.Client) -> None:
    file, references = stored_file(http, "local", "bedrock", "vertex_ai", "openai")
    path = f"/v1/files/{file['id']}"
    assert http.get(f"{path}/content").status_code == 200
    sql(clouds.gateway, "UPDATE file SET expires_at = now() - interval '1 ms' WHERE id = %s", file["id"])
    for method, what in (("GET", ""), ("GET", "/content"), ("HEAD", "/content"), ("DELETE", "")):
        assert http.request(method, f"{path}{what}").status_code == 404, (method, what)
    listed = http.get("/v1/files", params={"limit": 10_000}).json()["data"]
    assert file["id"] not in {item["id"] for item in listed}
    copied = http.post(
        "/v1/files", json={"source": file["id"], "purpose": "user_data", "custom_llm_provider": "vertex_ai"}
    )
    assert copied.status_code == 404
    sweep(clouds.gateway)

    def gone() -> bool:
        return (
            not clouds.s3_keys(f"mediagate/{file['id']}/")
            and not clouds.gcs_keys(f"mediagate/{file['id']}/")
            and references["openai"] not in clouds.openai.files
            and not [found for found in stored(clouds.gateway) if file["id"] in found.name]
            and not sql(clouds.gateway, "SELECT 1 FROM file WHERE id = %s", file["id"])
        )

    eventually(gone, "every copy is removed", 30)


def test_what_one_store_cannot_remove_now_keeps_no_other_copy(clouds: Clouds, http: httpx.Client) -> None:
    file, references = stored_file(http, "bedrock", "mistral")
    with ExitStack() as stack:
        stack.callback(setattr, clouds.mistral, "key", clouds.mistral.key)
        clouds.mistral.key = "another"
        sql(clouds.gateway, "UPDATE file SET expires_at = now() - interval '1 ms' WHERE id = %s", file["id"])
        sweep(clouds.gateway)
        eventually(lambda: not clouds.s3_keys(f"mediagate/{file['id']}/"), "the copy in S3 is removed")
        eventually(lambda: set(states(clouds, file["id"])) == {"mistral"}, "one row is left")
    eventually(
        lambda: not sql(clouds.gateway, "SELECT 1 FROM file WHERE id = %s", file["id"]), "the job is tried again"
    )
    assert references["mistral"] not in clouds.mistral.files


async def test_two_accounts_that_see_the_same_objects_leave_them_alone(clouds: Clouds, http: httpx.Client) -> None:
    """Two keys of one project: what one account keeps is no orphan to the other."""
    fields = field("purpose", "batch"), field("custom_llm_provider", "openai")
    file = post_form(http, *fields, file_part(b"{}", "rows.jsonl")).json()
    (copy,) = file["replicas"]
    db = Database(clouds.gateway.database_url)
    async with db.transaction() as tx:
        placed = ReplicaRepository(tx.connection).placed
        now = datetime.now(UTC)
        listed = {copy["reference"]: file["id"], "file-of-nobody": file["id"], "file-of-a-stranger": new_file_id()}
        assert await placed("azure", listed, now=now) == {copy["reference"]}
    await db.close()
