"""Virtual keys: whom a key stands for, and what a change of it does to calls."""

from __future__ import annotations

from tests.api.access_kit import add_holder, issue_key
from tests.api.wire import eventually, sql
from tests.conftest import Gateway


def test_keys_of_a_team_share_and_others_see_nothing(gateway: Gateway) -> None:
    team = add_holder(gateway, "team", "team-a")
    first, second, other = issue_key(gateway, team_id=team), issue_key(gateway, team_id=team), issue_key(gateway)
    with gateway.http() as http:
        made = http.post(
            "/v1/files", headers=first.headers, files={"file": ("a.txt", b"abc")}, data={"purpose": "user_data"}
        ).json()
        path = f"/v1/files/{made['id']}/content"
        assert http.get(path, headers=second.headers).content == b"abc"
        assert http.get(path, headers=other.headers).status_code == 404
        assert http.get(path).status_code == 404


def test_a_key_that_is_blocked_or_over_is_refused(gateway: Gateway) -> None:
    issued = issue_key(gateway)
    with gateway.http() as http:
        assert http.get("/v1/files", headers=issued.headers).status_code == 200
        for change, status, code in (
            ("is_blocked = true", 403, "key_blocked"),
            ("is_blocked = false, expires_at = now() - interval '1 s'", 401, "key_expired"),
        ):
            sql(gateway, f"UPDATE api_key SET {change} WHERE id = %s", issued.id)
            sql(gateway, "SELECT pg_notify('mediagate_access', %s)", f"key {issued.id}")

            def heard(status: int = status) -> bool:
                return http.get("/v1/files", headers=issued.headers).status_code == status

            eventually(heard, "the change is heard")
            assert http.get("/v1/files", headers=issued.headers).json()["error"]["code"] == code
