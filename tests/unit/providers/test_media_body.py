"""Bodies with media in them: their bytes, their length, and what happens when an input fails on the way."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multipart import MultipartParser

from mediagate.core.errors import ProviderFailed
from mediagate.providers.base import Failure, FailureStage, MediaInput, ProviderBusy, SubmitRefused
from mediagate.providers.http import ProviderHttp
from mediagate.providers.media_body import FormBody, JsonBody, MediaBody, extension, merged


def media(data: bytes, content_type: str = "image/png", *, piece_bytes: int = 1000) -> MediaInput:
    """An input that comes in pieces."""

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(data), piece_bytes):
            yield data[at : at + piece_bytes]

    return MediaInput(content_type, len(data), chunks)


async def sent(body: MediaBody) -> bytes:
    """The whole body, which must be as long as its header says."""
    whole = b"".join([piece async for piece in body.pieces()])
    assert body.headers()["content-length"] == str(len(whole))
    return whole


@settings(deadline=None)
@given(st.binary(max_size=5000), st.integers(1, 700), st.text(max_size=40))
async def test_json_holds_the_media_as_data_uris(data: bytes, piece_bytes: int, prompt: str) -> None:
    body = JsonBody()
    second = os.urandom(7)
    uris = [body.data_uri(media(data, piece_bytes=piece_bytes)), body.data_uri(media(second, "video/mp4"))]
    unused = body.data_uri(media(b"unused"))
    body.tree = {"prompt": prompt, "b": [{"url": uris[1]}], "a": {"url": uris[0]}}
    tree = json.loads(await sent(body))
    assert unused not in str(tree)
    assert tree == {
        "prompt": prompt,
        "b": [{"url": f"data:video/mp4;base64,{base64.b64encode(second).decode()}"}],
        "a": {"url": f"data:image/png;base64,{base64.b64encode(data).decode()}"},
    }


async def test_large_media_are_encoded_in_pieces() -> None:
    data = os.urandom(1_000_003)
    body = JsonBody()
    body.tree = {"url": body.data_uri(media(data, piece_bytes=65_536))}
    pieces = [piece async for piece in body.pieces()]
    assert max(map(len, pieces)) < 400_000
    assert json.loads(b"".join(pieces))["url"].endswith(base64.b64encode(data).decode()[-1000:])


@pytest.mark.parametrize("data", [None, b"", os.urandom(5000)])
async def test_a_form_has_its_fields_and_then_its_file(data: bytes | None) -> None:
    given_media = None if data is None else media(data, "image/webp")
    body = FormBody({"prompt": "ä\r\n--x", "video[id]": "v"}, file_field="input_reference", media=given_media)
    whole, boundary = await sent(body), body.headers()["content-type"].partition("boundary=")[2]
    parts = [
        (part.name, part.filename, part.content_type if part.filename else None, part.raw)
        for part in MultipartParser(io.BytesIO(whole), boundary)
    ]
    expected = [("prompt", None, None, "ä\r\n--x".encode()), ("video[id]", None, None, b"v")]
    if data is not None:
        expected.append(("input_reference", "input_reference.webp", "image/webp", data))
    assert parts == expected


class Lost(Exception):
    """What the reader of an input raises."""


def failing(error: Exception) -> Callable[[], AsyncIterator[bytes]]:
    """An input that breaks in its middle."""

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 100
        raise error

    return chunks


@asynccontextmanager
async def sink() -> AsyncIterator[str]:
    """A server that reads whatever comes, and answers a body that ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


async def nothing() -> dict[str, str]:
    return {}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Lost(), Lost),
        (OSError("disk"), ProviderBusy),
        (ProviderFailed("the store", code="provider_failed"), ProviderBusy),
        (SubmitRefused(Failure(FailureStage.INPUT, "input_gone", "Gone.", retryable=False)), SubmitRefused),
    ],
)
@pytest.mark.parametrize("as_json", [True, False])
async def test_an_input_that_breaks_is_no_unknown_fate(
    error: Exception, expected: type[Exception], as_json: bool
) -> None:
    broken = MediaInput("image/png", 1000, failing(error))
    with_json = JsonBody()
    with_json.tree = {"url": with_json.data_uri(broken)}
    body = with_json if as_json else FormBody({}, file_field="f", media=broken)
    async with sink() as url:
        http = ProviderHttp("Test", url, nothing)
        with pytest.raises(expected):
            await body.send(http, "videos")
        await http.close()


@pytest.mark.parametrize("announced", [99, 101])
async def test_an_input_of_another_length_is_refused(announced: int) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * 100

    body = FormBody({}, file_field="f", media=MediaInput("image/png", announced, chunks))
    async with sink() as url:
        http = ProviderHttp("Test", url, nothing)
        with pytest.raises((SubmitRefused, ProviderFailed)):
            await body.send(http, "videos")
        await http.close()


@pytest.mark.parametrize(
    ("content_type", "ending"),
    [("image/png", ".png"), ("image/jpeg", ".jpg"), ("video/mp4", ".mp4"), ("what/ever", ".bin")],
)
def test_names_end_as_servers_expect(content_type: str, ending: str) -> None:
    assert extension(content_type) == ending


def test_members_are_merged_object_by_object() -> None:
    below = {"a": 1, "b": {"c": 2, "d": 3}, "e": {"f": 4}, "g": 5}
    assert merged(below, {"a": {"x": 1}, "b": {"d": 4}, "e": 6, "g": None, "h": None}) == {
        "a": {"x": 1},
        "b": {"c": 2, "d": 4},
        "e": 6,
    }
    assert below["b"] == {"c": 2, "d": 3}
