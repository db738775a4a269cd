"""Check what is asked for against what the model can, before anything is made or paid for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mediagate.core import ids
from mediagate.core.errors import InvalidField, StateConflict, Unsupported
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.limits import echo
from mediagate.core.objects import Principal, Video
from mediagate.core.sizes import aspect_ratio, parse_size, resolution, size_of
from mediagate.files.get_file import GetFile
from mediagate.providers.base import Audio, VideoKind, VideoModel
from mediagate.routing.allowed import require_model, require_provider
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.store.videos import VideoLookup
from mediagate.videos.characters import GetCharacter
from mediagate.videos.extra_members import require_free
from mediagate.videos.measure_input import MeasureInput
from mediagate.videos.read_fields import CHARACTERS

SECONDS_MAX = 3600
_SIZE = re.compile(r"[1-9][0-9]{1,4}x[1-9][0-9]{1,4}")


@dataclass(frozen=True, slots=True)
class VideoDraft:
    """What a caller asks for. None means the model's default, or the source's own value. `extra` is the provider's."""

    prompt: str
    kind: VideoKind = VideoKind.CREATE
    model: str | None = None
    seconds: str | None = None
    size: str | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    audio: bool | None = None
    image_file_id: str | None = None
    source_video_id: str | None = None
    source_file_id: str | None = None
    max_cost_usd: float | None = None
    start_timeout_s: float | None = None
    cancel_after_s: float | None = None
    end_user: str | None = None
    characters: tuple[str, ...] = ()
    guardrails: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def starts_from(self) -> str:
        """What the video starts from, in the words of `VideoModel.inputs`."""
        if self.source_video_id is not None or self.source_file_id is not None:
            return "video"
        return "text" if self.image_file_id is None else "image"


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be made, by whom, and from what."""

    deployment: Deployment
    model: VideoModel
    seconds: int
    width: int
    height: int
    audio: bool | None
    source: Video | None
    source_seconds: float = 0.0
    """The length of the video or the stored file that it is made from; 0 for one that is made from neither."""

    @property
    def has_audio(self) -> bool:
        """Whether it will have sound."""
        return self.model.audio is not Audio.NEVER and self.audio is not False


@dataclass(frozen=True, slots=True)
class PlanVideo:
    """Decides, changes nothing and asks no provider."""

    videos: VideoLookup
    catalog: ModelCatalog
    get_file: GetFile
    measure: MeasureInput
    get_character: GetCharacter

    async def run(self, who: Principal, draft: VideoDraft) -> Plan:
        """The first way to make it. Raises as `ways` does."""
        return (await self.ways(who, draft))[0]

    async def ways(self, who: Principal, draft: VideoDraft) -> list[Plan]:
        """Every way to make it, in the order of the configuration: one for each deployment of the model that can.

        Raises `InvalidField` naming what the model can, `Unsupported`, `NotFound` for an input, and `StateConflict`
        where the source is not finished; of a source file also what `MeasureInput` raises.
        """
        source = await self._source(who, draft)
        plans, refusal = [], None
        for deployment, model in self._deployments(who, draft, source):
            try:
                plans.append(self.fit(draft, deployment, model, source))
            except (InvalidField, Unsupported) as error:
                refusal = refusal or error
        if refusal is not None and not plans:
            raise refusal
        for character_id in draft.characters:
            await self.get_character.run(who, character_id)
        if draft.image_file_id is not None:
            await self.get_file.run(who, draft.image_file_id)
        if draft.source_file_id is None:
            return plans
        length_s = await self.measure.seconds(await self.get_file.run(who, draft.source_file_id))
        seconds = None if draft.seconds is not None else max(1, round(length_s))
        return [replace(plan, seconds=seconds or plan.seconds, source_seconds=length_s) for plan in plans]

    def fit(self, draft: VideoDraft, deployment: Deployment, model: VideoModel, source: Video | None = None) -> Plan:
        """The way in which one deployment would make it, without a look at its inputs. Raises `InvalidField` naming
        what the model can, and `Unsupported`."""
        self._require_kind(draft, deployment, model)
        _require_prompt(draft, model)
        require_free(draft.extra, self.catalog.spec(deployment.provider), bounded=draft.max_cost_usd is not None)
        width, height = parse_size(_size(draft, model, source))
        plan = Plan(
            deployment=deployment,
            model=model,
            seconds=_seconds(draft, model, source),
            width=width,
            height=height,
            audio=_audio(draft, model),
            source=source,
            source_seconds=0.0 if source is None else source.seconds,
        )
        if draft.starts_from == "text" and "text" not in model.inputs:
            raise InvalidField(
                f"The model '{deployment.model_name}' makes no video from text alone; it takes "
                f"{', '.join(model.inputs)}.",
                param="input_reference",
            )
        if draft.image_file_id is not None and "image" not in model.inputs:
            raise InvalidField(
                f"The model '{deployment.model_name}' takes no image; it takes {', '.join(model.inputs)}.",
                param="input_reference",
            )
        self._require_characters(draft, deployment, model)
        return plan

    def _require_characters(self, draft: VideoDraft, deployment: Deployment, model: VideoModel) -> None:
        if not draft.characters:
            return
        if not model.characters_max or draft.kind is not VideoKind.CREATE:
            able = [d.model_name for d, m in self.catalog.video_deployments() if m.characters_max]
            raise Unsupported(
                f"The model '{deployment.model_name}' takes no '{CHARACTERS}' here. Models that can, in a new video: "
                f"{', '.join(dict.fromkeys(able)) or 'none'}.",
                param=CHARACTERS,
            )
        if len(draft.characters) > model.characters_max:
            raise InvalidField(
                f"The model '{deployment.model_name}' takes at most {model.characters_max} '{CHARACTERS}'; these are "
                f"{len(draft.characters)}.",
                param=CHARACTERS,
            )

    async def _source(self, who: Principal, draft: VideoDraft) -> Video | None:
        if draft.source_video_id is None:
            return None
        ids.VIDEO.parse(draft.source_video_id)
        source = await self.videos.get(who, draft.source_video_id)
        if source is None:
            raise ids.VIDEO.not_found(draft.source_video_id)
        if source.phase is not VideoPhase.READY:
            raise StateConflict(
                f"Video {source.id} is not completed; only a completed video can be used as a source.",
                param="video",
                phase=source.phase.value,
            )
        return source

    def allowed(self, who: Principal, name: str | None) -> list[tuple[Deployment, VideoModel]]:
        """The deployments of a model that the caller may use, in the order of the configuration. Raises
        `PermissionDenied` where there are none, and as `ModelCatalog.video` does."""
        group = self.catalog.video_group(self.catalog.first_video(who) if name is None else name)
        self._require_model(who, group[0][0])
        usable = [found for found in group if who.may_use_provider(found[0].provider)]
        if not usable:
            require_provider(who, group[0][0].provider, param="model")
        return usable

    def _deployments(
        self, who: Principal, draft: VideoDraft, source: Video | None
    ) -> list[tuple[Deployment, VideoModel]]:
        if source is None or draft.model not in (None, source.model):
            return self.allowed(who, draft.model)
        # An object keeps its account: what is made of a video is made where that was.
        found = self.catalog.video_of(source)
        self._require_model(who, found[0])
        require_provider(who, found[0].provider, param="model")
        return [found]

    def _require_model(self, who: Principal, deployment: Deployment) -> None:
        known = (found.model_name for found, _ in self.catalog.video_deployments())
        require_model(who, deployment.model_name, known=known)

    def _require_kind(self, draft: VideoDraft, deployment: Deployment, model: VideoModel) -> None:
        if draft.kind not in model.kinds:
            able = [d.model_name for d, m in self.catalog.video_deployments() if draft.kind in m.kinds]
            raise Unsupported(
                f"The model '{deployment.model_name}' cannot {draft.kind.value}. "
                f"Models that can: {', '.join(dict.fromkeys(able)) or 'none'}.",
                param="model",
            )


def _require_prompt(draft: VideoDraft, model: VideoModel) -> None:
    if not draft.prompt.strip():
        raise InvalidField("'prompt' must not be blank.", param="prompt")
    if len(draft.prompt) > model.prompt_chars_max:
        raise InvalidField(
            f"'prompt' may have at most {model.prompt_chars_max} characters; this one has {len(draft.prompt)}.",
            param="prompt",
        )


def _size(draft: VideoDraft, model: VideoModel, source: Video | None) -> str:
    if draft.size is not None and (draft.aspect_ratio or draft.resolution):
        raise InvalidField("Give 'size', or 'aspect_ratio' and 'resolution', not both.", param="size")
    model = _from_input(draft, model)
    default = source.size if source is not None else model.default_size
    if draft.aspect_ratio or draft.resolution:
        return _size_in_words(draft, model, default)
    size = draft.size or default
    if model.sizes and size not in model.sizes:
        if draft.size is None:
            # The source is from another model, whose sizes are others.
            return model.default_size
        raise _unsupported_value("size", size, model.sizes)
    if not _SIZE.fullmatch(size):
        raise InvalidField(f"'size' is not WIDTHxHEIGHT: '{echo(size)}'. Write it like 1280x720.", param="size")
    return size


def _from_input(draft: VideoDraft, model: VideoModel) -> VideoModel:
    """The model with the sizes that it makes from what the draft starts from."""
    sizes = model.sizes_by_input.get(draft.starts_from)
    if not sizes:
        return model
    return replace(model, sizes=sizes, default_size=model.default_size if model.default_size in sizes else sizes[0])


def _size_in_words(draft: VideoDraft, model: VideoModel, default: str) -> str:
    """The size behind an aspect ratio and a resolution; what is not given is that of the default size."""
    width, height = parse_size(default)
    ratio = draft.aspect_ratio or aspect_ratio(width, height)
    word = (draft.resolution or resolution(width, height)).lower()
    if not model.sizes:
        try:
            return size_of(ratio, word)
        except ValueError:
            raise InvalidField(
                f"Invalid value: '{echo(word)}'. Write a resolution like '720p', an aspect ratio like '16:9'.",
                param="resolution" if draft.resolution else "aspect_ratio",
            ) from None
    words = {size: (aspect_ratio(*parse_size(size)), resolution(*parse_size(size))) for size in model.sizes}
    for size, made in words.items():
        if made == (ratio, word):
            return size
    if draft.aspect_ratio and all(ratio != made for made, _ in words.values()):
        raise _unsupported_value("aspect_ratio", ratio, dict.fromkeys(made for made, _ in words.values()))
    raise _unsupported_value("resolution", word, dict.fromkeys(made for at, made in words.values() if at == ratio))


def _seconds(draft: VideoDraft, model: VideoModel, source: Video | None) -> int:
    extends = draft.kind is VideoKind.EXTEND
    allowed = (model.extend_seconds or model.seconds) if extends else model.seconds
    if draft.seconds is None:
        # What is made of a video is as long as that is, also where no model makes such a length from nothing.
        return source.seconds if source is not None else model.default_seconds
    if not allowed and draft.seconds.isascii() and draft.seconds.isdigit() and 1 <= int(draft.seconds) <= SECONDS_MAX:
        return int(draft.seconds)
    if draft.seconds not in map(str, allowed):
        choices = [str(seconds) for seconds in allowed] or [f"1 to {SECONDS_MAX}"]
        raise _unsupported_value("seconds", draft.seconds, choices)
    return int(draft.seconds)


def _audio(draft: VideoDraft, model: VideoModel) -> bool | None:
    if (draft.audio is True and model.audio is Audio.NEVER) or (draft.audio is False and model.audio is Audio.ALWAYS):
        sound = "without" if model.audio is Audio.NEVER else "with"
        raise InvalidField(f"The model '{model.name}' makes videos {sound} sound only.", param="generate_audio")
    return draft.audio


def _unsupported_value(param: str, value: str, allowed: Any) -> InvalidField:
    return InvalidField(
        f"Invalid value: '{echo(value)}'. Supported values are: {', '.join(map(repr, allowed))}.", param=param
    )
