"""Chat Completions bodies as bodies of `generateContent`, held against Google's own types and discovery document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from mediagate.core.chat import FileUse, MediaKind, Uses, Way
from mediagate.core.errors import InvalidField
from mediagate.core.read_chat import read_chat
from mediagate.providers.gemini.spec import WORDS as GEMINI
from mediagate.providers.google_chat.body import UNSIGNED, body_of
from mediagate.providers.google_chat.words import Words
from mediagate.providers.vertex_ai.spec import WORDS as VERTEX
from tests.doubles.generate_content import require_request

MODEL = "gemini-3-flash"
OLD = "gemini-2.5-flash"
PATH: tuple[str | int, ...] = ("messages", 0, "content", 0)
FILE_URI = "https://generativelanguage.googleapis.com/v1beta/files/abc"
SIGNED = {"google": {"thought_signature": "c2lnbmVk"}}
WEATHER = {
    "type": "object",
    "properties": {"place": {"type": "string", "minLength": 1}},
    "required": ["place"],
    "additionalProperties": False,
}


def mapped(
    messages: list[dict[str, Any]], *, uses: Uses | None = None, model: str = MODEL, words: Words = VERTEX, **more: Any
) -> dict[str, Any]:
    """The body for these messages, which both oracles know."""
    body = body_of(read_chat({"model": "m", "messages": messages, **more}, uses or {}, model=model), words)
    require_request(body)
    return body


def asked(text: str = "hello") -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def with_file(kind: MediaKind, file: FileUse, *, detail: str | None = None, **more: Any) -> dict[str, Any]:
    """The first part of a message with a file in it."""
    part = {"type": "image_url", "image_url": {"url": "x", **({"detail": detail} if detail else {})}}
    messages = [{"role": "user", "content": [part, {"type": "text", "text": "What is it?"}]}]
    body = mapped(messages, uses={PATH: (kind, file)}, **more)
    parts = body["contents"][0]["parts"]
    assert parts[1:] == [{"text": "What is it?"}]
    return dict(parts[0])


def test_a_conversation() -> None:
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": ""}]},
        {"role": "user", "content": [{"type": "text", "text": "Two?"}, {"type": "text", "text": "Three?"}]},
    ]
    assert mapped(messages) == {
        "systemInstruction": {"parts": [{"text": "Be short."}, {"text": "Be kind."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "One?"}]},
            {"role": "model", "parts": [{"text": "Yes."}]},
            {"role": "user", "parts": [{"text": "Two?"}, {"text": "Three?"}]},
        ],
    }


@pytest.mark.parametrize(
    ("kind", "file", "words", "part"),
    [
        (
            MediaKind.VIDEO,
            FileUse(Way.URI, "gs://bucket/a b.mp4", "video/mp4", file_id="file-1"),
            VERTEX,
            {"fileData": {"mimeType": "video/mp4", "fileUri": "gs://bucket/a b.mp4"}},
        ),
        (
            MediaKind.DOCUMENT,
            FileUse(Way.URI, FILE_URI, "application/pdf", file_id="file-1"),
            GEMINI,
            {"fileData": {"mimeType": "application/pdf", "fileUri": FILE_URI}},
        ),
        (
            MediaKind.DOCUMENT,
            FileUse(Way.URI, FILE_URI, "", file_id="file-1"),
            GEMINI,
            {"fileData": {"fileUri": FILE_URI}},
        ),
        (
            MediaKind.IMAGE,
            FileUse(Way.LINK, "https://a.example/cat.png?x=1", ""),
            VERTEX,
            {"fileData": {"mimeType": "image/png", "fileUri": "https://a.example/cat.png?x=1"}},
        ),
        (
            MediaKind.VIDEO,
            FileUse(Way.LINK, "https://www.youtube.com/watch?v=abc", ""),
            VERTEX,
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://www.youtube.com/watch?v=abc"}},
        ),
        (
            MediaKind.AUDIO,
            FileUse(Way.DATA, "AAAA", "audio/wav"),
            VERTEX,
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        ),
        (
            MediaKind.DOCUMENT,
            FileUse(Way.DATA, "e30=", "application/json; charset=utf-8"),
            GEMINI,
            {"inlineData": {"mimeType": "text/plain", "data": "e30="}},
        ),
        (
            MediaKind.DOCUMENT,
            FileUse(Way.DATA, "AAAA", "", "notes.PDF"),
            VERTEX,
            {"inlineData": {"mimeType": "application/pdf", "data": "AAAA"}},
        ),
        (
            MediaKind.DOCUMENT,
            FileUse(Way.URI, "gs://b/x.csv", "text/csv", file_id="file-1"),
            VERTEX,
            {"fileData": {"mimeType": "text/plain", "fileUri": "gs://b/x.csv"}},
        ),
        (
            MediaKind.DOCUMENT,
            FileUse(Way.DATA, "AAAA", "text/csv"),
            GEMINI,
            {"inlineData": {"mimeType": "text/csv", "data": "AAAA"}},
        ),
        (
            MediaKind.DOCUMENT,
            FileUse(Way.DATA, "AAAA", "image/svg+xml"),
            GEMINI,
            {"inlineData": {"mimeType": "text/plain", "data": "AAAA"}},
        ),
        (
            MediaKind.AUDIO,
            FileUse(Way.DATA, "AAAA", "Audio/X-WAV"),
            GEMINI,
            {"inlineData": {"mimeType": "audio/wav", "data": "AAAA"}},
        ),
        (
            MediaKind.VIDEO,
            FileUse(Way.LINK, "https://a.example/x.avi", "video/x-msvideo", file_id="file-1"),
            GEMINI,
            {"fileData": {"mimeType": "video/avi", "fileUri": "https://a.example/x.avi"}},
        ),
    ],
)
def test_a_file(kind: MediaKind, file: FileUse, words: Words, part: Mapping[str, Any]) -> None:
    assert with_file(kind, file, words=words) == part


@pytest.mark.parametrize(
    ("kind", "file", "words", "said"),
    [
        (MediaKind.IMAGE, FileUse(Way.DATA, "AAAA", "image/gif"), VERTEX, "does not read 'image/gif' as image"),
        (MediaKind.DOCUMENT, FileUse(Way.DATA, "AAAA", "application/zip"), GEMINI, "does not read 'application/zip'"),
        (
            MediaKind.IMAGE,
            FileUse(Way.FILE_ID, "file-abc", "image/png"),
            GEMINI,
            "does not read image files as file_id",
        ),
        (MediaKind.IMAGE, FileUse(Way.DATA, "AAAA", ""), GEMINI, "does not say what it is"),
        (MediaKind.DOCUMENT, FileUse(Way.LINK, "https://a.example/x", ""), VERTEX, "does not say what it is"),
        (
            MediaKind.IMAGE,
            FileUse(Way.DATA, "AAAA", "image/png", size_bytes=8 << 20),
            VERTEX,
            "reads at most 7340032 of a image file given as data",
        ),
        # What the account may read, and a caller may not name.
        (MediaKind.IMAGE, FileUse(Way.URI, "gs://bucket/theirs.png", "image/png"), VERTEX, "https URL of your own"),
        (MediaKind.IMAGE, FileUse(Way.LINK, "gs://bucket/theirs.png", "image/png"), VERTEX, "https URL of your own"),
        (MediaKind.IMAGE, FileUse(Way.LINK, FILE_URI, "image/png"), GEMINI, "https URL of your own"),
        (
            MediaKind.IMAGE,
            FileUse(Way.LINK, "https://GENERATIVELANGUAGE.googleapis.com.:443/v1/files/a", "image/png"),
            GEMINI,
            "https URL of your own",
        ),
        (
            MediaKind.IMAGE,
            FileUse(Way.LINK, "https://bucket.storage.googleapis.com/theirs.png", "image/png"),
            VERTEX,
            "https URL of your own",
        ),
        (MediaKind.IMAGE, FileUse(Way.LINK, "https://[x", "image/png"), VERTEX, "https URL of your own"),
    ],
)
def test_a_file_that_cannot_be_told(kind: MediaKind, file: FileUse, words: Words, said: str) -> None:
    with pytest.raises(InvalidField, match=said.replace("(", r"\(")) as caught:
        with_file(kind, file, words=words)
    assert caught.value.param == "messages[0].content[0]"
    assert caught.value.code in ("unsupported_part", "file_too_large")


@pytest.mark.parametrize(
    ("detail", "model", "level"),
    [
        ("low", MODEL, "MEDIA_RESOLUTION_LOW"),
        ("high", "publishers/google/models/gemini-3.1-pro", "MEDIA_RESOLUTION_HIGH"),
        ("original", MODEL, "MEDIA_RESOLUTION_ULTRA_HIGH"),
        ("auto", MODEL, None),
        ("low", OLD, None),
    ],
)
def test_how_closely_an_image_is_looked_at(detail: str, model: str, level: str | None) -> None:
    part = with_file(MediaKind.IMAGE, FileUse(Way.DATA, "AAAA", "image/png"), detail=detail, model=model)
    assert part.get("mediaResolution") == (None if level is None else {"level": level})


def test_a_file_for_the_system_is_refused() -> None:
    part = {"type": "file", "file": {"file_id": "file-1"}}
    with pytest.raises(InvalidField, match="a file in a message of the system") as caught:
        mapped(
            [{"role": "system", "content": [part]}, *asked()],
            uses={PATH: (MediaKind.IMAGE, FileUse(Way.DATA, "AAAA", "image/png"))},
        )
    assert caught.value.param == "messages[0].content[0]"


def test_nothing_but_a_system_is_refused() -> None:
    with pytest.raises(InvalidField, match="message of the user"):
        mapped([{"role": "system", "content": "Be short."}, {"role": "user", "content": ""}])


def call(id_: str, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def test_calls_and_what_they_came_to() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:..."}}
    messages = [
        *asked("Is it raining?"),
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                call("c1", "weather", '{"place": "Rome"}', extra_content=SIGNED),
                call("c2", "picture", "not json"),
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"rain": true}'},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "Here."}, picture]},
        {"role": "user", "content": "So?"},
        {"role": "assistant", "content": "", "tool_calls": [call("c3", "weather", "")]},
        {"role": "tool", "tool_call_id": "c3", "content": '{"output": 1, "more": 2}'},
    ]
    uses: Uses = {("messages", 3, "content", 1): (MediaKind.IMAGE, FileUse(Way.DATA, "AAAA", "image/png"))}
    body = mapped(messages, uses=uses)
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Is it raining?"}]},
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"id": "c1", "name": "weather", "args": {"place": "Rome"}},
                    "thoughtSignature": "c2lnbmVk",
                },
                {"functionCall": {"id": "c2", "name": "picture", "args": {"arguments": "not json"}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c1", "name": "weather", "response": {"rain": True}}},
                {
                    "functionResponse": {
                        "id": "c2",
                        "name": "picture",
                        "response": {"output": "Here."},
                        "parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}],
                    }
                },
            ],
        },
        {"role": "user", "parts": [{"text": "So?"}]},
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "c3", "name": "weather", "args": {}}, "thoughtSignature": UNSIGNED},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "c3", "name": "weather", "response": {"output": {"output": 1, "more": 2}}}}
            ],
        },
    ]


def test_an_unsigned_call_of_an_earlier_model_needs_no_signature() -> None:
    messages = [*asked(), {"role": "assistant", "tool_calls": [call("c1", "f", "{}")]}]
    part = mapped(messages, model=OLD)["contents"][1]["parts"][0]
    assert part == {"functionCall": {"id": "c1", "name": "f", "args": {}}}


def test_a_result_without_its_call_is_refused() -> None:
    with pytest.raises(InvalidField, match="'tool_call_id' is 'c9'"):
        mapped([*asked(), {"role": "tool", "tool_call_id": "c9", "content": "x"}])


def tools(**more: Any) -> dict[str, Any]:
    function = {"name": "weather", "description": "What it is like.", "parameters": WEATHER, **more}
    return {"tools": [{"type": "function", "function": function}, {"type": "function", "function": {"name": "f"}}]}


@pytest.mark.parametrize(
    ("more", "config"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"mode": "AUTO"}),
        ({"tool_choice": "none"}, {"mode": "NONE"}),
        ({"tool_choice": "required"}, {"mode": "ANY"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "weather"}}},
            {"mode": "ANY", "allowedFunctionNames": ["weather"]},
        ),
    ],
)
def test_tools(more: Mapping[str, Any], config: Mapping[str, Any] | None) -> None:
    body = mapped(asked(), **tools(), **more)
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "weather", "description": "What it is like.", "parametersJsonSchema": WEATHER},
                {"name": "f"},
            ]
        }
    ]
    assert body.get("toolConfig") == (None if config is None else {"functionCallingConfig": config})


def test_strict_arguments_are_held_against_their_schema() -> None:
    config = mapped(asked(), **tools(strict=True))["toolConfig"]["functionCallingConfig"]
    assert config == {"mode": "VALIDATED"}


@pytest.mark.parametrize(
    ("settings", "config"),
    [
        (
            {
                "max_tokens": 9,
                "temperature": 0,
                "top_p": 0.5,
                "top_k": 3,
                "stop": "END",
                "seed": 7,
                "n": 2,
                "presence_penalty": 0.5,
                "frequency_penalty": -0.5,
                "logprobs": True,
                "top_logprobs": 2,
            },
            {
                "maxOutputTokens": 9,
                "temperature": 0,
                "topP": 0.5,
                "topK": 3,
                "stopSequences": ["END"],
                "seed": 7,
                "candidateCount": 2,
                "presencePenalty": 0.5,
                "frequencyPenalty": -0.5,
                "responseLogprobs": True,
                "logprobs": 2,
            },
        ),
        ({"max_completion_tokens": 8, "max_tokens": 9}, {"maxOutputTokens": 8}),
        ({"n": 1, "presence_penalty": 0, "logprobs": False, "user": "u", "service_tier": "auto"}, None),
        ({"parallel_tool_calls": True, "stream_options": {"include_usage": True}, "store": False}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "w", "schema": WEATHER}}},
            {"responseMimeType": "application/json", "responseJsonSchema": WEATHER},
        ),
        ({"reasoning_effort": "minimal"}, {"thinkingConfig": {"thinkingLevel": "MINIMAL", "includeThoughts": True}}),
        ({"reasoning_effort": "xhigh"}, {"thinkingConfig": {"thinkingLevel": "HIGH", "includeThoughts": True}}),
    ],
)
def test_settings(settings: Mapping[str, Any], config: Mapping[str, Any] | None) -> None:
    assert mapped(asked(), **settings).get("generationConfig") == config


@pytest.mark.parametrize(("effort", "budget"), [("none", 0), ("minimal", 1024), ("medium", 8192), ("high", 24576)])
def test_an_earlier_model_thinks_by_tokens(effort: str, budget: int) -> None:
    config = mapped(asked(), model=OLD, reasoning_effort=effort)["generationConfig"]["thinkingConfig"]
    assert config == {"thinkingBudget": budget, "includeThoughts": budget > 0}


@pytest.mark.parametrize(
    ("settings", "param", "code"),
    [
        ({"parallel_tool_calls": False}, "parallel_tool_calls", "unsupported_parameter"),
        ({"logit_bias": {"1": 2}}, "logit_bias", "unsupported_parameter"),
        ({"reasoning_effort": "none"}, "reasoning_effort", "unsupported_parameter"),
        ({"reasoning_effort": "much"}, "reasoning_effort", "invalid_value"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]", "unsupported_tool"),
    ],
)
def test_a_setting_without_a_word_is_refused(settings: Mapping[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidField) as caught:
        mapped(asked(), **settings)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_members_of_googles_own_go_through_and_replace_nothing() -> None:
    safety = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}]
    body = mapped(
        asked(),
        max_tokens=5,
        reasoning_effort="low",
        safetySettings=safety,
        labels={"team": "a"},
        generationConfig={"maxOutputTokens": 9, "mediaResolution": "MEDIA_RESOLUTION_LOW"},
        extra_body={"google": {"thinking_config": {"thinkingBudget": 7, "includeThoughts": False}}},
    )
    assert body == {
        "contents": [{"role": "user", "parts": [{"text": "hello"}]}],
        "safetySettings": safety,
        "labels": {"team": "a"},
        "generationConfig": {
            "maxOutputTokens": 5,
            "mediaResolution": "MEDIA_RESOLUTION_LOW",
            "thinkingConfig": {"thinkingBudget": 7, "includeThoughts": False},
        },
    }


@pytest.mark.parametrize(
    "extra",
    [
        {"contents": []},
        {"system_instruction": {"parts": [{"fileData": {"fileUri": "gs://bucket/theirs"}}]}},
        {"SystemInstruction": {}},
        {"cachedContent": "cachedContents/theirs"},
        {"extra_body": {"google": {"cached_content": "cachedContents/theirs"}}},
        {"google": {"cached_content": "cachedContents/theirs"}},
        {"outputConfig": {"gcsDestination": {}}},
        {"generationConfig": {"candidate_count": 8}},
        {"labels": {"a": " GS://bucket/theirs"}},
        {"modelArmorConfig": [{"deep": {"file_uri": "x"}}]},
    ],
)
def test_what_the_gateway_alone_may_set(extra: Mapping[str, Any]) -> None:
    with pytest.raises(InvalidField):
        mapped(asked(), **extra)


@pytest.mark.parametrize(
    ("words", "link", "goes_on"),
    [
        (GEMINI, "https://a.example/x.png", True),
        (GEMINI, "https://storage.googleapis.com/public/x.png", True),
        (VERTEX, "https://storage.googleapis.com/public/x.png", False),
        (VERTEX, "https://bucket.storage.googleapis.com/x.png?X-Goog-Signature=1", False),
        (GEMINI, FILE_URI, False),
        (GEMINI, "https://evil@GenerativeLanguage.GoogleAPIs.com.:443/v1/files/a", False),
        (GEMINI, "https://generativelanguage.googleapis.com.evil.example/x.png", True),
        (VERTEX, "gs://bucket/x.png", False),
        (VERTEX, "https://[x", False),
        (VERTEX, "https:///x.png", False),
    ],
)
def test_which_links_go_on(words: Words, link: str, goes_on: bool) -> None:
    assert words.spec.fetches(link) is goes_on
