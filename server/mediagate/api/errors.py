"""Failures on their way out: gRPC callers get `google.rpc.Status` with an ErrorInfo, the edge gets OpenAI's envelope.

The edge reads two trailing metadata of a call that failed before its first message: `x-openai-error` (the whole body, ASCII
JSON) and `x-http-status`. The other trailing metadata become response headers as they are.
"""

from __future__ import annotations

import json
from typing import NoReturn

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mediagate.core.errors import InternalError, MediagateError, Unavailable

log = structlog.get_logger(__name__)
DOMAIN = "mediagate"
MESSAGE_CHARS_MAX = 1024


def as_mediagate_error(error: Exception, *, method: str, repeatable: bool) -> MediagateError:
    """What the caller may know of any exception. `repeatable` methods change nothing, so a retry is harmless."""
    if isinstance(error, MediagateError):
        return error
    if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and error.connection_invalidated):
        log.warning("database_unavailable", method=method, error=type(error).__name__)
        if repeatable or isinstance(error, PoolTimeout):
            return Unavailable("The service is temporarily unavailable. Try again in a moment.", retry_after_s=1)
        return InternalError()
    log.error("unhandled_exception", method=method, exc_info=error)
    return InternalError()


def envelope(error: MediagateError) -> str:
    """OpenAI's error body, in ASCII."""
    body = {
        "message": error.message[:MESSAGE_CHARS_MAX],
        "type": error.openai_type,
        "param": error.param,
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
        metadata.append(("retry-after", str(max(1, round(error.retry_after_s)))))
    if "content_range" in error.metadata:
        metadata.append(("content-range", error.metadata["content_range"]))
    return metadata


def status(error: MediagateError) -> status_pb2.Status:
    """The error as `google.rpc.Status`."""
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    packed = [_packed(info)]
    if error.param is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(field=error.param, description=error.message)
        packed.append(_packed(error_details_pb2.BadRequest(field_violations=[violation])))
    code = getattr(grpc.StatusCode, error.grpc_code).value[0]
    return status_pb2.Status(code=code, message=error.message[:MESSAGE_CHARS_MAX], details=packed)


def _packed(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


async def abort(context: grpc.aio.ServicerContext, error: MediagateError) -> NoReturn:  # type: ignore[type-arg]
    """End the call with `error`."""
    await context.abort(
        getattr(grpc.StatusCode, error.grpc_code),
        error.message[:MESSAGE_CHARS_MAX],
        tuple(trailing_metadata(error)),
    )
    raise AssertionError("abort returns never")
