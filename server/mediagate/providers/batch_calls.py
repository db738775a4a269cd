"""What batches of different providers have in common: what a provider's words about a job mean, and its files of
answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from mediagate.core.limits import echo
from mediagate.providers.base import Failure, FailureStage
from mediagate.providers.batches import Answered, LineFault, LineResult, NotAnswered
from mediagate.providers.http import PIECE_BYTES, ProviderHttp

MESSAGE_CHARS_MAX = 500
FAULTS_MAX = 100


async def json_lines(http: ProviderHttp, path: str, **options: Any) -> AsyncGenerator[bytes]:
    """The content of a file of JSON lines, with a line break at its end, so that another may follow. Raises as
    `ProviderHttp.stream`."""
    last = b"\n"
    async with http.stream("GET", path, headers={"accept-encoding": "identity"}, **options) as response:
        async for chunk in response.aiter_bytes(PIECE_BYTES):
            if chunk:
                last = chunk[-1:]
                yield chunk
    if last != b"\n":
        yield b"\n"


def count_of(value: Any) -> int | None:
    """A number of lines, as a number or as digits; None for anything else."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 31 else None


def failed(code: Any, message: Any) -> Failure:
    """Why a whole job failed, in the provider's words."""
    said = echo(message, chars_max=MESSAGE_CHARS_MAX) if isinstance(message, str) and message else "The batch failed."
    return Failure(FailureStage.PROVIDER, word_of(code) or "provider_failed", said, retryable=False)


def word_of(code: Any) -> str:
    """A code of a provider's as we pass it on; empty for what is none."""
    text = str(code) if isinstance(code, str | int) and not isinstance(code, bool) else ""
    return echo(text) if text else ""


def faults_of(errors: Any) -> list[LineFault]:
    """What OpenAI says of the lines of a file that it refuses: `{"data": [{code, message, param, line}]}`."""
    data = errors.get("data") if isinstance(errors, Mapping) else errors
    found = []
    for entry in data[:FAULTS_MAX] if isinstance(data, list) else ():
        if isinstance(entry, Mapping):
            failure = failed(entry.get("code"), entry.get("message"))
            param = entry.get("param")
            line = count_of(entry.get("line"))
            found.append(LineFault(failure.code, failure.message, line, param if isinstance(param, str) else None))
    return found


def not_answered(key: str, error: Any, *, status_code: int | None = None, request_id: str | None = None) -> NotAnswered:
    """A line that has an `error` of `{code, message}`, or a text, in place of an answer."""
    told = error if isinstance(error, Mapping) else {"message": error}
    failure = failed(told.get("code") or told.get("type"), told.get("message"))
    return NotAnswered(key, failure.code, failure.message, status_code, request_id)


def answered(key: str, body: bytes, status_code: int = 200, request_id: Any = None) -> LineResult:
    """A line with a body in OpenAI's words."""
    return Answered(key, body, status_code, request_id if isinstance(request_id, str) and request_id else None)
