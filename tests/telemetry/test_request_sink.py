"""Lines of requests arrive at the operator's server, whatever happens to it, and no request waits for that."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import httpx
import pytest
from standardwebhooks import Webhook

from mediagate.telemetry.request_sink import RequestSink, SinkRules
from tests.api.wire import eventually
from tests.conftest import TEST_CONFIG, Gateway, free_port
from tests.telemetry.kit import lines, value
from tests.telemetry.receiver import receiver

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def test_every_line_arrives_signed_after_two_failures(own_gateway: Callable[..., Gateway]) -> None:
    with receiver(refusals=2) as sink:
        sink_config = {
            "url": sink.url,
            "headers": {"x-collector-key": "canary-collector-key"},
            "secret": SECRET,
            "batch_lines_max": 10,
            "wait_s": 0.2,
        }
        # Nothing is logged at this level, and all of it is sent.
        gateway = own_gateway({**TEST_CONFIG, "telemetry": {"level": "error", "request_log": sink_config}})
        with gateway.http() as http:
            ids = {http.get("/v1/models").headers["x-request-id"] for _ in range(25)}
            ids.add(http.get("/v1/models/nobody").headers["x-request-id"])
        eventually(lambda: ids <= {line["request_id"] for line in sink.lines}, "every line arrives")
        assert len(sink.lines) == len({line["request_id"] for line in sink.lines}), "each once"
        refused, first = sink.attempts[0], sink.attempts[2]
        assert (refused[0]["webhook-id"], refused[1]) == (first[0]["webhook-id"], first[1]), "the same batch again"
        for headers, body in sink.attempts:
            assert headers["x-collector-key"] == "canary-collector-key"
            tree = Webhook(SECRET).verify(body.decode(), dict(headers))
            assert tree["type"] == "requests.logged"
            assert 1 <= len(tree["data"]) <= 10
        with gateway.http() as http:
            last = http.get("/v1/models").headers["x-request-id"]
        assert gateway.stop() == 0
        assert last in {line["request_id"] for line in sink.lines}, "flushed at shutdown"
    logs = "".join(path.read_text() for path in (gateway.data_dir / "logs").glob("*.log"))
    assert "canary-" not in logs
    assert SECRET not in logs


@pytest.mark.soak
def test_a_sink_that_is_dead_costs_only_its_lines(own_gateway: Callable[..., Gateway]) -> None:
    sink = {"url": f"http://127.0.0.1:{free_port()}/", "queue_lines_max": 20, "batch_lines_max": 5, "retry_s_max": 0}
    gateway = own_gateway({**TEST_CONFIG, "telemetry": {"request_log": sink}})
    with gateway.http() as http:
        replies = [http.get("/v1/models") for _ in range(80)]
    assert {reply.status_code for reply in replies} == {200}

    def dropped() -> float:
        return sum(
            value(gateway, "mediagate_request_log_dropped_total", reason=reason)
            for reason in ("queue_full", "undelivered")
        )

    eventually(lambda: dropped() >= 80, "every line is counted as dropped")
    ids = {reply.headers["x-request-id"] for reply in replies}
    eventually(lambda: ids <= {line.get("request_id") for line in lines(gateway)}, "they are logged all the same")
    assert httpx.get(f"{gateway.url}/readyz").status_code == 200


RULES = SinkRules(batch_lines_max=3, queue_lines_max=7, wait_s=0.01, retry_s_max=60)


class Server:
    """Takes batches once it is told to."""

    def __init__(self) -> None:
        self.works = asyncio.Event()
        self.got: list[tuple[str, list[int]]] = []
        self.tried = 0

    async def post(self, batch_id: str, body: bytes) -> bool:
        self.tried += 1
        if not self.works.is_set():
            return False
        self.got.append((batch_id, [line["n"] for line in json.loads(body)["data"]]))
        return True


def numbered() -> Callable[[], str]:
    numbers = iter(range(1000))
    return lambda: f"evt_{next(numbers)}"


async def test_what_does_not_fit_is_dropped_and_the_rest_keeps_its_order() -> None:
    server = Server()
    sink = RequestSink(server.post, RULES, numbered())
    sink.start()
    for n in range(50):
        sink.add(f'{{"n":{n}}}')
    while not server.tried:
        await asyncio.sleep(0.01)
    server.works.set()
    await sink.close(within_s=20)
    assert [n for _, batch in server.got for n in batch] == list(range(7))
    assert [len(batch) for _, batch in server.got] == [3, 3, 1]


async def test_closing_does_not_wait_for_a_dead_server() -> None:
    server = Server()
    sink = RequestSink(server.post, RULES, numbered())
    sink.start()
    sink.add('{"n":1}')
    async with asyncio.timeout(10):
        await sink.close(within_s=0.2)
    assert server.got == []
