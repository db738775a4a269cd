"""A chat as a body of Anthropic's Messages API: https://platform.claude.com/docs/en/api/messages/create."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mediagate.core.chat import (
    ChatRequest,
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
from mediagate.providers.anthropic.spec import CHAT, IMAGES, PDF, TEXTS
from mediagate.providers.chat_extra import with_extra
from mediagate.providers.chat_failures import no_setting, no_words
from mediagate.providers.claude_thinking import thinking_of

Block = dict[str, Any]

# The API demands a most, and OpenAI's has the model's own: all models since Claude 4.5 write as much.
MAX_TOKENS: Final = 64_000
TEMPERATURE_MAX: Final = 1.0
NATIVE: Final = "anthropic"
THINKING: Final = "thinking_blocks"
# What names a file of the account: only a resolved file may.
RESERVED: Final = frozenset({"file_id", "file_ids"})

_THOUGHTS: Final = {"thinking": ("thinking", "signature"), "redacted_thinking": ("data",)}
_NO_PARAMETER: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}


def body_of(request: ChatRequest) -> dict[str, Any]:
    """The body, without `stream`. Raises `InvalidField` for what the API has no words for."""
    settings = request.settings
    require_settings(settings)
    max_tokens = settings.max_tokens or MAX_TOKENS
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": max_tokens,
        "messages": list(_messages(request.turns)),
        **_thinking(request.model, settings, max_tokens),
    }
    if not body["messages"]:
        raise InvalidField(
            "'messages' has nothing for the model to answer. Add a message of the user.", param="messages"
        )
    system = [{"type": "text", "text": text} for text in _system(request.turns) if text.strip()]
    tools, choice = _tools(request)
    optional: dict[str, Any] = {
        "system": system,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "top_k": settings.top_k,
        # A text of nothing but white space is refused there, and stops nothing at OpenAI either.
        "stop_sequences": [word for word in settings.stop if word.strip()],
        "tools": tools,
        "tool_choice": choice,
    }
    body |= {name: value for name, value in optional.items() if value not in (None, [], {})}
    if settings.json_answer is not None:
        schema = {"type": "json_schema", "schema": dict(settings.json_answer.schema or {})}
        body["output_config"] = {**body.get("output_config", {}), "format": schema}
    return with_extra(body, request.extra, reserved=RESERVED)


def require_settings(settings: Settings) -> None:
    """Raises `InvalidField` for a setting that the API has no words for."""
    absent = {
        "n": settings.n != 1,
        "seed": settings.seed is not None,
        "presence_penalty": bool(settings.presence_penalty),
        "frequency_penalty": bool(settings.frequency_penalty),
        "logprobs": settings.logprobs,
        "top_logprobs": bool(settings.top_logprobs),
    }
    for param, given in absent.items():
        if given:
            raise no_setting(CHAT.title, param, f"{CHAT.title} has nothing like '{param}'.")
    if settings.temperature is not None and settings.temperature > TEMPERATURE_MAX:
        raise no_setting(CHAT.title, "temperature", f"At {CHAT.title} 'temperature' is from 0 to 1.")
    answer = settings.json_answer
    if answer is not None and answer.schema is None:
        raise no_setting(
            CHAT.title,
            "response_format",
            f"{CHAT.title} gives JSON by a schema: use the type json_schema with 'json_schema'.",
        )


def _thinking(model: str, settings: Settings, max_tokens: int) -> dict[str, Any]:
    if settings.reasoning_effort is None:
        return {}
    thinking, effort = thinking_of(model, settings.reasoning_effort, max_tokens, CHAT.title)
    return {"thinking": thinking, **({"output_config": {"effort": effort}} if effort else {})}


def _tools(request: ChatRequest) -> tuple[list[Block], Block | None]:
    settings = request.settings
    tools = [tool_tree(tool) for tool in settings.tools]
    if not tools:
        # The API wants the tools of calls that were made; that they are not to be called again can be said here.
        called = {part.name for turn in request.turns for part in turn.parts if isinstance(part, ToolCall)}
        made = [{"name": name, "input_schema": {"type": "object"}} for name in sorted(called)]
        return made, {"type": "none"} if made else None
    asked = settings.tool_choice
    mode = "auto" if asked is None else asked.mode
    if mode == "none":
        return tools, {"type": "none"}
    choice: Block = {"type": {"required": "any", "function": "tool"}.get(mode, mode)}
    if asked is not None and asked.mode == "function":
        choice["name"] = asked.name
    if settings.parallel_tool_calls is False:
        choice["disable_parallel_tool_use"] = True
    return tools, None if choice == {"type": "auto"} else choice


def tool_tree(tool: Tool) -> Block:
    """A tool as the API wants it."""
    tree: Block = {"name": tool.name, "input_schema": {**_NO_PARAMETER, **(tool.parameters or {})}}
    if tool.description:
        tree["description"] = tool.description
    if tool.strict:
        tree["strict"] = True
    return tree


def _system(turns: tuple[Turn, ...]) -> Iterator[str]:
    for turn in turns:
        if turn.role is Role.SYSTEM:
            for part in turn.parts:
                if not isinstance(part, Text):
                    raise _misplaced(part, "a system message")
                yield part.text


def _messages(turns: tuple[Turn, ...]) -> Iterator[Block]:
    """Messages that alternate: what one side says in a row is one, and results are the user's."""
    role, content = "", list[Block]()
    for turn in turns:
        if turn.role is Role.SYSTEM:
            continue
        speaks = "assistant" if turn.role is Role.ASSISTANT else "user"
        blocks = list(_assistant(turn) if speaks == "assistant" else _user(turn))
        if not blocks:
            # A text of nothing is refused there; who says nothing does not end the other's turn.
            continue
        if speaks != role:
            if content:
                yield {"role": role, "content": content}
            role, content = speaks, []
        content += blocks
    if content:
        yield {"role": role, "content": content}


def _user(turn: Turn) -> Iterator[Block]:
    for part in turn.parts:
        match part:
            case Text(text):
                if text.strip():
                    yield {"type": "text", "text": text}
            case Media():
                yield media_block(part)
            case ToolResult(call_id, parts):
                yield {"type": "tool_result", "tool_use_id": call_id, "content": list(_result(parts))}
            case ToolCall():
                raise _misplaced(part, "a user's message")


def _result(parts: tuple[Text | Media, ...]) -> Iterator[Block]:
    for part in parts:
        if isinstance(part, Media):
            yield media_block(part)
        elif part.text.strip():
            yield {"type": "text", "text": part.text}


def _assistant(turn: Turn) -> Iterator[Block]:
    # What was thought before a call comes back with it, and must come first.
    for part in turn.parts:
        if isinstance(part, ToolCall):
            yield from _thoughts(part)
    for part in turn.parts:
        match part:
            case Text(text):
                if text.strip():
                    yield {"type": "text", "text": text}
            case ToolCall(id_, name):
                yield {"type": "tool_use", "id": id_, "name": name, "input": call_arguments(part)}
            case Media() | ToolResult():
                raise _misplaced(part, "an assistant's message")


def _thoughts(call: ToolCall) -> Iterator[Block]:
    native = call.extra.get(NATIVE)
    blocks = native.get(THINKING) if isinstance(native, Mapping) else None
    for block in blocks if isinstance(blocks, list) else []:
        members = _THOUGHTS.get(block.get("type", "")) if isinstance(block, Mapping) else None
        if members is None or not all(isinstance(block.get(member), str) for member in members):
            raise InvalidField(
                f"'extra_content.{NATIVE}.{THINKING}' of a call is not what the answer had. Send it back as it came.",
                param="messages",
            )
        yield {"type": block["type"], **{member: block[member] for member in members}}


def media_block(media: Media) -> Block:
    """A file as a block. Raises `InvalidField` for what Claude cannot be shown, and for a way that the API has not."""
    match media.kind:
        case MediaKind.IMAGE:
            return {"type": "image", "source": _image_source(media)}
        case MediaKind.DOCUMENT:
            block: Block = {"type": "document", "source": _document_source(media)}
            if media.file.filename:
                block["title"] = media.file.filename
            return block
    raise no_words(CHAT.title, media.param, f"{media.kind.value} content", "Claude reads images, PDF and text.")


def _image_source(media: Media) -> Block:
    use = media.file
    match use.way:
        case Way.FILE_ID:
            return {"type": "file", "file_id": use.value}
        case Way.LINK:
            return {"type": "url", "url": use.value}
        case Way.DATA if use.media_type in IMAGES:
            return {"type": "base64", "media_type": use.media_type, "data": use.value}
        case Way.DATA:
            raise _wrong_type(media, "an image", ", ".join(IMAGES))
    raise _no_way(media)


def _document_source(media: Media) -> Block:
    use = media.file
    match use.way:
        case Way.FILE_ID:
            return {"type": "file", "file_id": use.value}
        case Way.LINK:
            return {"type": "url", "url": use.value}
        case Way.DATA if use.media_type == PDF:
            return {"type": "base64", "media_type": PDF, "data": use.value}
        case Way.DATA if use.media_type.startswith("text/") or use.media_type in TEXTS:
            return {"type": "text", "media_type": "text/plain", "data": _decoded(media)}
        case Way.DATA:
            raise _wrong_type(media, "a document", "application/pdf and text")
    raise _no_way(media)


def _decoded(media: Media) -> str:
    try:
        return base64.b64decode(media.file.value, validate=True).decode()
    except (binascii.Error, ValueError):
        raise no_words(
            CHAT.title, media.param, "a text that is not UTF-8", "Convert it, or give it as a PDF."
        ) from None


def _wrong_type(media: Media, what: str, takes: str) -> InvalidField:
    given = echo(media.file.media_type or "unknown")
    return no_words(CHAT.title, media.param, f"{what} of type {given}", f"It takes {takes}.")


def _no_way(media: Media) -> InvalidField:
    return no_words(CHAT.title, media.param, f"a file by its {media.file.way.value}", "Upload it to the gateway first.")


def _misplaced(part: Part, where: str) -> InvalidField:
    param = part.param if isinstance(part, Media) else "messages"
    what = "a file" if isinstance(part, Media) else "a tool's call or result"
    return no_words(CHAT.title, param, f"{what} in {where}", "Move it into a message where it belongs.")
