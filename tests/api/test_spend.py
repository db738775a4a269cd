"""Budgets and spend through the gateway: refusals before anything is sent, and what the ledger says afterwards."""

from __future__ import annotations

import concurrent.futures
import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import grpc
import httpx
import openai
import pytest
from playwright.sync_api import Browser, expect

from mediagate._gen.mediagate.v1 import spend_pb2, spend_pb2_grpc
from mediagate.core.access import Policy
from tests.api.access_kit import Issued, add_holder, issue_key
from tests.api.money_kit import CONFIG, DEAR, PRICE, ask, assert_balanced, budgets
from tests.api.videos_kit import finished
from tests.api.wire import assert_failure, eventually, sql
from tests.conftest import Gateway
from tests.console.kit import console


@pytest.fixture(scope="module")
def spending(own_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway with prices and two processes that answer."""
    limits = {"provider_budget_config": {"openai": {"budget_limit": 7, "time_period": "1d"}}}
    return own_gateway({**CONFIG, "budgets": limits, "server": {"api_processes": 2}})


@pytest.fixture
def http(spending: Gateway) -> Iterator[httpx.Client]:
    with spending.http() as plain:
        yield plain
    assert_balanced(spending)


def made(http: httpx.Client, headers: dict[str, str], **fields: object) -> str:
    """A video that is over."""
    asked = ask(http, headers, **fields).json()
    with_key = httpx.Client(base_url=http.base_url, headers=headers, timeout=120, verify=False)
    with with_key:
        assert finished(with_key, asked)["status"] == "completed"
    return str(asked["id"])


def test_a_video_is_reserved_and_charged(http: httpx.Client, spending: Gateway) -> None:
    key = issue_key(spending, max_budget_usd=2, soft_budget_usd=0.75, budget_period="30d")
    asked = ask(http, key.headers, user="somebody").json()
    log = http.get("/v1/spend/logs", params={"request_id": asked["id"]}).json()["data"][0]
    assert (log["reserved"] or log["spend"], log["estimate"]) == (PRICE, PRICE)
    with httpx.Client(base_url=http.base_url, headers=key.headers, timeout=120, verify=False) as own:
        assert finished(own, asked)["status"] == "completed"
    log = http.get("/v1/spend/logs", params={"request_id": asked["id"]}).json()["data"][0]
    assert (log["status"], log["spend"], log["reserved"], log["reason"]) == ("charged", PRICE, 0, "measured_seconds")
    assert (log["api_key"], log["end_user"], log["model"], log["provider"]) == (key.id, "somebody", "dear", "local")
    assert log["start_time"] <= log["end_time"]
    own_budget = budgets(http, key.headers)["key"]
    assert (own_budget["spend"], own_budget["remaining"], own_budget["soft_limit_reached"]) == (PRICE, 1.5, False)
    made(http, key.headers)
    own_budget = budgets(http, key.headers)["key"]
    assert (own_budget["spend"], own_budget["remaining"], own_budget["soft_limit_reached"]) == (1.0, 1.0, True)
    assert own_budget["budget_duration"] == "30d"
    assert datetime.now(UTC).timestamp() < own_budget["budget_reset_at"] < datetime.now(UTC).timestamp() + 30 * 86400


@pytest.mark.parametrize("kind", ["key", "user", "team"])
def test_a_request_over_budget_is_refused_before_anything_is_sent(
    http: httpx.Client, spending: Gateway, kind: str
) -> None:
    policy = {"max_budget_usd": 0.6, "budget_period": "1mo"}
    if kind == "key":
        key = issue_key(spending, **policy)
    else:
        table = {"user": "access_user", "team": "team"}[kind]
        holder = add_holder(spending, table, f"poor-{kind}", Policy(**policy))
        key = issue_key(spending, **{f"{kind}_id": holder})
    first = made(http, key.headers)
    before = sql(spending, "SELECT count(*) FROM video")
    response = ask(http, key.headers)
    message = assert_failure(response, 429, code="insufficient_quota", kind="insufficient_quota")
    assert message.startswith(f"The budget of this {kind} is 0.6 US dollars, of which 0.1 are left;")
    assert f"{datetime.now(UTC):%Y-}" in message or "It is reset at" in message
    assert sql(spending, "SELECT count(*) FROM video") == before
    listed = http.get("/v1/videos", headers=key.headers).json()["data"]
    assert [video["id"] for video in listed] == [first]
    client = openai.OpenAI(base_url=f"{spending.url}/v1", api_key=key.key, max_retries=3)
    with client, pytest.raises(openai.RateLimitError) as caught:
        client.videos.create(**DEAR)
    assert (caught.value.code, caught.value.type) == ("insufficient_quota", "insufficient_quota")


def test_many_at_once_do_not_overdraw_a_budget_together(http: httpx.Client, spending: Gateway) -> None:
    team = add_holder(spending, "team", "crowd", Policy(max_budget_usd=5 * PRICE))
    keys = [issue_key(spending, team_id=team) for _ in range(4)]

    def one(number: int) -> int:
        with spending.http() as mine:
            return ask(mine, keys[number % 4].headers).status_code

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        statuses = list(pool.map(one, range(24)))
    assert sorted(set(statuses)) == [200, 429]
    assert statuses.count(200) == 5
    used = budgets(http, keys[0].headers)["team"]
    assert used["spend"] + used["reserved"] == 5 * PRICE


def test_a_replayed_create_reserves_once(http: httpx.Client, spending: Gateway) -> None:
    key = issue_key(spending, max_budget_usd=10)
    headers = {**key.headers, "idempotency-key": "the-same"}
    ids = {ask(http, headers).json()["id"] for _ in range(3)}
    assert len(ids) == 1
    used = budgets(http, key.headers)["key"]
    assert used["spend"] + used["reserved"] == PRICE


def test_a_cancel_and_a_deletion_release(http: httpx.Client, spending: Gateway) -> None:
    key = issue_key(spending, max_budget_usd=10)
    # Long enough that it is under way when it is stopped.
    long = {"seconds": "8", "size": "1280x720"}
    cancelled, deleted = (ask(http, key.headers, **long).json()["id"] for _ in range(2))
    http.post(f"/v1/videos/{cancelled}/cancel", headers=key.headers)
    assert http.delete(f"/v1/videos/{deleted}", headers=key.headers).status_code == 200
    eventually(lambda: budgets(http, key.headers)["key"]["reserved"] == 0, "what was held is given back")
    assert budgets(http, key.headers)["key"]["spend"] == 0
    logs = http.get("/v1/spend/logs", params={"api_key": key.id}).json()["data"]
    assert [log["status"] for log in logs] == ["released", "released"]


def test_a_model_without_a_price_and_one_that_is_free(http: httpx.Client, spending: Gateway) -> None:
    bounded = issue_key(spending, max_budget_usd=0)
    refused = ask(http, bounded.headers, model="unpriced", size="1280x720")
    assert_failure(refused, 400, code="price_unknown", param="model")
    for model in ("free", "local-video"):
        made(http, bounded.headers, model=model)
    logs = http.get("/v1/spend/logs", params={"api_key": bounded.id}).json()["data"]
    assert [(log["status"], log["spend"], log["estimate"]) for log in logs] == [("released", 0, 0)] * 2


def test_a_budget_lowered_below_what_is_spent(http: httpx.Client, spending: Gateway) -> None:
    key = issue_key(spending, max_budget_usd=5)
    made(http, key.headers)
    sql(
        spending,
        "UPDATE api_key SET policy = jsonb_set(policy, '{max_budget_usd}', '0.1'), version = 2 WHERE id = %s",
        key.id,
    )
    sql(spending, "SELECT pg_notify('mediagate_access', %s)", f"key {key.id}")
    eventually(lambda: ask(http, key.headers).status_code == 429, "the change is heard")
    lowered = budgets(http, key.headers)["key"]
    assert (lowered["max_budget"], lowered["remaining"]) == (0.1, 0)


def test_a_reset_is_for_admins(http: httpx.Client, spending: Gateway) -> None:
    key = issue_key(spending, max_budget_usd=PRICE)
    made(http, key.headers)
    path = f"/v1/spend/budgets/key/{key.id}/reset"
    assert_failure(http.post(path, headers=key.headers), 403, code="admin_only", kind="permission_error")
    assert ask(http, key.headers).status_code == 429
    assert http.post(path).json()["spend"] == 0
    assert ask(http, key.headers).status_code == 200
    assert http.post("/v1/spend/budgets/provider/openai/reset").json()["max_budget"] == 7
    for nobody in ("key/key_none", "provider/xai", "team/none"):
        assert http.post(f"/v1/spend/budgets/{nobody}/reset").status_code == 404
    assert http.post("/v1/spend/budgets/city/x/reset").status_code == 400


def test_an_admin_settles_what_nobody_knows(http: httpx.Client, spending: Gateway) -> None:
    key = issue_key(spending, max_budget_usd=10)
    video = made(http, key.headers)
    path = f"/v1/spend/logs/{video}/settle"
    assert_failure(
        http.post(path, json={"usd": 1}, headers=key.headers), 403, code="admin_only", kind="permission_error"
    )
    assert_failure(http.post(path, json={"usd": 1}), 400, code="already_settled")
    assert http.post("/v1/spend/logs/video_none/settle", json={"usd": 1}).status_code == 404
    for usd in (-1, 1e10, "many", "NaN", "Infinity"):
        assert http.post(path, json={"usd": usd}).status_code == 400, usd


@pytest.fixture(scope="module")
def spenders(spending: Gateway) -> tuple[Issued, Issued]:
    """Two keys of a team and a user who made a video each."""
    team, user = add_holder(spending, "team", "readers"), add_holder(spending, "access_user", "=cmd|calc")
    keys = issue_key(spending, team_id=team, user_id=user), issue_key(spending, team_id=team)
    with spending.http() as plain:
        for key, end_user in zip(keys, ("@evil", 'a "quoted", one'), strict=True):
            made(plain, key.headers, user=end_user)
    return keys


def test_logs_are_filtered(http: httpx.Client, spenders: tuple[Issued, Issued]) -> None:
    first, second = spenders

    def found(**params: str) -> list[str]:
        reply = http.get("/spend/logs", params=params)
        assert reply.status_code == 200, reply.text
        return sorted(log["api_key"] for log in reply.json()["data"])

    today = datetime.now(UTC).date()
    yesterday, tomorrow = (str(today + timedelta(days=days)) for days in (-1, 1))
    assert found(team_id="readers") == sorted([first.id, second.id])
    assert found(team_id="readers", user_id="=cmd|calc") == found(api_key=first.id) == [first.id]
    assert found(end_user="@evil", provider="local", model="dear", status="charged") == [first.id]
    assert found(team_id="readers", model="free") == found(team_id="readers", provider="xai") == []
    assert len(found(team_id="readers", start_date=yesterday, end_date=tomorrow)) == 2
    assert found(team_id="readers", end_date=yesterday) == found(team_id="readers", start_date=tomorrow) == []
    for name, wrong in (
        *(("start_date", text) for text in ("soon", "2026-13-01", "2026-W01-1", "0000-00-00", "9" * 60)),
        *(("end_date", "9999-12-31"), ("status", "lost"), ("limit", "0"), ("limit", "1001"), ("limit", "-1")),
        *(("api_key", first.key), ("format", "xml"), ("team_id", "x" * 600)),
    ):
        assert http.get("/v1/spend/logs", params={name: wrong}).status_code == 400, (name, wrong)


def test_logs_are_paged(http: httpx.Client, spenders: tuple[Issued, Issued]) -> None:
    first = http.get("/v1/spend/logs", params={"team_id": "readers", "limit": 1}).json()
    assert (first["object"], first["has_more"], len(first["data"])) == ("list", True, 1)
    after = first["data"][0]["request_id"]
    second = http.get("/v1/spend/logs", params={"team_id": "readers", "limit": 1, "after": after}).json()
    assert (second["has_more"], len(second["data"])) == (False, 1)
    assert second["data"][0]["request_id"] < after


def test_spend_is_added_up(http: httpx.Client, spenders: tuple[Issued, Issued]) -> None:
    for group, id_, requests in (
        *(("keys", spenders[0].id, 1), ("users", "=cmd|calc", 1), ("teams", "readers", 2)),
        *(("models", "dear", 2), ("providers", "local", 2)),
    ):
        report = http.get(f"/v1/spend/{group}", params={"team_id": "readers"}).json()
        assert (report["object"], report["group"]) == ("list", group)
        row = next(row for row in report["data"] if row.get("id") == id_)
        assert (row["spend"], row["reserved"], row["requests"]) == (PRICE * requests, 0, requests)
    assert http.get("/v1/spend/cities").status_code == 400


def test_days_are_those_of_utc_the_newest_first(
    http: httpx.Client, spending: Gateway, spenders: tuple[Issued, Issued]
) -> None:
    older = spenders[0].id
    (was,) = sql(spending, "SELECT reserved_at FROM spend WHERE key_id = %s", older)[0]
    moved = "UPDATE spend SET reserved_at = %s WHERE key_id = %s RETURNING ref"
    sql(spending, moved, "2026-02-28T23:59:59Z", older)
    try:
        report = http.get("/v1/spend/days", params={"team_id": "readers"}).json()["data"]
        since = http.get("/v1/spend/days", params={"team_id": "readers", "start_date": "2026-03-01"}).json()["data"]
    finally:
        sql(spending, moved, was, older)
    assert [row["id"] for row in report] == [f"{datetime.now(UTC):%Y-%m-%d}", "2026-02-28"]
    assert [(row["spend"], row["requests"]) for row in report] == [(PRICE, 1), (PRICE, 1)]
    assert since == report[:1]


def test_csv(http: httpx.Client, spenders: tuple[Issued, Issued]) -> None:
    params = {"team_id": "readers", "limit": "5000"}
    reply = http.get("/v1/spend/logs", params={**params, "format": "csv"})
    assert reply.headers["content-type"].startswith("text/csv")
    assert reply.headers["content-disposition"] == 'attachment; filename="spend-logs.csv"'
    assert reply.headers["x-has-more"] == "false"
    assert reply.content.count(b"\r\n") == 3
    rows = list(csv.DictReader(io.StringIO(reply.text)))
    assert {row["end_user"] for row in rows} == {"'@evil", 'a "quoted", one'}
    assert {row["user"] for row in rows} == {"'=cmd|calc", ""}
    assert {row["spend"] for row in rows} == {"0.5"}
    accepted = http.get("/v1/spend/users", params={"team_id": "readers"}, headers={"accept": "text/csv"})
    assert accepted.text.splitlines()[0] == "id,alias,spend,reserved,requests"
    assert "'=cmd|calc,,0.5,0,1" in accepted.text
    assert http.get("/v1/spend/users", params={"team_id": "readers"}).headers["content-type"] == "application/json"


def test_the_console_draws_it(spending: Gateway, spenders: tuple[Issued, Issued], browser: Browser) -> None:
    reader = issue_key(spending, team_id="readers", max_budget_usd=7)
    with console(spending, browser, reader.key) as shown:
        page = shown.page
        shown.go("spend")
        expect(page.locator(".tile").filter(has_text="Spent")).to_contain_text("$1.00")
        expect(page.locator(".budgets")).to_contain_text("$0.00 of $7.00")
        bars = page.locator(".chart rect title")
        assert [title for title in bars.all_text_contents() if ", dear: $1.00" in title]
        page.get_by_text("The chart as a table").click()
        today = page.get_by_role("table", name="Spend by day").get_by_role("row").last
        assert today.inner_text().split() == [f"{datetime.now(UTC):%Y-%m-%d}", "$1.00", "$1.00"]
        page.get_by_role("tab", name="Models").focus()
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Keys")).to_be_focused()
        table = page.get_by_role("table", name="Spend by keys")
        for key in spenders:
            expect(table.get_by_role("row").filter(has_text=key.id)).to_contain_text("$0.50")
        with page.expect_download() as saved:
            page.get_by_role("button", name="CSV").click()
        assert saved.value.path().read_bytes().count(b"\r\n") == 3
        page.get_by_label("Period").select_option("own")
        page.get_by_label("From").fill("2024-01-01")
        page.get_by_label("To", exact=True).fill("2024-01-31")
        expect(page.get_by_role("heading", name="Nothing was spent")).to_be_visible()


def test_native_callers_get_the_same(spending: Gateway, spenders: tuple[Issued, Issued]) -> None:
    with spending.channel() as channel:
        stub = spend_pb2_grpc.SpendServiceStub(channel)
        request = spend_pb2.ListSpendLogsRequest(team_id="readers")
        page = stub.ListSpendLogs(request, metadata=spending.metadata)
        assert [log.spend for log in page.data] == [PRICE, PRICE]
        report = stub.GetSpend(spend_pb2.GetSpendRequest(group="teams", team_id="readers"), metadata=spending.metadata)
        assert report.data[0].spend == 2 * PRICE
        with pytest.raises(grpc.RpcError) as caught:
            stub.ListSpendLogs(spend_pb2.ListSpendLogsRequest(status="x"), metadata=spending.metadata)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_an_admin_sees_the_budgets_of_providers(http: httpx.Client, spenders: tuple[Issued, Issued]) -> None:
    assert [(one["kind"], one["id"]) for one in http.get("/v1/spend/budgets").json()["data"]] == [
        ("provider", "openai")
    ]
    assert set(budgets(http, spenders[0].headers)) == {"team", "user", "key"}


def test_what_a_deleted_key_spent_stays(http: httpx.Client, spending: Gateway) -> None:
    created = http.post("/key/generate", json={"max_budget": 5, "budget_duration": "1mo"}).json()
    headers = {"authorization": f"Bearer {created['key']}"}
    video = ask(http, headers).json()["id"]
    assert http.post("/key/delete", json={"keys": [created["key"]]}).status_code == 200

    def charged() -> bool:
        log = http.get("/v1/spend/logs", params={"request_id": video}).json()["data"][0]
        return (log["status"], log["spend"]) == ("charged", PRICE)

    eventually(charged, "it is charged without its key")
