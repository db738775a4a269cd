"""What guardrails say of the lines of a batch and of their answers: each is a chat of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mediagate.core.batches import Batch
from mediagate.core.chat_text import texts_of
from mediagate.core.errors import ContentPolicyViolation
from mediagate.core.guardrails import Stage, Subject
from mediagate.guardrails.check_text import CheckText
from mediagate.guardrails.rules import Guardrails, Rule

AT_ONCE: Final = 16
ANSWERED: Final = ("choices", "output")


@dataclass(frozen=True, slots=True)
class GuardLines:
    """Asks about text."""

    guardrails: Guardrails

    def of(self, batch: Batch, stage: Stage) -> LineGuard | None:
        """Who looks at one side of a batch, `PROMPT` or `ANSWER`; None where nobody does. Raises `ProviderRefused` for
        a name in a policy that is none."""
        names = tuple(batch.guardrails or ())
        rules = self.guardrails.chain(stage, models=[batch.model or ""], names=names)
        if not rules:
            return None
        subject = Subject(
            stage,
            model=batch.model or "",
            key_id=batch.key_id or "",
            user_id=batch.user_id or "",
            team_id=batch.team_id or "",
            end_user=batch.end_user or "",
            object_id=batch.id,
        )
        return LineGuard(self.guardrails, rules, subject)


@dataclass(frozen=True, slots=True)
class LineGuard:
    """Looks at the lines of one batch, some at once."""

    guardrails: Guardrails
    rules: Sequence[Rule]
    subject: Subject

    async def refusals(self, bodies: Sequence[Mapping[str, Any]]) -> dict[int, ContentPolicyViolation]:
        """Those that may not pass, by their places. Raises `Unavailable` where that cannot be found out and may not be
        left open."""
        room = asyncio.Semaphore(AT_ONCE)

        async def judged(place: int, body: Mapping[str, Any]) -> tuple[int, ContentPolicyViolation | None]:
            async with room:
                return place, await self._judged(body)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(judged(place, body)) for place, body in enumerate(bodies)]
        found = (task.result() for task in tasks)
        return {place: refusal for place, refusal in found if refusal is not None}

    async def _judged(self, body: Mapping[str, Any]) -> ContentPolicyViolation | None:
        asks = self.subject.stage is Stage.PROMPT
        told = body if asks else {name: body[name] for name in ANSWERED if name in body}
        text = "\n".join(texts_of(told))
        if not text.strip():
            return None
        try:
            check = CheckText(self.guardrails.outcomes)
            await check.run(self.rules, self.subject, text, param="body" if asks else None)
        except ContentPolicyViolation as refusal:
            return refusal
        return None
