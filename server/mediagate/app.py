"""`python -m mediagate.app api|worker`: builds one process from its settings and runs it.

SIGTERM or SIGINT drains: health turns NOT_SERVING, after `server.drain_s` no new calls are taken, running ones get the
rest of `server.shutdown_s`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
from typing import Any
from urllib.parse import urlsplit

import structlog

from mediagate import __version__
from mediagate.config import ConfigError, Settings
from mediagate.core.errors import Unavailable
from mediagate.telemetry import traces
from mediagate.telemetry.logs import WRITER, configure_logs, flush_logs
from mediagate.telemetry.redaction import learn, secrets_in

log = structlog.get_logger(__name__)


def start_logs(process: str, settings: Settings) -> None:
    """Log as the configuration says, without its secrets."""
    telemetry = settings.config.telemetry
    given = [settings.config.model_dump(), settings.master_key, settings.database_url, dict(os.environ)]
    password = urlsplit(settings.database_url.get_secret_value()).password if settings.database_url else None
    learn([text for tree in given for text in secrets_in(tree)] + ([password] if password else []))
    configure_logs(process, level=telemetry.level, format=telemetry.format, exception_texts=telemetry.exception_texts)
    WRITER.start()


def start_traces(process: str, settings: Settings) -> None:
    """Trace where an OTLP endpoint is set; nothing of it is imported otherwise."""
    otlp = settings.config.telemetry.otlp(os.environ)
    if otlp is not None:
        from mediagate.telemetry.otlp import OtlpTracer

        traces.use(OtlpTracer(otlp.endpoint, otlp.headers, otlp.share, process, __version__))


async def run_api(settings: Settings, address: str) -> None:
    """Serve gRPC on `address` until a signal."""
    from mediagate.api.server import ApiServer
    from mediagate.composition import build_parts, open_parts, recall_accounts
    from mediagate.services import (
        build_callers,
        build_decision,
        build_feed,
        build_limits,
        build_pipeline,
        build_request_log,
        build_request_sink,
        build_servicers,
    )

    parts = build_parts(settings)
    feed = build_feed(parts)
    server: ApiServer | None = None

    async def require_ready() -> None:
        if server is None or server.draining:
            raise Unavailable("The service is shutting down.", retry_after_s=1)
        await parts.db.ping()

    await recall_accounts(parts)
    await open_parts(parts)
    callers = build_callers(parts)
    limits = build_limits(parts)
    servicers = build_servicers(parts, feed, require_ready, callers, limits)
    sink = build_request_sink(parts)
    pipeline = build_pipeline(parts, servicers, callers, limits, build_request_log(parts, sink.add if sink else None))
    if sink is not None:
        sink.start()
    server = ApiServer(servicers, pipeline, build_decision(parts, pipeline))
    key_changes = callers.authenticate.listener(parts.db)
    routing_news = parts.router.listener(parts.db)
    for hearing in (feed, key_changes, routing_news):
        await hearing.start()
    # What start-up made stays for good; the collector need not walk it again and again.
    gc.collect()
    gc.freeze()
    await server.start(address)
    log.info("api_started", address=address)
    await _signal()
    await server.drain()
    await asyncio.sleep(settings.config.server.drain_s)
    # Watches would use up all the grace: their clients resume elsewhere.
    await feed.close()
    await server.stop(grace_s=max(0.0, settings.config.server.shutdown_s - settings.config.server.drain_s))
    if sink is not None:
        await sink.close()
    await key_changes.close()
    await parts.chat_money.close()
    if pipeline.door.limits is not None:
        await pipeline.door.limits.close()
    await routing_news.close()
    await parts.copy_news.close()
    await parts.intake.leases.close()
    parts.outputs.tools.close()
    await parts.guardrails.close()
    await parts.chats.close()
    await parts.makers.close()
    await parts.stores.close()
    await parts.db.close()
    log.info("api_stopped", address=address)


async def run_worker(settings: Settings) -> None:
    """Run jobs until a signal."""
    from mediagate.composition import build_operations, build_parts, open_parts, recall_accounts
    from mediagate.jobs.tasks import Worker
    from mediagate.telemetry.exposition import serve_metrics

    parts = build_parts(settings)
    await recall_accounts(parts)
    await open_parts(parts)
    worker = Worker(build_operations(parts))
    routing_news = parts.router.listener(parts.db)
    await routing_news.start()
    # Trackers live long and are many: walking all of them for every few hundred new objects finds nothing.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    running = asyncio.create_task(worker.run())
    stopping = asyncio.create_task(_signal())
    stop_metrics = serve_metrics(settings.config.telemetry.worker_metrics_listen)
    log.info("worker_started")
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    worker.stop()
    await running
    await routing_news.close()
    await parts.copy_news.close()
    await parts.intake.leases.close()
    parts.outputs.tools.close()
    await parts.guardrails.close()
    await parts.batch_accounts.close()
    await parts.stores.close()
    await parts.db.close()
    stop_metrics()
    log.info("worker_stopped")


async def _signal() -> None:
    """Wait for SIGTERM or SIGINT."""
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, arrived.set)
    await arrived.wait()


def main(arguments: list[str] | None = None) -> int:
    """Entry of the child processes."""
    parser = argparse.ArgumentParser(prog="python -m mediagate.app", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    api = commands.add_parser("api", help="serve gRPC")
    api.add_argument("--listen", required=True, help="unix:PATH or HOST:PORT")
    commands.add_parser("worker", help="run jobs")
    chosen = parser.parse_args(arguments)
    configure_logs(chosen.command)
    try:
        settings = Settings.from_env()
        start_logs(chosen.command, settings)
        start_traces(chosen.command, settings)
        runner: Any = run_api(settings, chosen.listen) if chosen.command == "api" else run_worker(settings)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 2
    with asyncio.Runner(loop_factory=_loop_factory()) as loop:
        loop.run(runner)
    traces.close()
    flush_logs()
    return 0


def _loop_factory() -> Any:
    import uvloop

    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
