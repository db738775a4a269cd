"""The bucket's life-cycle rules with ours in them.

A rule of Google's has no id. Ours are known by their form: an action that we use, an age, and exactly our prefix. Every
other rule stays as it is, in its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mediagate.providers.files import RetentionPlan

Rule = Mapping[str, Any]
DELETE: Final = "Delete"
ABORT: Final = "AbortIncompleteMultipartUpload"
# Of uploads by the XML API, which other tools use; a resumable session ends by itself.
ABORT_AFTER_DAYS: Final = 1


def plan(bucket: str, prefix: str, days: int | None, rules: Sequence[Rule]) -> RetentionPlan:
    """What the bucket's `rules` become, so that objects under `prefix` (which ends with a slash) expire after `days`;
    None takes our rules away."""
    ours = [rule for rule in rules if _is_ours(rule, prefix)]
    current = next((rule["condition"]["age"] for rule in ours if rule["action"]["type"] == DELETE), None)
    wanted = [] if days is None else [_rule(DELETE, days, prefix), _rule(ABORT, ABORT_AFTER_DAYS, prefix)]
    merged = [*(rule for rule in rules if not _is_ours(rule, prefix)), *wanted]
    differs = sorted(map(repr, map(_form, ours))) != sorted(map(repr, map(_form, wanted)))
    return RetentionPlan(
        bucket=bucket,
        prefix=prefix,
        days=days,
        current_days=current,
        rules={"lifecycle": {"rule": merged}} if differs else None,
        summary=f"gs://{bucket}/{prefix}: {_words(current)} now, {_words(days)} wanted, "
        f"{len(rules) - len(ours)} other rules stay",
    )


def _rule(action: str, age: int, prefix: str) -> Rule:
    return {"action": {"type": action}, "condition": {"age": age, "matchesPrefix": [prefix]}}


def _form(rule: Rule) -> tuple[Any, ...]:
    return rule["action"]["type"], rule["condition"]["age"]


def _is_ours(rule: Rule, prefix: str) -> bool:
    condition = rule.get("condition") or {}
    return (
        set(condition) == {"age", "matchesPrefix"}
        and condition["matchesPrefix"] == [prefix]
        and (rule.get("action") or {}) in ({"type": DELETE}, {"type": ABORT})
    )


def _words(days: int | None) -> str:
    return "kept for ever" if days is None else f"kept for {days} days"
