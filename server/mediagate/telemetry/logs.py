"""Logs: one line of JSON per event on standard error."""

from __future__ import annotations

import logging
import os
import sys

import structlog

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def configure_logs(process: str) -> None:
    """Log from `MEDIAGATE_LOG_LEVEL` (`info`) up. Every line carries `process`, a level and a time.

    Standard `logging` goes the same way from WARNING up.
    """
    level = LEVELS.get(os.environ.get("MEDIAGATE_LOG_LEVEL", "info").lower(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.getLogger("grpc._cython.cygrpc").addFilter(_shows_no_header)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


def _shows_no_header(record: logging.LogRecord) -> bool:
    """gRPC writes down every header that is not UTF-8, a mistyped key among them."""
    return not str(record.msg).startswith("Invalid encoding")
