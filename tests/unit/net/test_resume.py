"""Content that breaks off: what proves its end, and how it is taken up again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mediagate.core.errors import PayloadTooLarge
from mediagate.net.errors import TransferBroken
from tests.unit.net.site import Reply, Site, content_of, fetcher_for, redirect, reply, serving

BODY = bytes(range(256)) * 40
CUT = 4000
ETAG = 'ETag: "v1"'


def cut(*headers: str, at: int = CUT) -> bytes:
    """The whole content, announced; the connection ends in the middle."""
    return reply(BODY[:at], *headers, length=len(BODY))


def rest(
    start: int = CUT, *headers: str, end: int = len(BODY), whole: str = str(len(BODY)), cut_at: int | None = None
) -> bytes:
    """The answer to a Range."""
    span = f"Content-Range: bytes {start}-{end - 1}/{whole}"
    return reply(
        BODY[start : cut_at or end], span, *(headers or (ETAG,)), status="206 Partial Content", length=end - start
    )


async def broken(site: Site, **rules: Any) -> None:
    with pytest.raises(TransferBroken) as error:
        await content_of(fetcher_for(site, **rules), f"{site.url}/x")
    assert isinstance(error.value, OSError)


@pytest.mark.parametrize(
    "answer",
    [
        cut(),
        cut(at=0),
        reply(BODY, length=len(BODY) + 1),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        b"HTTP/1.1 200 OK\r\n\r\nall there is",
        b"HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nall there is",
    ],
    ids=lambda answer: ascii(answer[-20:]),
)
async def test_content_without_a_proven_end_is_broken(answer: bytes) -> None:
    async with serving(answer) as site:
        await broken(site)
    assert len(site.requests) == 1


async def test_garbage_between_chunks_is_no_end() -> None:
    async def garbled(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.write(b"zz\r\n0\r\n\r\n")

    async with serving(garbled) as site:
        await broken(site, silence_s=0.3)


async def test_content_is_taken_up_where_it_broke() -> None:
    async with serving(cut(ETAG), rest()) as site:
        found, content = await content_of(fetcher_for(site), f"{site.url}/x")
    assert content == BODY
    assert found.size_bytes == len(BODY)
    assert (site.header("range"), site.header("if-range")) == (f"bytes={CUT}-", '"v1"')
    assert site.header("range", 0) is None


async def test_content_of_unknown_size_is_taken_up_too() -> None:
    head = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nTransfer-Encoding: chunked\r\n\r\n'
    async with serving(head + b"%x\r\n" % CUT + BODY[:CUT] + b"\r\n", rest()) as site:
        assert (await content_of(fetcher_for(site), site.url))[1] == BODY


async def test_a_reset_and_a_silence_are_taken_up_as_well() -> None:
    async def reset(writer: asyncio.StreamWriter) -> None:
        writer.write(cut(ETAG))
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.transport.abort()

    async def silence(writer: asyncio.StreamWriter) -> None:
        writer.write(rest(cut_at=9000))
        await asyncio.sleep(10)

    async with serving(reset, silence, rest(9000)) as site:
        assert (await content_of(fetcher_for(site, silence_s=0.3), site.url))[1] == BODY
    assert [site.header("range", request) for request in range(3)] == [None, f"bytes={CUT}-", "bytes=9000-"]


async def test_three_attempts_are_all() -> None:
    async with serving(cut(ETAG), rest(cut_at=5000), rest(5000, cut_at=6000), rest(6000)) as site:
        await broken(site)
    assert len(site.requests) == 3


async def test_a_server_that_is_away_for_a_moment_is_asked_again() -> None:
    async with serving(cut(ETAG), reply(b"", status="503 Busy"), rest()) as site:
        assert (await content_of(fetcher_for(site), site.url))[1] == BODY


async def test_the_place_that_a_redirect_gave_is_asked() -> None:
    async with serving(redirect("/there"), cut(ETAG), rest()) as site:
        assert (await content_of(fetcher_for(site), site.url))[1] == BODY
    assert [request.split()[1] for request in site.requests] == ["/", "/there", "/there"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (cut(), rest()),
        (cut('ETag: W/"v1"'), rest()),
        (cut(ETAG, "Accept-Ranges: none"), rest()),
    ],
    ids=["no tag", "weak tag", "no ranges"],
)
async def test_what_cannot_be_taken_up_is_not_tried(first: bytes, second: bytes) -> None:
    async with serving(first, second) as site:
        await broken(site)
    assert len(site.requests) == 1


@pytest.mark.parametrize(
    "second",
    [
        reply(BODY, 'ETag: "v2"'),
        reply(BODY, ETAG),
        rest(CUT, 'ETag: "v2"'),
        rest(CUT + 1),
        rest(CUT, end=9000),
        rest(CUT, whole="99999"),
        rest(0),
        reply(b"", f"Content-Range: bytes */{len(BODY)}", status="416 Range Not Satisfiable"),
        reply(BODY[CUT:], ETAG, status="206 Partial Content"),
        reply(
            BODY[CUT:], ETAG, f"Content-Range: bytes {CUT}-{len(BODY) - 1}/*", "Content-Encoding: gzip", status="206 X"
        ),
        reply(b"gone", status="404 Not Found"),
        redirect("http://127.0.0.1:1/"),
    ],
    ids=[
        "new version",
        "whole",
        "tag",
        "offset",
        "short",
        "size",
        "start",
        "416",
        "no range",
        "gzip",
        "gone",
        "private",
    ],
)
async def test_another_content_is_never_glued_on(second: Reply) -> None:
    async with serving(cut(ETAG), second, reply(b"gone", status="404 Not Found")) as site:
        await broken(site)


async def test_the_limit_counts_over_all_attempts() -> None:
    head = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nTransfer-Encoding: chunked\r\n\r\n'
    async with serving(head + b"%x\r\n" % CUT + BODY[:CUT] + b"\r\n", rest()) as site:
        with pytest.raises(PayloadTooLarge):
            await content_of(fetcher_for(site), site.url, bytes_max=CUT + 1)
