"""Death of the server and of the worker while money is moved: the ledger is balanced, nothing is settled twice, no
budget is overdrawn, and in the end nothing is held."""

from __future__ import annotations

import concurrent.futures
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest

from mediagate.core.access import Policy
from tests.api.access_kit import Issued, add_holder, issue_key
from tests.api.money_kit import CONFIG, PRICE, ask, assert_balanced, budgets
from tests.api.wire import eventually, sql
from tests.conftest import Gateway

SEED = 31415
KILLS = ("api-0", "worker", "api-0", "worker")
THREADS = 4


def spend_all(gateway: Gateway, key: Issued, done: threading.Event) -> int:
    """Ask for videos until the budget is used up; deletes every third. Returns how many were answered."""
    made = 0
    with gateway.http() as http:
        while not done.is_set():
            with suppress(httpx.TransportError):
                reply = ask(http, key.headers)
                if reply.status_code == 429:
                    # What is released makes room again.
                    time.sleep(0.2)
                elif reply.status_code == 200:
                    made += 1
                    if made % 3 == 0:
                        http.delete(f"/v1/videos/{reply.json()['id']}", headers=key.headers)
                else:
                    assert reply.status_code in (500, 502, 503), reply.text
    return made


@pytest.mark.parametrize(
    ("kills", "videos"), [(KILLS[:2], 3), pytest.param(KILLS, 12, marks=pytest.mark.soak)], ids=["once", "twice"]
)
def test_the_ledger_is_balanced_whatever_is_killed(
    own_gateway: Callable[..., Gateway], kills: tuple[str, ...], videos: int
) -> None:
    gateway, budget = own_gateway(CONFIG), videos * PRICE
    team = add_holder(gateway, "team", "mortals", Policy(max_budget_usd=budget, budget_period="3650d"))
    keys = [issue_key(gateway, team_id=team) for _ in range(THREADS)]
    rng, done = random.Random(SEED), threading.Event()
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(spend_all, gateway, key, done) for key in keys]
        for victim in kills:
            gateway.wait_ready()
            time.sleep(rng.uniform(0.3, 1.5))
            gateway.kill(victim)
            assert_balanced(gateway)
        gateway.wait_ready()
        with gateway.http() as http:

            def is_used_up() -> bool:
                return bool(budgets(http, keys[0].headers)["team"]["remaining"] == 0)

            eventually(is_used_up, "the budget is used up", 120)
        done.set()
        assert sum(one.result() for one in running) > 0
    with gateway.http() as http:
        eventually(lambda: budgets(http, keys[0].headers)["team"]["reserved"] == 0, "nothing is held", 180)
        used = budgets(http, keys[0].headers)["team"]
    assert used["spend"] <= budget
    assert_balanced(gateway)
    states = Counter(state for (state,) in sql(gateway, "SELECT state FROM spend"))
    assert states["charged"] * PRICE == used["spend"]
    assert states["reserved"] == 0
    # Each video that has ended has a bill that says the same.
    assert (
        sql(
            gateway,
            "SELECT video.id, cost_usd, charged_usd FROM video LEFT JOIN spend ON spend.ref = video.id"
            " WHERE ended_at IS NOT NULL AND cost_usd IS DISTINCT FROM charged_usd::float",
        )
        == []
    )
