"""How long files are kept where nobody says it for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mediagate.core.objects import Principal

DAY_S: Final = 86_400
ANY: Final = "*"
"""Every purpose that has no entry of its own."""
# OpenAI drops batch files after 30 days; others stay until they are deleted.
_OPENAI: Final = {"batch": 30}
_DAYS_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class RetentionDefaults:
    """`days` are the gateway's own, by purpose: they count where neither the caller nor a policy says anything."""

    days: Mapping[str, int] = field(default_factory=dict)

    def life_s(self, who: Principal, purpose: str, asked_s: int | None) -> int | None:
        """The life of a file in seconds; None for ever. The policies of a caller are what its files get and the most
        that they may ask for; what the gateway says is only what they get."""
        bounds = [_of(scope.policy.retention_days, purpose) for scope in who.scopes]
        bound = min((days * DAY_S for days in bounds if days is not None), default=None)
        life_s = asked_s
        if life_s is None and bound is None:
            days = _of(self.days, purpose)
            days = _OPENAI.get(purpose) if days is None else days
            return None if days is None else days * DAY_S
        return min(life for life in (life_s, bound) if life is not None)


def _of(days: Mapping[str, int], purpose: str) -> int | None:
    found = days.get(purpose)
    if found is None and ANY in days:
        # What is said of all purposes keeps no batch file longer than OpenAI does.
        found = min(days[ANY], _OPENAI.get(purpose, days[ANY]))
    return None if found is None else max(1, min(_DAYS_MAX, int(found)))


OPENAI: Final = RetentionDefaults()
"""What holds where the configuration says nothing."""
