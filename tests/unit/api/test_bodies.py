"""The hand-written decoder of `google.api.HttpBody` agrees with the generated one, and survives anything else."""

from __future__ import annotations

import contextlib

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from mediagate.api.bodies import decode_http_body
from mediagate.api.content import http_body


@given(st.text(max_size=200), st.binary(max_size=5000))
def test_it_reads_what_the_generated_class_writes(content_type: str, data: bytes) -> None:
    body = decode_http_body(HttpBody(content_type=content_type, data=data).SerializeToString())
    assert (body.content_type, body.data) == (content_type, data)


@given(st.text(max_size=200), st.binary(max_size=5000))
def test_the_generated_class_reads_what_the_encoder_writes(content_type: str, data: bytes) -> None:
    body = HttpBody.FromString(http_body(data, content_type))
    assert (body.content_type, body.data) == (content_type, data)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_message_raise_and_nothing_else_happens(encoded: bytes) -> None:
    with contextlib.suppress(ValueError, IndexError):
        decoded = decode_http_body(encoded)
        with contextlib.suppress(DecodeError):
            generated = HttpBody.FromString(encoded)
            assert (decoded.content_type, decoded.data) == (generated.content_type, generated.data)
