"""Begin a video: commit the intent and its tracking job."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.end_users import settled_end_user
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Principal, Video
from mediagate.routing.catalog import ModelCatalog
from mediagate.spend.reserve import ReserveSpend
from mediagate.store.database import Database
from mediagate.telemetry.requests import note_backend, note_model
from mediagate.telemetry.traces import carried
from mediagate.videos.cost import Estimate, charge_of, reserved
from mediagate.videos.guard_request import GuardsRequests, NoGuard
from mediagate.videos.journal import Journal
from mediagate.videos.plan_video import Plan, VideoDraft
from mediagate.videos.route_video import RouteVideo
from mediagate.videos.tasks import TRACK_VIDEO, TRACKING_QUEUE


@dataclass(frozen=True, slots=True)
class Intent:
    """A video that is allowed and does not exist yet."""

    video: Video
    plan: Plan
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class StartVideo:
    """Answer at once; the work belongs to a durable job and to no connection."""

    db: Database
    route: RouteVideo
    catalog: ModelCatalog
    journal: Journal
    clock: Clock
    deadline_s: float | None
    reserve: ReserveSpend = field(default_factory=ReserveSpend)
    guard: GuardsRequests = field(default_factory=NoGuard)

    async def run(self, who: Principal, draft: VideoDraft, *, video_id: str | None = None) -> Video:
        """`video_id` is for a video whose id was reserved. Raises as `RouteVideo`, `GuardRequest` and `ReserveSpend`
        do."""
        intent = await self.intent(who, draft, video_id=video_id)
        note_model(intent.video.model)
        note_backend(intent.video.account)
        names = await self.guard.run(who, draft, intent.video.model, intent.video.id)
        video = replace(intent.video, guardrails=names)
        charge = charge_of(who, video)
        async with self.db.transaction() as tx:
            video = await self.journal.open(tx, video, reserved(intent.estimate))
            await tx.enqueue(TRACK_VIDEO, queue=TRACKING_QUEUE, lock=video.id, video_id=video.id, **carried())
            # Last, because others wait for the budgets that it moves.
            await self.reserve.run(tx, charge, who.scopes)
        self.route.router.took(video.deployment, video.account)
        return video

    async def intent(self, who: Principal, draft: VideoDraft, *, video_id: str | None = None) -> Intent:
        """What would be committed. Changes nothing; raises as `run` does, but for budgets."""
        routed = await self.route.run(who, draft)
        plan, deployment = routed.plan, routed.plan.deployment
        spec = self.catalog.provider(deployment.model_account).spec
        now = self.clock.now()
        video = Video(
            id=video_id or ids.new_video_id(),
            owner_id=who.owner_id,
            model=routed.model,
            deployment=deployment.id,
            account=deployment.model_account,
            provider=deployment.provider,
            provider_model=deployment.provider_model,
            kind=draft.kind.value,
            phase=VideoPhase.HELD,
            prompt=draft.prompt,
            seconds=plan.seconds,
            width=plan.width,
            height=plan.height,
            seq=0,
            created_at=now,
            deadline_at=now + timedelta(seconds=self.deadline_s or spec.deadline_s),
            source_video_id=draft.source_video_id,
            image_file_id=draft.image_file_id,
            source_file_id=draft.source_file_id,
            end_user=settled_end_user(who, draft.end_user),
            audio=plan.audio,
            extra=dict(draft.extra) or None,
            characters=list(draft.characters) or None,
            start_by=None if draft.start_timeout_s is None else now + timedelta(seconds=draft.start_timeout_s),
            cancel_at=None if draft.cancel_after_s is None else now + timedelta(seconds=draft.cancel_after_s),
            max_cost_usd=draft.max_cost_usd,
            estimate_usd=routed.estimate.usd,
            required=routed.required or None,
            route=routed.route,
        )
        return Intent(video, plan, routed.estimate)
