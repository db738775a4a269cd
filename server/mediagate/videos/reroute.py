"""Give a video that surely no provider has taken to another deployment.

Never after a submit whose outcome nobody knows, and never what is made of another video: callers see to the first,
`Video.route` is empty for the second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from mediagate.core.errors import InsufficientQuota, InvalidField, Unavailable
from mediagate.core.objects import Video
from mediagate.core.spend import amount
from mediagate.providers.base import Failure, FailureStage, ProviderBusy, VideoModel
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.routing.router import COOLING, NOT_CONFIGURED, Router
from mediagate.routing.strategies import Candidate
from mediagate.spend.adjust import AdjustSpend
from mediagate.store.database import Transaction
from mediagate.videos.cost import Bill, Costs
from mediagate.videos.fate import Fate, Move

log = structlog.get_logger(__name__)
BUSY = "provider_busy"
UNREACHABLE = "provider_unreachable"
UNKNOWN = "no_clear_answer"
_ELSEWHERE = (FailureStage.GATEWAY, FailureStage.PROVIDER)
_NOBODYS = ("content_policy_violation",)


@dataclass(frozen=True, slots=True)
class Reroute:
    """Moves videos. `deadline_s` is the time that each has; None for its provider's."""

    catalog: ModelCatalog
    router: Router
    costs: Costs
    fate: Fate
    adjust: AdjustSpend
    deadline_s: float | None

    async def from_nowhere(self, video: Video) -> bool:
        """Move a video that waits for its submit, where its account lacks what it needs; True where it was moved."""
        if video.submit_started_at is not None or not _others(video) or self.catalog.is_usable(video.account):
            return False
        return await self._move(video, NOT_CONFIGURED, for_good=True)

    async def before(self, video: Video) -> bool:
        """Move a video whose deployment cools down; True where it was moved."""
        if not _others(video):
            return False
        return await self.router.is_cooling(video.deployment) and await self._move(video, COOLING)

    async def in_line(self, video: Video, why: str) -> bool:
        """Move a video that waits behind others, where another deployment has room."""
        return await self._move(video, why)

    async def after_busy(self, video: Video, busy: ProviderBusy) -> bool:
        """The deployment takes nothing at the moment; True where the video was moved."""
        lost = isinstance(busy.__cause__, Unavailable)
        why = UNREACHABLE if lost else BUSY
        await self._note(video, why, at_once=not lost, pause_s=busy.retry_after_s)
        return await self._move(video, why, tried=True)

    async def after_refusal(self, video: Video, failure: Failure) -> bool:
        """The deployment refused the video; True where it was moved. What is wrong with the request itself, its
        content before all, is wrong everywhere."""
        if failure.stage not in _ELSEWHERE or failure.code in _NOBODYS:
            return False
        await self._note(video, failure.code, at_once=True)
        return await self._move(video, failure.code, for_good=True, tried=True)

    async def unknown(self, video: Video) -> None:
        """The deployment did not say whether it took a video, which stays where it is: others may be better off."""
        await self._note(video, UNKNOWN, at_once=False)

    async def accepted(self, video: Video) -> None:
        """The deployment took the video."""
        try:
            await self.router.worked(video.deployment)
        except Exception as error:
            log.warning("deployment_not_noted", deployment=video.deployment, error=type(error).__name__)

    async def _note(self, video: Video, why: str, *, at_once: bool, pause_s: float | None = None) -> None:
        try:
            await self.router.failed(video.deployment, why, at_once=at_once, pause_s=pause_s)
        except Exception as error:
            # What is sure of the attempt has yet to be written, and counts for more.
            log.warning("deployment_not_noted", deployment=video.deployment, error=type(error).__name__)

    async def _move(self, video: Video, why: str, *, for_good: bool = False, tried: bool = False) -> bool:
        """`for_good` is for a deployment that will not take it later either, `tried` for one that was asked."""
        route = video.route or {}
        used_up = tried and route.get("retries", 0) >= self.router.rules.num_retries
        for group, found in self._groups(video):
            if used_up and group == route["group"]:
                continue
            ready, _ = await self.router.order([candidate for candidate, _, _ in found])
            for candidate in ready:
                deployment, bill = next((d, b) for c, d, b in found if c.deployment.id == candidate.deployment.id)
                try:
                    return await self._write(video, deployment, bill, why, group, for_good=for_good, tried=tried)
                except (InsufficientQuota, InvalidField, ValueError):
                    # A budget does not have so much left; a cheaper one may do.
                    continue
        return False

    def _groups(self, video: Video) -> list[tuple[str, list[tuple[Candidate, Deployment, Bill]]]]:
        """The deployments that are left, by group: the video's own first, then as they are listed."""
        found: dict[str, list[tuple[Candidate, Deployment, Bill]]] = {}
        for other in _others(video):
            known = self._known(other)
            bill = None if known is None else self.costs.moved(video, *known)
            if known is not None and bill is not None:
                deployment, usd = known[0], bill.changes.get("estimate_usd", video.estimate_usd)
                found.setdefault(other["model"], []).append((Candidate(deployment, usd), deployment, bill))
        return sorted(found.items(), key=lambda group: group[0] != video.model)

    def _known(self, other: Mapping[str, Any]) -> tuple[Deployment, VideoModel] | None:
        return self.catalog.deployment(other["deployment"], other["model"])

    async def _write(
        self, video: Video, to: Deployment, bill: Bill, why: str, group: str, *, for_good: bool, tried: bool
    ) -> bool:
        route = dict(video.route or {})
        left = [other for other in _others(video) if other["deployment"] != to.id]
        if not for_good:
            left.append({"deployment": video.deployment, "model": route["group"]})
        same = group == route["group"]
        route = {"group": group, "retries": (route["retries"] + tried) if same else 0, "others": left}
        deadline_s = self.deadline_s or self.catalog.spec(to.provider).deadline_s
        usd = bill.changes.get("estimate_usd", video.estimate_usd)

        async def adjust(tx: Transaction) -> None:
            held = None if usd is None else amount(usd)
            await self.adjust.run(tx, video.id, held, deployment=to.id, provider=to.provider, account=to.model_account)

        if not await self.fate.moved(video, Move(to, why, deadline_s, route, bill, adjust)):
            return False
        self.router.took(to.id, to.model_account)
        log.info("video_moved", video_id=video.id, before=video.deployment, after=to.id, reason=why)
        return True


def _others(video: Video) -> Sequence[Mapping[str, Any]]:
    return () if video.route is None else video.route["others"]
