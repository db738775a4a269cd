"""Public model names, and the deployments behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mediagate.core.errors import InvalidField, NotFound, Unsupported
from mediagate.core.limits import echo
from mediagate.providers.base import VideoModel, VideoProvider


@dataclass(frozen=True, slots=True)
class Deployment:
    """One way to serve a public model: a model of one provider through one account. `id` is stable across restarts. A
    `*` at the end of `model_name` stands for any text, which a `*` at the end of `provider_model` repeats."""

    id: str
    model_name: str
    provider: str
    provider_model: str
    account: str = "local"


class ModelCatalog:
    """What the configuration's `model_list` names."""

    def __init__(self, deployments: Sequence[Deployment], video_providers: Mapping[str, VideoProvider]) -> None:
        self._deployments = deployments
        self._providers = video_providers

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

    def require(self, name: str) -> str:
        """Return `name`. Raises `NotFound` with OpenAI's text where no model has it."""
        if not self.deployments_of(name):
            raise NotFound(
                f"The model '{echo(name)}' does not exist or you do not have access to it.",
                param="model",
                code="model_not_found",
                model=echo(name),
            )
        return name

    def video_deployments(self) -> list[tuple[Deployment, VideoModel]]:
        """The deployments that make videos, with what each can."""
        found = []
        for deployment in self._deployments:
            provider = self._providers.get(deployment.provider)
            model = provider.spec.models.get(deployment.provider_model) if provider else None
            if model is not None:
                found.append((deployment, model))
        return found

    def video(self, name: str | None) -> tuple[Deployment, VideoModel]:
        """The deployment for a new video; the first video model where none is named.

        Raises `InvalidField` for a name that is none, `Unsupported` for a model that makes no videos.
        """
        available = self.video_deployments()
        for deployment, model in available:
            if name is None or deployment.model_name == name:
                return deployment, model
        choices = ", ".join(dict.fromkeys(deployment.model_name for deployment, _ in available)) or "none"
        if name is not None and name in self.names():
            raise Unsupported(f"The model '{echo(name)}' makes no videos. Video models: {choices}.", param="model")
        raise InvalidField(
            f"The model '{echo(name or '')}' does not exist. Video models: {choices}.",
            param="model",
            code="model_not_found",
            model=echo(name or ""),
        )

    def provider(self, name: str) -> VideoProvider:
        """The provider that has a video. Raises `KeyError` where the configuration no longer has it."""
        return self._providers[name]
