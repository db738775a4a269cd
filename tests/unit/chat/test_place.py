"""Files are put where they were mentioned, in the words of the provider, and nothing else changes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import pytest
from openai.types.chat import ChatCompletionUserMessageParam
from openai.types.responses import ResponseInputItemParam
from pydantic import TypeAdapter

from mediagate.core.chat import Dialect, FileUse, MediaKind, Way
from mediagate.core.chat_place import audio_format, place
from mediagate.providers.mistral.parts import write_part

ID = "file-01k4q3q8m0e8s9v0abcdefghjk"
IMAGE, DOCUMENT, AUDIO, VIDEO = MediaKind.IMAGE, MediaKind.DOCUMENT, MediaKind.AUDIO, MediaKind.VIDEO
PDF, PNG, WAV, MP4 = "application/pdf", "image/png", "audio/x-wav", "video/mp4"
LINK = "https://store.example/a?signature=1"

FILE = {"type": "file", "file": {"file_id": ID}}


def use(way: Way, value: str, media_type: str, file_id: str | None = ID) -> FileUse:
    return FileUse(way, value, media_type, "a.bin", 4, file_id)


def placed(part: Any, kind: MediaKind, told: FileUse, dialect: Dialect = Dialect.CHAT, write: Any = None) -> Any:
    if dialect is Dialect.CHAT:
        body = {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, part]}]}
        path: tuple[str | int, ...] = ("messages", 0, "content", 1)
    else:
        body = {"model": "m", "input": [{"role": "user", "content": [{"type": "input_text", "text": "?"}, part]}]}
        path = ("input", 0, "content", 1)
    before = copy.deepcopy(body)
    after: Any = place(body, {path: (kind, told)}, dialect, write)
    assert body == before
    for step in path:
        after = after[step]
    return after


@pytest.mark.parametrize(
    ("part", "kind", "told", "expected"),
    [
        (FILE, DOCUMENT, use(Way.FILE_ID, "file-abc", PDF), {"type": "file", "file": {"file_id": "file-abc"}}),
        (
            {"type": "input_file", "file_id": ID, "prompt_cache_breakpoint": {"mode": "explicit"}},
            DOCUMENT,
            use(Way.FILE_ID, "file-abc", PDF),
            {"prompt_cache_breakpoint": {"mode": "explicit"}, "type": "file", "file": {"file_id": "file-abc"}},
        ),
        (
            FILE,
            DOCUMENT,
            use(Way.DATA, "AAAA", PDF),
            {"type": "file", "file": {"filename": "a.bin", "file_data": "data:application/pdf;base64,AAAA"}},
        ),
        (
            FILE,
            IMAGE,
            use(Way.DATA, "AAAA", PNG),
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        ),
        (
            {"type": "image_url", "image_url": {"url": ID, "detail": "low"}},
            IMAGE,
            use(Way.LINK, LINK, PNG),
            {"type": "image_url", "image_url": {"url": LINK, "detail": "low"}},
        ),
        (
            {"type": "image_url", "image_url": "https://example.com/a.png"},
            IMAGE,
            use(Way.LINK, "https://example.com/a.png", PNG, None),
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": ID, "format": "mp3"}},
            AUDIO,
            use(Way.DATA, "AAAA", WAV),
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ),
        (FILE, AUDIO, use(Way.LINK, LINK, WAV), {"type": "audio_url", "audio_url": {"url": LINK}}),
        (FILE, VIDEO, use(Way.LINK, LINK, MP4), {"type": "video_url", "video_url": {"url": LINK}}),
        (
            {"type": "video_url", "video_url": {"url": ID, "fps": 2}},
            VIDEO,
            use(Way.DATA, "AAAA", MP4),
            {"type": "video_url", "video_url": {"fps": 2, "url": "data:video/mp4;base64,AAAA"}},
        ),
    ],
)
def test_parts_of_a_chat(part: dict[str, Any], kind: MediaKind, told: FileUse, expected: dict[str, Any]) -> None:
    assert placed(part, kind, told) == expected


@pytest.mark.parametrize(
    ("part", "kind", "told", "expected"),
    [
        (
            {"type": "input_file", "file_id": ID, "detail": "low"},
            DOCUMENT,
            use(Way.FILE_ID, "file-abc", PDF),
            {"type": "input_file", "detail": "low", "file_id": "file-abc"},
        ),
        (
            {"type": "input_file", "file_id": ID},
            IMAGE,
            use(Way.FILE_ID, "file-abc", PNG),
            {"type": "input_image", "detail": "auto", "file_id": "file-abc"},
        ),
        (
            {"type": "input_image", "image_url": ID, "detail": "high"},
            IMAGE,
            use(Way.LINK, LINK, PNG),
            {"type": "input_image", "detail": "high", "image_url": LINK},
        ),
        (
            {"type": "input_file", "file_id": ID},
            DOCUMENT,
            use(Way.LINK, LINK, PDF),
            {"type": "input_file", "file_url": LINK},
        ),
        (
            {"type": "input_file", "file_id": ID},
            DOCUMENT,
            use(Way.DATA, "AAAA", PDF),
            {"type": "input_file", "filename": "a.bin", "file_data": "data:application/pdf;base64,AAAA"},
        ),
    ],
)
def test_parts_of_responses(part: dict[str, Any], kind: MediaKind, told: FileUse, expected: dict[str, Any]) -> None:
    after = placed(part, kind, told, Dialect.RESPONSES)
    assert after == expected
    item = {"type": "message", "role": "user", "content": [after]}
    TypeAdapter(ResponseInputItemParam).validate_python(item)


@pytest.mark.parametrize(
    ("part", "kind", "told"),
    [
        (
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "x": 1}},
            IMAGE,
            use(Way.LINK, "https://example.com/a.png", PNG, None),
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            IMAGE,
            use(Way.DATA, "AAAA", PNG, None),
        ),
        (
            {"type": "file", "file": {"filename": "b.pdf", "file_data": "data:application/pdf;base64,AAAA"}},
            DOCUMENT,
            use(Way.DATA, "AAAA", PDF, None),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            AUDIO,
            use(Way.DATA, "AAAA", WAV, None),
        ),
    ],
)
def test_what_the_caller_gave_inline_stays(part: dict[str, Any], kind: MediaKind, told: FileUse) -> None:
    assert placed(part, kind, told) is part
    TypeAdapter(ChatCompletionUserMessageParam).validate_python({"role": "user", "content": [part]})


def test_data_that_is_something_else_than_it_says_is_written_anew() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:application/octet-stream;base64,AAAA", "detail": "low"}}
    after = placed(part, IMAGE, use(Way.DATA, "AAAA", PNG, None))
    assert after == {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}


def test_what_does_not_change_is_shared() -> None:
    body = {
        "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": [FILE, {"type": "x"}]}],
        "tools": [{}],
    }
    after: Any = place(body, {("messages", 1, "content", 0): (DOCUMENT, use(Way.FILE_ID, "f", PDF))}, Dialect.CHAT)
    before: Any = body
    assert after["tools"] is before["tools"]
    assert after["messages"][0] is before["messages"][0]
    assert after["messages"][1]["content"][1] is before["messages"][1]["content"][1]
    assert place(body, {}, Dialect.CHAT) is body


def test_texts_of_responses_become_those_of_a_chat() -> None:
    content = [{"type": "input_text", "text": "a", "x": 1}, {"type": "text", "text": "b"}]
    after: Any = place({"messages": [{"role": "user", "content": content}]}, {}, Dialect.CHAT)
    assert after["messages"][0]["content"] == [
        {"type": "text", "text": "a", "x": 1},
        {"type": "text", "text": "b"},
    ]


def test_files_of_tools_and_pictures_outside_of_content() -> None:
    body = {
        "input": [
            {"type": "computer_call_output", "output": {"type": "computer_screenshot", "file_id": ID}},
            {"type": "function_call_output", "output": [{"type": "input_image", "file_id": ID}]},
        ],
        "tools": [
            {"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["a", ID]}},
            {"type": "image_generation", "input_image_mask": {"file_id": ID}},
        ],
    }
    after: Any = place(
        body,
        {
            ("input", 0, "output"): (IMAGE, use(Way.LINK, LINK, PNG)),
            ("input", 1, "output", 0): (IMAGE, use(Way.DATA, "AAAA", PNG)),
            ("tools", 0, "container", "file_ids", 1): (DOCUMENT, use(Way.FILE_ID, "file-abc", "text/csv")),
            ("tools", 1, "input_image_mask"): (IMAGE, use(Way.FILE_ID, "file-mask", PNG)),
        },
        Dialect.RESPONSES,
    )
    assert after["input"][0]["output"] == {"type": "computer_screenshot", "image_url": LINK}
    assert after["input"][1]["output"][0]["image_url"] == "data:image/png;base64,AAAA"
    assert after["tools"][0]["container"] == {"type": "auto", "file_ids": ["a", "file-abc"]}
    assert after["tools"][1]["input_image_mask"] == {"file_id": "file-mask"}


def test_a_provider_may_have_words_of_its_own() -> None:
    def write(kind: MediaKind, told: FileUse, dialect: Dialect) -> Mapping[str, Any] | None:
        if kind is DOCUMENT and told.way is Way.LINK and dialect is Dialect.CHAT:
            return {"type": "document_url", "document_url": told.value}
        return None

    after = placed({**FILE, "cache_control": 1}, DOCUMENT, use(Way.LINK, LINK, PDF), write=write)
    assert after == {"cache_control": 1, "type": "document_url", "document_url": LINK}
    assert placed(FILE, DOCUMENT, use(Way.FILE_ID, "f", PDF), write=write)["type"] == "file"


@pytest.mark.parametrize(
    ("media_type", "word"),
    [("audio/wav", "wav"), ("audio/x-wav", "wav"), ("audio/mpeg", "mp3"), ("audio/flac; rate=8000", "flac"), ("", "")],
)
def test_formats_of_recordings(media_type: str, word: str) -> None:
    assert audio_format(media_type) == word


@pytest.mark.parametrize(
    ("kind", "told", "expected"),
    [
        (DOCUMENT, use(Way.FILE_ID, "u-u-i-d", PDF), {"type": "file", "file_id": "u-u-i-d"}),
        (
            DOCUMENT,
            use(Way.LINK, LINK, PDF),
            {"type": "document_url", "document_url": LINK, "document_name": "a.bin"},
        ),
        (AUDIO, use(Way.DATA, "AAAA", WAV), {"type": "input_audio", "input_audio": "AAAA"}),
        (AUDIO, use(Way.LINK, LINK, WAV), {"type": "input_audio", "input_audio": LINK}),
        (IMAGE, use(Way.LINK, LINK, PNG), {"type": "image_url", "image_url": {"url": LINK}}),
    ],
)
def test_parts_of_mistral(kind: MediaKind, told: FileUse, expected: dict[str, Any]) -> None:
    assert placed(FILE, kind, told, write=write_part) == expected
