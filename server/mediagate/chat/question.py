"""What a caller asks: the body in its dialect, and the little of it that the gateway itself reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mediagate.core.chat import Body, Dialect
from mediagate.core.errors import InvalidField, MediagateError
from mediagate.core.limits import echo, is_model_name
from mediagate.core.read_input import Messages, with_messages


@dataclass(frozen=True, slots=True)
class Question:
    """One request. `wants_usage` is whether the caller of a stream asks for what it used; `messages` are what became
    of an `input`, which a Chat Completions body may have in their place; `guardrails` are those that the request adds
    for itself."""

    dialect: Dialect
    body: Body
    model: str
    stream: bool
    wants_usage: bool
    messages: Messages | None = None
    guardrails: tuple[str, ...] = ()

    @classmethod
    def of(cls, dialect: Dialect, body: Body, deployment: str = "") -> Question:
        """Read a body; `deployment` is that of an Azure path. There as at Azure it counts, and not the body's `model`,
        in which Azure's clients send whatever their caller says. Raises `InvalidField`."""
        model = deployment or body.get("model")
        if model is None:
            model = ""
        if not isinstance(model, str):
            raise InvalidField("Invalid type for 'model': expected a string.", param="model", code="invalid_type")
        if not model:
            raise InvalidField("Missing required parameter: 'model'.", param="model", code="missing_required_parameter")
        if not is_model_name(model):
            raise InvalidField(f"'model' is '{echo(model)}', which is no name of a model.", param="model")
        stream = body.get("stream")
        if stream is not None and not isinstance(stream, bool):
            raise InvalidField("Invalid type for 'stream': expected a boolean.", param="stream", code="invalid_type")
        options = body.get("stream_options")
        wants_usage = isinstance(options, Mapping) and options.get("include_usage") is True
        guardrails = _guardrails(body)
        body = {name: value for name, value in body.items() if name != "guardrails"}
        messages = None
        if dialect is Dialect.CHAT and body.get("input") is not None:
            body, messages = with_messages(body)
        return cls(dialect, body, model, stream is True, wants_usage, messages, guardrails)

    def told(self, error: MediagateError) -> MediagateError:
        """The same error, in the words of the body that the caller sent."""
        return error if self.messages is None else self.messages.told(error)


def _guardrails(body: Body) -> tuple[str, ...]:
    names = body.get("guardrails")
    if names is None:
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InvalidField(
            "Invalid type for 'guardrails': expected an array of strings.", param="guardrails", code="invalid_type"
        )
    return tuple(names)


def with_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    """A Chat Completions body that asks for what a stream uses."""
    options = body.get("stream_options")
    asked = dict(options) if isinstance(options, Mapping) else {}
    return {**body, "stream_options": {**asked, "include_usage": True}}
