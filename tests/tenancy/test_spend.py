"""Whose spend is whose: a key sees what its owner spent, and of others as little as of somebody who never was."""

from __future__ import annotations

import pytest

from tests.api.access_kit import Issued, add_holder, issue_key
from tests.api.wire import sql
from tests.conftest import Gateway

REPORTS = ("logs", "keys", "models", "users", "teams", "providers")


def spend(gateway: Gateway, key: Issued, ref: str) -> None:
    """What one request came to."""
    owner = f"team:{key.team_id}" if key.team_id else f"user:{key.user_id}" if key.user_id else f"key:{key.id}"
    sql(
        gateway,
        "INSERT INTO spend (ref, owner_id, key_id, user_id, team_id, end_user, model, deployment, provider, account,"
        " state, held_usd, charged_usd, provider_counts, reason, entries, reserved_at, settled_at)"
        " VALUES (%s, %s, %s, %s, %s, 'secret-end-user', 'secret-model', 'd', 'secret-provider', 'secret-account',"
        " 'charged', 0, 1, false, 'x', 0, now(), now()) ON CONFLICT DO NOTHING",
        ref,
        owner,
        key.id,
        key.user_id,
        key.team_id,
    )


@pytest.fixture(scope="module")
def strangers(gateway: Gateway) -> tuple[Issued, Issued, Issued]:
    """Two keys of one team, and a key of another that has spent."""
    ours, theirs = add_holder(gateway, "team", "spend-ours"), add_holder(gateway, "team", "spend-theirs")
    user = add_holder(gateway, "access_user", "secret-user")
    keys = (
        issue_key(gateway, team_id=ours),
        issue_key(gateway, team_id=ours),
        issue_key(gateway, team_id=theirs, user_id=user),
    )
    spend(gateway, keys[2], "secret-ref")
    return keys


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize("format_", ["json", "csv"])
def test_somebody_elses_spend_reads_as_none(
    gateway: Gateway, strangers: tuple[Issued, Issued, Issued], report: str, format_: str
) -> None:
    own, _, foreign = strangers
    names = {"api_key": foreign.id, "user_id": "secret-user", "team_id": "spend-theirs", "model": "secret-model"}
    names |= {"end_user": "secret-end-user", "provider": "secret-provider"}
    names |= {"request_id": "secret-ref", "after": "secret-reg"} if report == "logs" else {}
    with gateway.http() as http:
        whole = http.get(f"/v1/spend/{report}", params={"format": format_}, headers=own.headers)
        assert whole.status_code == 200
        assert "secret" not in whole.text
        for name, value in names.items():
            answers = [
                http.get(f"/v1/spend/{report}", params={"format": format_, name: asked}, headers=own.headers)
                for asked in (value, "never-was")
            ]
            assert answers[0].status_code == 200
            assert answers[0].content == answers[1].content
        assert "secret" in http.get(f"/v1/spend/{report}?team_id=spend-theirs&format={format_}").text or report in (
            "keys",
            "teams",
        )


def test_a_team_shares_what_it_spent(gateway: Gateway, strangers: tuple[Issued, Issued, Issued]) -> None:
    first, second, foreign = strangers
    spend(gateway, first, "ours-ref")
    with gateway.http() as http:
        for key, seen in ((first, True), (second, True), (foreign, False)):
            logs = http.get("/v1/spend/logs", headers=key.headers).json()["data"]
            assert ("ours-ref" in [log["request_id"] for log in logs]) is seen
            assert not any("account" in log for log in logs)


def test_budgets_are_the_callers_own(gateway: Gateway, strangers: tuple[Issued, Issued, Issued]) -> None:
    own, _, foreign = strangers
    with gateway.http() as http:
        shown = {
            key.id: {(one["kind"], one["id"]) for one in http.get("/spend/budgets", headers=key.headers).json()["data"]}
            for key in (own, foreign)
        }
    assert shown[own.id] == {("team", "spend-ours"), ("key", own.id)}
    assert shown[foreign.id] == {("team", "spend-theirs"), ("user", "secret-user"), ("key", foreign.id)}
