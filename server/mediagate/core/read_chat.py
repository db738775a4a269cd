"""A Chat Completions body as a `ChatRequest`, for providers with words of their own.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NoReturn

from mediagate.core.chat import (
    ChatRequest,
    JsonAnswer,
    Media,
    Part,
    Role,
    Settings,
    Text,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
    Uses,
)
from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo

ROLES: Final[Mapping[str, Role]] = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}
# Members that say something to OpenAI alone, or to this gateway, and change no answer.
_SILENT: Final = frozenset(
    {
        "metadata", "model", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "service_tier", "store",
        "stream", "stream_options", "user",
    }
)  # fmt: skip
_READ: Final = frozenset(
    {
        "frequency_penalty", "function_call", "functions", "logprobs", "max_completion_tokens", "max_tokens",
        "messages", "n", "parallel_tool_calls", "presence_penalty", "reasoning_effort", "response_format", "seed",
        "stop", "temperature", "tool_choice", "tools", "top_k", "top_logprobs", "top_p",
    }
)  # fmt: skip
# What only models of OpenAI's can do; at the value of each that changes nothing it is let pass.
_OPENAI_ONLY: Final[Mapping[str, tuple[Any, ...]]] = {
    "audio": (),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "prediction": (),
    "verbosity": ("medium",),
    "web_search_options": (),
}
TURNS_MAX: Final = 10_000
PARTS_MAX: Final = 10_000
_NUMBER_MAX: Final = sys.float_info.max


def read_chat(body: Mapping[str, Any], uses: Uses, *, model: str, drop_settings: bool = False) -> ChatRequest:
    """The request for a provider's `model`. `uses` says for every part with a file how the provider gets it.

    Raises `InvalidField` for a member of a wrong type, for a part that nobody knows, and for a setting of OpenAI's that
    no other provider has; `drop_settings` leaves such a setting out instead.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        _wrong("messages", "a non-empty array")
    if len(messages) > TURNS_MAX:
        raise InvalidField(f"'messages' has {len(messages)} members; {TURNS_MAX} are the most.", param="messages")
    for name, harmless in _OPENAI_ONLY.items():
        value = body.get(name)
        if value is not None and value not in harmless and not drop_settings:
            raise unsupported_setting(name)
    known = _SILENT | _READ | _OPENAI_ONLY.keys()
    return ChatRequest(
        model=model,
        turns=tuple(_turns(messages, uses)),
        settings=_settings(body),
        stream=body.get("stream") is True,
        extra={name: value for name, value in body.items() if name not in known},
    )


def unsupported_setting(name: str, who: str = "The provider of this model") -> InvalidField:
    """What is said of a setting that a provider has no word for."""
    return InvalidField(
        f"{who} has nothing like '{name}'. Leave it out, or let the gateway's operator set 'drop_params'.",
        param=name,
        code="unsupported_parameter",
    )


def _turns(messages: list[Any], uses: Uses) -> Iterator[Turn]:
    names: dict[str, str] = {}
    for number, message in enumerate(messages):
        param = f"messages[{number}]"
        if not isinstance(message, Mapping):
            _wrong(param, "an object")
        named = message.get("role")
        role = ROLES.get(named) if isinstance(named, str) else None
        if role is None:
            raise InvalidField(
                f"'{param}.role' must be one of {', '.join(ROLES)}.", param=f"{param}.role", code="invalid_value"
            )
        content = message.get("content")
        if role is Role.TOOL:
            call_id = message.get("tool_call_id", message.get("name"))
            if not isinstance(call_id, str):
                _wrong(f"{param}.tool_call_id", "a string")
            found = tuple(_contents(content, ("messages", number, "content"), f"{param}.content", uses))
            yield Turn(role, (ToolResult(call_id, found, names.get(call_id)),))
            continue
        parts: list[Part] = list(_contents(content, ("messages", number, "content"), f"{param}.content", uses))
        if role is Role.ASSISTANT:
            if message.get("audio") is not None:
                raise InvalidField(
                    f"'{param}.audio' is an answer that lies at OpenAI, which this model's provider cannot hear. Send "
                    "its words as 'content'.",
                    param=f"{param}.audio",
                    code="unsupported_part",
                )
            if isinstance(message.get("refusal"), str):
                parts.append(Text(message["refusal"]))
            calls = list(_calls(message, param))
            names.update((call.id, call.name) for call in calls)
            parts += calls
        yield Turn(role, tuple(parts))


def _contents(content: Any, path: tuple[str | int, ...], param: str, uses: Uses) -> Iterator[Text | Media]:
    if content is None:
        return
    if isinstance(content, str):
        yield Text(content)
        return
    if not isinstance(content, list):
        _wrong(param, "a string or an array of parts")
    if len(content) > PARTS_MAX:
        raise InvalidField(f"'{param}' has {len(content)} parts; {PARTS_MAX} are the most.", param=param)
    for number, part in enumerate(content):
        where, at = f"{param}[{number}]", (*path, number)
        if not isinstance(part, Mapping):
            _wrong(where, "an object")
        kind = part.get("type")
        if at in uses:
            media, use = uses[at]
            detail = _detail(part, kind)
            yield Media(media, use, where, detail)
        elif kind in ("text", "input_text", "output_text", "refusal"):
            words = part.get("refusal" if kind == "refusal" else "text")
            if not isinstance(words, str):
                _wrong(f"{where}.text", "a string")
            yield Text(words)
        else:
            raise InvalidField(
                f"'{where}.type' is '{echo(str(kind))}', which no model here reads. There are: text, image_url, file, "
                "input_audio, video_url.",
                param=f"{where}.type",
                code="unsupported_part",
            )


def _detail(part: Mapping[str, Any], kind: Any) -> str | None:
    inner = part.get(kind) if isinstance(kind, str) else None
    found = inner.get("detail") if isinstance(inner, Mapping) else part.get("detail")
    return found if isinstance(found, str) else None


def _calls(message: Mapping[str, Any], param: str) -> Iterator[ToolCall]:
    calls = message.get("tool_calls")
    if calls is None and isinstance(message.get("function_call"), Mapping):
        # The form of before tools: such a call has no id, and its result names the function.
        old = message["function_call"]
        calls = [{"id": old.get("name"), "type": "function", "function": old}]
    if calls is None:
        return
    if not isinstance(calls, list):
        _wrong(f"{param}.tool_calls", "an array")
    for number, call in enumerate(calls):
        where = f"{param}.tool_calls[{number}]"
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise InvalidField(
                f"'{where}' is no call of a function; only those can be told to this model's provider.",
                param=where,
                code="unsupported_part",
            )
        arguments = function.get("arguments", "{}")
        if not isinstance(call.get("id"), str):
            _wrong(f"{where}.id", "a string")
        if not isinstance(arguments, str):
            _wrong(f"{where}.function.arguments", "a string of JSON")
        extra = call.get("extra_content")
        yield ToolCall(call["id"], function["name"], arguments, extra if isinstance(extra, Mapping) else {})


def call_arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments of a call as an object, for providers that take no text. What a model wrote wrongly goes on as one
    member, so that it sees its mistake."""
    try:
        found = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return {"arguments": call.arguments}
    return found if isinstance(found, dict) else {"arguments": found}


def _settings(body: Mapping[str, Any]) -> Settings:
    tokens = _number(body, "max_completion_tokens", int, least=1)
    return Settings(
        max_tokens=_number(body, "max_tokens", int, least=1) if tokens is None else tokens,
        temperature=_number(body, "temperature", float, least=0),
        top_p=_number(body, "top_p", float, least=0),
        top_k=_number(body, "top_k", int, least=0),
        stop=_stop(body.get("stop")),
        seed=_number(body, "seed", int),
        n=_number(body, "n", int, least=1) or 1,
        presence_penalty=_number(body, "presence_penalty", float) or None,
        frequency_penalty=_number(body, "frequency_penalty", float) or None,
        logprobs=_flag(body, "logprobs") or False,
        top_logprobs=_number(body, "top_logprobs", int, least=0),
        json_answer=_json_answer(body.get("response_format")),
        tools=tuple(_tools(body)),
        tool_choice=_tool_choice(body),
        parallel_tool_calls=_flag(body, "parallel_tool_calls"),
        reasoning_effort=_word(body, "reasoning_effort"),
    )


def _stop(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        _wrong("stop", "a string or an array of strings")
    return tuple(words)


def _json_answer(value: Any) -> JsonAnswer | None:
    if value is None:
        return None
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return JsonAnswer()
    asked = value.get("json_schema") if isinstance(value, Mapping) else None
    if kind == "json_schema" and isinstance(asked, Mapping):
        schema, name, strict = asked.get("schema"), asked.get("name"), asked.get("strict")
        if schema is not None and not isinstance(schema, Mapping):
            _wrong("response_format.json_schema.schema", "an object")
        return JsonAnswer(schema, name if isinstance(name, str) else None, strict if isinstance(strict, bool) else None)
    raise InvalidField(
        "'response_format' must have the type text, json_object, or json_schema with 'json_schema'.",
        param="response_format",
        code="invalid_value",
    )


def _tools(body: Mapping[str, Any]) -> Iterator[Tool]:
    tools = body.get("tools")
    functions = body.get("functions")
    if tools is None and isinstance(functions, list):
        tools = [{"type": "function", "function": function} for function in functions]
    if tools is None:
        return
    if not isinstance(tools, list):
        _wrong("tools", "an array")
    for number, tool in enumerate(tools):
        where = f"tools[{number}]"
        function = tool.get("function") if isinstance(tool, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            kind = echo(str(tool.get("type"))) if isinstance(tool, Mapping) else "nothing"
            raise InvalidField(
                f"'{where}' is a tool of type '{kind}'; this model's provider can be told of functions alone.",
                param=where,
                code="unsupported_tool",
            )
        parameters = function.get("parameters")
        if parameters is not None and not isinstance(parameters, Mapping):
            _wrong(f"{where}.function.parameters", "an object")
        described, strict = function.get("description"), function.get("strict")
        yield Tool(
            function["name"],
            described if isinstance(described, str) else None,
            parameters,
            strict if isinstance(strict, bool) else None,
        )


def _tool_choice(body: Mapping[str, Any]) -> ToolChoice | None:
    value = body.get("tool_choice", body.get("function_call"))
    match value:
        case None:
            return None
        case "auto" | "none" | "required":
            return ToolChoice(value)
        case {"type": "function", "function": {"name": str(name)}} | {"name": str(name)}:
            return ToolChoice("function", name)
    raise InvalidField(
        '\'tool_choice\' must be auto, none, required, or {"type": "function", "function": {"name": ...}}.',
        param="tool_choice",
        code="invalid_value",
    )


def _number(body: Mapping[str, Any], name: str, kind: Callable[[Any], Any], *, least: float | None = None) -> Any:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _NUMBER_MAX:
        _wrong(name, "a number")
    if kind is int and value != int(value):
        _wrong(name, "a whole number")
    if least is not None and value < least:
        raise InvalidField(f"'{name}' must be at least {least:g}.", param=name, code="integer_below_min_value")
    return kind(value)


def _flag(body: Mapping[str, Any], name: str) -> bool | None:
    value = body.get(name)
    if value is not None and not isinstance(value, bool):
        _wrong(name, "a boolean")
    return value


def _word(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        _wrong(name, "a string")
    return value


def _wrong(param: str, expected: str) -> NoReturn:
    raise InvalidField(f"Invalid type for '{param}': expected {expected}.", param=param, code="invalid_type")
