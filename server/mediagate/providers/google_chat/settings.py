"""How to answer, in Google's words: `generationConfig`, `tools` and `toolConfig`."""

from __future__ import annotations

from typing import Any, Final

from mediagate.core.chat import Settings, Tool, ToolChoice
from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.providers.chat_failures import no_setting
from mediagate.providers.google_chat.words import generation_of

Tree = dict[str, Any]
# As in Google's own endpoint for OpenAI's clients: https://ai.google.dev/gemini-api/docs/openai#thinking
_LEVELS: Final = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH"}
_BUDGETS: Final = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576, "xhigh": 24576}
LEVELS_SINCE: Final = 3
_MODES: Final = {"auto": "AUTO", "none": "NONE", "required": "ANY", "function": "ANY"}


def generation_config(settings: Settings, model: str, title: str) -> Tree:
    """The members that are said; empty where none is. Raises `InvalidField` for a setting without a word there."""
    plain = {
        "maxOutputTokens": settings.max_tokens,
        "temperature": settings.temperature,
        "topP": settings.top_p,
        "topK": settings.top_k,
        "stopSequences": list(settings.stop) or None,
        "seed": settings.seed,
        "candidateCount": settings.n if settings.n > 1 else None,
        "presencePenalty": settings.presence_penalty,
        "frequencyPenalty": settings.frequency_penalty,
        "responseLogprobs": True if settings.logprobs else None,
        "logprobs": settings.top_logprobs if settings.logprobs else None,
    }
    config: Tree = {name: value for name, value in plain.items() if value is not None}
    if (answer := settings.json_answer) is not None:
        config["responseMimeType"] = "application/json"
        if answer.schema is not None:
            config["responseJsonSchema"] = dict(answer.schema)
    if settings.reasoning_effort is not None:
        config["thinkingConfig"] = _thinking(settings.reasoning_effort, model, title)
    return config


def _thinking(effort: str, model: str, title: str) -> Tree:
    if effort not in _BUDGETS:
        raise InvalidField(
            f"'reasoning_effort' is '{echo(effort)}'; there are: {', '.join(_BUDGETS)}.",
            param="reasoning_effort",
            code="invalid_value",
        )
    if (generation_of(model) or LEVELS_SINCE) < LEVELS_SINCE:
        return {"thinkingBudget": _BUDGETS[effort], "includeThoughts": effort != "none"}
    if effort == "none":
        raise no_setting(
            title,
            "reasoning_effort",
            f"This model of {title} always thinks; the least is 'reasoning_effort': 'minimal'.",
        )
    return {"thinkingLevel": _LEVELS[effort], "includeThoughts": True}


def tool_members(settings: Settings, title: str) -> Tree:
    """`tools` and `toolConfig`, where there are tools."""
    if settings.parallel_tool_calls is False:
        raise no_setting(title, "parallel_tool_calls", f"{title} cannot be kept from making several calls at once.")
    if not settings.tools:
        return {}
    members: Tree = {"tools": [{"functionDeclarations": [_declaration(tool) for tool in settings.tools]}]}
    if (config := _calling(settings.tool_choice, settings.tools)) is not None:
        members["toolConfig"] = {"functionCallingConfig": config}
    return members


def _declaration(tool: Tool) -> Tree:
    found: Tree = {"name": tool.name}
    if tool.description:
        found["description"] = tool.description
    if tool.parameters is not None:
        found["parametersJsonSchema"] = dict(tool.parameters)
    return found


def _calling(choice: ToolChoice | None, tools: tuple[Tool, ...]) -> Tree | None:
    if choice is None or choice.mode == "auto":
        # Arguments are held against their schemas in this mode.
        is_strict = any(tool.strict for tool in tools)
        return {"mode": "VALIDATED"} if is_strict else None if choice is None else {"mode": "AUTO"}
    config: Tree = {"mode": _MODES[choice.mode]}
    if choice.name is not None:
        config["allowedFunctionNames"] = [choice.name]
    return config
