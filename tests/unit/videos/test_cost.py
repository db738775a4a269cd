"""The money of a video: what is expected, what is held, what is charged and given back, and that nothing is lost."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.errors import InvalidField
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Video
from mediagate.pricing.prices import OwnRates, Prices
from mediagate.pricing.rates import rates_in
from mediagate.providers.base import (
    Audio,
    Failure,
    FailureStage,
    JobState,
    JobStatus,
    VideoKind,
    VideoModel,
    VideoOutput,
)
from mediagate.routing.catalog import Deployment
from mediagate.videos.cost import UNSETTLED, Bill, Costs, Estimate, reserved
from mediagate.videos.plan_video import Plan, VideoDraft

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RATES = {
    "output_cost_per_second": 0.4,
    "output_cost_per_second_without_audio": 0.2,
    "output_cost_per_second_4k": 0.6,
    "input_cost_per_image": 0.01,
    "input_cost_per_video_per_second": 0.05,
}
COSTS = Costs(Prices({"d": OwnRates(rates_in(RATES))}, {}))
NO_PRICE = Costs(Prices({}, {}))
REFUSED = Failure(FailureStage.INPUT, "content_policy_violation", "No.", retryable=False)
CHARGED = replace(REFUSED, stage=FailureStage.OUTPUT, charged=True)
MODEL = VideoModel("m", ("1280x720",), (8,), "1280x720", 8, 100, ("text",), tuple(VideoKind), Audio.OPTIONAL)


def plan(seconds: int = 8, width: int = 1280, height: int = 720, audio: bool | None = None) -> Plan:
    return Plan(Deployment("d", "public", "fake", "m"), MODEL, seconds, width, height, audio, None)


def draft(**members: Any) -> VideoDraft:
    return VideoDraft("a boat", **members)


def video(**members: Any) -> Video:
    values: dict[str, Any] = {
        "id": "video_1", "owner_id": "o", "model": "public", "deployment": "d", "account": "fake", "provider": "fake",
        "provider_model": "m", "kind": "create", "phase": VideoPhase.RENDERING, "prompt": "a boat", "seconds": 8,
        "width": 1280, "height": 720, "seq": 3, "created_at": NOW, "deadline_at": NOW, "estimate_usd": 3.2,
    }  # fmt: skip
    return Video(**{**values, **members})


def output(seconds: float = 8.0, width: int = 1280, height: int = 720, *, has_audio: bool = True) -> VideoOutput:
    return VideoOutput(seconds, width, height, 1000, has_audio=has_audio)


def status(cost_usd: float | None = None) -> JobStatus:
    return JobStatus(JobState.SUCCEEDED, cost_usd=cost_usd)


def lines(bill: Bill) -> list[tuple[str, float, str]]:
    assert all(line.type == "cost" for line in bill.lines)
    return [(line.payload["kind"], line.payload["usd"], line.payload["reason"]) for line in bill.lines]


@pytest.mark.parametrize(
    ("planned", "asked", "usd"),
    [
        (plan(), draft(), 3.2),
        (plan(audio=False), draft(), 1.6),
        (plan(width=3840, height=2160), draft(), 4.8),
        (plan(), draft(image_file_id="file-1"), 3.21),
        (replace(plan(), source_seconds=20.0), draft(kind=VideoKind.EDIT, source_file_id="file-1"), 4.2),
    ],
)
def test_an_estimate_knows_length_size_sound_and_inputs(planned: Plan, asked: VideoDraft, usd: float) -> None:
    estimate = COSTS.estimate(planned, asked)
    assert estimate.usd == usd
    assert reserved(estimate)[0].payload == {"kind": "estimate", "usd": usd, "reason": "config_price"}
    assert reserved(estimate)[1].payload == {"kind": "held", "usd": usd, "reason": "created"}


def test_a_price_at_or_under_the_most_is_taken() -> None:
    assert COSTS.estimate(plan(), draft(max_cost_usd=3.2)).usd == 3.2


def test_a_price_above_the_most_is_refused_with_the_price() -> None:
    with pytest.raises(InvalidField, match=r"about 3\.2 US dollars") as refused:
        COSTS.estimate(plan(), draft(max_cost_usd=3.19))
    assert (refused.value.param, refused.value.code) == ("max_cost", "max_cost_exceeded")
    assert refused.value.metadata == {"estimate_usd": "3.2", "max_cost_usd": "3.19"}


def test_a_most_cannot_be_kept_without_a_price() -> None:
    with pytest.raises(InvalidField, match="'output_cost_per_second' in the model's 'model_info'") as refused:
        NO_PRICE.estimate(plan(), draft(max_cost_usd=100))
    assert (refused.value.param, refused.value.code) == ("max_cost", "price_unknown")
    assert NO_PRICE.estimate(plan(), draft()) == Estimate(None, None)


def test_what_costs_nothing_or_has_no_price_makes_no_lines() -> None:
    free = Costs(Prices({"d": OwnRates(rates_in({"output_cost_per_second": 0}))}, {}))
    assert free.estimate(plan(), draft(max_cost_usd=0.01)).usd == 0
    assert reserved(free.estimate(plan(), draft())) == reserved(Estimate(None, None)) == ()
    assert NO_PRICE.delivered(video(estimate_usd=None), status(), output()) == UNSETTLED


def test_the_providers_own_figure_goes_before_the_price() -> None:
    bill = COSTS.delivered(video(), status(2.75), output())
    assert bill.changes == {"cost_usd": 2.75, "cost_source": "provider"}
    assert lines(bill) == [("charged", 2.75, "provider_figure"), ("released", 0.45, "below_estimate")]
    assert NO_PRICE.delivered(video(estimate_usd=None), status(0.5), output()).changes["cost_usd"] == 0.5


@pytest.mark.parametrize("figure", [-1.0, math.nan, math.inf])
def test_a_figure_that_is_no_amount_is_not_believed(figure: float) -> None:
    assert COSTS.delivered(video(), status(figure), output()).changes == {"cost_usd": 3.2, "cost_source": "config"}


@pytest.mark.parametrize(
    ("made", "usd"),
    [
        (output(), 3.2),
        (output(4.96), 1.984),
        (output(has_audio=False), 1.6),
        (output(width=3840, height=2160), 4.8),
        (output(12.0), 4.8),
    ],
)
def test_what_was_made_is_charged_by_what_is_in_the_file(made: VideoOutput, usd: float) -> None:
    bill = COSTS.delivered(video(), status(), made)
    assert bill.changes == {"cost_usd": usd, "cost_source": "config"}
    assert lines(bill)[0] == ("charged", usd, "measured_seconds")


def test_an_extension_pays_for_what_it_adds_and_not_for_its_source_again() -> None:
    # The file holds eight seconds of before and the seven that were asked for.
    extension = video(kind="extend", seconds=7, estimate_usd=3.15)
    assert COSTS.delivered(extension, status(), output(15.0)).changes["cost_usd"] == 3.15
    assert COSTS.delivered(extension, status(), output(6.0)).changes["cost_usd"] == 2.75


def test_a_failure_costs_nothing_and_gives_back_what_was_held() -> None:
    bill = COSTS.ended(video(), REFUSED)
    assert bill.changes == {"cost_usd": 0.0, "cost_source": None}
    assert lines(bill) == [("released", 3.2, "not_charged")]
    assert COSTS.ended(video(), REFUSED, status(9.0)).changes["cost_usd"] == 0.0


def test_a_failure_that_the_provider_charges_for_costs_its_figure_or_the_estimate() -> None:
    assert COSTS.ended(video(), CHARGED, status(1.0)).changes == {"cost_usd": 1.0, "cost_source": "provider"}
    bill = COSTS.ended(video(), CHARGED)
    assert bill.changes == {"cost_usd": 3.2, "cost_source": "config"}
    assert lines(bill) == [("charged", 3.2, "charged_without_a_video")]


def test_a_price_that_is_gone_by_the_end_leaves_the_estimate() -> None:
    assert NO_PRICE.delivered(video(), status(), output()).changes["cost_usd"] == 3.2


amounts = st.none() | st.floats(0, 1000).map(lambda usd: round(usd, 6))


@given(
    estimate=amounts,
    figure=amounts,
    seconds=st.floats(0.04, 600),
    audio=st.booleans(),
    kind=st.sampled_from(VideoKind),
    made=st.booleans(),
    charged=st.booleans(),
)
def test_what_was_held_is_charged_or_released_to_the_last_cent(
    estimate: float | None,
    figure: float | None,
    seconds: float,
    audio: bool,
    kind: VideoKind,
    made: bool,
    charged: bool,
) -> None:
    job = video(estimate_usd=estimate, kind=kind.value)
    if made:
        bill = COSTS.delivered(job, status(figure), output(seconds, has_audio=audio))
    else:
        bill = COSTS.ended(job, CHARGED if charged else REFUSED, status(figure))
    if bill == UNSETTLED:
        assert estimate is None
        return
    cost = bill.changes["cost_usd"]
    assert cost >= 0
    told = {line.payload["kind"]: line.payload["usd"] for line in bill.lines}
    assert told.get("charged", 0.0) == cost
    assert told.get("released", 0.0) == pytest.approx(max(0.0, (estimate or 0.0) - cost), abs=1e-6)
    assert set(told) <= {"charged", "released"}
    assert 0.0 not in told.values()
