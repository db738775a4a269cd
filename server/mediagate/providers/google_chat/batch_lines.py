"""Lines of Google's batches: a request of `generateContent` each, and what became of it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Mapping
from typing import Any

from mediagate.core.errors import MediagateError
from mediagate.providers.base import Failure, FailureStage
from mediagate.providers.batches import Answered, LineResult, NotAnswered
from mediagate.providers.encoding import encoded
from mediagate.providers.google_chat.answer import events_of
from mediagate.providers.google_chat.failures import inner_error


def line_of(tree: Mapping[str, Any]) -> bytes:
    """One line with its line break. Raises as `encoded`."""
    return encoded(tree) + b"\n"


def result_of(key: str, response: Any, error: Any, title: str) -> LineResult:
    """What became of a line: an answer, or why there is none. Raises `ValueError` for neither of them."""
    if isinstance(response, Mapping) and response:
        try:
            events = events_of(response, title)
        except MediagateError as problem:
            return _not_answered(key, problem)
        request_id = response.get("responseId")
        return Answered(key, events, request_id=request_id if isinstance(request_id, str) else None)
    if not isinstance(error, Mapping):
        raise ValueError("a line without an answer or an error")
    return _not_answered(key, inner_error(error, title))


def _not_answered(key: str, problem: Exception) -> NotAnswered:
    if not isinstance(problem, MediagateError):
        raise ValueError("no error of ours")
    return NotAnswered(key, problem.code, problem.message, problem.http_status)


async def ended(chunks: AsyncIterable[bytes]) -> AsyncGenerator[bytes]:
    """The same bytes with a line break at their end, so that other lines may follow."""
    last = b"\n"
    async for chunk in chunks:
        if chunk:
            last = chunk[-1:]
            yield chunk
    if last != b"\n":
        yield b"\n"


def error_in_words(status: Any) -> Mapping[str, Any]:
    """The error that Vertex AI wraps into a sentence: `Bad Request: {"error": {"code": 400, ...}}`."""
    if isinstance(status, Mapping):
        return status
    status = str(status)
    for tree in _objects(status):
        error = tree.get("error", tree)
        if isinstance(error, Mapping):
            return error
    return {"message": status}


def _objects(text: str) -> Iterator[Mapping[str, Any]]:
    begin = text.find("{")
    if begin < 0:
        return
    try:
        tree, _ = json.JSONDecoder().raw_decode(text, begin)
    except (ValueError, RecursionError):
        return
    if isinstance(tree, dict):
        yield tree


def job_failure(error: Any, title: str) -> Failure | None:
    """Why a whole job has failed, where it says so."""
    if not isinstance(error, Mapping) or not error:
        return None
    problem = inner_error(error, title)
    if not isinstance(problem, MediagateError):
        return None
    stage = FailureStage.INPUT if problem.http_status == 400 else FailureStage.PROVIDER
    return Failure(stage, problem.code, problem.message, retryable=False)


def input_lost(title: str) -> Failure:
    """The lines do not lie where the provider reads them."""
    return Failure(FailureStage.GATEWAY, "input_lost", f"{title} does not have the lines.", retryable=False)


def count(value: Any) -> int | None:
    """A number of lines, which Google writes as text."""
    try:
        found = int(value)
    except (TypeError, ValueError):
        return None
    return found if found >= 0 else None
