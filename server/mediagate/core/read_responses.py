"""A Responses body as a Chat Completions body, for providers that have no Responses API.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mediagate.core.chat import Body, Mention, Uses
from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.core.read_chat import unsupported_setting
from mediagate.core.read_input import Messages, read_input, wrong_type

# Read below, or of no meaning where nothing is kept and no tool runs at the provider.
_READ: Final = frozenset(
    {
        "background", "context_management", "conversation", "include", "input", "instructions", "max_output_tokens",
        "max_tool_calls", "metadata", "n", "parallel_tool_calls", "previous_response_id", "prompt", "reasoning",
        "store", "stream_options", "text", "tool_choice", "tools", "top_logprobs", "truncation",
    }
)  # fmt: skip
# What lives at a provider between two calls, with what to do without it.
_KEPT: Final[Mapping[str, str]] = {
    "previous_response_id": "Send the earlier items in 'input'.",
    "conversation": "Send the conversation's items in 'input'.",
    "prompt": "Send the text of the prompt in 'instructions' or 'input'.",
}
_INCLUDABLE: Final = frozenset(
    {
        "code_interpreter_call.outputs", "computer_call_output.output.image_url", "file_search_call.results",
        "message.input_image.image_url", "message.output_text.logprobs", "reasoning.encrypted_content",
        "web_search_call.action.sources", "web_search_call.results",
    }
)  # fmt: skip
_LOGPROBS: Final = "message.output_text.logprobs"
_TOOL_MEMBERS: Final = ("name", "description", "parameters", "strict")
TOOLS_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class ChatForm:
    """A Responses body in the words of Chat Completions."""

    body: dict[str, Any]
    messages: Messages

    def mentions(self, found: Iterable[Mention]) -> list[Mention]:
        """`Messages.mentions`."""
        return self.messages.mentions(found)

    def uses(self, uses: Uses) -> Uses:
        """`Messages.uses`."""
        return self.messages.uses(uses)


def chat_form(body: Body, *, hosts: Sequence[str] = (), drop_settings: bool = False) -> ChatForm:
    """The Chat Completions body that asks the same as `body`; members that neither contract has go on as they are.

    `hosts` are the providers that speak the Responses API, to be named where only they could help. Raises
    `InvalidField` for what is wrong, for tools that run at a provider, and for what needs a provider that keeps
    answers. A setting without a word in Chat Completions is refused too, or left out with `drop_settings`.
    """
    _refuse_kept(body, hosts)
    if body.get("messages") is not None:
        raise InvalidField("'messages' belongs to /v1/chat/completions. Here it is 'input'.", param="messages")
    if body.get("n") not in (None, 1):
        raise InvalidField("A response is one answer: leave 'n' out.", param="n", code="unsupported_parameter")
    messages = read_input(body)
    form = {name: value for name, value in body.items() if name not in _READ}
    form["messages"] = messages.messages
    form |= _settings(body, drop_settings)
    form |= _tools(body, hosts)
    return ChatForm(form, messages)


def wants_summary(body: Body) -> bool:
    """Whether the caller asked for what a model thinks as a summary."""
    reasoning = body.get("reasoning")
    if not isinstance(reasoning, Mapping):
        return False
    return reasoning.get("summary") is not None or reasoning.get("generate_summary") is not None


def _refuse_kept(body: Body, hosts: Sequence[str]) -> None:
    for name, instead in _KEPT.items():
        if body.get(name) is not None:
            raise InvalidField(
                f"'{name}' needs a provider that keeps answers, which this model's provider does not. {instead}"
                f"{_or_host(hosts)}",
                param=name,
                code="unsupported_parameter",
            )
    background = body.get("background")
    if background is not None and not isinstance(background, bool):
        wrong_type("background", "a boolean")
    if background:
        raise InvalidField(
            "'background' needs a provider that keeps answers, which this model's provider does not. Leave it out and "
            f"use 'stream', or send the request as a batch.{_or_host(hosts)}",
            param="background",
            code="unsupported_parameter",
        )


def _or_host(hosts: Sequence[str]) -> str:
    return f" Models of these providers can do it: {', '.join(hosts)}." if hosts else ""


def _settings(body: Body, drop: bool) -> dict[str, Any]:
    # `disabled` is what happens without it: a provider says where the input is too long.
    if body.get("truncation") not in (None, "disabled") and not drop:
        raise unsupported_setting("truncation")
    if body.get("context_management") and not drop:
        raise unsupported_setting("context_management")
    return {**_length(body), **dict(_reasoning(body, drop)), **dict(_text(body)), **_logprobs(body)}


def _length(body: Body) -> dict[str, Any]:
    tokens = body.get("max_output_tokens")
    if tokens is None:
        return {}
    if isinstance(tokens, bool) or not isinstance(tokens, int):
        wrong_type("max_output_tokens", "a whole number")
    if tokens < 1:
        raise InvalidField(
            "'max_output_tokens' must be at least 1.", param="max_output_tokens", code="integer_below_min_value"
        )
    # The older of two words: every server knows it, while not all know max_completion_tokens.
    return {"max_tokens": tokens}


def _logprobs(body: Body) -> dict[str, Any]:
    include = body.get("include")
    if include is not None and not isinstance(include, list):
        wrong_type("include", "an array of strings")
    for number, name in enumerate(include or ()):
        if not isinstance(name, str) or name not in _INCLUDABLE:
            raise InvalidField(
                f"'include[{number}]' must be one of {', '.join(sorted(_INCLUDABLE))}.",
                param=f"include[{number}]",
                code="invalid_value",
            )
    top = body.get("top_logprobs")
    if _LOGPROBS not in (include or ()) and top in (None, 0):
        return {}
    return {"logprobs": True} if top is None else {"logprobs": True, "top_logprobs": top}


def _reasoning(body: Body, drop: bool) -> Iterator[tuple[str, Any]]:
    reasoning = body.get("reasoning")
    if reasoning is None:
        return
    if not isinstance(reasoning, Mapping):
        wrong_type("reasoning", "an object")
    effort = reasoning.get("effort")
    if effort is not None:
        if not isinstance(effort, str):
            wrong_type("reasoning.effort", "a string")
        yield "reasoning_effort", effort
    for name, harmless in (("context", "auto"), ("mode", "standard")):
        if reasoning.get(name) not in (None, harmless) and not drop:
            raise unsupported_setting(f"reasoning.{name}")


def _text(body: Body) -> Iterator[tuple[str, Any]]:
    text = body.get("text")
    if text is None:
        return
    if not isinstance(text, Mapping):
        wrong_type("text", "an object")
    if text.get("verbosity") is not None:
        yield "verbosity", text["verbosity"]
    wanted = text.get("format")
    if wanted is None:
        return
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    match kind:
        case "text":
            return
        case "json_object":
            yield "response_format", {"type": "json_object"}
        case "json_schema":
            yield "response_format", {"type": "json_schema", "json_schema": _schema(wanted)}
        case _:
            raise InvalidField(
                "'text.format.type' must be text, json_schema or json_object.",
                param="text.format.type",
                code="invalid_value",
            )


def _schema(wanted: Mapping[str, Any]) -> dict[str, Any]:
    # The contract of Chat Completions has it one level deeper; some callers write it so here too.
    inner = wanted.get("json_schema")
    found = inner if isinstance(inner, Mapping) else {name: wanted[name] for name in wanted if name != "type"}
    if not isinstance(found.get("name"), str):
        wrong_type("text.format.name", "a string")
    if not isinstance(found.get("schema"), Mapping):
        wrong_type("text.format.schema", "an object")
    return {name: value for name, value in found.items() if value is not None}


def _tools(body: Body, hosts: Sequence[str]) -> dict[str, Any]:
    given = body.get("tools")
    if given is not None and not isinstance(given, list):
        wrong_type("tools", "an array")
    if given and len(given) > TOOLS_MAX:
        raise InvalidField(f"'tools' has {len(given)} members; {TOOLS_MAX} are the most.", param="tools")
    tools = [_tool(tool, f"tools[{number}]", hosts) for number, tool in enumerate(given or ())]
    choice = body.get("tool_choice")
    if not tools:
        # Servers refuse a choice among no tools where it says nothing.
        if choice not in (None, "auto", "none"):
            raise InvalidField("'tool_choice' asks for a tool, and 'tools' has none.", param="tool_choice")
        return {}
    found: dict[str, Any] = {"tools": tools}
    if choice is not None:
        found |= _choice(choice, tools, hosts)
    if body.get("parallel_tool_calls") is not None:
        found["parallel_tool_calls"] = body["parallel_tool_calls"]
    return found


def _tool(tool: Any, param: str, hosts: Sequence[str]) -> dict[str, Any]:
    if not isinstance(tool, Mapping):
        wrong_type(param, "an object")
    kind = tool.get("type")
    if not isinstance(kind, str):
        wrong_type(f"{param}.type", "a string")
    if kind != "function":
        raise InvalidField(
            f"The tool '{echo(kind)}' runs only at a provider with a Responses API of its own, which this model's "
            f"provider has not. Use tools of type 'function'.{_or_host(hosts)}",
            param=param,
            code="unsupported_tool",
        )
    if isinstance(tool.get("function"), Mapping):
        return dict(tool)
    if not isinstance(tool.get("name"), str):
        wrong_type(f"{param}.name", "a string")
    for name, value in tool.items():
        if name not in (*_TOOL_MEMBERS, "type") and value not in (None, False, ["direct"]):
            raise InvalidField(
                f"This model's provider has nothing like '{echo(str(name))}' of a function.{_or_host(hosts)}",
                param=f"{param}.{echo(str(name))}",
                code="unsupported_parameter",
            )
    return {"type": "function", "function": {name: tool[name] for name in _TOOL_MEMBERS if tool.get(name) is not None}}


def _choice(choice: Any, tools: list[dict[str, Any]], hosts: Sequence[str]) -> dict[str, Any]:
    """The members `tool_choice` and, where only some tools may be called, `tools`."""
    match choice:
        case "auto" | "none" | "required":
            return {"tool_choice": choice}
        case {"type": "function", "name": str(name)} | {"type": "function", "function": {"name": str(name)}}:
            return {"tool_choice": {"type": "function", "function": {"name": _known(name, tools, "tool_choice")}}}
        case {"type": "allowed_tools", "mode": "auto" | "required" as mode, "tools": list(allowed)}:
            names = {_allowed(one, tools, number) for number, one in enumerate(allowed)}
            if names:
                # Said without a word of its own, which only some servers know.
                return {
                    "tool_choice": mode,
                    "tools": [tool for tool in tools if tool["function"].get("name") in names],
                }
        case {"type": str(kind)} if kind not in ("function", "allowed_tools"):
            raise InvalidField(
                f"'tool_choice' asks for '{echo(kind)}', which only a provider with a Responses API of its own has."
                f"{_or_host(hosts)}",
                param="tool_choice",
                code="unsupported_tool",
            )
    raise InvalidField(
        '\'tool_choice\' must be auto, none, required, {"type": "function", "name": ...}, or '
        '{"type": "allowed_tools", "mode": ..., "tools": [...]}.',
        param="tool_choice",
        code="invalid_value",
    )


def _allowed(one: Any, tools: list[dict[str, Any]], number: int) -> str:
    param = f"tool_choice.tools[{number}]"
    if not isinstance(one, Mapping) or one.get("type") != "function" or not isinstance(one.get("name"), str):
        raise InvalidField(
            f'\'{param}\' must be {{"type": "function", "name": ...}}.', param=param, code="invalid_value"
        )
    return _known(one["name"], tools, param)


def _known(name: str, tools: list[dict[str, Any]], param: str) -> str:
    if all(tool["function"].get("name") != name for tool in tools):
        raise InvalidField(
            f"'{param}' names the function '{echo(name)}', which 'tools' does not have.",
            param=param,
            code="invalid_value",
        )
    return name
