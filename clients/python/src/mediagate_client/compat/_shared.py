"""What the peer's arguments mean to every function."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from mediagate_client._client import AsyncClient
from mediagate_client._errors import InvalidRequest
from mediagate_client._source import Readable

Names = Mapping[str, Any] | None
TIMEOUT_S = 600.0
OUR_HEADERS = frozenset({"authorization", "content-type", "content-length", "host"})
# OpenAI's: a path, bytes, an open file, or a tuple whose first members are the name and the content.
FileTypes = Readable | tuple[Any, ...]

_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str | None, str | None], AsyncClient]] = (
    WeakKeyDictionary()
)


def client_of(given: dict[str, Any], timeout: Any = None) -> AsyncClient:
    """One client for each loop and gateway, since connections belong to a loop; as patient as this call is."""
    url = given.get("api_base") or given.get("base_url") or os.environ.get("MEDIAGATE_URL")
    key = given.get("api_key") or os.environ.get("MEDIAGATE_API_KEY")
    known = _clients.setdefault(asyncio.get_running_loop(), {})
    if (url, key) not in known:
        known[url, key] = AsyncClient(url, key, transport=os.environ.get("MEDIAGATE_TRANSPORT") or "grpc")  # type: ignore[arg-type]
    return known[url, key].with_options(
        timeout_s=_seconds(timeout or given.get("timeout") or given.get("request_timeout")),
        max_retries=_retries(given),
    )


def _seconds(timeout: Any) -> float:
    """A number, or httpx's object, whose `read` is meant."""
    timeout = getattr(timeout, "read", timeout)
    try:
        return float(timeout or TIMEOUT_S)
    except (TypeError, ValueError):
        raise InvalidRequest(f"`timeout` is in seconds, not {timeout!r}.", param="timeout") from None


def _retries(given: dict[str, Any]) -> int | None:
    count = given.get("max_retries", given.get("num_retries"))
    return max(0, count) if isinstance(count, int) else None


def headers_of(extra: Names, provider: str | None = None) -> dict[str, str]:
    """Headers of the caller without those that are ours; the provider whose own ids are meant."""
    given = {name.lower(): str(value) for name, value in (extra or {}).items()}
    headers = {name: value for name, value in given.items() if name not in OUR_HEADERS}
    return {**headers, **({"custom-llm-provider": provider} if provider else {})}


def file_of(given: FileTypes) -> tuple[Readable, str | None]:
    if not isinstance(given, tuple):
        return given, None
    if len(given) < 2:
        raise InvalidRequest("`file` as a tuple is (name, content).", param="file")
    return given[1], None if given[0] is None else str(given[0])


def names_of(given: Any) -> list[str]:
    if not given:
        return []
    return [name.strip() for name in given.split(",")] if isinstance(given, str) else [str(name) for name in given]
