"""What goes wrong at Amazon, as the errors that every provider has in common."""

from __future__ import annotations

from typing import Any, Final

from botocore import exceptions as sdk
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from mediagate.core.errors import (
    MediagateError,
    ProviderFailed,
    ProviderRefused,
    ProviderTimeout,
    RateLimited,
    StateConflict,
    Unavailable,
    Unsupported,
)
from mediagate.providers.http_failures import nowhere, pause_of, status_error, storage_full

TITLE: Final = "Amazon S3"
SDK_ERRORS: Final = (ClientError, BotoCoreError, ResponseParserError, HTTPError, OSError)
_CREDENTIALS: Final = frozenset(
    {
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "AuthorizationHeaderMalformed",
        "AuthorizationQueryParametersError",
        "InvalidSecurity",
        "UnsupportedSignature",
        "InvalidClientTokenId",
        "ExpiredTokenException",
    }
)
_ELSEWHERE: Final = frozenset(
    {"PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraintException", "InvalidBucketName"}
)
_TOO_FAST: Final = frozenset(
    {
        "SlowDown",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "RequestThrottled",
        "ServiceQuotaExceededException",
    }
)
_DAMAGED: Final = frozenset(
    {"BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody"}
)
# Stores that speak S3's protocol and have an end.
_FULL: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "BucketQuotaExceeded"})
_NO_CREDENTIALS: Final = (
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.ProfileNotFound,
    sdk.TokenRetrievalError,
    sdk.NoAuthTokenError,
    sdk.SSOError,
    sdk.MetadataRetrievalError,
    sdk.UnknownCredentialError,
    sdk.InvalidConfigError,
    sdk.ConfigParseError,
)
_MISCONFIGURED: Final = (
    sdk.ParamValidationError,
    sdk.ValidationError,
    sdk.EndpointProviderError,
    sdk.BaseEndpointResolverError,
    sdk.InvalidEndpointConfigurationError,
    sdk.UnsupportedS3ArnError,
)


def credentials_refused(title: str = TITLE, *, only_bearer: bool) -> ProviderRefused:
    """The answer where S3, or the service of this title, takes no credentials of this account."""
    hint = (
        " A Bedrock API key opens no bucket: the account needs aws_access_key_id and aws_secret_access_key, a profile,"
        " a role, or the AWS default credentials."
        if only_bearer
        else ""
    )
    return ProviderRefused(
        f"{title} does not accept the gateway's credentials for this. The gateway's operator has to check them.{hint}",
        code="provider_credentials_refused",
    )


def damaged() -> ProviderFailed:
    """The answer where the store has, or would have had, other bytes than ours."""
    return ProviderFailed(f"{TITLE} received other bytes than were sent. Try again.", code="provider_checksum_mismatch")


def bad_answer(title: str = TITLE) -> ProviderFailed:
    """The answer where the service's makes no sense."""
    return ProviderFailed(f"{title} gave an answer that cannot be read.", code="provider_bad_answer")


def code_of(error: Exception | None) -> str:
    """S3's own code of a refusal; empty where there is none."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def refusal_code(error: BaseException) -> str:
    """S3's own code behind an error that `failure` made; empty where there is none."""
    cause = error.__cause__
    return code_of(cause) if isinstance(cause, Exception) else ""


def failure(error: Exception, title: str = TITLE, *, only_bearer: bool = False) -> Exception:
    """What an exception of the SDK means: an error of ours, or `FileNotFoundError`."""
    if isinstance(error, ClientError):
        return _refusal(error, title, only_bearer)
    if isinstance(error, _NO_CREDENTIALS):
        return credentials_refused(title, only_bearer=only_bearer)
    if isinstance(error, _MISCONFIGURED):
        return nowhere(title)
    return _transport(error, title)


def _refusal(error: ClientError, title: str, only_bearer: bool) -> Exception:
    code, answer = code_of(error), error.response.get("ResponseMetadata", {})
    status = int(answer.get("HTTPStatusCode", 500))
    headers: dict[str, Any] = answer.get("HTTPHeaders", {})
    by_code = _by_code(code, title, headers)
    if by_code is not None:
        return by_code
    if status in (401, 403) or code in _CREDENTIALS or code.startswith("KMS."):
        return credentials_refused(title, only_bearer=only_bearer)
    if 300 <= status < 400 or code in _ELSEWHERE:
        return nowhere(title)
    said = "" if code.isdigit() else str(error.response.get("Error", {}).get("Message", ""))
    return status_error(status, title, said=said, retry_after=headers.get("retry-after"))


def _by_code(code: str, title: str, headers: dict[str, Any]) -> MediagateError | None:
    if code in _TOO_FAST:
        wait_s = pause_of(headers.get("retry-after"))
        return RateLimited(
            f"{title} asks for a pause. Try again later.", code="provider_rate_limited", retry_after_s=wait_s
        )
    if code in _DAMAGED:
        return damaged()
    if code in _FULL:
        return storage_full(title)
    if code == "RequestTimeout":
        return ProviderTimeout(f"{TITLE} did not get the bytes in time. Try again later.", code="provider_timeout")
    if code == "OperationAborted":
        return Unavailable(f"{TITLE} is busy with the same thing. Try again later.", code="provider_unavailable")
    if code == "InvalidObjectState":
        return Unsupported(
            f"{TITLE} keeps this object in an archive. It has to be restored before it can be read.",
            code="unsupported_by_provider",
        )
    if code == "PreconditionFailed":
        return StateConflict(
            f"The object at {TITLE} changed while it was read. Try again from its beginning.",
            code="provider_object_changed",
        )
    return None


def _transport(error: Exception, title: str) -> MediagateError:
    if isinstance(error, sdk.ReadTimeoutError):
        return ProviderTimeout(f"{title} did not answer in time. Try again later.", code="provider_timeout")
    # Every failure to connect, TLS and proxies included.
    if isinstance(error, sdk.ConnectionError):
        return Unavailable(f"{title} cannot be reached. Try again later.", code="provider_unavailable")
    if isinstance(error, sdk.HTTPClientError | sdk.IncompleteReadError | HTTPError | OSError):
        return ProviderFailed(f"The connection to {title} broke. Try again later.", code="provider_connection_lost")
    return bad_answer(title)
