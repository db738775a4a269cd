"""Failures on their way out: gRPC callers get `google.rpc.Status` with an ErrorInfo, the edge gets OpenAI's envelope.

The edge reads two trailing metadata of a call that failed before its first message: `x-openai-error` (the whole body,
ASCII JSON) and `x-http-status`. The other trailing metadata become response headers as they are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import NoReturn

import grpc
import psycopg
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mediagate.core.errors import InternalError, InvalidRequest, MediagateError, RateLimited, Unavailable
from mediagate.core.limits import echo

log = structlog.get_logger(__name__)
DOMAIN = "mediagate"
# A failure travels in headers, which gRPC and the edge bound at some kilobytes altogether.
MESSAGE_CHARS_MAX = 512
VALUE_CHARS_MAX = 128


def as_mediagate_error(error: Exception, *, method: str, repeatable: bool) -> MediagateError:
    """What the caller may know of any exception. `repeatable` methods change nothing, so a retry is harmless."""
    if isinstance(error, MediagateError):
        return error
    if _database_is_away(error):
        log.warning("database_unavailable", method=method, error=type(error).__name__)
        if repeatable or isinstance(error, PoolTimeout):
            return Unavailable("The service is temporarily unavailable. Try again in a moment.", retry_after_s=1)
        return InternalError()
    if _is_unstorable(error):
        return InvalidRequest("Text may not hold the character NUL.")
    log.error("unhandled_exception", method=method, exc_info=error)
    return InternalError()


def _database_is_away(error: Exception) -> bool:
    """SQLAlchemy and the driver beneath it each have their own words; statements run through either."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error.orig, psycopg.OperationalError)
    return isinstance(error, PoolTimeout | psycopg.OperationalError)


def _is_unstorable(error: Exception) -> bool:
    """PostgreSQL takes every text but one with a NUL, alone or in JSON, which any field of a message may have."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, psycopg.errors.UntranslatableCharacter):
        return True
    return isinstance(cause, psycopg.DataError) and "NUL" in str(cause)


def envelope(error: MediagateError) -> str:
    """OpenAI's error body, in ASCII."""
    body = {
        "message": error.message[:MESSAGE_CHARS_MAX],
        "type": error.openai_type,
        "param": _param(error),
        "code": error.code,
    }
    return json.dumps({"error": body}, separators=(",", ":"))


def trailing_metadata(error: MediagateError) -> list[tuple[str, str | bytes]]:
    """What goes with the status: for the edge, for SDKs, and the details for gRPC callers."""
    metadata: list[tuple[str, str | bytes]] = [
        ("x-openai-error", envelope(error)),
        ("x-http-status", str(error.http_status)),
        ("x-should-retry", "true" if error.retryable else "false"),
        ("grpc-status-details-bin", status(error).SerializeToString()),
    ]
    if error.retry_after_s is not None:
        # Never earlier than it helps, which a rounded one may be. OpenAI's SDKs prefer the exact one.
        metadata.append(("retry-after", str(max(1, math.ceil(error.retry_after_s)))))
        metadata.append(("retry-after-ms", str(max(1, math.ceil(error.retry_after_s * 1000)))))
    if isinstance(error, RateLimited):
        metadata.extend(error.headers)
    if "content_range" in error.metadata:
        metadata.append(("content-range", error.metadata["content_range"]))
    return metadata


def status(error: MediagateError) -> status_pb2.Status:
    """The error as `google.rpc.Status`."""
    values = {key: echo(value, chars_max=VALUE_CHARS_MAX) for key, value in error.metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=values)
    packed = [_packed(info)]
    param = _param(error)
    if param is not None:
        message = error.message[:MESSAGE_CHARS_MAX]
        violation = error_details_pb2.BadRequest.FieldViolation(field=param, description=message)
        packed.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    if error.retry_after_s is not None:
        packed.append(_packed(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_after_s))))
    code = getattr(grpc.StatusCode, error.grpc_code).value[0]
    return status_pb2.Status(code=code, message=error.message[:MESSAGE_CHARS_MAX], details=packed)


def _param(error: MediagateError) -> str | None:
    return None if error.param is None else echo(error.param, chars_max=VALUE_CHARS_MAX)


def _duration(seconds: float) -> Duration:
    whole = Duration()
    whole.FromMilliseconds(math.ceil(seconds * 1000))
    return whole


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


async def abort(
    context: grpc.aio.ServicerContext,  # type: ignore[type-arg]
    error: MediagateError,
    headers: Iterable[tuple[str, str]] = (),
) -> NoReturn:
    """End the call with `error`; `headers` are those of any reply."""
    await context.abort(
        getattr(grpc.StatusCode, error.grpc_code),
        error.message[:MESSAGE_CHARS_MAX],
        (*trailing_metadata(error), *headers),
    )
    raise AssertionError("abort returns never")
