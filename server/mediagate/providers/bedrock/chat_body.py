"""A chat as a body of Converse: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mediagate.core.chat import (
    ChatRequest,
    JsonAnswer,
    Media,
    MediaKind,
    Part,
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
from mediagate.core.limits import echo
from mediagate.core.read_chat import call_arguments
from mediagate.providers.bedrock.chat_models import Family, family_of, more_fields
from mediagate.providers.bedrock.media_types import FORMATS
from mediagate.providers.bedrock.spec import CHAT, RESERVED
from mediagate.providers.chat_extra import require_free
from mediagate.providers.chat_failures import no_setting, no_words
from mediagate.providers.media_body import merged

Block = dict[str, Any]

NATIVE: Final = "bedrock"
REASONING: Final = "reasoning"
# Members of Converse itself; all others are the model's.
CONVERSE: Final = frozenset(
    {
        "additionalModelRequestFields", "additionalModelResponseFieldPaths", "guardrailConfig", "outputConfig",
        "performanceConfig", "promptVariables", "requestMetadata", "serviceTier",
    }
)  # fmt: skip
_NAME_CHARS_MAX: Final = 200
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9\s\-()\[\]]+")
_NO_PARAMETER: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}


def body_of(request: ChatRequest) -> dict[str, Any]:
    """The body, for one answer as for a stream; bytes are in base64, as on the wire. Raises `InvalidField` for what
    Converse, or the model as far as its name tells, has no words for."""
    settings, family = request.settings, family_of(request.model)
    _require_settings(settings, family)
    messages = list(_Messages().of(request.turns))
    if not messages:
        raise InvalidField(
            "'messages' has nothing for the model to answer. Add a message of the user.", param="messages"
        )
    more, effort = more_fields(request.model, family, settings)
    output: Block = {"effort": effort} if effort else {}
    if settings.json_answer is not None:
        output["textFormat"] = _json_format(settings.json_answer)
    optional: Block = {
        "system": [{"text": text} for text in _system(request.turns) if text.strip()],
        "inferenceConfig": _inference(settings),
        "toolConfig": _tools(request),
        "outputConfig": output,
        "additionalModelRequestFields": more,
    }
    body = {"messages": messages, **{name: value for name, value in optional.items() if value}}
    require_free(request.extra, RESERVED, ("s3:",))
    native = {name: value for name, value in request.extra.items() if name in CONVERSE}
    theirs = {name: value for name, value in request.extra.items() if name not in CONVERSE}
    if theirs:
        native = merged({"additionalModelRequestFields": theirs}, native)
    return merged(native, body)


def _require_settings(settings: Settings, family: Family) -> None:
    absent = {
        "n": settings.n != 1,
        "logprobs": settings.logprobs,
        "top_logprobs": bool(settings.top_logprobs),
        # The models of OpenAI's have their own members behind Converse.
        "seed": settings.seed is not None and family is not Family.OPENAI,
        "presence_penalty": bool(settings.presence_penalty) and family is not Family.OPENAI,
        "frequency_penalty": bool(settings.frequency_penalty) and family is not Family.OPENAI,
        "parallel_tool_calls": settings.parallel_tool_calls is False and bool(settings.tools)
        and family is not Family.CLAUDE,
    }  # fmt: skip
    for param, given in absent.items():
        if given:
            raise no_setting(CHAT.title, param, f"{CHAT.title} has nothing like '{param}' for this model.")
    for param, value in (("temperature", settings.temperature), ("top_p", settings.top_p)):
        if value is not None and value > 1:
            raise no_setting(CHAT.title, param, f"At {CHAT.title} '{param}' is from 0 to 1.")
    if settings.json_answer is not None and settings.json_answer.schema is None:
        raise no_setting(
            CHAT.title,
            "response_format",
            f"{CHAT.title} gives JSON by a schema: use the type json_schema with 'json_schema'.",
        )


def _inference(settings: Settings) -> Block:
    named = {
        "maxTokens": settings.max_tokens,
        "temperature": settings.temperature,
        "topP": settings.top_p,
        "stopSequences": [word for word in settings.stop if word] or None,
    }
    return {name: value for name, value in named.items() if value is not None}


def _json_format(answer: JsonAnswer) -> Block:
    # The schema is a text there.
    definition: Block = {"schema": json.dumps(answer.schema, ensure_ascii=False)}
    if answer.name:
        definition["name"] = answer.name
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}


def _tools(request: ChatRequest) -> Block:
    settings = request.settings
    choice = settings.tool_choice
    mode = "auto" if choice is None else choice.mode
    called = any(isinstance(part, ToolCall | ToolResult) for turn in request.turns for part in turn.parts)
    if called and (mode == "none" or not settings.tools):
        raise no_words(
            CHAT.title,
            "tool_choice" if settings.tools else "tools",
            "calls of tools that were made, and no tools to call",
            "Send 'tools' again, with a 'tool_choice' other than none.",
        )
    if mode == "none" or not settings.tools:
        return {}
    config: Block = {"tools": [{"toolSpec": _tool(tool)} for tool in settings.tools]}
    if choice is not None and choice.mode == "function":
        config["toolChoice"] = {"tool": {"name": choice.name}}
    elif mode == "required":
        config["toolChoice"] = {"any": {}}
    return config


def _tool(tool: Tool) -> Block:
    spec: Block = {"name": tool.name, "inputSchema": {"json": {**_NO_PARAMETER, **(tool.parameters or {})}}}
    if tool.description:
        spec["description"] = tool.description
    if tool.strict:
        spec["strict"] = True
    return spec


def _system(turns: tuple[Turn, ...]) -> Iterator[str]:
    for turn in turns:
        if turn.role is Role.SYSTEM:
            for part in turn.parts:
                if not isinstance(part, Text):
                    raise _misplaced(part, "a system message")
                yield part.text


class _Messages:
    """Messages that alternate, as Converse demands, and documents of which no two have one name."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    def of(self, turns: tuple[Turn, ...]) -> Iterator[Block]:
        """All but the operator's."""
        role, content, documents = "", list[Block](), list[Media]()
        for turn in turns:
            if turn.role is Role.SYSTEM:
                continue
            speaks = "assistant" if turn.role is Role.ASSISTANT else "user"
            blocks = list(self._assistant(turn) if speaks == "assistant" else self._user(turn))
            if not blocks:
                # A text of nothing is refused there; who says nothing does not end the other's turn.
                continue
            if speaks != role:
                if content:
                    yield _message(role, content, documents)
                role, content, documents = speaks, [], []
            content += blocks
            documents += [part for part in turn.parts if isinstance(part, Media) and part.kind is MediaKind.DOCUMENT]
        if content:
            yield _message(role, content, documents)

    def _user(self, turn: Turn) -> Iterator[Block]:
        for part in turn.parts:
            match part:
                case Text(text):
                    if text.strip():
                        yield {"text": text}
                case Media():
                    yield self._media(part)
                case ToolResult(call_id, parts):
                    blocks = list(self._result(parts))
                    # An empty text is taken there, and no content at all is not.
                    yield {"toolResult": {"toolUseId": call_id, "content": blocks or [{"text": ""}]}}
                case ToolCall():
                    raise _misplaced(part, "a user's message")

    def _result(self, parts: tuple[Text | Media, ...]) -> Iterator[Block]:
        for part in parts:
            if isinstance(part, Text):
                if part.text:
                    yield {"text": part.text}
            elif part.kind is MediaKind.AUDIO:
                raise no_words(CHAT.title, part.param, "audio in the result of a tool", "Give it in a user's message.")
            else:
                yield self._media(part)

    def _assistant(self, turn: Turn) -> Iterator[Block]:
        # What was thought before a call comes back with it, and must come first.
        for part in turn.parts:
            if isinstance(part, ToolCall):
                yield from _thoughts(part)
        for part in turn.parts:
            match part:
                case Text(text):
                    if text.strip():
                        yield {"text": text}
                case ToolCall(id_, name):
                    yield {"toolUse": {"toolUseId": id_, "name": name, "input": call_arguments(part)}}
                case Media() | ToolResult():
                    raise _misplaced(part, "an assistant's message")

    def _media(self, media: Media) -> Block:
        block: Block = {"format": format_of(media), "source": _source(media)}
        if media.kind is MediaKind.DOCUMENT:
            block["name"] = self._name(media.file.filename)
        return {media.kind.value: block}

    def _name(self, filename: str) -> str:
        stem = filename.rpartition(".")[0] or filename
        plain = " ".join(_NOT_IN_NAMES.sub(" ", stem).split())[:_NAME_CHARS_MAX].strip() or "Document"
        name, number = plain, 1
        while name in self._names:
            number += 1
            tail = f" ({number})"
            name = plain[: _NAME_CHARS_MAX - len(tail)].strip() + tail
        self._names.add(name)
        return name


def _message(role: str, content: list[Block], documents: list[Media]) -> Block:
    if documents and not any("text" in block for block in content):
        raise no_words(
            CHAT.title, documents[0].param, "a document without words beside it", "Add a text to the message."
        )
    return {"role": role, "content": content}


def format_of(media: Media) -> str:
    """Converse's word for the type of a file. Raises `InvalidField` where it has none."""
    formats = FORMATS[media.kind]
    found = formats.get(media.file.media_type.partition(";")[0].strip().lower())
    if found is None:
        given = echo(media.file.media_type or "unknown")
        raise no_words(
            CHAT.title, media.param, f"{media.kind.value} of type {given}", f"It takes {', '.join(formats)}."
        )
    return found


def _source(media: Media) -> Block:
    use = media.file
    if use.way is Way.DATA:
        return {"bytes": use.value}
    if use.way is Way.URI and use.value.startswith("s3://"):
        return {"s3Location": {"uri": use.value}}
    raise no_words(
        CHAT.title, media.param, f"a file by its {use.way.value.replace('_', ' ')}", "Upload it to the gateway first."
    )


def _thoughts(call: ToolCall) -> Iterator[Block]:
    native = call.extra.get(NATIVE)
    blocks = native.get(REASONING) if isinstance(native, Mapping) else None
    for block in blocks if isinstance(blocks, list) else []:
        match block:
            case {"reasoningText": {"text": str(text), "signature": str(signature)}}:
                yield {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}
            case {"redactedContent": str(data)}:
                yield {"reasoningContent": {"redactedContent": data}}
            case _:
                raise InvalidField(
                    f"'extra_content.{NATIVE}.{REASONING}' of a call is not what the answer had. Send it back as it "
                    "came.",
                    param="messages",
                )


def _misplaced(part: Part, where: str) -> InvalidField:
    param = part.param if isinstance(part, Media) else "messages"
    what = "a file" if isinstance(part, Media) else "a tool's call or result"
    return no_words(CHAT.title, param, f"{what} in {where}", "Move it into a message where it belongs.")
