"""The money of a video: estimated before it is asked for, held while it is made, settled once with its end.

Every amount is in US dollars. What is held is given back or charged in the compare-and-set that ends the video, so it
is settled once. A video whose end nobody knows keeps its money held: its provider may have made it, and may charge.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from mediagate.core.errors import InvalidField
from mediagate.core.objects import Principal, Video
from mediagate.core.sizes import parse_size
from mediagate.core.spend import USD_MAX, Charge, amount
from mediagate.pricing.prices import Price, Prices, PriceSource
from mediagate.providers.base import Audio, Failure, JobStatus, VideoKind, VideoModel, VideoOutput
from mediagate.routing.catalog import Deployment
from mediagate.videos.journal import Happening
from mediagate.videos.plan_video import Plan, VideoDraft


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a video would cost, and by which price; both None where nobody says."""

    price: Price | None
    usd: float | None


@dataclass(frozen=True, slots=True)
class Bill:
    """What a video came to. `changes` are the members of `Video` that say so, `lines` its events."""

    changes: Mapping[str, Any]
    lines: tuple[Happening, ...]


UNSETTLED = Bill({}, ())
"""Of an end that nobody knows."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Estimates and settles."""

    prices: Prices

    def estimate(self, plan: Plan, draft: VideoDraft) -> Estimate:
        """What the plan would cost. Raises `InvalidField` where that is above the draft's `max_cost`, or not known and
        there is one."""
        deployment = plan.deployment
        price = self.prices.of(
            deployment.id, deployment.provider, deployment.provider_model, plan.width, plan.height, plan.has_audio
        )
        usd = None
        if price is not None:
            usd = _total(
                price, plan.seconds, draft.kind, plan.source_seconds, has_image=draft.image_file_id is not None
            )
        _require_within(draft.max_cost_usd, usd, deployment.model_name)
        return Estimate(price, usd)

    def usd_per_second(self, deployment: Deployment, model: VideoModel) -> float | None:
        """The price of one second at the model's default size; None where it is not by the second, or not known."""
        width, height = parse_size(model.default_size)
        audio = model.audio is not Audio.NEVER
        price = self.prices.of(deployment.id, deployment.provider, deployment.provider_model, width, height, audio)
        return None if price is None or price.is_flat else float(price.usd_per_second)

    def moved(self, video: Video, deployment: Deployment, model: VideoModel) -> Bill | None:
        """What is held for a video that nobody has taken, where another deployment makes it; None where that would cost
        more than the caller's most, or nobody knows."""
        has_audio = model.audio is not Audio.NEVER and video.audio is not False
        price = self.prices.of(
            deployment.id, deployment.provider, deployment.provider_model, video.width, video.height, has_audio
        )
        usd = None
        if price is not None:
            image = video.image_file_id is not None
            usd = _total(price, video.seconds, VideoKind(video.kind), 0.0, has_image=image)
        if video.max_cost_usd is not None and (usd is None or usd > video.max_cost_usd):
            return None
        if usd == video.estimate_usd:
            return UNSETTLED
        held, now = video.estimate_usd or 0.0, usd or 0.0
        lines = [] if price is None or not now else [_line("estimate", now, f"{price.source}_price")]
        if now > held:
            lines.append(_line("held", round(now - held, 6), "rerouted"))
        elif held > now:
            lines.append(_line("released", round(held - now, 6), "rerouted"))
        return Bill({"estimate_usd": usd}, tuple(lines))

    def delivered(self, video: Video, status: JobStatus, output: VideoOutput) -> Bill:
        """Settle a video that was made: by the provider's own figure, else by the price and what is in the file, else
        by what was expected."""
        if _is_amount(status.cost_usd):
            return _settled(video, status.cost_usd, PriceSource.PROVIDER, "provider_figure")
        kind = VideoKind(video.kind)
        # The file of an extension may hold what it extends, which was paid for before.
        seconds = min(output.duration_s, video.seconds) if kind is VideoKind.EXTEND else output.duration_s
        price = self._price(video, output.width, output.height, output.has_audio)
        if price is None:
            return _settled(video, video.estimate_usd, PriceSource.TABLE, "estimate")
        usd = _total(price, seconds, kind, video.seconds, has_image=video.image_file_id is not None)
        return _settled(video, usd, price.source, "measured_seconds")

    def ended(self, video: Video, failure: Failure, status: JobStatus | None = None) -> Bill:
        """Settle a video that was not made: nothing, unless the provider charges for it all the same."""
        if not failure.charged:
            return _settled(video, 0.0, None, "not_charged")
        if status is not None and _is_amount(status.cost_usd):
            return _settled(video, status.cost_usd, PriceSource.PROVIDER, "provider_figure")
        price = self._price(video, video.width, video.height, video.audio)
        source = None if price is None else price.source
        return _settled(video, video.estimate_usd, source, "charged_without_a_video")

    def unseen(self, video: Video, status: JobStatus | None = None) -> Bill:
        """Settle a video that was made and that nobody looked into: by the provider's own figure, else by what was
        expected."""
        if status is not None and _is_amount(status.cost_usd):
            return _settled(video, status.cost_usd, PriceSource.PROVIDER, "provider_figure")
        return _settled(video, video.estimate_usd, PriceSource.TABLE, "estimate")

    def _price(self, video: Video, width: int, height: int, audio: bool | None) -> Price | None:
        return self.prices.of(video.deployment, video.provider, video.provider_model, width, height, audio)


def reserved(estimate: Estimate) -> tuple[Happening, ...]:
    """The events of a new video: what it is expected to cost, and that this is held. None where it costs nothing."""
    if not estimate.usd or estimate.price is None:
        return ()
    return _line("estimate", estimate.usd, f"{estimate.price.source}_price"), _line("held", estimate.usd, "created")


def charge_of(who: Principal, video: Video) -> Charge:
    """What is reserved for a video, and for whom. Raises `InvalidField` for an estimate that is out of all bounds."""
    try:
        usd = None if video.estimate_usd is None else amount(video.estimate_usd)
    except ValueError:
        raise InvalidField(
            f"The video would cost more than {USD_MAX:g} US dollars. The gateway's operator should look at the prices "
            "in the model's 'model_info'.",
            param="model",
            code="price_out_of_range",
            model=video.model,
        ) from None
    return Charge(
        ref=video.id,
        owner_id=video.owner_id,
        model=video.model,
        deployment=video.deployment,
        provider=video.provider,
        account=video.account,
        usd=usd,
        key_id=who.key_id,
        user_id=who.user_id,
        team_id=who.team_id,
        end_user=video.end_user,
    )


def _total(price: Price, seconds: float, kind: VideoKind, source_seconds: float, *, has_image: bool) -> float:
    source_seconds = 0.0 if kind is VideoKind.CREATE else source_seconds
    return float(price.of(seconds, images=int(has_image), source_seconds=source_seconds))


def _settled(video: Video, usd: float | None, source: PriceSource | None, reason: str) -> Bill:
    if usd is None:
        # Nobody has a price, so nothing was held either.
        return UNSETTLED
    held = video.estimate_usd or 0.0
    lines = []
    if usd > 0:
        lines.append(_line("charged", usd, reason))
    if held > usd:
        lines.append(_line("released", round(held - usd, 6), reason if usd == 0 else "below_estimate"))
    return Bill({"cost_usd": usd, "cost_source": None if source is None else source.value}, tuple(lines))


def _line(kind: str, usd: float, reason: str) -> Happening:
    return Happening("cost", {"kind": kind, "usd": usd, "reason": reason})


def _is_amount(usd: float | None) -> TypeGuard[float]:
    return usd is not None and math.isfinite(usd) and 0 <= usd <= USD_MAX


def _require_within(most_usd: float | None, usd: float | None, model: str) -> None:
    if most_usd is None:
        return
    if usd is None:
        raise InvalidField(
            f"No price is known for the model '{model}', so 'max_cost' cannot be kept. The gateway's operator can set "
            "one: 'output_cost_per_second' in the model's 'model_info'.",
            param="max_cost",
            code="price_unknown",
            model=model,
        )
    if usd > most_usd:
        raise InvalidField(
            f"The video would cost about {usd:g} US dollars, which is more than 'max_cost' ({most_usd:g}). "
            "Nothing was made.",
            param="max_cost",
            code="max_cost_exceeded",
            estimate_usd=usd,
            max_cost_usd=most_usd,
        )
