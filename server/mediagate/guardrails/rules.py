"""The guardrails of a gateway, and which of them run for whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from mediagate.core.access import allows
from mediagate.core.errors import InvalidField, ProviderRefused
from mediagate.core.guardrails import Picture, Stage, Streams, Subject, Verdict
from mediagate.core.limits import echo
from mediagate.core.objects import Principal
from mediagate.guardrails.outcomes import Outcomes


class Judge(Protocol):
    """What stands behind a guardrail."""

    async def close(self) -> None:
        """Close every connection."""
        ...


@runtime_checkable
class JudgesText(Judge, Protocol):
    """Judges texts."""

    async def judge_text(self, subject: Subject, text: str) -> Verdict:
        """Raises `CannotJudge`, `NoAnswer`."""
        ...


@runtime_checkable
class JudgesPictures(Judge, Protocol):
    """Judges pictures."""

    async def judge_picture(self, subject: Subject, picture: Picture) -> Verdict:
        """Raises `CannotJudge`, `NoAnswer`."""
        ...


class RunningScan(Protocol):
    """A text that is judged while it comes. Its methods may take a while, and belong in a thread."""

    def feed(self, text: str) -> Verdict:
        """Take the next piece."""
        ...

    def end(self) -> Verdict:
        """The verdict on the whole."""
        ...


@runtime_checkable
class ScansText(JudgesText, Protocol):
    """Judges a text of any length by itself; others are asked about pieces of it."""

    def scan(self) -> RunningScan:
        """Begin a text."""
        ...


@dataclass(frozen=True, slots=True)
class Rule:
    """One guardrail. `models` may end in `*`; None is every model. `blocks_unjudged` says what happens to content that
    could not be judged, `blocks_oversize` to the text files that have more than `file_bytes_max`."""

    name: str
    judge: Judge
    stages: frozenset[Stage]
    models: tuple[str, ...] | None = None
    default_on: bool = False
    blocks_unjudged: bool = True
    timeout_s: float = 10.0
    file_bytes_max: int = 16 << 20
    blocks_oversize: bool = True
    streams: Streams = Streams.WINDOW

    def applies(self, stage: Stage, models: Iterable[str]) -> bool:
        """Whether it looks at this; for a file, which is for no model, `models` is empty."""
        if stage not in self.stages:
            return False
        return self.models is None or any(allows(self.models, model) for model in models)


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Chooses. What the configuration, a model or a policy sets, nothing takes away: a request can only add."""

    rules: Sequence[Rule] = ()
    by_model: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    outcomes: Outcomes = field(default_factory=Outcomes)

    def asked_for(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return `names` that a request gives. Raises `InvalidField` for one that is none."""
        unknown = self._unknown(names)
        if unknown is not None:
            raise InvalidField(f"There is no guardrail '{echo(unknown)}'.", param="guardrails")
        return tuple(names)

    def of_policies(self, who: Principal) -> tuple[str, ...]:
        """What the policies of a key, its user and its team add."""
        return tuple(dict.fromkeys(name for scope in who.scopes for name in scope.policy.guardrails))

    def chain(self, stage: Stage, *, models: Iterable[str] = (), names: Sequence[str] = ()) -> tuple[Rule, ...]:
        """The guardrails that look at this, in the order of the configuration; `names` are those that policies and the
        request add.

        Raises `ProviderRefused` for a name that is none: what it was to hold back is not let through without it.
        """
        models = tuple(models)
        wanted = {*names, *(name for model in models for name in self.by_model.get(model, ()))}
        unknown = self._unknown(wanted)
        if unknown is not None:
            raise ProviderRefused(
                f"The guardrail '{echo(unknown)}' is set for this key and is not in the gateway's configuration. The "
                "gateway's operator has to add it to 'guardrails', or to take it out of the policy.",
                code="guardrail_unknown",
                guardrail=unknown,
            )
        return tuple(
            rule for rule in self.rules if (rule.default_on or rule.name in wanted) and rule.applies(stage, models)
        )

    def _unknown(self, names: Iterable[str]) -> str | None:
        known = {rule.name for rule in self.rules}
        return next((name for name in sorted(names) if name not in known), None)

    async def close(self) -> None:
        """Close every connection."""
        for rule in self.rules:
            await rule.judge.close()


NO_GUARDRAILS = Guardrails()
