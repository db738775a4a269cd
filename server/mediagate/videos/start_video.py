"""Begin a video: check what is asked for against what the model can, then commit the intent and its tracking job."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from mediagate.core import ids
from mediagate.core.clock import Clock
from mediagate.core.errors import InvalidField, StateConflict, Unsupported
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.limits import echo
from mediagate.core.objects import Principal, Video
from mediagate.files.get_file import GetFile
from mediagate.providers.base import VideoKind, VideoModel
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.store.database import Database
from mediagate.store.videos import VideoLookup
from mediagate.videos.journal import Journal
from mediagate.videos.tasks import TRACK_VIDEO, TRACKING_QUEUE


@dataclass(frozen=True, slots=True)
class VideoDraft:
    """What a caller asks for. None means the model's default, or the source's own value."""

    prompt: str
    kind: VideoKind = VideoKind.CREATE
    model: str | None = None
    seconds: str | None = None
    size: str | None = None
    image_file_id: str | None = None
    source_video_id: str | None = None
    source_file_id: str | None = None
    end_user: str | None = None


@dataclass(frozen=True, slots=True)
class StartVideo:
    """Answer at once; the work belongs to a durable job and to no connection."""

    db: Database
    videos: VideoLookup
    catalog: ModelCatalog
    journal: Journal
    get_file: GetFile
    clock: Clock
    deadline_s: float | None

    async def run(self, who: Principal, draft: VideoDraft, *, video_id: str | None = None) -> Video:
        """`video_id` is for a video whose id was reserved.

        Raises `InvalidField` naming what the model can, `Unsupported`, `NotFound` for an input, and `StateConflict`
        where the source is not finished."""
        source = await self._source(who, draft)
        deployment, model = self._deployment(draft, source)
        seconds, size = _shape(draft, model, source)
        width, height = (int(part) for part in size.split("x"))
        for file_id in (draft.image_file_id, draft.source_file_id):
            if file_id is not None:
                await self.get_file.run(who, file_id)
        now = self.clock.now()
        spec = self.catalog.provider(deployment.provider).spec
        video = Video(
            id=video_id or ids.new_video_id(),
            owner_id=who.owner_id,
            model=deployment.model_name,
            deployment=deployment.id,
            provider=deployment.provider,
            provider_model=deployment.provider_model,
            kind=draft.kind.value,
            phase=VideoPhase.HELD,
            prompt=draft.prompt,
            seconds=seconds,
            width=width,
            height=height,
            seq=0,
            created_at=now,
            deadline_at=now + timedelta(seconds=self.deadline_s or spec.deadline_s),
            source_video_id=draft.source_video_id,
            image_file_id=draft.image_file_id,
            source_file_id=draft.source_file_id,
            end_user=draft.end_user,
        )
        async with self.db.transaction() as tx:
            video = await self.journal.open(tx, video)
            await tx.enqueue(TRACK_VIDEO, queue=TRACKING_QUEUE, lock=video.id, video_id=video.id)
        return video

    async def _source(self, who: Principal, draft: VideoDraft) -> Video | None:
        if draft.source_video_id is None:
            return None
        ids.VIDEO.parse(draft.source_video_id)
        source = await self.videos.get(who.owner_id, draft.source_video_id)
        if source is None:
            raise ids.VIDEO.not_found(draft.source_video_id)
        if source.phase is not VideoPhase.READY:
            raise StateConflict(
                f"Video {source.id} is not completed; only a completed video can be used as a source.",
                param="video",
                phase=source.phase.value,
            )
        return source

    def _deployment(self, draft: VideoDraft, source: Video | None) -> tuple[Deployment, VideoModel]:
        deployment, model = self.catalog.video(draft.model or (source.model if source else None))
        if draft.kind not in model.kinds:
            able = [d.model_name for d, m in self.catalog.video_deployments() if draft.kind in m.kinds]
            raise Unsupported(
                f"The model '{deployment.model_name}' cannot {draft.kind.value}. Models that can: {able or 'none'}.",
                param="model",
            )
        return deployment, model


def _shape(draft: VideoDraft, model: VideoModel, source: Video | None) -> tuple[int, str]:
    """Length in seconds and size, checked against the model."""
    if not draft.prompt.strip():
        raise InvalidField("'prompt' must not be blank.", param="prompt")
    if len(draft.prompt) > model.prompt_chars_max:
        raise InvalidField(
            f"'prompt' may have at most {model.prompt_chars_max} characters; this one has {len(draft.prompt)}.",
            param="prompt",
        )
    size = draft.size or (source.size if source else model.default_size)
    if size not in model.sizes:
        raise InvalidField(
            f"Invalid value: '{echo(size)}'. Supported values are: {', '.join(map(repr, model.sizes))}.", param="size"
        )
    if draft.seconds is None:
        return (source.seconds if source else model.default_seconds), size
    if draft.seconds not in {str(allowed) for allowed in model.seconds}:
        supported = ", ".join(repr(str(allowed)) for allowed in model.seconds)
        raise InvalidField(
            f"Invalid value: '{echo(draft.seconds)}'. Supported values are: {supported}.", param="seconds"
        )
    return int(draft.seconds), size
