"""Every failure a caller can meet, as one closed tree.

MediagateError                     status  reason                    a retry can help
├── InvalidRequest                 400     INVALID_REQUEST           no
│   ├── InvalidField               400     INVALID_FIELD             no
│   ├── TruncatedUpload            400     UPLOAD_TRUNCATED          no (a blind retry would send the same bytes)
│   ├── ChecksumMismatch           400     CHECKSUM_MISMATCH         no
│   ├── StateConflict              400     STATE_CONFLICT            no (OpenAI's SDKs would repeat a 409)
│   └── ContentPolicyViolation     400     CONTENT_POLICY_VIOLATION  no
├── Unauthenticated                401     INVALID_API_KEY           no
├── PermissionDenied               403     PERMISSION_DENIED         no
├── StorageQuotaExceeded           403     STORAGE_QUOTA_EXCEEDED    no (deleting files helps, repeating does not)
├── NotFound                       404     NOT_FOUND                 no
├── IdempotencyInProgress          409     IDEMPOTENCY_IN_PROGRESS   yes, after `retry_after_s`
├── TokenInUse                     409     TOKEN_IN_USE              yes, after `retry_after_s`
├── ChangedMeanwhile               409     CHANGED_MEANWHILE         no (somebody must look at the change first)
├── PayloadTooLarge                413     PAYLOAD_TOO_LARGE         no
├── UnsupportedMediaType           415     UNSUPPORTED_MEDIA_TYPE    no
├── RangeNotSatisfiable            416     RANGE_NOT_SATISFIABLE     no
├── IdempotencyKeyReused           422     IDEMPOTENCY_KEY_REUSED    no
├── RateLimited                    429     RATE_LIMITED              yes, after `retry_after_s`
├── InsufficientQuota              429     INSUFFICIENT_QUOTA        no (the same call costs the same)
├── Unsupported                    501     UNSUPPORTED               no
├── InternalError                  500     INTERNAL                  no (the outcome is not known)
├── RequestTimeout                 504     REQUEST_TIMEOUT           no (the outcome is not known)
│   └── RepeatableTimeout          504     REQUEST_TIMEOUT           yes, with back-off
├── ProviderRefused                502     PROVIDER_REFUSED          no (somebody must change the configuration)
├── ProviderFailed                 502     PROVIDER_FAILED           yes, with back-off
├── Unavailable                    503     UNAVAILABLE               yes, with back-off
│   └── Overloaded                 503     OVERLOADED                yes, after `retry_after_s`
└── ProviderTimeout                504     PROVIDER_TIMEOUT          yes, with back-off

A provider's own 429 is a `RateLimited` with the code `provider_rate_limited`, a provider that cannot be reached an
`Unavailable` with the code `provider_unavailable`, and a file that a provider does not like an `InvalidRequest` with
the code `provider_rejected_file`.

A class knows its reason, HTTP status, gRPC code and OpenAI `type`; nothing else does that mapping. `message` is
written for the caller: no exception text, SQL, path or host goes into one.
"""

from __future__ import annotations

from typing import ClassVar


class MediagateError(Exception):
    """Base of the tree. `metadata` holds every dynamic value of the message, for `google.rpc.ErrorInfo`."""

    reason: ClassVar[str]
    http_status: ClassVar[int]
    grpc_code: ClassVar[str]
    openai_type: ClassVar[str] = "invalid_request_error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: float | None = None,
        **metadata: object,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.reason.lower()
        self.retry_after_s = retry_after_s
        self.metadata = {key: str(value) for key, value in metadata.items()}


class InvalidRequest(MediagateError):
    """The request as a whole cannot be understood."""

    reason = "INVALID_REQUEST"
    http_status = 400
    grpc_code = "INVALID_ARGUMENT"


class InvalidField(InvalidRequest):
    """One field is wrong; `param` names it."""

    reason = "INVALID_FIELD"


class TruncatedUpload(InvalidRequest):
    """The bytes ended before their proof of completeness."""

    reason = "UPLOAD_TRUNCATED"


class ChecksumMismatch(InvalidRequest):
    """The bytes that arrived are not the bytes that were announced."""

    reason = "CHECKSUM_MISMATCH"


class StateConflict(InvalidRequest):
    """The object's state does not allow this."""

    reason = "STATE_CONFLICT"
    grpc_code = "FAILED_PRECONDITION"


class ContentPolicyViolation(InvalidRequest):
    """A guardrail or a provider refuses this content."""

    reason = "CONTENT_POLICY_VIOLATION"


class Unauthenticated(MediagateError):
    """No key, or one that is not known."""

    reason = "INVALID_API_KEY"
    http_status = 401
    grpc_code = "UNAUTHENTICATED"
    openai_type = "authentication_error"


class PermissionDenied(MediagateError):
    """The key is known and may not do this."""

    reason = "PERMISSION_DENIED"
    http_status = 403
    grpc_code = "PERMISSION_DENIED"
    openai_type = "permission_error"


class StorageQuotaExceeded(MediagateError):
    """A key, a user, a team or an end user has no room for these bytes."""

    reason = "STORAGE_QUOTA_EXCEEDED"
    http_status = 403
    grpc_code = "RESOURCE_EXHAUSTED"
    openai_type = "insufficient_quota"


class NotFound(MediagateError):
    """Unknown, deleted, expired and foreign ids all read like this."""

    reason = "NOT_FOUND"
    http_status = 404
    grpc_code = "NOT_FOUND"


class IdempotencyInProgress(MediagateError):
    """A call with this key is still running; the same call again finds its answer."""

    reason = "IDEMPOTENCY_IN_PROGRESS"
    http_status = 409
    grpc_code = "ABORTED"
    retryable = True

    def __init__(self) -> None:
        super().__init__(
            "A request with this Idempotency-Key is still running. Send the same request again.",
            param="Idempotency-Key",
            retry_after_s=1,
        )


class TokenInUse(MediagateError):
    """A token that may be used once has another request under way, which may yet fail."""

    reason = "TOKEN_IN_USE"
    http_status = 409
    grpc_code = "ABORTED"
    retryable = True


class ChangedMeanwhile(MediagateError):
    """The object is not any more what the caller has seen of it."""

    reason = "CHANGED_MEANWHILE"
    http_status = 409
    grpc_code = "ABORTED"


class PayloadTooLarge(MediagateError):
    """More bytes than a configured limit."""

    reason = "PAYLOAD_TOO_LARGE"
    http_status = 413
    grpc_code = "INVALID_ARGUMENT"


class UnsupportedMediaType(MediagateError):
    """The request's content type has no reader."""

    reason = "UNSUPPORTED_MEDIA_TYPE"
    http_status = 415
    grpc_code = "INVALID_ARGUMENT"


class RangeNotSatisfiable(MediagateError):
    """A `Range` that lies outside the content."""

    reason = "RANGE_NOT_SATISFIABLE"
    http_status = 416
    grpc_code = "OUT_OF_RANGE"


class IdempotencyKeyReused(MediagateError):
    """The key stands for a call with another method or other parameters."""

    reason = "IDEMPOTENCY_KEY_REUSED"
    http_status = 422
    grpc_code = "INVALID_ARGUMENT"

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was used for a request with other parameters. Use a new key for a new request.",
            param="Idempotency-Key",
        )


class RateLimited(MediagateError):
    """Too much at once; `retry_after_s` says when to come back, `headers` what is left."""

    headers: tuple[tuple[str, str], ...] = ()

    reason = "RATE_LIMITED"
    http_status = 429
    grpc_code = "RESOURCE_EXHAUSTED"
    openai_type = "rate_limit_error"
    retryable = True


class InsufficientQuota(MediagateError):
    """A budget is used up. Nothing was sent and nothing is charged."""

    reason = "INSUFFICIENT_QUOTA"
    http_status = 429
    grpc_code = "RESOURCE_EXHAUSTED"
    openai_type = "insufficient_quota"


class Unsupported(MediagateError):
    """The chosen provider has no such capability."""

    reason = "UNSUPPORTED"
    http_status = 501
    grpc_code = "UNIMPLEMENTED"


class InternalError(MediagateError):
    """A fault of ours. The message is always the same sentence; the log has the cause."""

    reason = "INTERNAL"
    http_status = 500
    grpc_code = "INTERNAL"
    openai_type = "server_error"

    def __init__(self) -> None:
        super().__init__(
            "The server had an error while processing your request. Quote the request id when you report it."
        )


class RequestTimeout(MediagateError):
    """The call was ended because it took too long; what it changed is not known."""

    reason = "REQUEST_TIMEOUT"
    http_status = 504
    grpc_code = "DEADLINE_EXCEEDED"
    openai_type = "server_error"


class RepeatableTimeout(RequestTimeout):
    """The same for a call that may be sent again, because it changes nothing or has an idempotency key."""

    retryable = True


class Unavailable(MediagateError):
    """Something this needs is away for the moment."""

    reason = "UNAVAILABLE"
    http_status = 503
    grpc_code = "UNAVAILABLE"
    openai_type = "server_error"
    retryable = True


class Overloaded(Unavailable):
    """As many calls are under way as may be; nothing was done for this one."""

    reason = "OVERLOADED"

    def __init__(self) -> None:
        super().__init__("The service has as much to do as it can. Try again in a moment.", retry_after_s=1)


class ProviderRefused(MediagateError):
    """A provider does not take our credentials, or does not have what the configuration names there."""

    reason = "PROVIDER_REFUSED"
    http_status = 502
    grpc_code = "FAILED_PRECONDITION"
    openai_type = "server_error"


class ProviderFailed(MediagateError):
    """A provider broke off, failed, or answered what makes no sense."""

    reason = "PROVIDER_FAILED"
    http_status = 502
    grpc_code = "UNAVAILABLE"
    openai_type = "server_error"
    retryable = True


class ProviderTimeout(MediagateError):
    """A provider did not answer in time."""

    reason = "PROVIDER_TIMEOUT"
    http_status = 504
    grpc_code = "DEADLINE_EXCEEDED"
    openai_type = "server_error"
    retryable = True
