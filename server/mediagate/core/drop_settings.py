"""Leaving out the settings that a provider has no words for, where the operator wants that (`drop_params`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Final, TypeVar

from mediagate.core.chat import ChatRequest, Settings
from mediagate.core.errors import InvalidField

T = TypeVar("T")
UNSUPPORTED: Final = "unsupported_parameter"
# What the members of a body are called among `Settings`, where that is not the same.
_FIELDS: Final[Mapping[str, str]] = {
    "max_completion_tokens": "max_tokens",
    "response_format": "json_answer",
    "functions": "tools",
    "function_call": "tool_choice",
}
# Without these the question would be another one.
_KEPT: Final = frozenset({"tools"})
_HABITS: Final = Settings()


def without_unsupported(request: ChatRequest, ask: Callable[[ChatRequest], T]) -> tuple[ChatRequest, T]:
    """What `ask` makes of `request`, without every setting that it refuses as unsupported; and what was asked then.
    Raises what `ask` raises about anything else."""
    while True:
        try:
            return request, ask(request)
        except InvalidField as error:
            less = _less(request, error)
            if less is None:
                raise
            request = less


def _less(request: ChatRequest, error: InvalidField) -> ChatRequest | None:
    param = (error.param or "") if error.code == UNSUPPORTED else ""
    name = _FIELDS.get(param, param)
    if name in _KEPT or name not in _NAMES:
        return None
    habit: Any = getattr(_HABITS, name)
    if getattr(request.settings, name) == habit:
        # It is not at fault, whatever is said.
        return None
    return replace(request, settings=replace(request.settings, **{name: habit}))


_NAMES: Final = frozenset(one.name for one in fields(Settings))
