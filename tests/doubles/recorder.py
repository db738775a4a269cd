"""What the doubles of HTTP APIs have in common: they run in a thread, check the credentials, and keep what they met."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.doubles.form import form_of
from tests.doubles.serving import serving

READ_BYTES = 1 << 16


@dataclass
class Asked:
    """A request as it came; header names in lower case. `form` holds its fields in order, without the file."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    form: list[tuple[str, str]] = field(default_factory=list)
    json: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Part:
    """The file of a form."""

    filename: str
    content_type: str
    data: bytes


ASKED = web.RequestKey("asked", Asked)


class Recorder:
    """An API on a free port. `asked` is its journal; `lose` makes it do what the next such request says and break the
    connection instead of answering."""

    def __init__(self, key: str = "test-key") -> None:
        self.key = key
        self.port = 0
        self.asked: list[Asked] = []
        self._losing: list[str] = []

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def lose(self, request: str) -> None:
        """Lose the answer to the next request that begins like this one: `POST /v1/files`."""
        self._losing.append(request)

    def routes(self) -> list[web.RouteDef]:
        """The API's routes."""
        raise NotImplementedError

    def credentials(self, request: web.Request) -> str | None:
        """The key that a request carries, where the API wants it."""
        raise NotImplementedError

    def error(self, status: int, message: str) -> web.Response:
        """An error in the API's own form."""
        raise NotImplementedError

    @web.middleware
    async def _serve(self, request: web.Request, handler: Any) -> web.StreamResponse:
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
        )
        self.asked.append(asked)
        request[ASKED] = asked
        if self.credentials(request) != self.key:
            return self.error(401, "invalid key")
        answer: web.StreamResponse = await handler(request)
        for losing in self._losing:
            if str(asked).startswith(losing):
                self._losing.remove(losing)
                return cut_off(request)
        return answer

    def app(self) -> web.Application:
        """The application, to be run anywhere."""
        app = web.Application(middlewares=[self._serve], client_max_size=1 << 30)
        app.add_routes(self.routes())
        return app

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Run in a thread with an event loop of its own, on a free port."""
        with serving(lambda: web.AppRunner(self.app(), access_log=None, shutdown_timeout=0.1)) as self.port:
            yield self


def cut_off(request: web.Request) -> web.Response:
    """Break the connection."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def read_form(request: web.Request) -> Part | None:
    """Read a form to its closing boundary; its fields go into the journal. None where it has no file."""
    asked = request[ASKED]
    found = None
    async for part in form_of(request):
        if part.filename is None:
            asked.form.append((part.name, part.data.decode()))
            continue
        # As browsers escape a name.
        filename = part.filename.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
        asked.form.append((part.name, f"<{filename}>"))
        found = Part(filename, part.content_type, bytes(part.data))
    return found


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """Content as a server sends it."""
    for at in range(0, len(data), READ_BYTES):
        yield data[at : at + READ_BYTES]
