"""The life-cycle of a batch: from any phase to an end, and from an end nowhere."""

from __future__ import annotations

import pytest

from mediagate.core.lifecycle import (
    BATCH_OVER,
    BATCH_TRANSITIONS,
    BatchEvent,
    BatchPhase,
    ImpossibleTransition,
    advance,
    batch_status_of,
)

OPENAI = {"validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"}


def reachable(phase: BatchPhase) -> set[BatchPhase]:
    found, todo = {phase}, [phase]
    while todo:
        here = todo.pop()
        following = {after for (before, _), after in BATCH_TRANSITIONS.items() if before is here} - found
        found |= following
        todo += following
    return found


@pytest.mark.parametrize("phase", BatchPhase)
def test_every_phase_has_a_word_and_leads_to_an_end(phase: BatchPhase) -> None:
    assert batch_status_of(phase) in OPENAI
    assert reachable(phase) & BATCH_OVER
    assert phase in reachable(BatchPhase.VALIDATING)


@pytest.mark.parametrize("phase", sorted(BATCH_OVER))
@pytest.mark.parametrize("event", BatchEvent)
def test_an_end_is_an_end(phase: BatchPhase, event: BatchEvent) -> None:
    with pytest.raises(ImpossibleTransition):
        advance(BATCH_TRANSITIONS, phase, event)


def test_nothing_is_submitted_once_it_shall_stop() -> None:
    for event in (BatchEvent.SUBMIT_STARTED, BatchEvent.DEFERRED, BatchEvent.PREPARED):
        assert (BatchPhase.CANCELLING, event) not in BATCH_TRANSITIONS
