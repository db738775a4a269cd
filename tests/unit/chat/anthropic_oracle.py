"""Anthropic's own types as a judge of bodies: a member that they have not, or of another type, is a failure."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import anthropic.types
import anthropic.types.messages
from anthropic.types import message_create_params
from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import is_typeddict

# The newest client names these no more; models of before Claude 4.7 take them.
OLDER = frozenset({"temperature", "top_p", "top_k"})


def _strict() -> TypeAdapter[Any]:
    for module in (anthropic.types, message_create_params):
        for _, found in inspect.getmembers(module, is_typeddict):
            if not hasattr(found, "__pydantic_config__"):
                found.__pydantic_config__ = ConfigDict(extra="forbid")
    return TypeAdapter(message_create_params.MessageCreateParams)


_BODIES = _strict()


def require_body(body: Mapping[str, Any]) -> None:
    """Raises `AssertionError` for a body that the official client could not have sent."""
    told = {name: value for name, value in body.items() if name not in OLDER} | {"stream": True}
    try:
        _read(_BODIES.validate_python(told))
    except ValidationError as error:
        raise AssertionError(str(error)) from None


def _read(value: Any) -> None:
    # Pydantic looks at what is declared as iterable only when somebody takes it.
    if isinstance(value, Mapping):
        for member in value.values():
            _read(member)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for member in value:
            _read(member)
