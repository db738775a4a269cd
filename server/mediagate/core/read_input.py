"""The `input` of a Responses body as Chat Completions `messages`.

https://platform.openai.com/docs/api-reference/responses/create#responses-create-input
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NoReturn, TypeAlias

from mediagate.core.chat import Body, Mention, Uses
from mediagate.core.chat_mentions import SCHEME
from mediagate.core.errors import InvalidField, MediagateError
from mediagate.core.limits import echo

Path: TypeAlias = tuple[str | int, ...]

_MESSAGE: Final = re.compile(r"messages\[(\d{1,6})\](?:\.content(?:\[\d{1,6}\])?)?")
ITEMS_MAX: Final = 10_000
PARTS_MAX: Final = 10_000
# `developer` is a word of OpenAI's alone; every server that speaks Chat Completions knows `system`.
_ROLES: Final[Mapping[str, str]] = {
    "user": "user",
    "assistant": "assistant",
    "system": "system",
    "developer": "system",
}
# Parts that have the same form in both contracts, and those that people write in the form of messages.
_AS_THEY_ARE: Final = frozenset({"audio_url", "document_url", "file", "image_url", "input_audio", "text", "video_url"})
# What only a tool of a Responses API leaves behind, or what lies at the server that keeps answers.
_HOSTED: Final = frozenset(
    {
        "additional_tools", "apply_patch_call", "apply_patch_call_output", "code_interpreter_call", "compaction",
        "compaction_trigger", "computer_call", "computer_call_output", "custom_tool_call", "custom_tool_call_output",
        "file_search_call", "image_generation_call", "local_shell_call", "local_shell_call_output",
        "mcp_approval_request", "mcp_approval_response", "mcp_call", "mcp_list_tools", "program", "program_output",
        "shell_call", "shell_call_output", "tool_search_call", "tool_search_output", "web_search_call",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Messages:
    """An `input` as messages. `moved` leads from the path of a content part in the caller's body to where it stands
    among the messages: `("input", 0, "content", 1)` to `("messages", 1, "content", 1)`. `came_from` has for each
    message what in the caller's body it begins with, such as `input[0]`."""

    messages: list[dict[str, Any]]
    moved: Mapping[Path, Path]
    came_from: Sequence[str]

    def mentions(self, found: Iterable[Mention]) -> list[Mention]:
        """What was found in the caller's body, at its places among the messages; `param` stays the caller's word."""
        return [replace(one, path=self.moved.get(one.path, one.path)) for one in found]

    def uses(self, uses: Uses) -> Uses:
        """What was decided for the places in the caller's body, for the places among the messages."""
        return {self.moved.get(path, path): use for path, use in uses.items()}

    def told(self, error: MediagateError) -> MediagateError:
        """The same error, which says of a place in the caller's body what it said of one among the messages."""
        parts = {_param(there): _param(here) for here, there in self.moved.items()}

        def renamed(match: re.Match[str]) -> str:
            number = int(match[1])
            if number >= len(self.came_from):
                return match[0]
            return parts.get(match[0]) or self.came_from[number]

        error.message = _MESSAGE.sub(renamed, error.message)
        error.args = (error.message,)
        if error.param is not None:
            error.param = "input" if error.param == "messages" else _MESSAGE.sub(renamed, error.param)
        return error


def with_messages(body: Body) -> tuple[dict[str, Any], Messages]:
    """A Chat Completions body that has `input` in the place of `messages`, with them. Raises as `read_input` does, and
    where it has both."""
    if body.get("messages") is not None:
        raise InvalidField("Send either 'messages' or 'input', not both.", param="input")
    messages = read_input(body)
    rest = {name: value for name, value in body.items() if name not in ("input", "instructions", "messages")}
    return {**rest, "messages": messages.messages}, messages


def read_input(body: Body) -> Messages:
    """The messages that `instructions` and `input` are.

    What a model thought before its earlier answers is left out: no server of Chat Completions takes it back. Raises
    `InvalidField` with the path of the item or part for what is wrong, or is none of a message's.
    """
    reader = _Reader()
    instructions = body.get("instructions")
    if instructions is not None:
        if not isinstance(instructions, str):
            wrong_type("instructions", "a string")
        reader.add("instructions", {"role": "system", "content": instructions})
    given = body.get("input")
    if given is None:
        raise InvalidField("Missing required parameter: 'input'.", param="input", code="missing_required_parameter")
    if isinstance(given, str):
        reader.add("input", {"role": "user", "content": given})
    elif isinstance(given, list):
        if not given:
            raise InvalidField("'input' is empty. Give it a text or at least one item.", param="input")
        if len(given) > ITEMS_MAX:
            raise InvalidField(f"'input' has {len(given)} items; {ITEMS_MAX} are the most.", param="input")
        for number, item in enumerate(given):
            reader.item(number, item)
    else:
        wrong_type("input", "a string or an array of items")
    if not reader.messages:
        raise InvalidField("'input' has nothing to answer: all its items are of type 'reasoning'.", param="input")
    return Messages(reader.messages, reader.moved, reader.came_from)


def messages_from_input(body: Body) -> list[dict[str, Any]]:
    """The messages of `read_input` alone."""
    return read_input(body).messages


def _param(path: Path) -> str:
    first, *rest = path
    return str(first) + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)


def wrong_type(param: str, expected: str) -> NoReturn:
    """What is said of a member of a wrong type."""
    raise InvalidField(f"Invalid type for '{param}': expected {expected}.", param=param, code="invalid_type")


@dataclass(slots=True)
class _Reader:
    messages: list[dict[str, Any]] = field(default_factory=list)
    moved: dict[Path, Path] = field(default_factory=dict)
    came_from: list[str] = field(default_factory=list)

    def add(self, came_from: str, message: dict[str, Any]) -> None:
        """Append one message."""
        self.messages.append(message)
        self.came_from.append(came_from)

    def item(self, number: int, item: Any) -> None:
        """Read one item."""
        param = f"input[{number}]"
        if not isinstance(item, Mapping):
            wrong_type(param, "an object")
        kind = item.get("type")
        if kind is None:
            kind = "message" if "role" in item else "item_reference" if "id" in item else None
        match kind:
            case "message":
                self._message(number, item, param)
            case "function_call":
                self._call(item, param)
            case "function_call_output":
                self._result(number, item, param)
            case "reasoning":
                pass
            case _:
                _refuse_item(kind, param)

    def _message(self, number: int, item: Mapping[str, Any], param: str) -> None:
        named = item.get("role")
        role = _ROLES.get(named) if isinstance(named, str) else None
        if role is None:
            raise InvalidField(
                f"'{param}.role' must be one of {', '.join(_ROLES)}.", param=f"{param}.role", code="invalid_value"
            )
        content = _content(item.get("content"), f"{param}.content")
        # The results of calls have to follow the calls, so what is said beside a call goes into its message.
        before = self._open_calls() if role == "assistant" else None
        if before is None:
            self.add(param, {"role": role, "content": content})
        offset = 0 if before is None else _append(before, content)
        self._moved(number, "content", content, offset)

    def _call(self, item: Mapping[str, Any], param: str) -> None:
        for member in ("call_id", "name", "arguments"):
            if not isinstance(item.get(member), str):
                wrong_type(f"{param}.{member}", "a string")
        call = {
            "id": item["call_id"],
            "type": "function",
            "function": {"name": item["name"], "arguments": item["arguments"]},
        }
        if isinstance(item.get("extra_content"), Mapping):
            call["extra_content"] = item["extra_content"]
        last = self.messages[-1] if self.messages else None
        if last is None or last["role"] != "assistant":
            last = {"role": "assistant", "content": None}
            self.add(param, last)
        last.setdefault("tool_calls", []).append(call)

    def _result(self, number: int, item: Mapping[str, Any], param: str) -> None:
        if not isinstance(item.get("call_id"), str):
            wrong_type(f"{param}.call_id", "a string")
        content = _content(item.get("output"), f"{param}.output")
        self.add(param, {"role": "tool", "tool_call_id": item["call_id"], "content": content})
        self._moved(number, "output", content, 0)

    def _open_calls(self) -> dict[str, Any] | None:
        last = self.messages[-1] if self.messages else None
        return last if last is not None and last["role"] == "assistant" and "tool_calls" in last else None

    def _moved(self, number: int, member: str, content: str | list[dict[str, Any]], offset: int) -> None:
        if isinstance(content, str):
            return
        for part in range(len(content)):
            here = ("messages", len(self.messages) - 1, "content", offset + part)
            self.moved["input", number, member, part] = here


def _content(content: Any, param: str) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        wrong_type(param, "a string or an array of parts")
    if len(content) > PARTS_MAX:
        raise InvalidField(f"'{param}' has {len(content)} parts; {PARTS_MAX} are the most.", param=param)
    return [_part(part, f"{param}[{at}]") for at, part in enumerate(content)]


def _append(message: dict[str, Any], content: str | list[dict[str, Any]]) -> int:
    """Put `content` behind what `message` says already; the number of parts before it."""
    before = _parts(message["content"])
    message["content"] = before + _parts(content)
    return len(before)


def _parts(content: str | list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return content or []


def _part(part: Any, param: str) -> dict[str, Any]:
    """One part in the words of messages. A breakpoint of the prompt cache is of one form in both contracts."""
    if not isinstance(part, Mapping):
        wrong_type(param, "an object")
    kind = part.get("type")
    if not isinstance(kind, str):
        wrong_type(f"{param}.type", "a string")
    kept = {"prompt_cache_breakpoint": part["prompt_cache_breakpoint"]} if part.get("prompt_cache_breakpoint") else {}
    match kind:
        case "input_text" | "output_text":
            return {"type": "text", "text": _text(part, "text", param), **kept}
        case "refusal":
            return {"type": "refusal", "refusal": _text(part, "refusal", param)}
        case "input_image":
            return _image(part, param) | kept
        case "input_file":
            return _file(part, param) | kept
        case _ if kind in _AS_THEY_ARE:
            return dict(part)
    raise InvalidField(
        f"'{param}.type' is '{echo(kind)}'. There are: input_text, input_image, input_file, input_audio, output_text, "
        "refusal.",
        param=f"{param}.type",
        code="unsupported_part",
    )


def _text(part: Mapping[str, Any], member: str, param: str) -> str:
    value = part.get(member)
    if not isinstance(value, str):
        wrong_type(f"{param}.{member}", "a string")
    return value


def _image(part: Mapping[str, Any], param: str) -> dict[str, Any]:
    member, value = _one_of(part, ("image_url", "file_id"), param)
    # Messages have no image by id; this is how the gateway writes one of its own there.
    image: dict[str, Any] = {"url": value if member == "image_url" else f"{SCHEME}{value}"}
    if part.get("detail") is not None:
        image["detail"] = _text(part, "detail", param)
    return {"type": "image_url", "image_url": image}


def _file(part: Mapping[str, Any], param: str) -> dict[str, Any]:
    member, value = _one_of(part, ("file_id", "file_data", "file_url"), param)
    # Messages have no member for a URL; servers that read one read it where the content may stand.
    file: dict[str, Any] = {"file_data" if member == "file_url" else member: value}
    if part.get("filename") is not None:
        file["filename"] = _text(part, "filename", param)
    if part.get("detail") not in (None, "auto"):
        file["detail"] = _text(part, "detail", param)
    return {"type": "file", "file": file}


def _one_of(part: Mapping[str, Any], members: tuple[str, ...], param: str) -> tuple[str, str]:
    given = [member for member in members if part.get(member) not in (None, "")]
    if len(given) != 1:
        raise InvalidField(
            f"'{param}' must have exactly one of {', '.join(members)}.", param=param, code="invalid_value"
        )
    return given[0], _text(part, given[0], param)


def _refuse_item(kind: Any, param: str) -> NoReturn:
    if kind == "item_reference":
        raise InvalidField(
            f"'{param}' refers to an item that a provider keeps, which this model's provider does not. Send the item "
            "itself.",
            param=param,
            code="unsupported_item",
        )
    if isinstance(kind, str) and kind in _HOSTED:
        raise InvalidField(
            f"'{param}' is an item of type '{kind}', which only a provider with a Responses API of its own reads. "
            "Leave it out, or use a model of such a provider.",
            param=param,
            code="unsupported_item",
        )
    shown = f"is of type '{echo(kind)}'" if isinstance(kind, str) else "has no 'type' that is a string"
    raise InvalidField(
        f"'{param}' {shown}. There are: message, function_call, function_call_output, reasoning.",
        param=f"{param}.type",
        code="invalid_value",
    )
