"""Exit codes by kind of error, and what each error tells a person at a terminal.

0 done            3 not allowed       6 conflict               9 a file of this machine
1 failed          4 not found         7 budget, quota or rate  130 Ctrl-C
2 usage, config   5 unavailable       8 a video failed         141 nobody reads stdout any more
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from mediagate_client._errors import (
    ApiError,
    ConnectionFailed,
    LocalFileError,
    MediagateError,
    UploadInterrupted,
    VideoFailed,
)

DONE: Final = 0
FAILED: Final = 1
USAGE: Final = 2
FORBIDDEN: Final = 3
NOT_FOUND: Final = 4
UNAVAILABLE: Final = 5
CONFLICT: Final = 6
LIMIT: Final = 7
VIDEO_FAILED: Final = 8
LOCAL_FILE: Final = 9
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

OF_STATUS: Final = {401: FORBIDDEN, 403: FORBIDDEN, 404: NOT_FOUND, 409: CONFLICT, 429: LIMIT, 501: USAGE}
OF_REASON: Final = {"STORAGE_QUOTA_EXCEEDED": LIMIT, "STATE_CONFLICT": CONFLICT, "FILE_EXISTS": CONFLICT}

# The library speaks of arguments; a shell has options.
ADVICE: Final = {
    "INVALID_API_KEY": "Check MEDIAGATE_API_KEY or --key, or give the profile another key: `mediagate profiles add`.",
    "UNREACHABLE": "Check that it runs (`mediagate dev` starts one) and its URL: --url, MEDIAGATE_URL or a profile.",
    "TLS_FAILED": "Check whether the URL is http:// or https://; --ca-file names a CA of your own.",
    "TIMED_OUT": "Try again, with a larger --timeout where the work takes long.",
    "PAYLOAD_TOO_LARGE": "Upload it in parts: --parts.",
    "RATE_LIMITED": "Wait a moment, then try again.",
    "UPLOAD_INTERRUPTED": "Run the same command again within the hour: only what is missing is sent.",
    "DOWNLOAD_INTERRUPTED": "What is there is kept; run the same command again to go on.",
    "FILE_EXISTS": "--overwrite replaces it, -o names another place.",
    "UNSUPPORTED": "Name another provider or model: `mediagate models ls` lists them.",
}


class ShellError(Exception):
    """What is wrong here, before or behind the gateway: one sentence or two, with what to do."""

    def __init__(self, message: str, code: int = USAGE, reason: str = "USAGE") -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Told:
    """An error as it leaves the process: the exit code, the text, and the members for `--json`."""

    code: int
    text: str
    members: dict[str, Any]


def code_of(error: Exception) -> int:
    """The exit code of a failure."""
    if isinstance(error, ShellError):
        return error.code
    if isinstance(error, MediagateError) and error.reason in OF_REASON:
        return OF_REASON[error.reason]
    if isinstance(error, ApiError):
        return OF_STATUS.get(error.http_status) or (UNAVAILABLE if error.http_status >= 500 else USAGE)
    if isinstance(error, (ConnectionFailed, UploadInterrupted)):
        return UNAVAILABLE
    if isinstance(error, VideoFailed):
        return VIDEO_FAILED
    if isinstance(error, LocalFileError):
        return LOCAL_FILE
    # What the client's arguments are refused with.
    return USAGE if isinstance(error, ValueError) else FAILED


def told(error: Exception, url: str | None = None) -> Told:
    """What to say of a failure; `url` is the gateway that was spoken to."""
    code = code_of(error)
    if not isinstance(error, MediagateError):
        reason = error.reason if isinstance(error, ShellError) else "USAGE"
        return Told(code, str(error), {"message": str(error), "reason": reason, "exit_code": code})
    message = error.message
    if isinstance(error, ConnectionFailed) and url:
        message = message.replace("The gateway cannot be reached", f"The gateway cannot be reached at {url}")
    if message and message[-1] not in ".!?":
        message += "."
    what_to_do = ADVICE.get(error.reason, error.what_to_do)
    if error.retry_after_s:
        what_to_do = f"Try again in {error.retry_after_s:.0f} s."
    request = f" [request {error.request_id}]" if error.request_id else ""
    members = {
        "message": message,
        "reason": error.reason,
        "code": error.code,
        "param": error.param,
        "request_id": error.request_id,
        "http_status": getattr(error, "http_status", None),
        "retryable": error.retryable,
        "retry_after_s": error.retry_after_s,
        "what_to_do": what_to_do,
        "exit_code": code,
    }
    text = " ".join(part for part in (message, what_to_do) if part) + request
    return Told(code, text, {name: value for name, value in members.items() if value not in (None, "")})
