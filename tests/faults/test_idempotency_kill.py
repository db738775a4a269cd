"""Calls with a key survive the death of their process at any moment: whoever retries gets one object for one key."""

from __future__ import annotations

import concurrent.futures
import hashlib
import itertools
import random
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import httpx
import psycopg
import pytest

from tests.api.videos_kit import SMALL
from tests.api.wire import sql
from tests.conftest import TEST_CONFIG, Gateway

SEED = 2718
RANDOM_KILLS, AIMED_KILLS = 1, 2
THREADS = 8
ANSWERED_S_MAX = 200
KILL_S_MAX = 80


@pytest.fixture(scope="module")
def stack(own_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway that only this module uses."""
    return own_gateway(TEST_CONFIG)


@dataclass
class Sent:
    """What one key was used for."""

    key: str
    data: bytes
    answers: set[str] = field(default_factory=set)
    found: bool = False
    """Whether its first answer was that of an attempt before."""


class Caller:
    """A client that repeats each call with its key until it is answered, and once more."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._numbers = itertools.count()
        self.sent: list[Sent] = []

    def run(self, done: threading.Event) -> None:
        """Make one object after the other until `done`."""
        with self._gateway.http() as http:
            while not done.is_set():
                self._make(http, next(self._numbers))

    def _make(self, http: httpx.Client, number: int) -> None:
        sent = Sent(f"key-{number}-{uuid.uuid4()}", random.Random(SEED * 1000 + number).randbytes(1000))
        self.sent.append(sent)
        end = time.monotonic() + ANSWERED_S_MAX
        for _ in range(2):
            while (answer := self._try(http, sent, number)) is None:
                assert time.monotonic() < end, f"{sent.key} is not answered"
                time.sleep(0.05)
            sent.answers.add(answer)

    def _try(self, http: httpx.Client, sent: Sent, number: int) -> str | None:
        """The id that was answered; None where the call broke, or was refused for the moment."""
        with suppress(httpx.TransportError):
            headers = {"idempotency-key": sent.key}
            if number % 10:
                files = {"file": (f"{sent.key}.bin", sent.data)}
                reply = http.post("/v1/files", headers=headers, data={"purpose": "user_data"}, files=files)
            else:
                reply = http.post("/v1/videos", headers=headers, json={**SMALL, "prompt": sent.key})
            if reply.status_code == 200:
                sent.found |= not sent.answers and "idempotent-replayed" in reply.headers
                return str(reply.json()["id"])
            assert reply.status_code in (409, 502, 503), reply.text
        return None


UNANSWERED = (
    "SELECT f.id FROM idempotency i JOIN file f ON f.id = i.object_id "
    "WHERE i.state = 'running' AND f.state = 'processed' FOR UPDATE OF i SKIP LOCKED"
)
WAITING = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


def kill_between_commit_and_answer(gateway: Gateway, before: set[str]) -> set[str]:
    """Kill the server while files exist whose callers have not been told, others than `before`; returns them all.

    A lock on their rows holds the server back, and what it had sent to the database by then must not be done later.
    """
    with psycopg.connect(gateway.database_url) as connection:
        end = time.monotonic() + KILL_S_MAX
        while (found := before.union(*connection.execute(UNANSWERED).fetchall())) == before:
            connection.rollback()
            assert time.monotonic() < end, "nobody calls any more"
        gateway.kill("api-0")
        connection.execute(WAITING)
        connection.rollback()
    return found


def kill_servers(gateway: Gateway) -> set[str]:
    """Kill the server process with SIGKILL, again and again; returns files whose callers had not been told by then."""
    rng = random.Random(SEED)
    for _ in range(RANDOM_KILLS):
        gateway.wait_ready()
        time.sleep(rng.uniform(0.1, 0.4))
        gateway.kill("api-0")
    unanswered: set[str] = set()
    for _ in range(AIMED_KILLS):
        gateway.wait_ready()
        unanswered = kill_between_commit_and_answer(gateway, unanswered)
    gateway.wait_ready()
    return unanswered


@pytest.mark.soak
def test_every_key_has_one_object_whatever_was_killed(stack: Gateway) -> None:
    caller, done = Caller(stack), threading.Event()
    with concurrent.futures.ThreadPoolExecutor(THREADS + 1) as pool:
        running = [pool.submit(caller.run, done) for _ in range(THREADS)]
        killer = pool.submit(kill_servers, stack)
        concurrent.futures.wait([killer])
        done.set()
        for one in running:
            one.result()
        unanswered = killer.result()
    recovered = set().union(*(sent.answers for sent in caller.sent if sent.found))
    assert len(unanswered) >= AIMED_KILLS
    assert unanswered <= recovered, "what had taken effect was found by the retry"
    assert [sent.key for sent in caller.sent if len(sent.answers) != 1] == []
    made = sql(stack, "SELECT filename, id, sha256 FROM file WHERE state = 'processed' AND NOT internal")
    made += sql(stack, "SELECT prompt, id, '' FROM video")
    found = {name.removesuffix(".bin"): (object_id, digest) for name, object_id, digest in made}
    assert len(found) == len(made) == len(caller.sent), "none is lost, and none was made twice"
    for sent in caller.sent:
        object_id, digest = found[sent.key]
        assert {object_id} == sent.answers
        assert digest in ("", hashlib.sha256(sent.data).hexdigest())
