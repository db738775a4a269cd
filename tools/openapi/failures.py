"""What a call may fail with: answers by status, made of the tree of errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mediagate.api.callers import BROWSER_READS, METHODS, OF_END_USERS
from mediagate.api.idempotency import SECRET_ANSWERS
from mediagate.api.pipeline import OPEN_METHODS
from mediagate.core.errors import MediagateError
from tools.openapi.protos import Method

NAMES = {
    "400": "BadRequest",
    "401": "Unauthorized",
    "403": "Forbidden",
    "404": "NotFound",
    "409": "Conflict",
    "413": "ContentTooLarge",
    "415": "UnsupportedMediaType",
    "416": "RangeNotSatisfiable",
    "422": "IdempotencyKeyReused",
    "429": "TooManyRequests",
    "501": "Unsupported",
    "5XX": "ServerError",
}
RETRIED = ("409", "429", "5XX")
# What a provider, a disk or a network adds to the classes of the tree.
MORE = {
    "400": ["`invalid_json`, `invalid_value`: the body or the query is not what the path takes."],
    "413": ["The edge refuses a body whose declared length is above what any method takes."],
    "5XX": ["`interrupted`: the server went away; whether the request took effect is not known."],
}
CAPABLE = ("FileService", "UploadService", "VideoService", "ChatService", "BatchService", "DiagnosticsService")
"""Services that ask providers, which may not be able to do what is asked for, or that may be switched off."""


def components() -> dict[str, Any]:
    """The answers, by name. All have the same body."""
    told: dict[str, list[str]] = {}
    for error in _classes(MediagateError):
        status = str(error.http_status) if str(error.http_status) in NAMES else "5XX"
        first = (error.__doc__ or "").strip().split("\n\n")[0].replace("\n    ", " ")
        told.setdefault(status, []).append(f"`{error.reason.lower()}`: {first[0].lower()}{first[1:]}")
    made = {name: _answer(status, [*told[status], *MORE.get(status, [])]) for status, name in NAMES.items()}
    made["Failure"] = {
        "description": "Whatever else goes wrong on the way, such as headers that are too large (431) or a body that "
        "does not arrive in time (408).",
        "headers": _headers("x-request-id", "x-should-retry"),
        "content": _body(),
    }
    return made


def of(method: Method, *, has_body: bool, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """What one method may fail with, by status."""
    statuses = {"400", "5XX", *more}
    if is_keyed(method):
        statuses |= {"401", "403", "429"}
    if has_body:
        statuses.add("413")
    if method.canonical.variables:
        statuses.add("404")
    if method.service in CAPABLE:
        statuses.add("501")
    if takes_idempotency_key(method):
        statuses |= {"409", "422"}
    answers = {status: {"$ref": f"#/components/responses/{NAMES[status]}"} for status in sorted(statuses)}
    return {**answers, "default": {"$ref": "#/components/responses/Failure"}}


def is_keyed(method: Method) -> bool:
    """Whether a call needs a key."""
    return method.full_name not in OPEN_METHODS


def takes_idempotency_key(method: Method) -> bool:
    """Whether the header has an effect: on all that changes something and has one answer without a secret."""
    if method.streams_out or not is_keyed(method) or method.full_name in SECRET_ANSWERS:
        return False
    return method.canonical.verb not in ("GET", "HEAD")


def takes_token_in_query(method: Method) -> bool:
    """Whether a token may stand in the URL."""
    opened = {*BROWSER_READS, *(name for names in METHODS.values() for name in names)}
    return f"{method.service}/{method.name}" in opened


def serves_end_users(method: Method) -> bool:
    """Whether a call may act for an end user."""
    return is_keyed(method) and method.service in OF_END_USERS


def _answer(status: str, told: list[str]) -> dict[str, Any]:
    headers = ["x-request-id", "x-should-retry", *(["retry-after"] if status in RETRIED else [])]
    return {"description": "\n".join(f"* {one}" for one in told), "headers": _headers(*headers), "content": _body()}


def _headers(*names: str) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _body() -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


def _classes(base: type[MediagateError]) -> Iterator[type[MediagateError]]:
    for found in base.__subclasses__():
        yield found
        yield from _classes(found)
