"""The `usage` object of an answer in either of OpenAI's dialects, read with care: a figure that is none counts as 0."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from mediagate.core.chat import Usage, Used

_WORDS: Final = re.compile(
    rb'"(?:content|reasoning_content|reasoning|refusal|arguments|delta|text)": ?"((?:[^"\\]|\\.)*+)"'
)
_TOKENS_MAX: Final = 10**12
_COST_USD_MAX: Final = 10**6


def read_usage(tree: Any) -> Used | None:
    """What `usage` of a chat completion, of one of its chunks, or of a response says; None where it says nothing."""
    if not isinstance(tree, Mapping):
        return None
    if "prompt_tokens" in tree or "completion_tokens" in tree:
        usage = _read(tree, "prompt_tokens", "completion_tokens")
    elif "input_tokens" in tree or "output_tokens" in tree:
        usage = _read(tree, "input_tokens", "output_tokens")
    else:
        return None
    return Used(usage, _cost(tree))


def said_bytes(events: bytes) -> int:
    """Length of the words, the thoughts and the arguments of tools in events or in an answer of either dialect."""
    return sum(len(text) for text in _WORDS.findall(events))


def _read(tree: Mapping[str, Any], read: str, written: str) -> Usage:
    inputs, outputs = _inner(tree, f"{read}_details"), _inner(tree, f"{written}_details")
    input_tokens, output_tokens, reasoning = (
        _count(tree, read),
        _count(tree, written),
        _count(outputs, "reasoning_tokens"),
    )
    # xAI counts what a model thinks beside what it writes; only the total tells.
    if reasoning and _count(tree, "total_tokens") == input_tokens + output_tokens + reasoning:
        output_tokens += reasoning
    return Usage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        # DeepSeek's word where there are no details.
        cached_tokens=_count(inputs, "cached_tokens") or _count(tree, "prompt_cache_hit_tokens"),
        cache_write_tokens=_count(inputs, "cache_write_tokens"),
        reasoning_tokens=reasoning,
        audio_input_tokens=_count(inputs, "audio_tokens"),
        audio_output_tokens=_count(outputs, "audio_tokens"),
    )


def _inner(tree: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = tree.get(name)
    return found if isinstance(found, Mapping) else {}


def _count(tree: Mapping[str, Any], name: str) -> int:
    value = tree.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _TOKENS_MAX:
        return 0
    return int(value)


def _cost(tree: Mapping[str, Any]) -> float | None:
    """What the provider itself says that the call cost, in US dollars: OpenRouter's `cost`, xAI's ticks."""
    if tree.get("cost") is None:
        return _usd(tree.get("cost_in_usd_ticks"), 10**10)
    usd = _usd(tree["cost"], 1)
    if usd is not None and tree.get("is_byok") is True:
        # OpenRouter's cost is its fee alone where the operator has a key of the model's maker, who bills by itself.
        usd = round(usd + (_usd(_inner(tree, "cost_details").get("upstream_inference_cost"), 1) or 0.0), 12)
    return usd


def _usd(value: Any, per_usd: int) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _COST_USD_MAX * per_usd:
        return None
    return value / per_usd
