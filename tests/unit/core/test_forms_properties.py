"""Any form, cut anywhere, reads the same; any bytes at all end in events or in an error of the tree."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mediagate.core.disposition import safe_filename
from mediagate.core.errors import MediagateError
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent, FormLimits, FormReader

LIMITS = FormLimits(files_max=8)
BOUNDARY_CHARS = string.ascii_letters + string.digits + "'()+_,-./:=?"


@dataclass(frozen=True)
class Part:
    name: str
    filename: str | None
    content: bytes


def escaped(text: str) -> str:
    """As httpx writes it."""
    return text.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def encode(parts: Sequence[Part], boundary: str) -> bytes:
    body = b""
    for part in parts:
        filename = "" if part.filename is None else f'; filename="{escaped(part.filename)}"'
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{escaped(part.name)}"{filename}\r\n\r\n'
        body += head.encode() + part.content + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def expected(parts: Sequence[Part]) -> list[FormEvent]:
    events: list[FormEvent] = []
    for part in parts:
        if part.filename is None:
            events.append(FieldEnd(part.name, part.content.decode()))
        else:
            events.append(FileStart(part.name, safe_filename(part.filename), "application/octet-stream"))
            events.extend([FileData(part.content)] if part.content else [])
            events.append(FileEnd())
    return events


def joined(events: Iterable[FormEvent]) -> list[FormEvent]:
    """One `FileData` for each file, however many came."""
    out: list[FormEvent] = []
    for event in events:
        if isinstance(event, FileData) and out and isinstance(out[-1], FileData):
            assert event.data
            out[-1] = FileData(out[-1].data + event.data)
        else:
            out.append(event)
    return out


def read(content_type: str, body: bytes, cuts: Iterable[int]) -> list[FormEvent]:
    reader = FormReader(content_type, limits=LIMITS)
    events: list[FormEvent] = []
    start = 0
    for end in [*sorted(cuts), len(body)]:
        events.extend(reader.feed(body[start:end]))
        start = end
    reader.finish()
    return joined(events)


encodable = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
names = st.text(encodable.filter(lambda char: char.isprintable() and char != "%"), min_size=1, max_size=20)
filenames = st.text(encodable.filter(lambda char: char != "%"), max_size=40)
texts = st.text(encodable, max_size=60).map(str.encode)


@st.composite
def boundaries(draw: st.DrawFn) -> str:
    return draw(st.text(BOUNDARY_CHARS, min_size=1, max_size=70))


@st.composite
def forms(draw: st.DrawFn) -> tuple[str, list[Part]]:
    boundary = draw(boundaries())
    delimiter = f"\r\n--{boundary}".encode()
    # Bytes that look like a boundary for as long as possible.
    lures = st.lists(
        st.one_of(
            st.integers(1, len(delimiter) - 1).map(lambda length: delimiter[:length]),
            st.sampled_from([b"\r", b"\n", b"--", b"\r\n\r\n"]),
            st.binary(max_size=30),
        ),
        max_size=8,
    ).map(b"".join)
    part = st.one_of(
        st.builds(Part, names, st.none(), texts),
        st.builds(Part, names, filenames, st.one_of(st.binary(max_size=200), lures)),
    )
    parts = draw(st.lists(part, max_size=6))
    assume(all(delimiter not in b"\r\n" + part.content + delimiter[:-1] for part in parts))
    return boundary, parts


@settings(max_examples=150, deadline=None)
@given(form=forms(), data=st.data())
def test_any_form_cut_anywhere_gives_the_same_events(form: tuple[str, list[Part]], data: st.DataObject) -> None:
    boundary, parts = form
    content_type = f'multipart/form-data; boundary="{boundary}"'
    body = encode(parts, boundary)
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=12))
    assert read(content_type, body, cuts) == expected(parts)
    assert read(content_type, body, range(len(body))) == expected(parts)


SEEDS = [
    encode(
        [
            Part("purpose", None, b"user_data"),
            Part("file", "report.pdf", bytes(range(256))),
            Part("expires_after[anchor]", None, b"created_at"),
        ],
        "frontier",
    ),
    encode([Part("a", None, b"1"), Part("b", None, "ü€😀".encode())], "frontier"),
    b"\r\n--frontier\r\nContent-Type: application/json; charset=utf-8\r\n"
    b'Content-Disposition: form-data; name="e"\r\n\r\n'
    b'{"anchor": "created_at", "seconds": 3600, "tags": ["x", null]}\r\n--frontier--\r\n',
    b"--frontier\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Length: 3\r\n"
    b'Content-Disposition: form-data; name=c; filename*=UTF-8\'\'na%C3%AFve.txt; filename="x\\"y"\r\n\r\n'
    b"abc\r\n--frontier--\r\nepilogue",
]
TOKENS = [
    *(b"\r\n", b"\n", b"\r", b"\0", b"\xff", b'"', b"\\", b";", b":", b"=", b","),
    *(b"[", b"]", b"[]", b"{", b"}", b"\t more"),
    *(b"--", b"--frontier", b"\r\n--frontier\r\n", b"\r\n--frontier--", b"%22", b"%0A", b"%ff", b"\xe2\x80\xae"),
    *(b"name=", b"filename=", b"filename*=", b"charset=utf-7", b'"\\ud800"', b"Content-Length: 3\r\n"),
    *(b"Content-Type: application/json\r\n", b"Content-Transfer-Encoding: base64\r\n"),
]
BARE_LINE_FEED = re.compile(rb"(?<!\r)\n")


def mutated(rng: random.Random) -> bytes:
    body = rng.choice(SEEDS)
    for _ in range(rng.randint(1, 5)):
        at = rng.randint(0, len(body))
        to = min(len(body), at + rng.choice([0, 1, 1, 4, 40]))
        filling = rng.choice(
            [b"", rng.choice(TOKENS), rng.randbytes(rng.randint(1, 4)), body[at:to] * 2, rng.choice(TOKENS) * 3]
        )
        body = body[:at] + filling + body[to:]
    return body


def outcome(content_type: str, body: bytes, cuts: Iterable[int]) -> list[FormEvent] | None:
    try:
        return read(content_type, body, cuts)
    except MediagateError as error:
        assert error.http_status in {400, 413}
        assert len(error.message) < 400
        return None


def test_twenty_thousand_mutated_forms_end_in_events_or_in_an_error_of_the_tree() -> None:
    rng = random.Random(4711)
    read_well = 0
    for _ in range(20_000):
        body = mutated(rng)
        content_type = "multipart/form-data; boundary=frontier"
        if rng.random() < 0.05:
            at = rng.randrange(len(content_type))
            content_type = content_type[:at] + rng.choice(TOKENS).decode("latin-1") + content_type[at + 1 :]
        cuts = [rng.randint(0, len(body)) for _ in range(rng.randint(0, 6))]
        events = outcome(content_type, body, cuts)
        at_once = outcome(content_type, body, ())
        # A form must not be read in two ways by how the network happens to cut it. The parser overlooks a bare line
        # feed before a header's name where the line's end is there to see, so there one way may be a refusal.
        if events is None or at_once is None:
            assert events == at_once or BARE_LINE_FEED.search(body)
        else:
            assert events == at_once
        read_well += events is not None
    assert 1_000 < read_well < 19_000
