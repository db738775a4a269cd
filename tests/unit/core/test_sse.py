"""Server-sent events, cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.sse import EventTooLarge, SseEvent, SseReader

STREAM = (
    '\ufeffevent: begun\r\ndata: {"a": 1}\r\n\r\n'
    ": a comment\n"
    "data: zwölf 🚣\ndata:  two spaces\n\n"
    "id: 7\revent: other\r\r"
    "data\n\n"
    "retry: 5\nunknown: x\ndata: [DONE]\n\n"
).encode()
EVENTS = [
    SseEvent('{"a": 1}', "begun"),
    SseEvent("zwölf 🚣\n two spaces"),
    SseEvent("", "", "7"),
    SseEvent("[DONE]", "", "7"),
]


def read(*chunks: bytes) -> list[SseEvent]:
    reader = SseReader()
    return [event for chunk in chunks for event in reader.feed(chunk)] + reader.end()


def test_every_cut_gives_the_same_events() -> None:
    assert read(STREAM) == EVENTS
    assert read(*(STREAM[at : at + 1] for at in range(len(STREAM)))) == EVENTS
    for at in range(len(STREAM)):
        assert read(STREAM[:at], b"", STREAM[at:]) == EVENTS


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=12))
def test_any_cuts_give_the_same_events(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert read(*(STREAM[a:b] for a, b in itertools.pairwise(edges))) == EVENTS


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_garbage_is_read_without_a_fault(chunks: list[bytes]) -> None:
    assert read(*chunks) == read(b"".join(chunks))


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: one\n", [SseEvent("one")]),
        (b"data: one\r", [SseEvent("one")]),
        (b"data: o", []),
        (b"data: one\ndata: tw", []),
        (b"event: nothing\n", []),
        (b"", []),
    ],
)
def test_an_end_without_an_empty_line(stream: bytes, events: list[SseEvent]) -> None:
    assert read(stream) == events


def test_an_event_is_given_as_soon_as_it_is_there() -> None:
    reader = SseReader()
    assert reader.feed(b"data: 1\r\n\r") == [SseEvent("1")]
    assert reader.feed(b"\ndata: 2\n\n") == [SseEvent("2")]


def test_an_event_has_a_limit() -> None:
    reader = SseReader(event_bytes_max=10)
    for _ in range(5):
        assert reader.feed(b"data: 12\n\n") == [SseEvent("12")]
    reader.feed(b"data: 1")
    with pytest.raises(EventTooLarge):
        reader.feed(b"2345")
    with pytest.raises(EventTooLarge):
        SseReader(event_bytes_max=10).feed(b"data: 1\ndata: 2\n")
