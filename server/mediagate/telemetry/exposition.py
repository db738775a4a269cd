"""The page of metrics: what all processes of this machine counted, and what the database says of the moment."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest, start_http_server
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector

from mediagate.telemetry.metrics import REGISTRY
from mediagate.telemetry.metrics_folder import VARIABLE

log = structlog.get_logger(__name__)
CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4
FRESH_S: Final = 1.0
GAUGES_FRESH_S: Final = 10.0
SHARE_MAX: Final = 0.05
"""Of all time, what asking the database may take: what takes a second is asked every twenty."""
ASK_S_MAX: Final = 10.0


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric of the moment: `values` by label values, in the order of `labels`."""

    name: str
    text: str
    labels: tuple[str, ...]
    values: tuple[tuple[tuple[str, ...], float], ...]


Ask = Callable[[], Awaitable[Iterable[Gauge]]]


class MetricsPage:
    """Renders the page, at most once a second whoever asks; `ask` is for what lies in the database."""

    def __init__(self, version: str, ask: Ask, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._build = Gauge("mediagate_build_info", "What runs.", ("version",), (((version,), 1.0),))
        self._gauges: tuple[Gauge, ...] = ()
        self._gauges_until = 0.0
        self._page = b""
        self._page_until = 0.0
        self._rendering = asyncio.Lock()

    async def render(self) -> bytes:
        """The page as text. With the database away, it has everything else."""
        async with self._rendering:
            if self._monotonic() >= self._page_until:
                await self._look()
                self._page = await asyncio.to_thread(_rendered, (self._build, *self._gauges))
                self._page_until = self._monotonic() + FRESH_S
        return self._page

    async def _look(self) -> None:
        began = self._monotonic()
        if began < self._gauges_until:
            return
        try:
            async with asyncio.timeout(ASK_S_MAX):
                self._gauges = tuple(await self._ask())
        except Exception as error:
            # What was true a while ago is worse than nothing: alerts would rest on it.
            self._gauges = ()
            log.info("gauges_unknown", error=type(error).__name__)
        took_s = self._monotonic() - began
        self._gauges_until = began + max(GAUGES_FRESH_S, took_s / SHARE_MAX)


def serve_metrics(listen: str | None) -> Callable[[], None]:
    """Serve what this machine's processes count at `host:port`, by a thread; returns what ends that."""
    if listen is None:
        return lambda: None
    host, _, port = listen.rpartition(":")
    try:
        server, _thread = start_http_server(int(port), host.strip("[]"), _counted())
    except OSError as error:
        # Jobs are worth more than their metrics.
        log.error("metrics_not_served", listen=listen, reason=error.strerror)
        return lambda: None
    return server.shutdown


class _Families:
    def __init__(self, gauges: Iterable[Gauge]) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        for gauge in self._gauges:
            family = GaugeMetricFamily(gauge.name, gauge.text, labels=gauge.labels)
            for labels, value in gauge.values:
                family.add_metric(labels, value)
            yield family


def _rendered(gauges: Iterable[Gauge]) -> bytes:
    of_moment = CollectorRegistry(auto_describe=False)
    of_moment.register(_Families(gauges))
    return generate_latest(of_moment) + generate_latest(_counted())


def _counted() -> CollectorRegistry:
    if VARIABLE not in os.environ:
        return REGISTRY
    registry = CollectorRegistry(auto_describe=False)
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
