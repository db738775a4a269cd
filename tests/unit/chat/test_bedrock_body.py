"""Chats as bodies of Converse. Every body is judged by botocore's model of the service too."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from mediagate.core.chat import ChatRequest, Dialect, JsonAnswer, MediaKind, Text, Tool, ToolChoice, ToolResult, Way
from mediagate.core.errors import InvalidField
from mediagate.providers.bedrock.chat_body import body_of
from mediagate.providers.bedrock.media_types import FORMATS
from mediagate.providers.bedrock.spec import CHAT
from tests.unit.chat.asked import asked, assistant, called, inline, media, results, system, user

SERVICE = ServiceModel(create_loader().load_service_model("bedrock-runtime", "service-2"))
CLAUDE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "us.amazon.nova-2-lite-v1:0"
GPT = "openai.gpt-oss-120b-1:0"
WEATHER = Tool("weather", "What it is like.", {"type": "object", "properties": {"city": {"type": "string"}}}, True)
NOON = Tool("noon")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
S3 = "s3://bucket/mediagate/file-1/a.pdf"


def body(request: ChatRequest) -> dict[str, Any]:
    made = body_of(request)
    for operation in ("Converse", "ConverseStream"):
        shape = SERVICE.operation_model(operation).input_shape
        assert shape is not None
        report = ParamValidator().validate({"modelId": request.model, **made}, shape)
        assert not report.has_errors(), report.generate_report()
    json.dumps(made)
    return made


def content(request: ChatRequest, message: int = -1) -> list[dict[str, Any]]:
    return body(request)["messages"][message]["content"]


def refused(request: ChatRequest) -> InvalidField:
    with pytest.raises(InvalidField) as caught:
        body_of(request)
    return caught.value


def test_a_simple_question() -> None:
    assert body(asked(user("Hello"), model=NOVA)) == {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


def test_settings_have_their_names() -> None:
    made = body(asked(user("x"), model=CLAUDE, max_tokens=7, temperature=0.0, top_p=0.25, top_k=3, stop=("END", "")))
    assert made["inferenceConfig"] == {"maxTokens": 7, "temperature": 0.0, "topP": 0.25, "stopSequences": ["END"]}
    assert made["additionalModelRequestFields"] == {"top_k": 3}
    made = body(asked(user("x"), model=NOVA, top_k=3))
    assert made["additionalModelRequestFields"] == {"inferenceConfig": {"topK": 3}}


@pytest.mark.parametrize(
    "setting",
    [
        {"n": 2}, {"seed": 0}, {"presence_penalty": 0.5}, {"frequency_penalty": -1.0}, {"logprobs": True},
        {"top_logprobs": 3}, {"temperature": 1.5}, {"top_p": 1.5},
    ],
)  # fmt: skip
def test_a_setting_without_words_is_refused_by_its_name(setting: dict[str, Any]) -> None:
    error = refused(asked(user("x"), model=NOVA, **setting))
    assert (error.param, error.code) == (next(iter(setting)), "unsupported_parameter")


def test_models_of_openais_have_settings_of_their_own() -> None:
    made = body(asked(user("x"), model=GPT, seed=7, presence_penalty=0.5, reasoning_effort="xhigh"))
    assert made["additionalModelRequestFields"] == {"seed": 7, "presence_penalty": 0.5, "reasoning_effort": "high"}


def test_system_messages_become_one_at_the_top_and_sides_alternate() -> None:
    made = body(
        asked(
            system("Be brief."), user("a"), user("b"), assistant("c"), system("Be kind."), user(" "), assistant("d"),
            user("e"),
        )
    )  # fmt: skip
    assert made["system"] == [{"text": "Be brief."}, {"text": "Be kind."}]
    told = [(message["role"], [block["text"] for block in message["content"]]) for message in made["messages"]]
    assert told == [("user", ["a", "b"]), ("assistant", ["c", "d"]), ("user", ["e"])]
    assert refused(asked(system("x"), user(""))).param == "messages"


CASES = [
    (kind, media_type, fmt) for kind, formats in FORMATS.items() for media_type, fmt in formats.items()
]  # fmt: skip


@pytest.mark.parametrize(("kind", "media_type", "fmt"), CASES)
def test_files_from_s3_and_inline(kind: MediaKind, media_type: str, fmt: str) -> None:
    blocks = content(asked(user("Look:", media(kind, Way.URI, S3, media_type, "a.x")), model=NOVA))
    assert blocks[1][kind.value]["source"] == {"s3Location": {"uri": S3}}
    assert blocks[1][kind.value]["format"] == fmt
    blocks = content(asked(user("Look:", inline(kind, b"x", f"{media_type}; charset=utf-8")), model=NOVA))
    assert blocks[1][kind.value]["source"] == {"bytes": "eA=="}


def test_documents_have_names_of_allowed_characters_of_which_no_two_are_one() -> None:
    names = ["Été_2026: plan!.pdf", "a.b.pdf", "a b.pdf", "", "…", "x" * 300 + ".pdf", "x" * 300 + ".pdf"]
    parts = [media(MediaKind.DOCUMENT, Way.URI, S3, "application/pdf", name) for name in names]
    blocks = content(asked(user("Compare.", *parts), model=NOVA))
    told = [block["document"]["name"] for block in blocks[1:]]
    assert told[:5] == ["t 2026 plan", "a b", "a b (2)", "Document", "Document (2)"]
    assert [len(name) for name in told[5:]] == [200, 200]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize(
    ("kind", "way", "value", "media_type"),
    [
        (MediaKind.IMAGE, Way.DATA, "eA==", "image/tiff"),
        (MediaKind.IMAGE, Way.LINK, "https://a/b.png", "image/png"),
        (MediaKind.IMAGE, Way.URI, "gs://a/b.png", "image/png"),
        (MediaKind.DOCUMENT, Way.FILE_ID, "file_1", "application/pdf"),
        (MediaKind.DOCUMENT, Way.DATA, "eA==", "application/zip"),
        (MediaKind.VIDEO, Way.DATA, "eA==", "video/ogg"),
        (MediaKind.AUDIO, Way.DATA, "eA==", ""),
    ],
)
def test_what_converse_cannot_be_given_is_refused_where_it_stands(
    kind: MediaKind, way: Way, value: str, media_type: str
) -> None:
    error = refused(asked(user("x", media(kind, way, value, media_type, param="messages[0].content[1]")), model=NOVA))
    assert (error.param, error.code) == ("messages[0].content[1]", "unsupported_part")


def test_a_document_needs_words_beside_it() -> None:
    document = media(MediaKind.DOCUMENT, Way.URI, S3, "application/pdf", param="messages[0].content[0]")
    error = refused(asked(user(document), model=NOVA))
    assert (error.param, error.code) == ("messages[0].content[0]", "unsupported_part")
    # Words of the same side in the next message stand beside it.
    assert len(content(asked(user(document), user("Sum it up."), model=NOVA))) == 2


def test_files_stand_with_the_user_alone() -> None:
    picture = media(MediaKind.IMAGE, Way.URI, S3, "image/png", param="messages[1].content[0]")
    assert refused(asked(user("x"), assistant(picture), model=NOVA)).param == "messages[1].content[0]"


def test_tools_and_parallel_calls() -> None:
    picture = media(MediaKind.IMAGE, Way.DATA, "eA==", "image/png")
    made = body(
        asked(
            user("Weather in two cities?"),
            assistant("One moment.", called("c1", "weather", '{"city": "Oslo"}'), called("c2", "weather", "")),
            results(ToolResult("c1", (Text("rain"), picture))),
            results(ToolResult("c2", ())),
            user("And?"),
            model=CLAUDE,
            tools=(WEATHER, NOON),
        )
    )
    assert made["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": "weather",
                    "description": "What it is like.",
                    "inputSchema": {"json": dict(WEATHER.parameters or {})},
                    "strict": True,
                }
            },
            {"toolSpec": {"name": "noon", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
        ]
    }
    assert made["messages"][1]["content"] == [
        {"text": "One moment."},
        {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Oslo"}}},
        {"toolUse": {"toolUseId": "c2", "name": "weather", "input": {}}},
    ]
    assert made["messages"][2]["content"] == [
        {
            "toolResult": {
                "toolUseId": "c1",
                "content": [{"text": "rain"}, {"image": {"format": "png", "source": {"bytes": "eA=="}}}],
            }
        },
        {"toolResult": {"toolUseId": "c2", "content": [{"text": ""}]}},
        {"text": "And?"},
    ]


def test_sound_is_no_result_of_a_tool() -> None:
    sound = media(MediaKind.AUDIO, Way.DATA, "eA==", "audio/wav", param="messages[2].content[0]")
    request = asked(
        user("x"), assistant(called("c", "noon")), results(ToolResult("c", (sound,))), model=NOVA, tools=(NOON,)
    )
    assert refused(request).param == "messages[2].content[0]"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        (ToolChoice("auto"), None),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("function", "noon"), {"tool": {"name": "noon"}}),
    ],
)
def test_tool_choices(choice: ToolChoice | None, expected: Any) -> None:
    made = body(asked(user("x"), model=NOVA, tools=(NOON,), tool_choice=choice))
    assert made["toolConfig"].get("toolChoice") == expected


def test_no_tool_is_no_tool() -> None:
    assert "toolConfig" not in body(asked(user("x"), model=NOVA, tools=(NOON,), tool_choice=ToolChoice("none")))


def test_calls_of_before_need_the_tools() -> None:
    turns = user("x"), assistant(called("c", "noon")), results(ToolResult("c", (Text("12"),)))
    assert refused(asked(*turns, model=NOVA)).param == "tools"
    error = refused(asked(*turns, model=NOVA, tools=(NOON,), tool_choice=ToolChoice("none")))
    assert error.param == "tool_choice"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, {"type": "auto"}),
        (ToolChoice("required"), {"type": "any"}),
        (ToolChoice("function", "noon"), {"type": "tool", "name": "noon"}),
    ],
)
def test_one_call_at_a_time_is_claudes_alone(choice: ToolChoice | None, expected: dict[str, Any]) -> None:
    made = body(asked(user("x"), model=CLAUDE, tools=(NOON,), tool_choice=choice, parallel_tool_calls=False))
    assert made["additionalModelRequestFields"]["tool_choice"] == {**expected, "disable_parallel_tool_use": True}
    error = refused(asked(user("x"), model=NOVA, tools=(NOON,), parallel_tool_calls=False))
    assert (error.param, error.code) == ("parallel_tool_calls", "unsupported_parameter")
    body(asked(user("x"), model=NOVA, parallel_tool_calls=False))


@pytest.mark.parametrize(
    ("model", "effort", "more", "word"),
    [
        (CLAUDE, "low", {"thinking": {"type": "enabled", "budget_tokens": 2048}}, None),
        ("global.anthropic.claude-opus-5-5", "xhigh", {"thinking": {"type": "adaptive"}}, "xhigh"),
        ("anthropic.claude-opus-4-6-v1", "none", {"thinking": {"type": "disabled"}}, None),
        (NOVA, "minimal", {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, None),
        (NOVA, "none", {"reasoningConfig": {"type": "disabled"}}, None),
        (GPT, "medium", {"reasoning_effort": "medium"}, None),
        ("us.openai.gpt-6-v1:0", "low", {"reasoning_effort": "low"}, None),
        ("deepseek.v3-v1:0", "high", None, "high"),
        ("deepseek.v3-v1:0", "none", None, None),
    ],
)
def test_reasoning(model: str, effort: str, more: dict[str, Any] | None, word: str | None) -> None:
    made = body(asked(user("x"), model=model, reasoning_effort=effort))
    assert made.get("additionalModelRequestFields") == more
    assert made.get("outputConfig", {}).get("effort") == word


def test_what_was_thought_comes_back_before_its_call() -> None:
    thoughts = [{"reasoningText": {"text": "Hm.", "signature": "c2ln"}}, {"redactedContent": "eA=="}]
    call = called("c", "noon", "{}", bedrock={"reasoning": thoughts})
    blocks = content(asked(user("x"), assistant("Let me see.", call), model=CLAUDE, tools=(NOON,)))
    assert blocks[:2] == [{"reasoningContent": thought} for thought in thoughts]
    assert [next(iter(block)) for block in blocks[2:]] == ["text", "toolUse"]
    for wrong in ([7], [{"reasoningText": {"text": "x"}}], [{"text": "x"}]):
        call = called("c", "noon", "{}", bedrock={"reasoning": wrong})
        assert "as it came" in refused(asked(user("x"), assistant(call), model=CLAUDE, tools=(NOON,))).message


def test_json_by_a_schema() -> None:
    made = body(asked(user("x"), model=CLAUDE, json_answer=JsonAnswer(SCHEMA, "a", True)))
    form = made["outputConfig"]["textFormat"]
    assert form["type"] == "json_schema"
    assert form["structure"]["jsonSchema"]["name"] == "a"
    assert json.loads(form["structure"]["jsonSchema"]["schema"]) == SCHEMA
    error = refused(asked(user("x"), model=CLAUDE, json_answer=JsonAnswer()))
    assert (error.param, error.code) == ("response_format", "unsupported_parameter")


def test_members_of_its_own_go_through_and_change_nothing_of_ours() -> None:
    guardrail = {"guardrailIdentifier": "abc", "guardrailVersion": "1"}
    extra = {
        "guardrailConfig": guardrail,
        "serviceTier": {"type": "flex"},
        "anthropic_beta": ["x"],
        "messages": [],
        "additionalModelRequestFields": {"y": 1},
    }
    made = body(asked(user("x"), model=CLAUDE, extra=extra, top_k=3))
    assert made["guardrailConfig"] == guardrail
    assert made["serviceTier"] == {"type": "flex"}
    assert made["additionalModelRequestFields"] == {"anthropic_beta": ["x"], "messages": [], "y": 1, "top_k": 3}
    assert made["messages"] == [{"role": "user", "content": [{"text": "x"}]}]


@pytest.mark.parametrize(
    "extra",
    [
        {"s3Location": {"uri": "x"}},
        {"additionalModelRequestFields": {"video": [{"s3Location": {}}]}},
        {"promptVariables": {"a": {"text": " S3://bucket/other"}}},
    ],
)
def test_objects_of_others_cannot_be_named_past_the_gateway(extra: dict[str, Any]) -> None:
    assert refused(asked(user("x"), model=NOVA, extra=extra)).param == next(iter(extra))


@pytest.mark.parametrize(
    ("model", "reads"),
    [
        (NOVA, True),
        ("amazon.nova-pro-v1:0", True),
        ("arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abc123", True),
        ("arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.anthropic.claude-opus-5", False),
        (CLAUDE, False),
        ("meta.llama4-maverick-17b-instruct-v1:0", False),
    ],
)
def test_which_models_read_from_s3(model: str, reads: bool) -> None:
    for kind in MediaKind:
        ways = {taken.way for taken in CHAT.ways(kind, Dialect.CHAT, model)}
        assert ways == ({Way.URI, Way.DATA} if reads else {Way.DATA})
        assert CHAT.ways(kind, Dialect.CHAT)[0].way is Way.URI
