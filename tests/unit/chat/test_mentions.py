"""Every place where a file may stand is found, and what stands there is told apart."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.chat import Dialect, MediaKind, Mention
from mediagate.core.chat_mentions import MENTIONS_MAX, mentions
from mediagate.core.errors import InvalidField

ID = "file-01k4q3q8m0e8s9v0abcdefghjk"
CONTENT = ("messages", 0, "content", 0)
ITEM = ("input", 0, "content", 0)
IMAGE, DOCUMENT, AUDIO, VIDEO = MediaKind.IMAGE, MediaKind.DOCUMENT, MediaKind.AUDIO, MediaKind.VIDEO


def chat(*parts: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": list(parts)}]}


def responses(*parts: Any) -> dict[str, Any]:
    return {"model": "m", "input": [{"role": "user", "content": list(parts)}]}


IN_CHAT: list[tuple[dict[str, Any], Mention]] = [
    (
        {"type": "file", "file": {"file_id": ID}},
        Mention(CONTENT, "messages[0].content[0].file.file_id", None, file_id=ID),
    ),
    (
        {"type": "file", "file": {"file_id": f"mediagate://{ID}", "format": "Video/MP4"}},
        Mention(CONTENT, "messages[0].content[0].file.file_id", None, file_id=ID, media_type="video/mp4"),
    ),
    (
        {"type": "file", "file": {"file_id": None, "file_data": "AAAA", "filename": "a.pdf"}},
        Mention(CONTENT, "messages[0].content[0].file.file_data", None, data="AAAA", filename="a.pdf"),
    ),
    (
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        Mention(CONTENT, "messages[0].content[0].file.file_data", None, data="AAAA", media_type="application/pdf"),
    ),
    (
        {"type": "file", "file": {"file_id": "https://example.com/a.pdf"}},
        Mention(CONTENT, "messages[0].content[0].file.file_id", None, link="https://example.com/a.pdf"),
    ),
    ({"type": "file", "file_id": ID}, Mention(CONTENT, "messages[0].content[0].file_id", None, file_id=ID)),
    (
        {"type": "image_url", "image_url": {"url": "HTTPS://example.com/a.png", "detail": "low"}},
        Mention(CONTENT, "messages[0].content[0].image_url.url", IMAGE, link="HTTPS://example.com/a.png", detail="low"),
    ),
    (
        {"type": "image_url", "image_url": "https://example.com/a.png"},
        Mention(CONTENT, "messages[0].content[0].image_url", IMAGE, link="https://example.com/a.png"),
    ),
    (
        {"type": "image_url", "image_url": {"url": ID}},
        Mention(CONTENT, "messages[0].content[0].image_url.url", IMAGE, file_id=ID),
    ),
    (
        {"type": "image_url", "image_url": {"url": "data:image/PNG;charset=utf-8;base64,AAAA"}},
        Mention(CONTENT, "messages[0].content[0].image_url.url", IMAGE, data="AAAA", media_type="image/png"),
    ),
    (
        {"type": "image_url", "image_url": {"url": "data:;base64,AAAA"}},
        Mention(CONTENT, "messages[0].content[0].image_url.url", IMAGE, data="AAAA"),
    ),
    (
        {"type": "video_url", "video_url": {"url": f"mediagate://{ID}"}},
        Mention(CONTENT, "messages[0].content[0].video_url.url", VIDEO, file_id=ID),
    ),
    (
        {"type": "video_url", "video_url": "video_01k4q3q8m0e8s9v0abcdefghjk"},
        Mention(CONTENT, "messages[0].content[0].video_url", VIDEO, file_id="video_01k4q3q8m0e8s9v0abcdefghjk"),
    ),
    (
        {"type": "audio_url", "audio_url": {"url": "https://example.com/a.wav"}},
        Mention(CONTENT, "messages[0].content[0].audio_url.url", AUDIO, link="https://example.com/a.wav"),
    ),
    (
        {"type": "document_url", "document_url": "https://example.com/a.pdf"},
        Mention(CONTENT, "messages[0].content[0].document_url", DOCUMENT, link="https://example.com/a.pdf"),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}},
        Mention(CONTENT, "messages[0].content[0].input_audio.data", AUDIO, data="AAAA", media_type="audio/mpeg"),
    ),
    (
        {"type": "input_audio", "input_audio": {"data": ID, "format": "flac"}},
        Mention(CONTENT, "messages[0].content[0].input_audio.data", AUDIO, file_id=ID, media_type="audio/flac"),
    ),
    (
        {"type": "input_audio", "input_audio": f"mediagate://{ID}"},
        Mention(CONTENT, "messages[0].content[0].input_audio", AUDIO, file_id=ID),
    ),
    (
        {"type": "input_file", "file_id": ID},
        Mention(CONTENT, "messages[0].content[0].file_id", None, file_id=ID),
    ),
    (
        {"type": "input_image", "file_id": ID, "detail": "high"},
        Mention(CONTENT, "messages[0].content[0].file_id", IMAGE, file_id=ID, detail="high"),
    ),
    (
        {"type": "input_image", "image_url": {"url": ID}},
        Mention(CONTENT, "messages[0].content[0].image_url.url", IMAGE, file_id=ID),
    ),
]


@pytest.mark.parametrize(("part", "found"), IN_CHAT)
def test_every_part_of_a_chat_is_found(part: dict[str, Any], found: Mention) -> None:
    assert mentions(chat(part), Dialect.CHAT) == [found]


IN_RESPONSES: list[tuple[dict[str, Any], Mention]] = [
    (
        responses({"type": "input_file", "file_url": "https://example.com/a.pdf"}),
        Mention(ITEM, "input[0].content[0].file_url", None, link="https://example.com/a.pdf"),
    ),
    (
        responses({"type": "input_file", "file_data": "AAAA", "filename": "a.pdf", "file_id": ""}),
        Mention(ITEM, "input[0].content[0].file_data", None, data="AAAA", filename="a.pdf"),
    ),
    (
        responses({"type": "input_image", "image_url": f"mediagate://{ID}", "file_id": None}),
        Mention(ITEM, "input[0].content[0].image_url", IMAGE, file_id=ID),
    ),
    (
        {
            "input": [
                {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_file", "file_id": ID}]}
            ]
        },
        Mention(("input", 0, "output", 0), "input[0].output[0].file_id", None, file_id=ID),
    ),
    (
        {"input": [{"type": "computer_call_output", "output": {"type": "computer_screenshot", "file_id": ID}}]},
        Mention(("input", 0, "output"), "input[0].output.file_id", IMAGE, file_id=ID),
    ),
    (
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [ID]}}]},
        Mention(
            ("tools", 0, "container", "file_ids", 0),
            "tools[0].container.file_ids[0]",
            None,
            file_id=ID,
            for_tool=True,
        ),
    ),
    (
        {"tools": [{"type": "shell", "environment": {"type": "container_auto", "file_ids": [ID]}}]},
        Mention(
            ("tools", 0, "environment", "file_ids", 0),
            "tools[0].environment.file_ids[0]",
            None,
            file_id=ID,
            for_tool=True,
        ),
    ),
    (
        {"tools": [{"type": "image_generation", "input_image_mask": {"image_url": "data:image/png;base64,AAAA"}}]},
        Mention(
            ("tools", 0, "input_image_mask"),
            "tools[0].input_image_mask.image_url",
            IMAGE,
            data="AAAA",
            media_type="image/png",
        ),
    ),
    (
        {"prompt": {"id": "pmpt_1", "variables": {"city": "Rome", "plan": {"type": "input_file", "file_id": ID}}}},
        Mention(("prompt", "variables", "plan"), "prompt.variables.plan.file_id", None, file_id=ID),
    ),
]


@pytest.mark.parametrize(("body", "found"), IN_RESPONSES)
def test_every_place_of_responses_is_found(body: dict[str, Any], found: Mention) -> None:
    assert mentions(body, Dialect.RESPONSES) == [found]


def test_mentions_come_in_the_order_of_the_body() -> None:
    parts = [part for part, _ in IN_CHAT]
    body = chat({"type": "text", "text": "What is this?"}, *parts)
    assert [found.path[-1] for found in mentions(body, Dialect.CHAT)] == list(range(1, len(parts) + 1))


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "file"}, "file"),
        ({"type": "file", "file": ID}, "file"),
        ({"type": "file", "file": {}}, "file.file_id"),
        ({"type": "file", "file": {"file_id": 7}}, "file.file_id"),
        ({"type": "file", "file": {"file_id": ID, "file_data": "AAAA"}}, "file.file_data"),
        ({"type": "file", "file": {"file_id": "gs://bucket/key"}}, "file.file_id"),
        ({"type": "file", "file": {"file_id": "mediagate://"}}, "file.file_id"),
        ({"type": "file", "file": {"file_id": "f" * 300}}, "file.file_id"),
        ({"type": "file", "file": {"file_data": "AAAA", "filename": ["a"]}}, "file.filename"),
        ({"type": "image_url"}, "image_url"),
        ({"type": "image_url", "image_url": {}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": None}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "javascript:alert(1)"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,AAAA"}}, "image_url.url"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}, "image_url.url"),
        ({"type": "video_url", "video_url": ""}, "video_url"),
        ({"type": "input_audio", "input_audio": {"format": "wav"}}, "input_audio.data"),
        ({"type": "input_image"}, "file_id"),
        ({"type": "input_image", "file_id": ID, "image_url": ID}, "image_url"),
        ({"type": "input_file", "file_id": ID, "file_url": "https://example.com"}, "file_url"),
    ],
)
def test_a_part_that_names_no_file_is_refused_by_its_place(part: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        mentions(chat({"type": "text", "text": ""}, part), Dialect.CHAT)
    assert refused.value.param == f"messages[0].content[1].{param}"


@pytest.mark.parametrize("ids", [[7], [None], [""], ["s3://bucket/key"]])
def test_ids_for_tools_are_ids(ids: list[Any]) -> None:
    with pytest.raises(InvalidField) as refused:
        mentions({"tools": [{"type": "code_interpreter", "container": {"file_ids": ids}}]}, Dialect.RESPONSES)
    assert refused.value.param == "tools[0].container.file_ids[0]"


def test_there_is_a_most_of_mentions() -> None:
    part = {"type": "file", "file": {"file_id": ID}}
    assert len(mentions(chat(*[part] * MENTIONS_MAX), Dialect.CHAT)) == MENTIONS_MAX
    with pytest.raises(InvalidField, match=str(MENTIONS_MAX)):
        mentions(chat(*[part] * (MENTIONS_MAX + 1)), Dialect.CHAT)


_WORDS = st.sampled_from(
    [
        *("type", "file", "file_id", "file_url", "file_data", "filename", "format", "detail", "image_url", "url"),
        *("video_url", "audio_url", "document_url", "input_audio", "data", "input_file", "input_image", "text"),
        *("messages", "input", "content", "output", "tools", "container", "file_ids", "environment", "prompt"),
        *("variables", "input_image_mask", "computer_screenshot", ID, "mediagate://", "https://example.com"),
        *("data:image/png;base64,AAAA", "gs://b/k", ""),
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | _WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_WORDS | st.text(max_size=4), inner, max_size=5),
    max_leaves=24,
)


@given(_JSON, _JSON, _JSON, st.sampled_from(Dialect))
def test_garbage_has_mentions_with_places_or_is_refused_with_one(
    content: Any, items: Any, tools: Any, dialect: Dialect
) -> None:
    body = {"messages": [{"content": content}, items], "input": [{"output": content}, items], "tools": tools}
    try:
        found = mentions(body, dialect)
    except InvalidField as refused:
        assert refused.param
        return
    assert len({mention.path for mention in found}) == len(found)
    for mention in found:
        at: Any = body
        for step in mention.path:
            at = at[step]
        assert isinstance(at, dict | str)
        assert [mention.file_id, mention.link, mention.data].count(None) == 2
