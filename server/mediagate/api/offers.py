"""What a gateway offers before a video is asked for, as messages of the wire: its models and its estimates."""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.struct_pb2 import Value

from mediagate._gen.mediagate.v1 import videos_pb2
from mediagate.api.convert import NULL
from mediagate.providers.base import VideoModel
from mediagate.routing.catalog import Deployment
from mediagate.videos.cost import Costs
from mediagate.videos.estimate_video import Forecast


def forecast_to_proto(forecast: Forecast) -> videos_pb2.VideoEstimate:
    """What would come of a request for a video."""
    video, plan, estimate = forecast.intent.video, forecast.intent.plan, forecast.intent.estimate
    message = videos_pb2.VideoEstimate(
        object="video.estimate",
        model=video.model,
        provider=video.provider,
        size=video.size,
        seconds=str(video.seconds),
        audio=plan.has_audio,
        cost_usd=NULL if estimate.usd is None else Value(number_value=estimate.usd),
        waiting=forecast.waiting,
    )
    if estimate.price is not None:
        message.price_source = estimate.price.source.value
        if not estimate.price.is_flat:
            message.usd_per_second = float(estimate.price.usd_per_second)
        if estimate.price.date is not None:
            message.price_date = estimate.price.date
    if forecast.usual is not None:
        message.eta.CopyFrom(
            videos_pb2.VideoEta(
                p50_seconds=round(forecast.usual.p50_s),
                p90_seconds=round(forecast.usual.p90_s),
                basis="history",
                samples=forecast.usual.samples,
            )
        )
    return message


def video_models_to_proto(
    models: Sequence[tuple[Deployment, VideoModel]], costs: Costs
) -> videos_pb2.ListVideoModelsResponse:
    """Each public video model once, with the price at its default size."""
    by_name: dict[str, videos_pb2.VideoModel] = {}
    for deployment, model in models:
        by_name.setdefault(
            deployment.model_name,
            videos_pb2.VideoModel(
                id=deployment.model_name,
                object="video.model",
                provider=deployment.provider,
                sizes=model.sizes,
                seconds=[str(seconds) for seconds in model.seconds],
                default_size=model.default_size,
                default_seconds=str(model.default_seconds),
                inputs=model.inputs,
                operations=[kind.value for kind in model.kinds],
                prompt_chars_max=model.prompt_chars_max,
                description=model.description,
                audio=model.audio.value,
                extend_seconds=[str(seconds) for seconds in model.extend_seconds],
                usd_per_second=costs.usd_per_second(deployment, model),
            ),
        )
    return videos_pb2.ListVideoModelsResponse(object="list", data=by_name.values())
