"""AdminService: keys, users and teams, by the peer's paths and natively."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import psycopg
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from mediagate._gen.mediagate.v1 import admin_pb2 as pb
from mediagate._gen.mediagate.v1 import admin_pb2_grpc
from tests.api.access_kit import issue_key
from tests.api.wire import eventually, sql
from tests.conftest import Gateway

EVERYTHING = {
    "models": ["local-video", "sora-*"],
    "providers": ["local"],
    "max_budget": 5.5,
    "soft_budget": 4,
    "budget_duration": "1mo",
    "rpm_limit": 100,
    "uploads_per_minute": 10,
    "bytes_per_minute": 1e9,
    "max_parallel_requests": 7,
    "max_parallel_uploads": 3,
    "storage_quota_bytes": 5e9,
    "end_user_storage_quota_bytes": 1e6,
    "placement": {"region": "eu"},
    "retention_days": {"batch": 7, "*": 30},
    "guardrails": ["words"],
    "blocked": False,
    "metadata": {"cost_center": "42", "tags": ["a"]},
}


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def made(http: httpx.Client, path: str, **members: Any) -> dict[str, Any]:
    answer = http.post(path, json=members)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    return dict(answer.json()["error"])


class TestKeys:
    def test_a_key_has_what_it_was_given_and_is_shown_once(self, http: httpx.Client, gateway: Gateway) -> None:
        team = made(http, "/team/new", team_alias="A team")["team_id"]
        key = made(http, "/key/generate", **EVERYTHING, key_alias="all", user_id="ada", team_id=team, duration="30d")
        assert key["key"].startswith("sk-")
        assert len(key["key"]) >= 3 + 43
        assert key["key_name"] == f"sk-...{key['key'][-4:]}"
        assert abs(key["expires_at"] - time.time() - 30 * 86_400) < 60
        info = http.get("/key/info", params={"key": key["key"]}).json()
        assert info["key"] == key["key_id"]
        assert "key" not in info["info"]
        for name, value in EVERYTHING.items():
            assert info["info"][name] == value, name
        assert (info["info"]["user_id"], info["info"]["team_id"]) == ("ada", team)
        for name in (key["key_id"], "all"):
            assert http.get("/v1/key/info", params={"key": name}).json() == info
        assert http.get("/v1/files", headers=bearer(key["key"])).status_code == 200
        dumped = sql(
            gateway, "SELECT to_jsonb(api_key)::text, (SELECT string_agg(a::text, '') FROM audit_log a) FROM api_key"
        )
        assert key["key"] not in json.dumps(dumped)

    def test_a_time_that_no_number_holds_reads_as_the_last_that_one_does(self, http: httpx.Client) -> None:
        key = made(http, "/key/generate", duration="99999d", max_budget=1, budget_duration="9999mo")
        assert key["expires_at"] == 0xFFFFFFFF
        info = http.get("/key/info", params={"key": key["key_id"]}).json()["info"]
        assert (info["expires_at"], info["budget_reset_at"]) == (0xFFFFFFFF, 0xFFFFFFFF)
        (budget,) = http.get("/spend/budgets", headers=bearer(key["key"])).json()["data"]
        assert budget["budget_reset_at"] == 0xFFFFFFFF

    def test_an_update_changes_what_is_given(self, http: httpx.Client) -> None:
        key = made(http, "/key/generate", max_budget=5, rpm_limit=3, models=["a"], metadata={"a": 1})
        changed = made(http, "/key/update", key=key["key"], max_budget=7)
        assert (changed["max_budget"], changed["rpm_limit"], changed["models"]) == (7, 3, ["a"])
        assert changed["etag"] != key["etag"]
        assert made(http, "/key/update", key=key["key_id"], max_budget=7)["etag"] == changed["etag"]

    def test_a_mask_clears_what_it_names_and_is_not_given(self, http: httpx.Client) -> None:
        key = made(http, "/key/generate", max_budget=5, rpm_limit=3, models=["a"], duration="1d", blocked=True)
        mask = "max_budget,models,duration,blocked"
        changed = made(http, f"/key/update?update_mask={mask}", key=key["key"], rpm_limit=9)
        assert "max_budget" not in changed
        assert "expires_at" not in changed
        assert (changed["models"], changed["rpm_limit"], changed["blocked"]) == ([], 3, False)
        never = made(http, "/key/generate", duration="1d")
        assert "expires_at" not in made(http, "/key/update", key=never["key"], duration="never")
        refused(http.post("/key/update?update_mask=hash", json={"key": key["key"]}), 400, "invalid_field")

    def test_a_deleted_key_is_refused_and_gone(self, http: httpx.Client) -> None:
        key, alias = made(http, "/key/generate"), made(http, "/key/generate", key_alias="to-go")
        assert http.get("/v1/files", headers=bearer(key["key"])).status_code == 200
        answer = http.post("/key/delete", json={"keys": [key["key"]], "key_aliases": ["to-go"]})
        assert sorted(answer.json()["deleted_keys"]) == sorted([key["key_id"], alias["key_id"]])
        eventually(lambda: http.get("/v1/files", headers=bearer(key["key"])).status_code == 401, "it is refused", 10)
        refused(http.get("/key/info", params={"key": key["key_id"]}), 404, "key_not_found")
        refused(http.post("/key/delete", json={"keys": [key["key_id"]]}), 404, "key_not_found")
        refused(http.post("/key/delete", json={}), 400, "invalid_field")

    def test_one_unknown_key_deletes_none(self, http: httpx.Client) -> None:
        key = made(http, "/key/generate")
        refused(http.post("/key/delete", json={"keys": [key["key"], "sk-unknown"]}), 404, "key_not_found")
        assert http.get("/v1/files", headers=bearer(key["key"])).status_code == 200

    def test_a_key_that_is_named_twice_is_deleted_once(self, http: httpx.Client) -> None:
        key = made(http, "/key/generate", key_alias="named-twice")
        body = {"keys": [key["key_id"], key["key"]], "key_aliases": ["named-twice"]}
        assert http.post("/key/delete", json=body).json() == {"deleted_keys": [key["key_id"]]}

    def test_two_deletions_that_name_the_same_keys_in_two_ways_never_wait_for_each_other(
        self, http: httpx.Client, gateway: Gateway
    ) -> None:
        first, second = (made(http, "/key/generate", key_alias=alias)["key_id"] for alias in ("to-go-b", "to-go-a"))
        assert first < second
        bodies = ({"keys": [first, second]}, {"key_aliases": ["to-go-a", "to-go-b"]})

        def are_waiting(count: int) -> bool:
            query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%api_key%%'"
            return len(sql(gateway, query)) == count

        with ThreadPoolExecutor(2) as pool, psycopg.connect(gateway.database_url) as holder:
            holder.execute("SELECT id FROM api_key WHERE id = %s FOR UPDATE", [first])
            deletions = []
            for number, body in enumerate(bodies, 1):
                deletions.append(pool.submit(http.post, "/key/delete", json=body))
                eventually(lambda number=number: are_waiting(number), "it waits for the key")
            holder.rollback()
            answers = [deletion.result() for deletion in deletions]
        assert sorted(answer.status_code for answer in answers) == [200, 404], [answer.text for answer in answers]
        assert {first, second} == {*next(one for one in answers if one.status_code == 200).json()["deleted_keys"]}

    @pytest.mark.parametrize("path", ["/key/regenerate", "/key/{}/regenerate"])
    def test_a_regenerated_key_has_another_secret(self, http: httpx.Client, path: str) -> None:
        key = made(http, "/key/generate", rpm_limit=1000)
        assert http.get("/v1/files", headers=bearer(key["key"])).status_code == 200
        new = made(http, path.format(key["key_id"]), key=key["key_id"])
        assert (new["key_id"], new["rpm_limit"]) == (key["key_id"], 1000)
        assert http.get("/v1/files", headers=bearer(new["key"])).status_code == 200
        eventually(lambda: http.get("/v1/files", headers=bearer(key["key"])).status_code == 401, "it is refused", 10)

    def test_keys_are_listed_by_page_and_owner(self, http: httpx.Client) -> None:
        ids = [made(http, "/key/generate", user_id="lister")["key_id"] for _ in range(5)]
        seen, token = [], ""
        while True:
            answer = http.get("/key/list", params={"user_id": "lister", "size": 2, "page_token": token}).json()
            assert answer["total_count"] == 5
            seen += [key["key_id"] for key in answer["keys"]]
            token = answer["next_page_token"]
            if not token:
                break
        assert seen == ids[::-1]
        assert all("key" not in key for key in answer["keys"])

    def test_an_alias_is_there_once(self, http: httpx.Client) -> None:
        made(http, "/key/generate", key_alias="only")
        other = made(http, "/key/generate")
        refused(http.post("/key/generate", json={"key_alias": "only"}), 400, "key_alias_taken")
        refused(http.post("/key/update", json={"key": other["key"], "key_alias": "only"}), 400, "key_alias_taken")

    def test_a_secret_is_not_kept_for_an_idempotency_key(self, http: httpx.Client) -> None:
        answer = http.post("/key/generate", json={}, headers={"idempotency-key": "a"})
        refused(answer, 400, "idempotency_not_supported")

    @pytest.mark.parametrize(
        "members",
        [
            {"max_budget": -1},
            {"max_budget": 1e300},
            {"max_budget": 1e10},
            {"max_budget": "NaN"},
            {"max_budget": "Infinity"},
            {"rpm_limit": -1},
            {"rpm_limit": 1e30},
            {"bytes_per_minute": -5},
            {"storage_quota_bytes": 1e30},
            {"duration": "soon"},
            {"duration": "-1d"},
            {"duration": "99999mo"},
            {"budget_duration": "monthly"},
            {"key_alias": "a b"},
            {"key_alias": "\u0000"},
            {"key": "sk-mine"},
            {"team_id": "no-such-team"},
            {"user_id": "x" * 200},
            {"models": [""]},
            {"models": ["\u0000"]},
            {"metadata": {"a": "x" * 20_000}},
            {"metadata": {"a\u0000": [{"b": "\u0000"}]}},
            {"placement": {"region": "\u0000"}},
            {"retention_days": {"batch": 0}},
            {"retention_days": {"batch": -1}},
        ],
    )
    def test_what_is_wrong_is_refused(self, http: httpx.Client, members: dict[str, Any]) -> None:
        answer = http.post("/key/generate", json=members)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["message"]


class TestTwoAdmins:
    def test_the_one_with_an_old_etag_is_told(self, http: httpx.Client) -> None:
        key = made(http, "/key/generate", rpm_limit=1)
        made(http, "/key/update", key=key["key"], rpm_limit=2)
        answer = http.post("/key/update", params={"etag": key["etag"]}, json={"key": key["key"], "rpm_limit": 3})
        refused(answer, 409, "etag_mismatch")
        assert answer.headers["x-should-retry"] == "false"
        assert http.get("/key/info", params={"key": key["key"]}).json()["info"]["rpm_limit"] == 2

    def test_both_changes_of_different_members_stay(self, http: httpx.Client) -> None:
        key = made(http, "/key/generate")
        names = ["rpm_limit", "uploads_per_minute", "max_parallel_requests", "max_parallel_uploads"]
        with ThreadPoolExecutor(8) as pool:
            jobs = [
                pool.submit(made, http, "/key/update", key=key["key"], **{name: value})
                for value in range(1, 9)
                for name in names
            ]
            for job in jobs:
                job.result()
        info = http.get("/key/info", params={"key": key["key"]}).json()["info"]
        assert all(1 <= info[name] <= 8 for name in names)
        assert info["etag"] == "v33"

    def test_of_many_with_one_etag_one_wins(self, http: httpx.Client) -> None:
        key = made(http, "/key/generate")

        def change(value: int) -> int:
            answer = http.post(
                "/key/update", params={"etag": key["etag"]}, json={"key": key["key"], "rpm_limit": value}
            )
            return answer.status_code

        with ThreadPoolExecutor(8) as pool:
            assert sorted(pool.map(change, range(1, 9))) == [200] + [409] * 7


class TestUsersAndTeams:
    def test_a_user_comes_with_a_key(self, http: httpx.Client) -> None:
        user = made(http, "/user/new", user_alias="Ada", user_email="ada@example.com", max_budget=3)
        assert http.get("/v1/files", headers=bearer(user["key"])).status_code == 200
        info = http.get("/user/info", params={"user_id": user["user_id"]}).json()
        assert (info["user_info"]["user_email"], info["user_info"]["max_budget"]) == ("ada@example.com", 3)
        assert [key["user_id"] for key in info["keys"]] == [user["user_id"]]
        assert "key" not in info["user_info"]
        without = made(http, "/user/new", user_id="no-key", auto_create_key=False)
        assert "key" not in without
        refused(http.post("/user/new", json={"user_id": "no-key"}), 400, "user_exists")

    @pytest.mark.parametrize("kind", ["user", "team"])
    def test_a_holder_is_changed_listed_and_deleted(self, http: httpx.Client, kind: str) -> None:
        holder = made(http, f"/{kind}/new", **EVERYTHING)
        name = f"{kind}_id"
        changed = made(http, f"/{kind}/update", **{name: holder[name]}, max_budget=9)
        assert (changed["max_budget"], changed["rpm_limit"]) == (9, 100)
        listed = http.get(f"/{kind}/list", params={"size": 1}).json()
        assert listed["total_count"] >= 1
        everything, token = [], ""
        while True:
            page = http.get(f"/{kind}/list", params={"size": 3, "page_token": token}).json()
            everything += [one[name] for one in page[f"{kind}s"]]
            token = page["next_page_token"]
            if not token:
                break
        assert everything.count(holder[name]) == 1
        key = made(http, "/key/generate", **{name: holder[name]})
        assert http.get("/v1/files", headers=bearer(key["key"])).status_code == 200
        deleted = http.post(f"/{kind}/delete", json={f"{name}s": [holder[name]]}).json()
        assert deleted == {f"deleted_{kind}s": [holder[name]]}
        eventually(lambda: http.get("/v1/files", headers=bearer(key["key"])).status_code == 401, "it is refused", 10)
        refused(http.get(f"/{kind}/info", params={name: holder[name]}), 404, f"{kind}_not_found")
        refused(http.post(f"/{kind}/new", json={name: holder[name]}), 400, f"{kind}_exists")

    @pytest.mark.parametrize("kind", ["user", "team"])
    def test_a_blocked_holder_blocks_its_keys(self, http: httpx.Client, kind: str) -> None:
        name = f"{kind}_id"
        holder = made(http, f"/{kind}/new")[name]
        key = made(http, "/key/generate", **{name: holder})["key"]
        assert http.get("/v1/files", headers=bearer(key)).status_code == 200
        made(http, f"/{kind}/update", **{name: holder}, blocked=True)
        eventually(lambda: http.get("/v1/files", headers=bearer(key)).status_code == 403, "it is blocked", 10)
        made(http, f"/{kind}/update", **{name: holder}, blocked=False)
        eventually(lambda: http.get("/v1/files", headers=bearer(key)).status_code == 200, "it is open", 10)


class TestWhoMay:
    PATHS = (
        ("POST", "/key/generate", {}),
        ("POST", "/key/update", {"key": "KEY"}),
        ("POST", "/key/delete", {"keys": ["KEY"]}),
        ("POST", "/key/regenerate", {"key": "KEY"}),
        ("GET", "/key/info?key=KEY", None),
        ("GET", "/key/list", None),
        *(
            (verb, f"/{kind}/{action}", body)
            for kind in ("user", "team")
            for verb, action, body in (
                ("POST", "new", {}),
                ("POST", "update", {f"{kind}_id": "KEY"}),
                ("POST", "delete", {f"{kind}_ids": ["KEY"]}),
                ("GET", f"info?{kind}_id=KEY", None),
                ("GET", "list", None),
            )
        ),
        ("GET", "/audit/logs", None),
    )

    @pytest.mark.parametrize(("verb", "path", "body"), PATHS, ids=[f"{path}" for _, path, _ in PATHS])
    def test_no_other_key_may_and_none_learns_what_there_is(
        self, gateway: Gateway, http: httpx.Client, verb: str, path: str, body: Any
    ) -> None:
        mine, other = issue_key(gateway), issue_key(gateway)
        answers = set()
        for name in (other.id, "key_01jd0000000000000000000000"):
            filled = json.loads(json.dumps(body).replace("KEY", name))
            answer = http.request(verb, path.replace("KEY", name), json=filled, headers=mine.headers)
            refused(answer, 403, "admin_only")
            answers.add(answer.content)
        assert len(answers) == 1

    def test_a_key_sees_itself(self, gateway: Gateway, http: httpx.Client) -> None:
        mine = issue_key(gateway)
        for params in ({}, {"key": mine.key}, {"key": mine.id}):
            assert http.get("/key/info", params=params, headers=mine.headers).json()["key"] == mine.id

    def test_the_master_key_knows_itself(self, http: httpx.Client) -> None:
        answer = http.get("/key/info").json()
        assert (answer["key"], answer["info"]["key_name"], answer["info"]["admin"]) == ("", "master", True)
        refused(http.get("/key/info", headers={"x-mediagate-user": "ada"}), 403, "owner_only")

    def test_an_admin_key_may_everything(self, http: httpx.Client) -> None:
        admin = made(http, "/key/generate", admin=True)
        answer = http.post("/key/generate", json={"admin": True}, headers=bearer(admin["key"]))
        assert answer.json()["admin"] is True
        events = http.get("/audit/logs", params={"object_id": answer.json()["key_id"]}).json()["events"]
        assert [(event["action"], event["actor_key_id"]) for event in events] == [("key.create", admin["key_id"])]


def test_what_admins_do_is_logged_without_secrets(http: httpx.Client) -> None:
    key = made(http, "/key/generate", rpm_limit=1)
    made(http, "/key/update", key=key["key"], rpm_limit=2, max_budget=5)
    new = made(http, "/key/regenerate", key=key["key"])
    http.post("/key/delete", json={"keys": [new["key"]]})
    answer = http.get("/audit/logs", params={"object_id": key["key_id"]})
    events = answer.json()["events"]
    assert [event["action"] for event in events] == ["key.delete", "key.regenerate", "key.update", "key.create"]
    assert events[2]["changes"] == {"requests_per_minute": [1, 2], "max_budget_usd": [None, 5]}
    assert events[2]["request_id"]
    assert key["key"] not in answer.text
    assert new["key"] not in answer.text


def test_natively(gateway: Gateway) -> None:
    with gateway.channel() as channel:
        admin: Any = admin_pb2_grpc.AdminServiceStub(channel)  # type: ignore[no-untyped-call]
        key = admin.CreateKey(pb.CreateKeyRequest(key=pb.Key(max_budget=5)), metadata=gateway.metadata)
        changed = admin.UpdateKey(
            pb.UpdateKeyRequest(key=pb.Key(key=key.key_id), update_mask=FieldMask(paths=["max_budget"])),
            metadata=gateway.metadata,
        )
        assert not changed.HasField("max_budget")
        with pytest.raises(grpc.RpcError) as caught:
            admin.ListKeys(pb.ListKeysRequest(), metadata=(("authorization", f"Bearer {key.key}"),))
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
