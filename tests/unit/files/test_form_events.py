"""A form that comes as a stream of bodies: where it ends, and what proves that."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from google.api.httpbody_pb2 import HttpBody

from mediagate.api.bodies import form_events
from mediagate.core.errors import InvalidRequest, MediagateError, TruncatedUpload, UnsupportedMediaType
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormLimits

FORM = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhello\r\n--B--\r\n'
TYPE = "multipart/form-data; boundary=B"


async def bodies(*data: bytes, content_type: str = TYPE) -> AsyncIterator[HttpBody]:
    for number, piece in enumerate(data):
        yield HttpBody(content_type="" if number else content_type, data=piece)


async def read(stream: AsyncIterator[HttpBody], declared_bytes: int | None = None) -> list[object]:
    return [event async for event in form_events(stream, FormLimits(), declared_bytes)]


@pytest.mark.parametrize("declared_bytes", [None, 0, len(FORM)])
async def test_a_whole_form(declared_bytes: int | None) -> None:
    events = await read(bodies(FORM[:50], b"", FORM[50:]), declared_bytes)
    assert [type(event) for event in events if not isinstance(event, FieldEnd)] == [FileStart, FileData, FileEnd]


@pytest.mark.parametrize("end", range(len(FORM) - 2))
async def test_a_form_that_ends_anywhere_before_its_end(end: int) -> None:
    with pytest.raises(TruncatedUpload):
        await read(bodies(FORM[:end]))


@pytest.mark.parametrize("missing", [1, 10, 1 << 40])
async def test_a_whole_form_in_a_body_that_is_not_whole(missing: int) -> None:
    with pytest.raises(TruncatedUpload) as caught:
        await read(bodies(FORM), len(FORM) + missing)
    assert caught.value.metadata == {"received_bytes": str(len(FORM)), "expected_bytes": str(len(FORM) + missing)}


@pytest.mark.parametrize(
    ("content_type", "error"),
    [
        ("", UnsupportedMediaType),
        ("application/json", UnsupportedMediaType),
        ("\x07" * 5000, UnsupportedMediaType),
        ("multipart/form-data", InvalidRequest),
    ],
)
async def test_another_encoding(content_type: str, error: type[MediagateError]) -> None:
    with pytest.raises(error) as caught:
        await read(bodies(FORM, content_type=content_type))
    assert len(caught.value.message) < 300
    assert caught.value.message.isprintable()


async def test_no_body_at_all() -> None:
    with pytest.raises(InvalidRequest):
        await read(bodies())
