"""Whatever a conversation holds: every word, file, call and result of it is in the body, in its order, or the whole is
refused by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from mediagate.core.chat import (
    ChatRequest,
    FileUse,
    Media,
    MediaKind,
    Role,
    Settings,
    Text,
    Tool,
    ToolCall,
    ToolResult,
    Turn,
    Way,
)
from mediagate.core.errors import InvalidField
from mediagate.providers.anthropic.chat_body import body_of as anthropic_body
from mediagate.providers.bedrock.chat_body import body_of as bedrock_body
from tests.unit.chat.anthropic_oracle import require_body
from tests.unit.chat.test_bedrock_body import body as judged_by_botocore

TYPES = {
    MediaKind.IMAGE: ("image/png", "image/tiff"),
    MediaKind.DOCUMENT: ("application/pdf", "text/csv", "application/zip"),
    MediaKind.AUDIO: ("audio/wav",),
    MediaKind.VIDEO: ("video/mp4",),
}
VALUES = {Way.FILE_ID: "file_{}", Way.LINK: "https://a/{}", Way.URI: "s3://bucket/{}", Way.DATA: "AAAA{:04d}"}
counter = iter(range(10**9))


# What the one and the other take, so that most conversations are not refused.
GOOD = {
    "anthropic": ((MediaKind.IMAGE, Way.FILE_ID, "image/png"), (MediaKind.DOCUMENT, Way.LINK, "application/pdf")),
    "bedrock": ((MediaKind.VIDEO, Way.URI, "video/mp4"), (MediaKind.IMAGE, Way.DATA, "image/png")),
}


def file_of(kind: MediaKind, way: Way, media_type: str, name: str) -> Media:
    return Media(kind, FileUse(way, VALUES[way].format(next(counter) % 10_000), media_type, name), "messages[0]")


def conversations(name: str) -> st.SearchStrategy[list[Turn]]:
    anything = st.sampled_from(list(TYPES)).flatmap(
        lambda kind: st.builds(
            file_of,
            st.just(kind),
            st.sampled_from(list(VALUES)),
            st.sampled_from(TYPES[kind]),
            st.sampled_from(["", "a.pdf", "Ü b.csv"]),
        )
    )
    good = st.sampled_from(GOOD[name]).map(lambda one: file_of(*one, "a.b"))
    texts = st.sampled_from(["", " ", "Hello", "é\n", "{}"]).map(Text)
    parts = st.lists(texts | good | good | good, max_size=4).map(tuple)
    some = st.lists(texts | anything, max_size=2).map(tuple)
    calls = st.lists(
        st.sampled_from(["{}", "", "[1]", '{"a": 1}', "{no"]).map(
            lambda said: ToolCall(f"c{next(counter)}", "noon", said)
        ),
        max_size=3,
    ).map(tuple)
    turns = st.one_of(
        parts.map(lambda found: Turn(Role.USER, found)),
        st.lists(texts, max_size=2).map(lambda found: Turn(Role.SYSTEM, tuple(found))),
        st.tuples(st.lists(texts, max_size=2).map(tuple), calls).map(
            lambda both: Turn(Role.ASSISTANT, both[0] + both[1])
        ),
        parts.map(lambda found: Turn(Role.TOOL, (ToolResult(f"c{next(counter)}", found),))),
    )
    rare = some.map(lambda found: Turn(Role.USER, found))
    return st.lists(turns, min_size=1, max_size=6) | st.tuples(turns, rare).map(list)


def leaves(value: Any) -> list[str]:
    """Every text in a body, in its order."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [leaf for member in value.values() for leaf in leaves(member)]
    if isinstance(value, list):
        return [leaf for member in value for leaf in leaves(member)]
    return []


def told(request: ChatRequest) -> list[str]:
    """What has to be in the messages, in its order."""
    found = []
    for turn in request.turns:
        if turn.role is Role.SYSTEM:
            continue
        for part in turn.parts:
            inner = [part] if not isinstance(part, ToolResult) else [part.call_id, *part.parts]
            for one in inner:
                if isinstance(one, Media):
                    found.append(one.file.value)
                elif isinstance(one, ToolCall):
                    found.append(one.id)
                elif isinstance(one, str):
                    found.append(one)
                elif isinstance(one, Text) and one.text.strip():
                    found.append(one.text)
    return found


@pytest.mark.parametrize("name", ["anthropic", "bedrock"])
@given(data=st.data())
def test_nothing_is_dropped(name: str, data: st.DataObject) -> None:
    conversation = data.draw(conversations(name))
    body_of = anthropic_body if name == "anthropic" else bedrock_body
    request = ChatRequest("amazon.nova-pro-v1:0", tuple(conversation), Settings(tools=(Tool("noon"),)))
    try:
        made = body_of(request)
    except InvalidField as error:
        assert error.param
        event("refused")
        return
    event("told")
    if name == "anthropic":
        require_body(made)
    else:
        judged_by_botocore(request)
    roles = [message["role"] for message in made["messages"]]
    assert all(one != other for one, other in pairwise(roles))
    said = leaves(made["messages"])
    at = 0
    for expected in told(request):
        decoded = {"AAAA": "\0\0\0"}.get(expected[:4], expected)
        fitting = [
            n for n in range(at, len(said)) if said[n] == expected or (decoded != expected and decoded in said[n])
        ]
        assert fitting, (expected, json.dumps(made))
        at = fitting[0] + 1
    system = [part.text for turn in conversation if turn.role is Role.SYSTEM for part in turn.parts]  # type: ignore[union-attr]
    assert [block["text"] for block in made.get("system", [])] == [text for text in system if text.strip()]
