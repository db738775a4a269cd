"""Public model names, and the deployments behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from mediagate.core.errors import InvalidField, NotFound, ProviderRefused, Unsupported
from mediagate.core.limits import echo
from mediagate.core.objects import Principal, Video
from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoProvider, VideoSpec
from mediagate.providers.registry import video_spec

MODE = "video_generation"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One way to serve a public model: a model of one provider through one account. `id` is stable across restarts. A
    `*` at the end of `model_name` stands for any text, which a `*` at the end of `provider_model` repeats. `account`
    has its files, `model_account` answers and makes its videos; `info` is what the configuration says of the model.
    `weight` is its share of those with its name, a lower `order` goes first; `rpm`, `tpm` and `parallel_max` are its
    own limits; `drops_settings` leaves out what its provider has no word for."""

    id: str
    model_name: str
    provider: str
    provider_model: str
    account: str = "local"
    model_account: str = "local"
    info: Mapping[str, Any] = field(default_factory=dict)
    weight: float | None = None
    order: int | None = None
    rpm: int | None = None
    tpm: int | None = None
    parallel_max: int | None = None
    drops_settings: bool = False

    def named(self, name: str) -> Deployment:
        """The same with what `name` has in the place of the `*`."""
        if not self.model_name.endswith("*"):
            return self
        rest = name[len(self.model_name) - 1 :]
        model = self.provider_model
        return replace(self, model_name=name, provider_model=model[:-1] + rest if model.endswith("*") else model)


@dataclass(frozen=True, slots=True)
class LineRules:
    """Who waits behind whom, and for what: the videos of one deployment where that has limits of its own, else those of
    one account. Without limits nobody waits."""

    of: Literal["deployment", "account"]
    name: str
    parallel_max: int | None
    rpm: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody ever waits."""
        return self.parallel_max is None and self.rpm is None


class ModelCatalog:
    """What the configuration's `model_list` names. `videos` are the providers by account."""

    def __init__(
        self,
        deployments: Sequence[Deployment],
        videos: Mapping[str, VideoProvider],
        spec_of: Callable[[str], VideoSpec] = video_spec,
        parallel_max: Callable[[str], int | None] = lambda _: None,
    ) -> None:
        self._deployments = deployments
        self._videos = videos
        self._spec_of = spec_of
        self._parallel_max = parallel_max

    def names(self) -> list[str]:
        """Every public name once, in the order of the configuration."""
        return list(dict.fromkeys(deployment.model_name for deployment in self._deployments))

    def deployments_of(self, name: str) -> list[Deployment]:
        """Every way to serve the model `name`: the entries of that name, else those of the longest pattern."""
        exact = [deployment for deployment in self._deployments if deployment.model_name == name]
        if exact:
            return exact
        patterns = [
            deployment.model_name
            for deployment in self._deployments
            if deployment.model_name.endswith("*") and name.startswith(deployment.model_name[:-1])
        ]
        longest = max(patterns, key=len, default=None)
        return [deployment for deployment in self._deployments if deployment.model_name == longest]

    def require(self, who: Principal, name: str) -> str:
        """Return `name`. Raises `NotFound` with OpenAI's text where no model that the caller may use has it."""
        if not self.deployments_of(name) or not who.may_use_model(name):
            raise NotFound(
                f"The model '{echo(name)}' does not exist or you do not have access to it.",
                param="model",
                code="model_not_found",
                model=echo(name),
            )
        return name

    def video_deployments(self) -> list[tuple[Deployment, VideoModel]]:
        """The deployments that make videos, with what each can; patterns, which stand for no one model, are left
        out."""
        found = []
        for deployment in self._deployments:
            model = None if deployment.model_name.endswith("*") else self._model(deployment)
            if model is not None:
                found.append((deployment, model))
        return found

    def first_video(self, who: Principal) -> str | None:
        """The video model for a caller who names none: the first that it may use; None where there is none."""
        names = (deployment.model_name for deployment, _ in self.video_deployments())
        return next((name for name in names if who.may_use_model(name)), None)

    def video(self, name: str | None) -> tuple[Deployment, VideoModel]:
        """The deployment for a new video; the first video model where none is named.

        Raises `InvalidField` for a name that is none and for a model that was shut down, `Unsupported` for a model that
        makes no videos.
        """
        if name is None:
            first = next(iter(self.video_deployments()), None)
            if first is not None:
                return first
        candidates = [] if name is None else [found.named(name) for found in self.deployments_of(name)]
        for deployment in candidates:
            model = self._model(deployment)
            if model is not None:
                return deployment, model
        choices = ", ".join(dict.fromkeys(found.model_name for found, _ in self.video_deployments())) or "none"
        for deployment in candidates:
            self._require_alive(deployment, choices)
        if candidates:
            raise Unsupported(
                f"The model '{echo(name or '')}' makes no videos. Video models: {choices}.", param="model"
            )
        raise InvalidField(
            f"The model '{echo(name or '')}' does not exist. Video models: {choices}.",
            param="model",
            code="model_not_found",
            model=echo(name or ""),
        )

    def video_group(self, name: str | None) -> list[tuple[Deployment, VideoModel]]:
        """Every deployment that could make a new video, in the order of the configuration. Raises as `video` does."""
        first, model = self.video(name)
        group = [(found, self._model(found)) for found in map(_naming(first), self.deployments_of(first.model_name))]
        return [(found, able) for found, able in group if able is not None] or [(first, model)]

    def deployment(self, deployment_id: str, name: str) -> tuple[Deployment, VideoModel] | None:
        """One deployment as it serves the model `name`; None where there is none by now that makes videos."""
        for found in self._deployments:
            if found.id == deployment_id:
                named = found.named(name)
                model = self._model(named)
                return None if model is None else (named, model)
        return None

    def all(self) -> Sequence[Deployment]:
        """Every deployment, in the order of the configuration."""
        return self._deployments

    def is_usable(self, account: str) -> bool:
        """Whether an account is there and lacks nothing that its provider needs."""
        try:
            return self._videos[account] is not None
        except (KeyError, ProviderRefused):
            return False

    def line_of(self, deployment_id: str, account: str) -> LineRules:
        """What a video of a deployment waits for before it is submitted."""
        found = next((known for known in self._deployments if known.id == deployment_id), None)
        of_account = self._parallel_max(account)
        if found is None or (found.rpm is None and found.parallel_max is None):
            return LineRules("account", account, of_account)
        own = of_account if found.parallel_max is None else found.parallel_max
        return LineRules("deployment", found.id, own, found.rpm)

    def video_of(self, source: Video) -> tuple[Deployment, VideoModel]:
        """The deployment that made a video, whatever else has its name by now. Raises as `video` does."""
        candidates = [found.named(source.model) for found in self.deployments_of(source.model)]
        # It may be one of another group, which served in place of this one.
        candidates += [
            replace(found, model_name=source.model, provider_model=source.provider_model)
            for found in self._deployments
            if found.id == source.deployment
        ]
        made_by = Deployment(
            source.deployment,
            source.model,
            source.provider,
            source.provider_model,
            model_account=source.account,
            info={"mode": MODE},
        )
        # An account that the configuration no longer has takes nothing new.
        for deployment in [*candidates, made_by] if source.account in self._videos else candidates:
            model = self._model(deployment)
            if (
                model is not None
                and deployment.provider_model == source.provider_model
                and (deployment.model_account == source.account)
            ):
                return deployment, model
        return self.video(source.model)

    def _require_alive(self, deployment: Deployment, choices: str) -> None:
        spec = self._spec(deployment.provider)
        day = spec.shut_down.get(deployment.provider_model) if spec else None
        if spec is not None and day is not None:
            raise InvalidField(
                f"The model '{echo(deployment.model_name)}' was shut down by {spec.title} on {day}. "
                f"Video models: {choices}.",
                param="model",
                code="model_shut_down",
                model=echo(deployment.model_name),
            )

    def _model(self, deployment: Deployment) -> VideoModel | None:
        """What a deployment can make; None where it makes no videos."""
        spec = self._spec(deployment.provider)
        if spec is None or deployment.provider_model in spec.shut_down:
            return None
        model = spec.models.get(deployment.provider_model)
        if model is None and spec.any_model is not None and deployment.info.get("mode") == MODE:
            model = replace(spec.any_model, name=deployment.provider_model)
        return None if model is None else told(model, deployment.info)

    def makes_videos(self, deployment: Deployment) -> bool:
        """Whether a deployment is a video model, maybe one that was shut down. A pattern stands for no one model."""
        spec = self._spec(deployment.provider)
        if deployment.info.get("mode") == MODE:
            return True
        known = () if spec is None else (*spec.models, *spec.shut_down)
        return deployment.provider_model in known

    def _spec(self, provider: str) -> VideoSpec | None:
        try:
            return self._spec_of(provider)
        except KeyError:
            return None

    def spec(self, provider: str) -> VideoSpec:
        """What a provider of videos is. Raises `KeyError` for one that makes none."""
        return self._spec_of(provider)

    def provider(self, account: str) -> VideoProvider:
        """The provider that has a video. Raises `KeyError` where the configuration no longer has its account,
        `ProviderRefused` where that lacks what the provider needs."""
        return self._videos[account]

    def parallel_max(self, account: str) -> int | None:
        """How many videos one account may have at the same time; None where nobody says."""
        return self._parallel_max(account)


def _naming(like: Deployment) -> Callable[[Deployment], Deployment]:
    return lambda found: found.named(like.model_name)


def told(model: VideoModel, info: Mapping[str, Any]) -> VideoModel:
    """The model with what the configuration's `model_info` says of it in the place of what its provider's spec says."""
    changes: dict[str, Any] = {}
    if isinstance(info.get("sizes"), list):
        changes["sizes"] = tuple(map(str, info["sizes"]))
        changes["default_size"] = changes["sizes"][0]
        changes["sizes_by_input"] = {}
    if isinstance(info.get("seconds"), list):
        changes["seconds"] = tuple(map(int, info["seconds"]))
        changes["default_seconds"] = changes["seconds"][0]
    if isinstance(info.get("inputs"), list):
        changes["inputs"] = tuple(map(str, info["inputs"]))
    if isinstance(info.get("operations"), list):
        changes["kinds"] = tuple(map(VideoKind, info["operations"]))
    if "default_size" in info:
        changes["default_size"] = str(info["default_size"])
    if "default_seconds" in info:
        changes["default_seconds"] = int(info["default_seconds"])
    if "characters" in info:
        changes["characters_max"] = int(info["characters"])
    if "audio" in info:
        changes["audio"] = Audio(info["audio"])
    return replace(model, **changes)
