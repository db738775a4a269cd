from __future__ import annotations

import itertools
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.errors import MediagateError
from mediagate.core.lifecycle import (
    FILE_TRANSITIONS,
    OVER,
    REPLICA_TRANSITIONS,
    UPLOAD_TRANSITIONS,
    VIDEO_TRANSITIONS,
    FileEvent,
    FileState,
    ImpossibleTransition,
    PhaseEvent,
    ReplicaEvent,
    ReplicaState,
    UploadEvent,
    UploadState,
    VideoPhase,
    VideoStatus,
    advance,
    status_of,
)

Table = Mapping[tuple[Any, Any], Any]
LIFECYCLES: list[tuple[Table, type[StrEnum], type[StrEnum], StrEnum, set[StrEnum]]] = [
    (FILE_TRANSITIONS, FileState, FileEvent, FileState.RECEIVING, {FileState.DISCARDED, FileState.DELETED}),
    (REPLICA_TRANSITIONS, ReplicaState, ReplicaEvent, ReplicaState.WRITING, {ReplicaState.DELETED}),
    (
        UPLOAD_TRANSITIONS,
        UploadState,
        UploadEvent,
        UploadState.PENDING,
        {UploadState.COMPLETED, UploadState.CANCELLED, UploadState.EXPIRED},
    ),
    (
        VIDEO_TRANSITIONS,
        VideoPhase,
        PhaseEvent,
        VideoPhase.HELD,
        {VideoPhase.FAILED, VideoPhase.CANCELLED, VideoPhase.EXPIRED},
    ),
]


@pytest.mark.parametrize(("table", "states", "events", "first", "final"), LIFECYCLES)
def test_every_pair_follows_the_table_or_is_impossible(
    table: Table, states: type[StrEnum], events: type[StrEnum], first: StrEnum, final: set[StrEnum]
) -> None:
    for state, event in itertools.product(states, events):
        if (state, event) in table:
            assert advance(table, state, event) in states
        else:
            with pytest.raises(ImpossibleTransition, match=f"{state} cannot meet {event}") as caught:
                advance(table, state, event)
            assert (caught.value.state, caught.value.event) == (state, event)
            assert not isinstance(caught.value, MediagateError)


@pytest.mark.parametrize(("table", "states", "events", "first", "final"), LIFECYCLES)
def test_every_state_and_event_is_used_and_every_end_can_be_reached_from_everywhere_before_it(
    table: Table, states: type[StrEnum], events: type[StrEnum], first: StrEnum, final: set[StrEnum]
) -> None:
    assert {event for _, event in table} == set(events)
    assert {state for state, _ in table} == set(states) - final
    reached = {first}
    while more := {after for (state, _), after in table.items() if state in reached} - reached:
        reached |= more
    assert reached == set(states)
    ending = set(final)
    while more := {state for (state, _), after in table.items() if after in ending} - ending:
        ending |= more
    assert ending == set(states)


def test_a_video_that_is_over_is_over() -> None:
    for phase, event in itertools.product(OVER, PhaseEvent):
        after = VIDEO_TRANSITIONS.get((phase, event))
        assert after is (VideoPhase.EXPIRED if (phase, event) == (VideoPhase.READY, PhaseEvent.EXPIRED) else None)


@given(st.lists(st.sampled_from(PhaseEvent), max_size=30))
def test_nothing_but_verified_bytes_makes_a_video_ready_and_no_silence_makes_a_verdict(
    events: list[PhaseEvent],
) -> None:
    phase = VideoPhase.HELD
    for event in events:
        try:
            after = advance(VIDEO_TRANSITIONS, phase, event)
        except ImpossibleTransition:
            continue
        if after is VideoPhase.READY:
            assert event is PhaseEvent.VERIFIED
        if phase is not VideoPhase.HELD and event in {PhaseEvent.LOST_CONTACT, PhaseEvent.DEADLINE_PASSED}:
            assert after in {VideoPhase.FATE_UNKNOWN, VideoPhase.ARCHIVING}
        phase = after


@pytest.mark.parametrize(
    "after",
    [
        VideoPhase.PROVIDER_QUEUED,
        VideoPhase.RENDERING,
        VideoPhase.FINALIZING,
        VideoPhase.ARCHIVING,
        VideoPhase.READY,
        VideoPhase.FAILED,
        VideoPhase.CANCELLED,
    ],
)
def test_an_unknown_fate_can_still_turn_out_any_way(after: VideoPhase) -> None:
    assert after in {VIDEO_TRANSITIONS.get((VideoPhase.FATE_UNKNOWN, event)) for event in PhaseEvent}


def test_every_phase_has_one_of_the_four_words() -> None:
    words = {phase: status_of(phase) for phase in VideoPhase}
    assert set(words.values()) == set(VideoStatus)
    assert [str(word) for word in VideoStatus] == ["queued", "in_progress", "completed", "failed"]
    assert words[VideoPhase.FATE_UNKNOWN] is VideoStatus.IN_PROGRESS
    assert words[VideoPhase.CANCELLED] is VideoStatus.FAILED
    assert words[VideoPhase.EXPIRED] is VideoStatus.COMPLETED
    assert {phase for phase, word in words.items() if word in {VideoStatus.COMPLETED, VideoStatus.FAILED}} == OVER


def test_a_complete_that_finds_its_parts_wanting_can_be_tried_again() -> None:
    state = UploadState.PENDING
    for event in (UploadEvent.COMPLETE_REQUESTED, UploadEvent.PARTS_REFUSED, UploadEvent.COMPLETE_REQUESTED):
        state = advance(UPLOAD_TRANSITIONS, state, event)
    assert advance(UPLOAD_TRANSITIONS, state, UploadEvent.BYTES_VERIFIED) is UploadState.COMPLETED
