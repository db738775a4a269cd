"""A `ChatRequest` as the body of `generateContent`: https://ai.google.dev/api/generate-content

The thoughts that precede a call are signed, and a model of the third generation wants the signature back with the call.
It travels as in Google's own endpoint for OpenAI's clients: `{"google": {"thought_signature": ...}}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mediagate.core.chat import ChatRequest, Media, Role, Text, ToolCall, ToolResult, Turn
from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.core.read_chat import call_arguments
from mediagate.providers.chat_extra import require_free, with_extra
from mediagate.providers.chat_failures import no_words
from mediagate.providers.google_chat.media import part_of, result_part_of
from mediagate.providers.google_chat.settings import generation_config, tool_members
from mediagate.providers.google_chat.words import RESERVED, SCHEMES, Words, generation_of

Tree = dict[str, Any]
SIGNED_SINCE: Final = 3
# What Google documents for calls that none of its models has made, so that there is no signature.
# https://ai.google.dev/gemini-api/docs/thought-signatures
UNSIGNED: Final = "skip_thought_signature_validator"
# Members of an answer of a function that mean something to Google.
_RESULT_WORDS: Final = frozenset({"output", "error"})


def body_of(request: ChatRequest, words: Words) -> Tree:
    """The whole body. Raises `InvalidField` for what it has no words for."""
    body: Tree = {"contents": list(_contents(request, words))}
    if not body["contents"]:
        raise InvalidField(f"{words.spec.title} needs a message of the user.", param="messages", code="invalid_value")
    if system := list(_system(request, words)):
        body["systemInstruction"] = {"parts": system}
    body |= tool_members(request.settings, words.spec.title)
    if config := generation_config(request.settings, request.model, words.spec.title):
        body["generationConfig"] = config
    return _with_own(body, request.extra)


def _system(request: ChatRequest, words: Words) -> Iterator[Tree]:
    for turn in request.turns:
        if turn.role is not Role.SYSTEM:
            continue
        for part in turn.parts:
            if isinstance(part, Text):
                if part.text:
                    yield {"text": part.text}
            elif isinstance(part, Media):
                raise no_words(
                    words.spec.title,
                    part.param,
                    "a file in a message of the system",
                    "Put it into a message of the user.",
                )


def _contents(request: ChatRequest, words: Words) -> Iterator[Tree]:
    names: dict[str, str] = {}
    results: list[Tree] = []
    for turn in request.turns:
        if turn.role is Role.SYSTEM:
            continue
        if turn.role is Role.TOOL:
            # All results of one turn of the model have to come together.
            results += (_result(part, names, request.model, words) for part in turn.parts)
            continue
        if results:
            yield {"role": "user", "parts": results}
            results = []
        names.update((part.id, part.name) for part in turn.parts if isinstance(part, ToolCall))
        if parts := list(_parts(turn, request.model, words)):
            yield {"role": "model" if turn.role is Role.ASSISTANT else "user", "parts": parts}
    if results:
        yield {"role": "user", "parts": results}


def _parts(turn: Turn, model: str, words: Words) -> Iterator[Tree]:
    is_first = True
    for part in turn.parts:
        match part:
            case Text(text):
                # An empty text is refused there, and says nothing.
                if text:
                    yield {"text": text}
            case Media():
                yield part_of(part, model, words)
            case ToolCall():
                yield _call(part, model, is_first=is_first)
                is_first = False
            case ToolResult():
                raise InvalidField("The result of a call belongs into a message of the role 'tool'.", param="messages")


def _call(call: ToolCall, model: str, *, is_first: bool) -> Tree:
    part: Tree = {"functionCall": {"id": call.id, "name": call.name, "args": call_arguments(call)}}
    if signature := signature_of(call.extra):
        part["thoughtSignature"] = signature
    elif is_first and (generation_of(model) or SIGNED_SINCE) >= SIGNED_SINCE:
        # Of calls side by side the first one alone is signed.
        part["thoughtSignature"] = UNSIGNED
    return part


def signature_of(extra: Mapping[str, Any]) -> str | None:
    """The signature that travels with a call."""
    google = extra.get("google")
    found = google.get("thought_signature") if isinstance(google, Mapping) else None
    return found if isinstance(found, str) and found else None


def _result(result: Any, names: Mapping[str, str], model: str, words: Words) -> Tree:
    if not isinstance(result, ToolResult):
        raise InvalidField("A message of the role 'tool' has the result of a call alone.", param="messages")
    name = result.name or names.get(result.call_id)
    if name is None:
        raise InvalidField(
            f"'tool_call_id' is '{echo(result.call_id)}', which no message of the assistant before it has asked for.",
            param="messages",
            code="invalid_value",
        )
    text = "".join(part.text for part in result.parts if isinstance(part, Text))
    told: Tree = {"id": result.call_id, "name": name, "response": _response(text)}
    if media := [result_part_of(part, model, words) for part in result.parts if isinstance(part, Media)]:
        told["parts"] = media
    return {"functionResponse": told}


def _response(text: str) -> Tree:
    """What a function has answered; an object goes on as one."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError):
        tree = None
    if isinstance(tree, dict) and not _RESULT_WORDS & tree.keys():
        return tree
    return {"output": tree if isinstance(tree, dict) else text}


def _with_own(body: Tree, extra: Mapping[str, Any]) -> Tree:
    """`body` with the caller's own members. What Google's endpoint for OpenAI's clients takes as `extra_body.google` is
    read too. Raises `InvalidField` for members that the gateway alone may set."""
    given = dict(extra)
    google = given.pop("google", None)
    if isinstance(wrapped := given.get("extra_body"), Mapping):
        del given["extra_body"]
        google = wrapped.get("google", google)
    if isinstance(google, Mapping):
        require_free(google, RESERVED, SCHEMES)
        thinking = google.get("thinking_config", google.get("thinkingConfig"))
        if isinstance(thinking, Mapping):
            # Said more exactly than an effort, and not to be said together with one.
            body.setdefault("generationConfig", {})["thinkingConfig"] = dict(thinking)
    if "generation_config" in given:
        given["generationConfig"] = given.pop("generation_config")
    return with_extra(body, given, reserved=RESERVED, schemes=SCHEMES)
