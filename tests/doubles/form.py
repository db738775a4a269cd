"""Forms as a server reads them. aiohttp's own reader warns wherever a boundary lies across two chunks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from aiohttp import web
from multipart import MultipartSegment, PushMultipartParser


@dataclass
class FormPart:
    """One part of a form; `filename` is None where it is a field."""

    name: str
    filename: str | None
    content_type: str
    data: bytearray = field(default_factory=bytearray)


async def form_of(request: web.Request) -> AsyncIterator[FormPart]:
    """The parts of a form. Raises `MultipartError` for one without its closing boundary."""
    part: FormPart | None = None
    with PushMultipartParser(request.headers["content-type"].partition("boundary=")[2].strip('"')) as parser:
        async for chunk in request.content.iter_any():
            for event in parser.parse(chunk):
                if isinstance(event, MultipartSegment):
                    part = FormPart(event.name, event.filename, event.content_type or "")
                elif event is not None and part is not None:
                    part.data += event
                elif part is not None:
                    yield part
