"""What tests of telemetry share: the lines of a gateway's logs, and its metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.api.wire import eventually
from tests.conftest import Gateway

Line = dict[str, Any]


def lines(gateway: Gateway, log: str = "api-*") -> list[Line]:
    """Every whole line of these logs, as JSON."""
    found = []
    for path in sorted((gateway.data_dir / "logs").glob(f"{log}.log")):
        found += [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")]
    return found


def line_of(gateway: Gateway, reply: httpx.Response, event: str = "request") -> Line:
    """The one line that a request left."""
    request_id = reply.headers["x-request-id"]

    def found() -> list[Line]:
        return [line for line in lines(gateway) if line.get("request_id") == request_id and line["event"] == event]

    eventually(found, "the line is written")
    assert len(found()) == 1, found()
    return found()[0]


def metrics(gateway: Gateway, **options: Any) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Every sample of `/metrics`, by its name and its sorted labels."""
    reply = httpx.get(f"{gateway.url}/metrics", timeout=60, **options)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in text_string_to_metric_families(reply.text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def value(gateway: Gateway, name: str, **labels: str) -> float:
    """One sample; 0 where there is none."""
    return metrics(gateway).get(name, {}).get(tuple(sorted(labels.items())), 0.0)


def reaches(read: Callable[[], float], least: float, what: str) -> None:
    """Wait until a metric is there; a page is kept for a second."""
    eventually(lambda: read() >= least, what)
