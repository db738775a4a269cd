"""Choose who makes a video, and who could in its place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from mediagate.core.errors import InvalidField, MediagateError, Unsupported
from mediagate.core.guardrails import Stage
from mediagate.core.objects import Principal
from mediagate.guardrails.rules import NO_GUARDRAILS, Guardrails
from mediagate.providers.base import VideoKind
from mediagate.routing.router import Router
from mediagate.routing.strategies import Candidate
from mediagate.videos.cost import Costs, Estimate
from mediagate.videos.places import VideoPlaces
from mediagate.videos.plan_video import Plan, PlanVideo, VideoDraft


@dataclass(frozen=True, slots=True)
class Routed:
    """Who makes a video, for how much. `model` is the name that was asked for, whichever group serves it; `route` is
    what `Video.route` says, None where nobody else could."""

    model: str
    plan: Plan
    estimate: Estimate
    required: Mapping[str, str]
    route: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for, and what its places must be like."""

    who: Principal
    draft: VideoDraft
    required: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RouteVideo:
    """Decides, changes nothing and asks no provider."""

    plan: PlanVideo
    costs: Costs
    router: Router
    places: VideoPlaces
    guardrails: Guardrails = NO_GUARDRAILS

    async def run(self, who: Principal, draft: VideoDraft) -> Routed:
        """Raises as `PlanVideo.ways` does where no deployment of the model can make it, as `VideoPlaces` where none may
        have it, and as `Costs.estimate` where each that is left is too dear."""
        plans = await self.plan.ways(who, draft)
        asked = _Asked(who, draft, await self.places.required(who, draft, plans[0]))
        ways = self._possible(asked, plans)
        model = group = ways[0][0].deployment.model_name
        ready, others = await self._order(ways)
        if not ready and draft.kind is VideoKind.CREATE:
            for name, found in self._fallbacks(asked, group):
                fallback, _ = await self._order(found)
                if fallback:
                    group, ready = name, fallback
                    break
        plan, estimate = (ready or others)[0]
        return Routed(model, plan, estimate, asked.required, self._route(asked, plan, model, group))

    async def _order(
        self, ways: Sequence[tuple[Plan, Estimate]]
    ) -> tuple[list[tuple[Plan, Estimate]], list[tuple[Plan, Estimate]]]:
        by_id = {plan.deployment.id: (plan, estimate) for plan, estimate in ways}
        candidates = [Candidate(plan.deployment, estimate.usd) for plan, estimate in ways]
        ready, others = await self.router.order(candidates)
        return [by_id[one.deployment.id] for one in ready], [by_id[one.deployment.id] for one in others]

    def _possible(self, asked: _Asked, plans: Iterable[Plan]) -> list[tuple[Plan, Estimate]]:
        """Those that may have the video and are not too dear. Raises what is wrong with the first where there is
        none."""
        found, refusal = [], None
        for plan in plans:
            try:
                self.places.require_maker(plan, asked.required)
                found.append((plan, self.costs.estimate(plan, asked.draft)))
            except InvalidField as error:
                refusal = refusal or error
        if refusal is not None and not found:
            raise refusal
        return found

    def _fallbacks(self, asked: _Asked, group: str) -> Iterator[tuple[str, list[tuple[Plan, Estimate]]]]:
        """The groups that may serve in place of one, with those of their deployments that can make it."""
        for name in self.router.rules.fallbacks_of(group):
            # What looks at requests for that model has not looked at this one.
            found = self._of_group(asked, name) if self._guards(name) <= self._guards(group) else []
            if found:
                yield name, found

    def _guards(self, model: str) -> set[tuple[Stage, str]]:
        return {(stage, rule.name) for stage in Stage for rule in self.guardrails.chain(stage, models=(model,))}

    def _of_group(self, asked: _Asked, name: str) -> list[tuple[Plan, Estimate]]:
        plans = []
        try:
            for deployment, model in self.plan.allowed(asked.who, name):
                with suppress(InvalidField, Unsupported):
                    plans.append(self.plan.fit(asked.draft, deployment, model))
            return self._possible(asked, plans)
        except MediagateError:
            # One that makes no videos, or that may not have this one, is none to fall back to.
            return []

    def _route(self, asked: _Asked, chosen: Plan, model: str, group: str) -> dict[str, Any] | None:
        """Those that could make the very same, so that a video is never another than was promised. Only a new video
        can be made elsewhere: what is made of another one stays with the account of that."""
        if asked.draft.kind is not VideoKind.CREATE:
            return None
        draft = replace(
            asked.draft,
            seconds=str(chosen.seconds),
            size=f"{chosen.width}x{chosen.height}",
            aspect_ratio=None,
            resolution=None,
        )
        same = replace(asked, draft=draft)
        groups = [(model, self._of_group(same, model)), *self._fallbacks(same, model)]
        others = [
            {"deployment": plan.deployment.id, "model": name}
            for name, found in groups
            for plan, _ in found
            if plan.deployment.id != chosen.deployment.id and self._takes(draft, plan, chosen)
        ]
        return {"group": group, "retries": 0, "others": others} if others else None

    def _takes(self, draft: VideoDraft, plan: Plan, chosen: Plan) -> bool:
        """Members of the body that are for one provider say nothing, or something else, to another."""
        return not draft.extra or plan.deployment.provider == chosen.deployment.provider
