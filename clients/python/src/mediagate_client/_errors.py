"""Every failure that a caller of this package can meet, as one tree.

MediagateError
├── ConnectionFailed       the gateway cannot be reached, or the connection broke
│   ├── TlsFailed          the certificate is not trusted, or one side speaks no TLS
│   └── TimedOut           no answer in time
├── UploadInterrupted      an upload in parts broke off; `resume` goes on with it
├── TransferDamaged        the bytes that arrived are not the bytes that were sent
├── LocalFileError         a file or folder on this machine cannot be read or written
│   ├── FileChanged        the file changed while it was sent, or while it was fetched
│   └── DiskFull           no room for a download
├── VideoFailed            a video that was waited for did not become one; `video` has it
└── ApiError               the gateway answered that it will not do this
    ├── InvalidRequest     HTTP 400, 413, 415, 416, 422
    ├── AuthenticationFailed   401
    ├── PermissionDenied   403
    ├── NotFound           404
    ├── Conflict           409
    ├── RateLimited        429
    ├── Unsupported        501
    └── ServerError        5xx

`str(error)` says what happened, what to do, and the request id. UploadStopped is none of them but a KeyboardInterrupt:
the user's Ctrl-C, with what the upload needs to go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from mediagate_client._types import Video
    from mediagate_client._upload import UploadState


class MediagateError(Exception):
    """Base of the tree.

    `reason` is a stable word for programs, `code` the finer word that REST callers see, `param` the field at fault,
    `retry_after_s` how long to wait before the same call, `retryable` whether the same call can help at all.
    """

    reason: str = "FAILED"
    retryable: bool = False
    what_to_do: str = ""

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason or type(self).reason
        self.code = code or self.reason.lower()
        self.param = param
        self.request_id = request_id
        self.retry_after_s = retry_after_s
        self.retryable = type(self).retryable if retryable is None else retryable
        self.what_to_do = ADVICE.get(self.reason) or type(self).what_to_do

    def __str__(self) -> str:
        field = f" (field `{self.param}`)" if self.param and self.param not in self.message else ""
        request = f" [request {self.request_id}]" if self.request_id else ""
        return " ".join(part for part in (self.message + field, self.what_to_do) if part) + request


class ConnectionFailed(MediagateError):
    """The gateway cannot be reached, or the connection broke."""

    reason = "UNREACHABLE"
    retryable = True
    what_to_do = "Check the URL and that the gateway runs, then try again."


class TlsFailed(ConnectionFailed):
    """The certificate is not trusted, or one side speaks no TLS."""

    reason = "TLS_FAILED"
    retryable = False
    what_to_do = "Check whether the gateway is http:// or https://, and give `ca_file` for a CA of your own."


class TimedOut(ConnectionFailed):
    """No answer in time."""

    reason = "TIMED_OUT"
    what_to_do = "Try again, with a larger `timeout_s` where the work takes long."


class UploadInterrupted(MediagateError):
    """An upload in parts broke off. `files.upload(path, resume=error.resume)` sends what is missing, for an hour."""

    reason = "UPLOAD_INTERRUPTED"
    retryable = True
    what_to_do = "Call `files.upload` again with `resume=error.resume` within the hour; only missing parts are sent."

    def __init__(self, message: str, resume: UploadState, *, request_id: str | None = None) -> None:
        super().__init__(message, request_id=request_id)
        self.resume = resume


class UploadStopped(KeyboardInterrupt):
    """Ctrl-C in an upload in parts. `files.upload(path, resume=error.resume)` sends what is missing, for an hour."""

    def __init__(self, message: str, resume: UploadState) -> None:
        super().__init__(message)
        self.resume = resume


def stop(error: BaseException, state: UploadState, filename: str, parts: int) -> None:
    """Have the cancellation of an upload say how to go on: what asyncio raises in its place shows it too."""
    error.resume = state  # type: ignore[attr-defined]
    error.add_note(
        f"The upload of {filename!r} stopped with {len(state.parts)} of {parts} parts stored, which stay for an hour. "
        f"Call `files.upload` with `resume=error.resume`, or with resume={str(state)!r}, to send what is missing; "
        "`files.discard` drops them."
    )


class TransferDamaged(MediagateError):
    """The bytes that arrived are not the bytes that were sent. Nothing was kept."""

    reason = "TRANSFER_DAMAGED"
    retryable = True
    what_to_do = "Nothing was kept; try again."


class LocalFileError(MediagateError):
    """A file or folder on this machine cannot be read or written."""

    reason = "LOCAL_FILE"
    what_to_do = "Check the path and its permissions."


class FileChanged(LocalFileError):
    """The file changed while it was sent, or the content while it was fetched. Nothing was kept."""

    reason = "FILE_CHANGED"
    what_to_do = "Nothing was kept; try again when nobody writes to it."


class DiskFull(LocalFileError):
    """There is no room for a download. Nothing was left behind."""

    reason = "DISK_FULL"
    what_to_do = "Free some room, or name another folder; nothing was left behind."


class VideoFailed(MediagateError):
    """A video that was waited for did not become one. `video.mediagate.failure` says more."""

    reason = "VIDEO_FAILED"

    def __init__(self, message: str, video: Video, *, code: str | None = None, retryable: bool = False) -> None:
        super().__init__(message, code=code, retryable=retryable)
        self.video = video


class ApiError(MediagateError):
    """The gateway answered that it will not do this. `http_status` is that of REST, also over gRPC."""

    status: ClassVar[int] = 500

    def __init__(
        self,
        message: str,
        *,
        reason: str | None = None,
        http_status: int | None = None,
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init__(
            message,
            reason=reason,
            code=code,
            param=param,
            request_id=request_id,
            retry_after_s=retry_after_s,
            retryable=retryable,
        )
        self.http_status = http_status or type(self).status


class InvalidRequest(ApiError):
    """The request, or one field of it, is wrong."""

    reason = "INVALID_REQUEST"
    status = 400


class AuthenticationFailed(ApiError):
    """No key, or one that is not known."""

    reason = "INVALID_API_KEY"
    status = 401


class PermissionDenied(ApiError):
    """The key is known and may not do this."""

    reason = "PERMISSION_DENIED"
    status = 403


class NotFound(ApiError):
    """Unknown, deleted, expired and foreign ids all read like this."""

    reason = "NOT_FOUND"
    status = 404


class Conflict(ApiError):
    """Something else with the same object or key is under way."""

    reason = "CONFLICT"
    status = 409


class RateLimited(ApiError):
    """Too many requests, or no money left."""

    reason = "RATE_LIMITED"
    status = 429


class Unsupported(ApiError):
    """No account behind the gateway can do this."""

    reason = "UNSUPPORTED"
    status = 501


class ServerError(ApiError):
    """The gateway, or the provider behind it, failed."""

    reason = "INTERNAL"
    status = 500


# What the gateway says over gRPC, and the HTTP status that goes with it.
REASONS = {
    "INVALID_REQUEST": 400,
    "INVALID_FIELD": 400,
    "UPLOAD_TRUNCATED": 400,
    "CHECKSUM_MISMATCH": 400,
    "STATE_CONFLICT": 400,
    "CONTENT_POLICY_VIOLATION": 400,
    "INVALID_API_KEY": 401,
    "PERMISSION_DENIED": 403,
    "STORAGE_QUOTA_EXCEEDED": 403,
    "NOT_FOUND": 404,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "TOKEN_IN_USE": 409,
    "CHANGED_MEANWHILE": 409,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "RANGE_NOT_SATISFIABLE": 416,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "RATE_LIMITED": 429,
    "INSUFFICIENT_QUOTA": 429,
    "INTERNAL": 500,
    "UNSUPPORTED": 501,
    "PROVIDER_REFUSED": 502,
    "PROVIDER_FAILED": 502,
    "UNAVAILABLE": 503,
    "OVERLOADED": 503,
    "PROVIDER_TIMEOUT": 504,
    "REQUEST_TIMEOUT": 504,
}
# The one that a status stands for where the answer's code is none of them, as over REST.
BY_STATUS = {
    403: "PERMISSION_DENIED",
    409: "IDEMPOTENCY_IN_PROGRESS",
    429: "RATE_LIMITED",
    502: "PROVIDER_FAILED",
    503: "UNAVAILABLE",
    504: "PROVIDER_TIMEOUT",
}
CLASSES: dict[int, type[ApiError]] = {
    kind.status: kind for kind in (AuthenticationFailed, PermissionDenied, NotFound, Conflict, RateLimited, Unsupported)
}
# Where repeating helps, for answers that do not say it themselves.
RETRYABLE = frozenset(
    {"IDEMPOTENCY_IN_PROGRESS", "TOKEN_IN_USE", "RATE_LIMITED", "PROVIDER_FAILED"}
    | {"UNAVAILABLE", "OVERLOADED", "PROVIDER_TIMEOUT"}
)
ADVICE = {
    "INVALID_API_KEY": "Give the gateway's key as `key`, or set MEDIAGATE_API_KEY.",
    "PERMISSION_DENIED": "Ask whoever gave you the key what it may do.",
    "STORAGE_QUOTA_EXCEEDED": "Delete files that are not needed, or ask for a larger quota.",
    "NOT_FOUND": "Check the id; what was deleted, has expired or belongs to another key reads the same.",
    "PAYLOAD_TOO_LARGE": "Send it in parts: `files.upload(..., parts=True)`.",
    "RATE_LIMITED": "Wait `retry_after_s`, then try again.",
    "INSUFFICIENT_QUOTA": "The budget is used up; ask for a larger one.",
    "UNSUPPORTED": "Name another provider or model; the README's table says which can.",
    "PROVIDER_REFUSED": "The gateway's own account at the provider needs attention; tell its operator the request id.",
    "PROVIDER_FAILED": "Try again in a moment.",
    "UNAVAILABLE": "Try again in a moment.",
    "OVERLOADED": "Try again in a moment.",
    "PROVIDER_TIMEOUT": "Try again in a moment.",
    "INTERNAL": "Tell the gateway's operator the request id.",
}


def first_of(failures: BaseException) -> BaseException:
    """One of several failures side by side: a group would be no error of the tree."""
    while isinstance(failures, BaseExceptionGroup):
        failures = failures.exceptions[0]
    return failures


def reason_of(http_status: int, code: str | None, param: str | None) -> str:
    """The reason of a REST answer, whose envelope has only the finer code."""
    named = (code or "").upper()
    if REASONS.get(named) == http_status:
        return named
    if http_status == 400:
        return "INVALID_FIELD" if param else "INVALID_REQUEST"
    if http_status in BY_STATUS:
        return BY_STATUS[http_status]
    return next((reason for reason, status in REASONS.items() if status == http_status), "INTERNAL")


def api_error(
    message: str,
    *,
    reason: str,
    http_status: int | None = None,
    code: str | None = None,
    param: str | None = None,
    request_id: str | None = None,
    retry_after_s: float | None = None,
    retryable: bool | None = None,
) -> ApiError:
    """The error of the tree for an answer of the gateway."""
    status = http_status or REASONS.get(reason, 500)
    kind = CLASSES.get(status) or (ServerError if status >= 500 else InvalidRequest)
    return kind(
        message or "The gateway refused the call without saying why.",
        reason=reason,
        http_status=status,
        code=code,
        param=param,
        request_id=request_id,
        retry_after_s=retry_after_s,
        retryable=reason in RETRYABLE if retryable is None else retryable,
    )
