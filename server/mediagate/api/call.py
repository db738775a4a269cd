"""One call as a servicer sees it: who calls, with which headers, and which headers go back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc

from mediagate.access.limits.admission import FREE, Admission, Headers
from mediagate.core.objects import Principal


class Call:
    """Wraps gRPC's context. Servicers get it in the context's place."""

    __slots__ = ("_begun", "_context", "_headers", "_metadata", "admission", "http_status", "object_id", "principal")

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any], metadata: Any) -> None:
        self._context = context
        self._metadata = metadata
        self._headers: list[tuple[str, str]] = []
        self.principal = Principal("")
        self.http_status = 200
        """What a REST caller gets where nothing fails."""
        self._begun = False
        self.admission: Admission = FREE
        """What its caller's limits have let it have."""
        self.object_id: str | None = None
        """The id that was reserved for what this call makes; None where any new one will do."""

    def header(self, name: str) -> str | None:
        """A request header by its lower-case name; the first one where there are several."""
        for key, value in self._metadata:
            if key == name:
                return value if isinstance(value, str) else None
        return None

    def header_values(self, name: str) -> list[str]:
        """Every value of a request header, mostly none."""
        return [value for key, value in self._metadata if key == name and isinstance(value, str)]

    @property
    def declared_bytes(self) -> int | None:
        """Length of the body as its Content-Length says; None for a chunked body and for a call that is not REST."""
        text = self.header("x-content-length") or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None

    def respond(self, headers: Iterable[tuple[str, str]]) -> None:
        """Add response headers; they go out with the first message."""
        for name, value in headers:
            self._headers.append((name, value))
            if name == "x-http-status":
                self.http_status = int(value)

    @property
    def pending_headers(self) -> tuple[tuple[str, str], ...]:
        """Response headers that have not gone out yet."""
        return tuple(self._headers)

    @property
    def has_sent_headers(self) -> bool:
        """Whether the response headers have gone out."""
        return self._begun

    def drop_headers(self) -> None:
        """Take back the response headers that have not gone out yet."""
        self._headers = []

    @property
    def announced_bytes(self) -> int:
        """Length of the content as the response headers that have not gone out yet say; 0 where they do not."""
        return next((int(value) for name, value in self._headers if name == "x-content-length"), 0)

    async def send_headers(self) -> None:
        """Send the response headers now, and with them what is left of the caller's limits. From here on a failure can
        no longer change the status."""
        headers = (*self._headers, *self._limit_headers())
        if headers:
            self._headers = []
            await self._context.send_initial_metadata(headers)

    def _limit_headers(self) -> Headers:
        if self._begun:
            return ()
        self._begun = True
        return self.admission.headers()
