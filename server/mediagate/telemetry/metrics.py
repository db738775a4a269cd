"""What is counted, each metric defined once, and the calls that count. No label is a tenant or a file.

Every process writes its numbers into files of its own in `PROMETHEUS_MULTIPROC_DIR`, so that whichever process is asked
answers for all of them on this machine. The variable must be set before this module is imported; without it each
process counts for itself. All metrics have labels: one without would make its file wherever this is imported.
"""

from __future__ import annotations

from typing import Any, Final

from mediagate.telemetry.metrics_folder import claim

# Before the library sees whether there are files, which it does when it is imported.
claim()

from prometheus_client import Counter, Histogram  # noqa: E402
from prometheus_client.registry import CollectorRegistry  # noqa: E402

# None: nothing is registered, so that a library's own metrics do not come along.
REGISTRY: Final = CollectorRegistry(auto_describe=False)
VALUES_MAX: Final = 500
"""Of a label that is not a closed set; what comes later is counted as `other`."""
OTHER: Final = "other"
RPC_BUCKETS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0)
CALL_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0)


class _Children:
    """The children of a metric by their labels, found without the library's lock."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric
        self._known: dict[tuple[str, ...], Any] = {}

    def of(self, *labels: str) -> Any:
        child = self._known.get(labels)
        if child is None:
            kept = labels if len(self._known) < VALUES_MAX else (OTHER,) * len(labels)
            child = self._known[kept] = self._metric.labels(*kept)
        return child


def _counter(name: str, text: str, *labels: str) -> _Children:
    return _Children(Counter(name, text, labels, registry=REGISTRY))


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> _Children:
    return _Children(Histogram(name, text, labels, registry=REGISTRY, buckets=buckets))


_rpcs = _histogram(
    "mediagate_rpc_duration_seconds", "Calls by method and gRPC code; streams from their first to their last byte.",
    RPC_BUCKETS, "rpc", "code",
)  # fmt: skip
_uploaded = _counter("mediagate_upload_bytes_total", "Bytes written to a backend.", "backend")
_downloaded = _counter(
    "mediagate_download_bytes_total",
    "Bytes of content given out: sent by this server, or granted to Envoy, which streams them from the backend.",
    "backend", "path",
)  # fmt: skip
_calls = _counter("mediagate_backend_requests_total", "Requests to backends.", "backend", "op", "outcome")
_call_seconds = _histogram(
    "mediagate_backend_request_duration_seconds", "Time to the head of a backend's answer.", CALL_BUCKETS, "backend"
)
_orphans = _counter("mediagate_orphans_found_total", "Objects in a backend that no row stands for.", "backend")
_ended = _counter("mediagate_videos_ended_total", "Videos that came to their end.", "provider", "phase")
_batches = _counter("mediagate_batches_ended_total", "Batches that came to their end.", "provider", "phase")
_spent = _counter(
    "mediagate_spend_usd_total",
    "US dollars charged, at the moment that each video or batch ended.",
    "provider",
    "model",
)
_jobs = _counter("mediagate_jobs_run_total", "Jobs that were run.", "task", "outcome")
_webhooks = _counter("mediagate_webhook_attempts_total", "Attempts to deliver a webhook.", "outcome")
_guardrails = _counter("mediagate_guardrail_checks_total", "What guardrails said.", "guardrail", "outcome")
_limits = _counter("mediagate_limited_total", "Calls refused by a limit, a quota or a budget.", "limit", "scope")
_routes = _counter("mediagate_routing_attempts_total", "Attempts at a deployment.", "deployment", "outcome")
_cooldowns = _counter("mediagate_cooldowns_total", "Deployments that were set aside for a while.", "deployment")
_dropped = _counter("mediagate_request_log_dropped_total", "Lines that the sink did not get.", "reason")
_sent = _counter("mediagate_request_log_sent_total", "Lines that the sink acknowledged.", "sink")


def rpc_ended(rpc: str, code: str, seconds: float) -> None:
    """A call ended. `rpc` is `Service/Method`."""
    _rpcs.of(rpc, code).observe(seconds)


def uploaded(backend: str, size_bytes: int) -> None:
    """Bytes went to an account."""
    _uploaded.of(backend).inc(size_bytes)


def downloaded(backend: str, size_bytes: int, *, by_edge: bool = False) -> None:
    """Content came from an account: through this process, or `by_edge`, which then streams it."""
    if size_bytes > 0:
        _downloaded.of(backend, "edge" if by_edge else "server").inc(size_bytes)


def backend_called(backend: str, op: str, outcome: str, seconds: float) -> None:
    """A request to an account had this outcome: `ok`, `not_found`, `refused`, `rejected`, `rate_limited`, `failed`,
    `timeout`, `unreachable`, `broken` or `cancelled`."""
    _calls.of(backend, op, outcome).inc()
    _call_seconds.of(backend).observe(seconds)


def orphan_found(backend: str) -> None:
    """An object without a row was found in an account."""
    _orphans.of(backend).inc()


def video_ended(provider: str, phase: str) -> None:
    """A video ended in this phase."""
    _ended.of(provider, phase).inc()


def batch_ended(provider: str, phase: str) -> None:
    """A batch ended in this phase."""
    _batches.of(provider, phase).inc()


def charged(provider: str, model: str, usd: float) -> None:
    """A provider charges for a video or a batch."""
    if usd > 0:
        _spent.of(provider, model).inc(usd)


def job_ran(task: str, outcome: str) -> None:
    """A job ended: `ok` or `failed`."""
    _jobs.of(task, outcome).inc()


def webhook_attempted(outcome: str) -> None:
    """A webhook was sent once: `delivered` or `failed`."""
    _webhooks.of(outcome).inc()


def guardrail_checked(guardrail: str, outcome: str) -> None:
    """A guardrail said `allowed`, `blocked`, `changed` or `failed`."""
    _guardrails.of(guardrail, outcome).inc()


def limited(limit: str, scope: str) -> None:
    """A call was refused by a limit, such as `requests_per_minute`, of a `key`, a `user` or a `team`."""
    _limits.of(limit, scope).inc()


def deployment_tried(deployment: str, outcome: str) -> None:
    """Routing tried a deployment: `ok` or `failed`."""
    _routes.of(deployment, outcome).inc()


def deployment_cooled(deployment: str) -> None:
    """Routing set a deployment aside."""
    _cooldowns.of(deployment).inc()


def log_lines_dropped(lines: int, reason: str) -> None:
    """Lines are lost to the request log's sink: `queue_full`, `undelivered` or `shutdown`."""
    _dropped.of(reason).inc(lines)


def log_lines_sent(lines: int) -> None:
    """The request log's sink took lines."""
    _sent.of("webhook").inc(lines)
