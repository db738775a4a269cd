"""What Runway's API can make."""

from __future__ import annotations

from typing import Final

from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoSpec
from mediagate.providers.runwayml.models import MODELS, UNKNOWN, RunwayModel, Shape


def _model(model: RunwayModel) -> VideoModel:
    changes = tuple(VideoKind(kind) for kind in model.kinds)
    creates = (VideoKind.CREATE,) if model.text or model.image else ()
    open_size = any(endpoint is not None and endpoint.shape is Shape.NONE for endpoint in (model.text, model.image))
    sizes = model.sizes
    return VideoModel(
        name=model.name,
        sizes=sizes,
        sizes_by_input={
            name: endpoint.sizes
            for name, endpoint in model.endpoints.items()
            if endpoint.sizes and len(endpoint.sizes) < len(sizes)
        },
        seconds=model.seconds,
        default_size=sizes[0] if sizes else "1280x720",
        default_seconds=model.default_seconds,
        prompt_chars_max=model.prompt_chars_max,
        inputs=tuple(model.endpoints),
        kinds=(*creates, *changes),
        audio=Audio.OPTIONAL if any(endpoint.audible for endpoint in model.endpoints.values()) else Audio.NEVER,
        description="The image alone says the size." if open_size else "",
    )


VIDEOS: Final = VideoSpec(
    name="runwayml",
    title="Runway",
    source="https://docs.dev.runwayml.com/api",
    models={name: _model(model) for name, model in MODELS.items()},
    any_model=_model(UNKNOWN),
    reports_progress=True,
    reports_cost=True,
    cancels=True,
    # Runway asks for no more than one poll of a task in five seconds.
    poll_interval_s=5.0,
    # Uploads of the organization.
    reserved_schemes=("runway:",),
)
