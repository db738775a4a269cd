"""What only some of Bedrock's models have, each in words of its own behind Converse."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

from mediagate.core.chat import Settings
from mediagate.providers.bedrock.spec import CHAT
from mediagate.providers.claude_thinking import EFFORTS, NONE, require_effort, thinking_of

_NOVA_EFFORTS: Final = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_OPENAI_EFFORTS: Final = {"low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}


# As peers write a model of which the Converse API is to be asked.
_ROUTE: Final = "converse/"


def model_id(model: str) -> str:
    """Bedrock's own id, or ARN, of a model."""
    return model.removeprefix(_ROUTE)


class Family(StrEnum):
    """Whose model it is, by its name; that of an application's inference profile does not tell."""

    CLAUDE = "claude"
    NOVA = "nova"
    OPENAI = "openai"
    OTHER = "other"


def family_of(model: str) -> Family:
    """The family of a model's id or ARN."""
    if "anthropic." in model or "claude" in model:
        return Family.CLAUDE
    if "amazon.nova" in model:
        return Family.NOVA
    # As the beginning of an id, or behind the region of an inference profile.
    if model.startswith("openai.") or ".openai." in model or "/openai." in model:
        return Family.OPENAI
    return Family.OTHER


def more_fields(model: str, family: Family, settings: Settings) -> tuple[dict[str, Any], str | None]:
    """`additionalModelRequestFields`, and `outputConfig.effort` where the model has it."""
    fields: dict[str, Any] = {}
    if settings.top_k is not None:
        fields |= {"inferenceConfig": {"topK": settings.top_k}} if family is Family.NOVA else {"top_k": settings.top_k}
    if family is Family.CLAUDE and settings.parallel_tool_calls is False and settings.tools:
        fields["tool_choice"] = _one_call(settings)
    if family is Family.OPENAI:
        theirs = {
            "seed": settings.seed,
            "presence_penalty": settings.presence_penalty,
            "frequency_penalty": settings.frequency_penalty,
        }
        fields |= {name: value for name, value in theirs.items() if value is not None}
    more, effort = _reasoning(model, family, settings)
    return fields | more, effort


def _one_call(settings: Settings) -> dict[str, Any]:
    choice = settings.tool_choice
    mode = "auto" if choice is None else choice.mode
    if mode == "function":
        assert choice is not None
        return {"type": "tool", "name": choice.name, "disable_parallel_tool_use": True}
    return {"type": "any" if mode == "required" else "auto", "disable_parallel_tool_use": True}


def _reasoning(model: str, family: Family, settings: Settings) -> tuple[dict[str, Any], str | None]:
    effort = settings.reasoning_effort
    if effort is None:
        return {}, None
    require_effort(effort)
    if family is Family.CLAUDE:
        thinking, word = thinking_of(model, effort, settings.max_tokens, CHAT.title)
        return {"thinking": thinking}, word
    if family is Family.NOVA:
        if effort == NONE:
            return {"reasoningConfig": {"type": "disabled"}}, None
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": _NOVA_EFFORTS[EFFORTS[effort]]}}, None
    if effort == NONE:
        # Neither has a word for it; those that can do without thinking do so unless they are told.
        return {}, None
    if family is Family.OPENAI:
        return {"reasoning_effort": _OPENAI_EFFORTS[EFFORTS[effort]]}, None
    return {}, EFFORTS[effort]
