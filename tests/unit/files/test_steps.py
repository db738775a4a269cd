"""Steps go on where their caller is cancelled, and clean-ups wait for them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from mediagate.core.errors import InvalidRequest
from mediagate.files.steps import Steps


async def test_a_step_gives_its_result() -> None:
    async def work() -> int:
        return 4711

    assert await Steps().run(work()) == 4711


async def test_a_step_raises_what_it_raises() -> None:
    async def work() -> None:
        raise LookupError("x")

    with pytest.raises(LookupError):
        await Steps().run(work())


async def test_a_cancelled_caller_leaves_at_once_and_its_step_ends() -> None:
    steps, gate, done = Steps(), asyncio.Event(), []

    async def work() -> None:
        await gate.wait()
        done.append("work")

    async def clean() -> None:
        done.append("clean")

    caller = asyncio.create_task(steps.run(work()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert done == []
    cleaning = asyncio.create_task(steps.run(clean()))
    await asyncio.sleep(0.01)
    assert done == []
    gate.set()
    await cleaning
    assert done == ["work", "clean"]


async def test_a_step_behind_a_failed_one_runs() -> None:
    steps, gate = Steps(), asyncio.Event()

    async def fail() -> None:
        await gate.wait()
        raise LookupError("x")

    async def clean() -> str:
        return "clean"

    caller = asyncio.create_task(steps.run(fail()))
    await asyncio.sleep(0)
    caller.cancel()
    gate.set()
    assert await steps.run(clean()) == "clean"
    with pytest.raises(asyncio.CancelledError):
        await caller


async def test_a_clean_up_goes_on_though_it_is_cancelled_too() -> None:
    steps, gate, done = Steps(), asyncio.Event(), asyncio.Event()

    async def clean() -> None:
        await gate.wait()
        done.set()

    caller = asyncio.create_task(steps.run(clean()))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    gate.set()
    await asyncio.wait_for(done.wait(), 1)


@pytest.mark.parametrize(("failure", "noted"), [(LookupError("x"), True), (InvalidRequest("x"), False)])
async def test_a_fault_that_nobody_is_left_to_hear_of_is_noted(
    monkeypatch: pytest.MonkeyPatch, failure: Exception, noted: bool
) -> None:
    seen: list[object] = []
    monkeypatch.setattr("mediagate.files.steps.log", SimpleNamespace(error=lambda *_, exc_info: seen.append(exc_info)))
    steps, gate = Steps(), asyncio.Event()

    async def fail() -> None:
        await gate.wait()
        raise failure

    caller = asyncio.create_task(steps.run(fail()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    gate.set()
    await asyncio.sleep(0.01)
    assert seen == ([failure] if noted else [])
