"""A video has one face: what an event stream prints of it is what the edge prints of the message."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from mediagate.api import convert
from mediagate.core.lifecycle import OVER, VideoPhase
from mediagate.core.objects import Video, VideoEvent
from mediagate.videos.feed import FeedItem

TIME = datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
times = st.one_of(st.none(), st.integers(0, 10**8).map(lambda seconds: TIME + timedelta(seconds=seconds)))
failures = st.one_of(
    st.none(),
    st.fixed_dictionaries(
        {"stage": texts, "code": texts, "message": texts, "retryable": st.booleans(), "charged": st.booleans()},
        optional={"field": texts},
    ),
)
etas = st.fixed_dictionaries(
    {
        "p50_seconds": st.integers(0, 9999),
        "p90_seconds": st.integers(0, 9999),
        "basis": st.just("history"),
        "samples": st.integers(20, 200),
        "overdue": st.booleans(),
    }
)
outputs = st.fixed_dictionaries(
    {
        "duration_seconds": st.sampled_from([1.0, 2.5, 0.041667, 6.96]),
        "width": st.integers(1, 4096),
        "height": st.integers(1, 4096),
        "bytes": st.integers(1, 2**40),
        "has_audio": st.booleans(),
    }
)
holds = st.fixed_dictionaries(
    {
        "reason": st.sampled_from(["provider_limit", "provider_busy"]),
        "position": st.integers(1, 99),
        "of": st.integers(1, 99),
    }
)
amounts = st.sampled_from([None, 0.0, 0.4, 1.0, 3.2])
videos: st.SearchStrategy[Video] = st.builds(
    Video,
    id=st.just("video_1"),
    owner_id=st.just("o"),
    model=texts,
    deployment=texts,
    provider=texts,
    provider_model=texts,
    kind=st.sampled_from(["create", "remix"]),
    phase=st.sampled_from(VideoPhase),
    prompt=texts,
    seconds=st.integers(1, 999),
    width=st.integers(1, 4096),
    height=st.integers(1, 4096),
    seq=st.integers(1, 10**6),
    created_at=st.just(TIME),
    deadline_at=st.just(TIME),
    progress=st.integers(0, 100),
    progress_source=st.sampled_from([None, "reported", "estimated"]),
    position=st.one_of(st.none(), st.integers(1, 99)),
    eta=st.one_of(st.none(), etas),
    completed_at=times,
    expires_at=times,
    cancel_requested_at=times,
    cancellation=st.sampled_from([None, {"stopped": "provider", "charged": True}]),
    source_video_id=st.sampled_from([None, "video_2"]),
    failure=failures,
    output=st.one_of(st.none(), outputs),
    end_user=st.one_of(st.none(), texts),
    start_by=times,
    cancel_at=times,
    hold=st.one_of(st.none(), holds),
    estimate_usd=amounts,
    cost_usd=amounts,
    cost_source=st.sampled_from([None, "provider", "table"]),
)


def as_edge(message: Any) -> Any:
    """The message as Envoy prints it."""
    tree = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return json.loads(json.dumps(tree))


@given(videos)
def test_an_event_shows_the_video_as_the_edge_does(video: Video) -> None:
    assert json.loads(json.dumps(convert.video_to_json(video))) == as_edge(convert.video_to_proto(video))


@given(videos)
def test_whole_numbers_have_no_fraction_in_an_event(video: Video) -> None:
    shown = json.dumps(convert.video_to_json(video).get("mediagate", {}).get("output", {}))
    assert ".0," not in shown
    assert ".0}" not in shown


@given(videos)
def test_pollers_stop_exactly_at_the_end(video: Video) -> None:
    assert convert.is_finished(video) == (video.phase in OVER)
    assert convert.is_finished(video) == (convert.video_to_json(video)["status"] in ("completed", "failed"))


@given(videos, st.sampled_from(["phase", "progress", "attempt", "output"]))
def test_an_event_says_the_same_by_sse_and_by_grpc(video: Video, kind: str) -> None:
    payloads = {
        "phase": {"from": "held", "to": "submitting", "status": "queued", "position": 3},
        "progress": {"percent": 7, "source": "reported", "eta": video.eta}
        if video.eta
        else {"percent": 0, "source": "x"},
        "attempt": {"number": 1, "provider": "local"},
        "output": video.output or {"duration_seconds": 1.0, "width": 1, "height": 1, "bytes": 1, "has_audio": False},
    }
    item = FeedItem(VideoEvent("video_1", 5, TIME, kind, payloads[kind]))
    lines = convert.event_to_sse(item).decode().split("\n")
    assert lines[:2] == ["id: 5", f"event: {kind}"]
    assert lines[3:] == ["", ""]
    assert json.loads(lines[2].removeprefix("data: ")) == as_edge(convert.event_to_proto(item))


@given(texts)
def test_no_text_breaks_the_lines_of_a_stream(prompt: str) -> None:
    video = Video(
        **dict.fromkeys(
            ("id", "owner_id", "model", "deployment", "account", "provider", "provider_model", "kind"), "x"
        ),
        phase=VideoPhase.HELD,
        prompt=prompt,
        seconds=1,
        width=1,
        height=1,
        seq=1,
        created_at=TIME,
        deadline_at=TIME,
    )
    text = convert.event_to_sse(FeedItem(VideoEvent("x", 1, TIME, "snapshot"), video)).decode()
    assert text.count("\n") == 4
    assert "\r" not in text
    assert text.endswith("\n\n")
