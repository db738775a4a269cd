"""The fingerprint of a request as it passes: what is cut or bounded anew is the same, another place or body is not."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from mediagate._gen.mediagate.v1 import files_pb2, uploads_pb2, videos_pb2
from mediagate.api.bodies import RawBody, RawChunk, chunk_decoder
from mediagate.api.call import Call
from mediagate.api.fingerprint import OneMessage, Stream
from mediagate.core.errors import PayloadTooLarge, TruncatedUpload
from mediagate.core.forms import FormLimits

LIMITS = FormLimits(fields_bytes_max=1000, file_bytes_max=1000)


def call_of(path: str = "/v1/files", **headers: str) -> Call:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call(None, [("x-envoy-original-path", path), *named.items()])  # type: ignore[arg-type]


async def sent(messages: Sequence[Any]) -> AsyncIterator[Any]:
    for message in messages:
        yield message


async def of(messages: Sequence[Any], call: Call | None = None) -> bytes:
    return await Stream(sent(messages), call or call_of(), LIMITS).rest()


def form(data: bytes = b"abc", purpose: str = "user_data", boundary: str = "xyz") -> tuple[str, bytes]:
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\n{purpose}\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
    ).encode()
    return f"multipart/form-data; boundary={boundary}", body + data + f"\r\n--{boundary}--\r\n".encode()


def bodies(content_type: str, data: bytes, *cuts: int) -> list[RawBody]:
    edges = [0, *sorted(cuts), len(data)]
    return [RawBody(content_type, data[start:end]) for start, end in itertools.pairwise(edges)]


@given(st.lists(st.integers(0, 150), max_size=4), st.sampled_from(["xyz", "other-boundary", "a" * 70]))
async def test_a_retry_with_another_boundary_and_other_chunks_is_the_same(cuts: list[int], boundary: str) -> None:
    assert await of(bodies(*form())) == await of(bodies(*form(boundary=boundary), *cuts))


@pytest.mark.parametrize("changed", [{"data": b"abd"}, {"purpose": "vision"}])
async def test_another_value_is_another_request(changed: dict[str, Any]) -> None:
    assert await of(bodies(*form())) != await of(bodies(*form(**changed)))


async def test_a_form_and_json_are_different_requests() -> None:
    assert await of(bodies(*form())) != await of(bodies("application/json", b'{"purpose": "user_data"}'))


PLACES = [
    call_of(),
    call_of("/files"),
    call_of("/v1/files?custom_llm_provider=openai"),
    call_of("/v1/files?custom_llm_provider=azure"),
    call_of(custom_llm_provider="openai"),
    call_of(custom_llm_provider="azure"),
]


async def test_path_query_and_target_are_parameters() -> None:
    found = [await of(bodies(*form()), place) for place in PLACES]
    assert len(set(found)) == len(PLACES)
    assert await of(bodies(*form()), call_of("/v1/files?a=1&b=2")) == await of(
        bodies(*form()), call_of("/v1/files?b=2&a=1", x_request_id="anything")
    )


async def test_a_form_that_is_cut_is_no_request() -> None:
    content_type, data = form()
    with pytest.raises(TruncatedUpload):
        await of(bodies(content_type, data[:-5]))


async def test_what_is_kept_of_a_body_is_bounded() -> None:
    with pytest.raises(PayloadTooLarge):
        await of(bodies("application/json", json.dumps("x" * 2000).encode()))
    with pytest.raises(PayloadTooLarge):
        await of(bodies(*form(b"x" * 2000)))


def chunked(data: bytes, size: int, **metadata: Any) -> list[Any]:
    first = files_pb2.UploadFileMetadata(filename="a", purpose="user_data", **metadata)
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    request = files_pb2.UploadFileRequest
    return [request(metadata=first), *(RawChunk(chunk) for chunk in chunks)]


async def test_typed_uploads_are_compared_by_what_they_carry() -> None:
    one = await of(chunked(b"abcdef", 2))
    assert one == await of(chunked(b"abcdef", 5))
    assert one != await of(chunked(b"abcdeg", 2))
    assert one != await of(chunked(b"abcdef", 2, size_bytes=6))


async def test_members_beside_a_body_are_parameters() -> None:
    def part(upload_id: str, *cuts: int) -> list[uploads_pb2.AddUploadPartHttpRequest]:
        request = uploads_pb2.AddUploadPartHttpRequest
        first, *rest = [HttpBody(content_type=one.content_type, data=one.data) for one in bodies(*form(), *cuts)]
        return [request(upload_id=upload_id, content=first), *(request(content=body) for body in rest)]

    assert await of(part("upload_a")) == await of(part("upload_a", 7, 50))
    assert await of(part("upload_a")) != await of(part("upload_b"))


async def test_single_messages_are_compared_whole() -> None:
    one = OneMessage(videos_pb2.CreateVideoRequest(prompt="a", model="m"), call_of())
    assert await one.rest() == one.known == OneMessage(one.message, call_of()).known
    assert one.known != OneMessage(videos_pb2.CreateVideoRequest(prompt="a"), call_of()).known


async def test_a_servicer_sees_the_end_only_once_the_fingerprint_is_written_down() -> None:
    sealed: list[bytes] = []

    async def seal(fingerprint: bytes) -> None:
        sealed.append(fingerprint)

    stream = Stream(sent(bodies(*form(), 20, 40)), call_of(), LIMITS)
    passing = stream.passing(seal)
    for body in bodies(*form(), 20, 40):
        assert (await anext(passing), sealed) == (body, [])
    with pytest.raises(StopAsyncIteration):
        await anext(passing)
    assert sealed == [await of(bodies(*form()))] == [await stream.rest()]


def metadata(**told: Any) -> files_pb2.UploadFileRequest:
    return files_pb2.UploadFileRequest(metadata=files_pb2.UploadFileMetadata(filename="a", purpose="user_data", **told))


CHUNKS = [RawChunk(data) for data in (b"ab", b"c")]
SHA256 = hashlib.sha256(b"abc").hexdigest()
CHECKSUM = files_pb2.UploadFileRequest(checksum=files_pb2.UploadFileChecksum(sha256=SHA256))
PART = uploads_pb2.AddUploadPartRequest(metadata=uploads_pb2.UploadPartMetadata(upload_id="upload_1", size_bytes=3))
PIECES = CHUNKS
PUT = call_of(**{"x-content-length": "3"})
WHOLE: dict[str, tuple[list[Any], Call, bool]] = {
    "by size": ([metadata(size_bytes=3), *CHUNKS], call_of(), False),
    "by digest": ([metadata(sha256=SHA256), *CHUNKS], call_of(), False),
    "by checksum": ([metadata(), *CHUNKS, CHECKSUM], call_of(), False),
    "of a part": ([PART, *PIECES], call_of(), False),
    "of a body": (bodies("text/plain", b"abc", 2), PUT, True),
}


@pytest.mark.parametrize("case", WHOLE)
async def test_what_is_cut_is_not_what_a_repetition_is_held_against(case: str) -> None:
    messages, call, raw = WHOLE[case]
    sealed: list[bytes] = []

    async def seal(fingerprint: bytes) -> None:
        sealed.append(fingerprint)

    for length in range(len(messages)):
        async for _ in Stream(sent(messages[:length]), call, LIMITS, raw=raw).passing(seal):
            pass
        assert sealed == []
    async for _ in Stream(sent(messages), call, LIMITS, raw=raw).passing(seal):
        pass
    assert len(sealed) == 1


async def test_what_nothing_proves_is_no_request_to_repeat() -> None:
    async def seal(_: bytes) -> None:
        raise AssertionError

    async for _ in Stream(sent([metadata(), *CHUNKS]), call_of(), LIMITS).passing(seal):
        pass


@pytest.mark.parametrize("request_type", [files_pb2.UploadFileRequest, uploads_pb2.AddUploadPartRequest])
def test_a_chunk_is_read_past_the_generated_class(request_type: Any) -> None:
    decode = chunk_decoder(request_type.DESCRIPTOR, request_type.FromString)
    for size in (0, 1, 127, 128, 1 << 14, 1 << 21):
        assert decode(request_type(chunk=bytes(size)).SerializeToString()) == RawChunk(bytes(size))
    twice = request_type(chunk=b"first").SerializeToString() + request_type(chunk=b"last").SerializeToString()
    assert decode(twice) == RawChunk(b"last")
    about = request_type()
    about.metadata.SetInParent()
    assert decode(about.SerializeToString()) == about
    assert decode(b"") == request_type()
    for broken in (b"\x12", b"\x12\x05ab", b"\x12" + b"\xff" * 12):
        with pytest.raises((DecodeError, ValueError, IndexError)):
            decode(broken)
