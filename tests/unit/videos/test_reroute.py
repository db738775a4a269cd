"""A video moves on while surely nobody has taken it, and never otherwise: what is made twice would be found here."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from mediagate.core.access import Policy, Scope, ScopeKind
from mediagate.core.errors import InvalidField, PermissionDenied, Unavailable
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Principal, Video
from mediagate.pricing.prices import OwnRates, Prices
from mediagate.pricing.rates import rates_in
from mediagate.providers.base import (
    Failure,
    FailureStage,
    FateUnknown,
    InputBusy,
    ProviderBusy,
    SubmitRefused,
    VideoKind,
)
from mediagate.routing.router import Router
from mediagate.routing.rules import RoutingRules, Strategy
from mediagate.routing.strategies import Candidate
from mediagate.store.database import Database
from mediagate.videos.start_video import VideoDraft
from tests.unit.videos.world import DONE, OWNER, Other, Script, World, script

REFUSED = Failure(FailureStage.GATEWAY, "provider_credentials_refused", "No.", retryable=False)
NOT_THERE = Failure(FailureStage.PROVIDER, "provider_not_found", "No.", retryable=False)
POLICY = Failure(FailureStage.INPUT, "content_policy_violation", "No.", retryable=False)
POLICY_OF_PROVIDER = Failure(FailureStage.PROVIDER, "content_policy_violation", "No.", retryable=False)
INVALID = Failure(FailureStage.INPUT, "provider_rejected_request", "No.", retryable=False)
# The first of these is asked first, whatever the others are worth.
FIRST, SECOND, THIRD = ({"order": number} for number in (1, 2, 3))


def ready(**answers: Any) -> Script:
    return script(polls=[DONE], **answers)


def refusing(failure: Failure) -> Script:
    return script(submits=[SubmitRefused(failure)])


def cannot_connect() -> ProviderBusy:
    busy = ProviderBusy("nobody there")
    busy.__cause__ = Unavailable("nobody there")
    return busy


Make = Callable[..., World]


@pytest.fixture
def crossing(db: Database) -> Make:
    """Makes a world with several deployments: the first is asked first, and so on."""

    def make(*providers: Script, groups: Sequence[str] = (), own: Sequence[dict[str, Any]] = (), **more: Any) -> World:
        names = [*groups, *["m"] * (len(providers) - len(groups))]
        members = own or [FIRST, SECOND, THIRD][: len(providers)]
        others = [Other(*each) for each in zip(providers, names, members, strict=True)]
        return World(db, providers[0], others=others, **more)

    return make


def submits(w: World) -> list[int]:
    """How often each deployment was asked."""
    return [provider.calls.count("submit") for provider in w.scripts.values()]


async def attempts(w: World, video: Video) -> list[dict[str, Any]]:
    return [dict(event.payload) for event in await w.events(video) if event.type == "attempt"]


class TestMoves:
    @pytest.mark.parametrize("failure", [REFUSED, NOT_THERE], ids=lambda failure: failure.code)
    async def test_after_a_refusal_that_is_not_about_the_request(self, crossing: Make, failure: Failure) -> None:
        w = crossing(refusing(failure), ready())
        first, second = w.deployments
        video = await w.track(await w.ask())
        assert (video.phase, video.deployment, video.account) == (VideoPhase.READY, second.id, second.model_account)
        assert (video.provider, video.model) == (second.provider, "m")
        assert submits(w) == [1, 1]
        assert await attempts(w, video) == [
            {"number": 1, "provider": "fake", "deployment": first.id},
            {
                "number": 2,
                "provider": "fake-1",
                "deployment": second.id,
                "moved_from": first.id,
                "reason": failure.code,
            },
            {"number": 2, "provider": "fake-1", "deployment": second.id},
        ]
        assert await w.phases(video) == [
            *("held", "submitting", "held", "submitting", "provider_queued", "archiving", "ready")
        ]

    @pytest.mark.parametrize(
        ("busy", "why"),
        [(ProviderBusy("full", 30), "provider_busy"), (cannot_connect(), "provider_unreachable")],
        ids=["busy", "unreachable"],
    )
    async def test_from_a_provider_that_takes_nothing(self, crossing: Make, busy: ProviderBusy, why: str) -> None:
        w = crossing(script(submits=[busy]), ready())
        video = await w.track(await w.ask())
        assert video.deployment == w.deployments[1].id
        assert [one.get("reason") for one in await attempts(w, video)] == [None, why, None]
        assert submits(w) == [1, 1]

    async def test_to_a_fallback_when_the_group_has_nobody_left(self, crossing: Make) -> None:
        rules = RoutingRules(fallbacks={"m": ("gone", "other")})
        w = crossing(refusing(REFUSED), refusing(REFUSED), ready(), groups=("m", "m", "other"), rules=rules)
        video = await w.track(await w.ask())
        assert (video.phase, video.deployment, video.model) == (VideoPhase.READY, w.deployments[2].id, "m")
        assert submits(w) == [1, 1, 1]

    async def test_no_further_in_a_group_than_the_retries_allow(self, crossing: Make) -> None:
        rules = RoutingRules(num_retries=0, fallbacks={"m": ("other",)})
        w = crossing(refusing(REFUSED), ready(), ready(), groups=("m", "m", "other"), rules=rules)
        assert (await w.track(await w.ask())).deployment == w.deployments[2].id
        alone = crossing(refusing(REFUSED), ready(), rules=RoutingRules(num_retries=0))
        assert (await alone.track(await alone.ask())).phase is VideoPhase.FAILED

    async def test_until_everybody_has_refused(self, crossing: Make) -> None:
        w = crossing(refusing(REFUSED), refusing(NOT_THERE))
        video = await w.track(await w.ask())
        assert video.phase is VideoPhase.FAILED
        assert video.failure is not None
        assert video.failure["code"] == "provider_not_found"
        assert submits(w) == [1, 1]

    async def test_a_deployment_that_was_busy_is_there_for_a_second_round(self, crossing: Make) -> None:
        w = crossing(
            ready(submits=[ProviderBusy("full"), "job"]), refusing(REFUSED), rules=RoutingRules(cooldown_s=0.05)
        )
        video = await w.track(await w.ask())
        assert (video.phase, video.deployment) == (VideoPhase.READY, w.deployments[0].id)

    async def test_a_cooling_deployment_is_passed_over_without_being_asked(self, crossing: Make) -> None:
        w = crossing(ready(), ready())
        video = await w.ask()
        assert video.deployment == w.deployments[0].id
        await w.router.failed(w.deployments[0].id, "test", at_once=True)
        moved = await w.track(video)
        assert moved.deployment == w.deployments[1].id
        assert submits(w) == [0, 1]
        # A new one goes there at once.
        assert (await w.ask()).deployment == w.deployments[1].id

    async def test_one_that_is_full_is_passed_over(self, crossing: Make) -> None:
        w = crossing(ready(), ready(), own=[{**FIRST, "parallel_max": 1}, SECOND])
        found = [(await w.ask()).deployment for _ in range(3)]
        assert found == [w.deployments[number].id for number in (0, 1, 1)]

    async def test_one_whose_minute_is_used_up_is_passed_over(self, crossing: Make) -> None:
        w = crossing(ready(), ready(), own=[{**FIRST, "rpm": 2}, SECOND])
        for _ in range(2):
            assert (await w.track(await w.ask())).deployment == w.deployments[0].id
        w.router.forget()
        assert (await w.ask()).deployment == w.deployments[1].id

    async def test_a_limit_for_a_minute_holds_where_nobody_else_can(self, crossing: Make) -> None:
        w = crossing(ready(), own=[{"rpm": 2}])
        videos = [await w.ask() for _ in range(3)]
        tracking = [asyncio.create_task(w.track(video)) for video in videos]
        async with asyncio.timeout(30):
            while [task.done() for task in tracking].count(True) < 2:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
        assert submits(w) == [2]
        held = [video for video in [await w.now(video) for video in videos] if video.phase is VideoPhase.HELD]
        assert [video.hold and video.hold["reason"] for video in held] == ["rate"]
        for task in tracking:
            task.cancel()

    async def test_a_line_is_left_for_a_deployment_with_room(self, crossing: Make) -> None:
        w = crossing(ready(), ready(), own=[{**FIRST, "parallel_max": 1}, SECOND])
        stuck = asyncio.Event()

        async def wait() -> str:
            await stuck.wait()
            return "job"

        w.provider.submits = [wait]
        first = await w.ask()
        tracking = asyncio.create_task(w.track(first))
        await w.until(first, VideoPhase.SUBMITTING)
        # Planned as if the first had room.
        w.router.forget()
        w.router.rules = RoutingRules()
        second = await w.start.run(OWNER, VideoDraft("a boat"))
        assert (await w.track(second)).deployment == w.deployments[1].id
        stuck.set()
        await tracking


class TestStays:
    @pytest.mark.parametrize("failure", [POLICY, POLICY_OF_PROVIDER, INVALID], ids=lambda failure: failure.stage)
    async def test_what_is_wrong_everywhere_fails(self, crossing: Make, failure: Failure) -> None:
        w = crossing(refusing(failure), ready())
        video = await w.track(await w.ask())
        assert video.failure is not None
        assert video.failure["code"] == failure.code
        assert submits(w) == [1, 0]
        assert not await w.router.is_cooling(w.deployments[0].id)

    @pytest.mark.parametrize("trouble", [FateUnknown("?"), RuntimeError("bug"), TimeoutError(), OSError()], ids=repr)
    async def test_an_ambiguous_submit_stays_where_it_is(self, crossing: Make, trouble: Exception) -> None:
        w = crossing(script(submits=[trouble]), ready(), rules=RoutingRules(allowed_fails=0))
        video = await w.ask()
        tracking = asyncio.create_task(w.track(video))
        await w.until(video, VideoPhase.FATE_UNKNOWN)
        await asyncio.sleep(0.1)
        assert submits(w) == [1, 0]
        # Others are better off elsewhere meanwhile.
        assert (await w.ask()).deployment == w.deployments[1].id
        w.clock.forward(101)
        over = await tracking
        assert (over.phase, over.deployment) == (VideoPhase.FAILED, w.deployments[0].id)
        assert submits(w) == [1, 0]

    async def test_an_idempotent_submit_is_repeated_there_and_not_elsewhere(self, crossing: Make) -> None:
        answers = [FateUnknown("?"), SubmitRefused(REFUSED), ProviderBusy("x"), "job"]
        w = crossing(script(idempotent=True, submits=answers, polls=[DONE]), ready())
        video = await w.track(await w.ask())
        assert (video.phase, video.deployment) == (VideoPhase.READY, w.deployments[0].id)
        assert submits(w) == [4, 0]

    async def test_what_is_made_of_another_video_stays_with_its_account(self, crossing: Make) -> None:
        w = crossing(ready(submits=["job", SubmitRefused(REFUSED)]), ready())
        source = await w.track(await w.ask())
        await w.router.failed(w.deployments[0].id, "test", at_once=True)
        remix = await w.start.run(OWNER, VideoDraft("x", kind=VideoKind.REMIX, source_video_id=source.id))
        assert (remix.deployment, remix.route) == (w.deployments[0].id, None)
        assert (await w.track(remix)).phase is VideoPhase.FAILED
        assert submits(w) == [2, 0]

    async def test_what_a_fallback_made_is_remixed_there(self, crossing: Make) -> None:
        rules = RoutingRules(fallbacks={"m": ("other",)})
        w = crossing(refusing(REFUSED), ready(), groups=("m", "other"), rules=rules)
        source = await w.track(await w.ask())
        remix = await w.start.run(OWNER, VideoDraft("x", kind=VideoKind.REMIX, source_video_id=source.id))
        assert (remix.deployment, remix.model) == (w.deployments[1].id, "m")

    async def test_an_input_that_cannot_be_read_is_no_fault_of_the_provider(self, crossing: Make) -> None:
        w = crossing(ready(submits=[InputBusy("disk"), "job"]), ready())
        video = await w.track(await w.ask())
        assert video.deployment == w.deployments[0].id
        assert not (await w.router.standings()).get(w.deployments[0].id)

    async def test_a_cancel_beats_a_move(self, crossing: Make) -> None:
        async def meanwhile() -> str:
            await w.ask_to_cancel(video)
            raise SubmitRefused(REFUSED)

        w = crossing(script(submits=[meanwhile]), ready())
        video = await w.ask()
        over = await w.track(video)
        assert (over.phase, over.cancellation) == (
            VideoPhase.CANCELLED,
            {"stopped": "provider", "charged": False, "cost_usd": 0},
        )
        assert submits(w) == [1, 0]

    async def test_members_for_one_provider_are_not_sent_to_another(self, crossing: Make) -> None:
        w = crossing(refusing(REFUSED), ready())
        video = await w.track(await w.ask(extra={"negative_prompt": "rain"}))
        assert video.phase is VideoPhase.FAILED
        assert submits(w) == [1, 0]

    async def test_who_may_not_use_a_fallback_does_not_go_there(self, crossing: Make) -> None:
        rules = RoutingRules(fallbacks={"m": ("other",)})
        for policy in (Policy(models=("m",)), Policy(providers=("fake",))):
            w = crossing(refusing(REFUSED), ready(), groups=("m", "other"), rules=rules)
            who = Principal("owner", scopes=(Scope(ScopeKind.KEY, "k", policy),))
            assert (await w.track(await w.ask(who))).phase is VideoPhase.FAILED
            assert submits(w) == [1, 0]

    async def test_a_provider_that_is_not_allowed_is_passed_over(self, crossing: Make) -> None:
        w = crossing(ready(), ready())
        who = Principal("owner", scopes=(Scope(ScopeKind.KEY, "k", Policy(providers=("fake-1",))),))
        video = await w.ask(who)
        assert (video.deployment, video.route) == (w.deployments[1].id, None)
        nobody = Principal("owner", scopes=(Scope(ScopeKind.KEY, "k", Policy(providers=("x",))),))
        with pytest.raises(PermissionDenied):
            await w.ask(nobody)


class TestMoney:
    async def test_the_price_is_that_of_the_deployment(self, crossing: Make) -> None:
        w = crossing(refusing(REFUSED), ready())
        priced(w, 0.4, 0.1)
        video = await w.ask()
        assert video.estimate_usd == pytest.approx(0.8)
        video = await w.track(video)
        assert (video.estimate_usd, video.cost_usd) == (pytest.approx(0.2), pytest.approx(0.2))
        assert await lines(w, video) == [
            ("estimate", 0.8, "config_price"),
            ("held", 0.8, "created"),
            ("estimate", 0.2, "config_price"),
            ("released", 0.6, "rerouted"),
            ("charged", 0.2, "measured_seconds"),
        ]

    async def test_a_dearer_one_holds_more_up_to_the_callers_most(self, crossing: Make) -> None:
        w = crossing(refusing(REFUSED), ready())
        priced(w, 0.1, 0.4)
        video = await w.track(await w.ask(max_cost_usd=0.8))
        assert ("held", 0.6, "rerouted") in await lines(w, video)
        poor = crossing(refusing(REFUSED), ready())
        priced(poor, 0.1, 0.4)
        over = await poor.track(await poor.ask(max_cost_usd=0.7))
        assert (over.phase, over.cost_usd) == (VideoPhase.FAILED, 0)
        assert submits(poor) == [1, 0]

    async def test_one_that_is_too_dear_is_passed_over_from_the_start(self, crossing: Make) -> None:
        w = crossing(ready(), ready())
        priced(w, 0.4, 0.1)
        assert (await w.ask(max_cost_usd=0.5)).deployment == w.deployments[1].id
        with pytest.raises(InvalidField):
            await w.ask(max_cost_usd=0.1)

    async def test_the_cheapest_is_chosen_where_that_is_the_strategy(self, crossing: Make) -> None:
        w = crossing(ready(), ready(), ready(), own=[{}, {}, {}], rules=RoutingRules(Strategy.LOWEST_COST))
        priced(w, 0.4, 0.1, 0.2)
        video = await w.ask()
        assert video.deployment == w.deployments[1].id
        w.scripts[w.deployments[1].id].submits = [ProviderBusy("full", 30)]
        assert (await w.track(video)).deployment == w.deployments[2].id


def priced(w: World, *usd: float) -> None:
    own = {
        found.id: OwnRates(rates_in({"output_cost_per_second": price}))
        for found, price in zip(w.deployments, usd, strict=True)
    }
    object.__setattr__(w.costs, "prices", Prices(own, {}))


async def lines(w: World, video: Video) -> list[tuple[str, float, str]]:
    return [
        (event.payload["kind"], round(event.payload["usd"], 6), event.payload["reason"])
        for event in await w.events(video)
        if event.type == "cost"
    ]


async def test_the_least_busy_gets_the_next(crossing: Make) -> None:
    w = crossing(ready(), ready(), ready(), own=[{}, {}, {}], rules=RoutingRules(Strategy.LEAST_BUSY))
    found = Counter([(await w.ask()).deployment for _ in range(9)])
    assert list(found.values()) == [3, 3, 3]


async def test_the_fastest_by_what_it_has_finished_gets_the_next(crossing: Make, db: Database) -> None:
    w = crossing(ready(), ready(), own=[{}, {}], rules=RoutingRules(Strategy.LATENCY))
    for deployment, took_s in zip(w.deployments, (90, 30), strict=True):
        for _ in range(3):
            video = await w.ask()
            async with db.transaction() as tx:
                await tx.connection.execute(
                    text(
                        "UPDATE video SET deployment = :d, completed_at = now(), ended_at = now(), phase = 'ready',"
                        " submit_started_at = now() - make_interval(secs => :took) WHERE id = :id"
                    ),
                    {"d": deployment.id, "took": took_s, "id": video.id},
                )
    knows = Router(db, w.catalog, w.router.rules)
    best, _ = await knows.order([Candidate(deployment) for deployment in w.deployments])
    assert [one.deployment for one in best] == [w.deployments[1], w.deployments[0]]
    # A second of video took as many seconds as the middle one of three took for two.
    assert [one.latency for one in best] == [pytest.approx(15), pytest.approx(45)]


async def test_another_process_hears_at_once_who_cools_down(crossing: Make, db: Database) -> None:
    w = crossing(ready(), ready())
    # Its time stands still, so that only what it hears makes it look again.
    other = Router(db, w.catalog, now=lambda: 0.0)
    listener = other.listener(db)
    await listener.start()
    try:
        first = w.deployments[0].id
        assert not await other.is_cooling(first)
        await w.router.failed(first, "test", at_once=True)
        async with asyncio.timeout(30):
            while not await other.is_cooling(first):
                await asyncio.sleep(0.01)
    finally:
        await listener.close()


async def test_failures_add_up_over_all_processes_and_a_success_forgets_them(crossing: Make, db: Database) -> None:
    w = crossing(ready(), ready(), rules=RoutingRules(allowed_fails=2))
    first, other = w.deployments[0].id, Router(db, w.catalog, RoutingRules(allowed_fails=2))
    await w.router.failed(first, "test", at_once=False)
    await other.failed(first, "test", at_once=False)
    assert not await w.router.is_cooling(first)
    await w.router.standings()
    await w.router.worked(first)
    for router in (w.router, other):
        router.forget()
        await router.failed(first, "test", at_once=False)
    assert not await w.router.is_cooling(first)
    await other.failed(first, "test", at_once=False)
    w.router.forget()
    assert await w.router.is_cooling(first)


async def test_what_a_busy_provider_is_asked_again_is_bounded(crossing: Make) -> None:
    """A tenth of what is asked, and the few that are free."""
    w = crossing(script(submits=[ProviderBusy("full", 0.001)]))
    budget = w.router.retries("m")
    while budget.ask_again():
        pass
    video = await w.ask()
    tracking = asyncio.create_task(w.track(video))
    await asyncio.sleep(2.5)
    # The first attempt is none; the second waits for the budget.
    assert submits(w) == [1]
    tracking.cancel()


OUTCOMES: dict[str, Callable[[], Any]] = {
    "taken": lambda: "job",
    "refused": lambda: SubmitRefused(REFUSED),
    "invalid": lambda: SubmitRefused(INVALID),
    "busy": lambda: ProviderBusy("full"),
    "away": cannot_connect,
    "unknown": lambda: FateUnknown("?"),
    "bug": lambda: RuntimeError("bug"),
}
MAY_HAVE_TAKEN = ("taken", "unknown", "bug")


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from(sorted(OUTCOMES)), min_size=1, max_size=3), min_size=2, max_size=3))
async def test_no_video_is_handed_over_again_once_somebody_may_have_it(crossing: Make, plans: list[list[str]]) -> None:
    """Whatever the providers say, in any order: at most one submit of a video may have been taken, and it is the
    last."""
    said: list[str] = []

    def telling(outcome: str) -> Any:
        async def answer() -> str:
            said.append(outcome)
            made = OUTCOMES[outcome]()
            if isinstance(made, BaseException):
                raise made
            return str(made)

        return answer

    # The last one of each ends it, so that nothing waits for ever.
    providers = [ready(submits=[telling(one) for one in (*plan, "taken")]) for plan in plans]
    w = crossing(*providers, rules=RoutingRules(cooldown_s=0.01, num_retries=9))
    video = await w.ask()
    tracking = asyncio.create_task(w.track(video))
    ends = (VideoPhase.READY, VideoPhase.FAILED, VideoPhase.FATE_UNKNOWN)
    async with asyncio.timeout(60):
        while (now := await w.now(video)).phase not in ends:
            await asyncio.sleep(0.005)
    if now.phase is VideoPhase.FATE_UNKNOWN:
        await asyncio.sleep(0.03)
        w.clock.forward(101)
    await tracking
    taken = [index for index, outcome in enumerate(said) if outcome in MAY_HAVE_TAKEN]
    assert taken in ([], [len(said) - 1])
