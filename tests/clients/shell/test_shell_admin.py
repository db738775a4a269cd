"""`mediagate keys`, `users` and `teams`: the same operations from the shell."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.clients.shell import kit
from tests.conftest import Gateway


@pytest.fixture
def admin(nobody: kit.Shell, gateway: Gateway) -> kit.Shell:
    """A user who has the master key."""
    nobody.environment |= {"MEDIAGATE_URL": gateway.url, "MEDIAGATE_MASTER_KEY": gateway.key}
    return nobody


def shell(admin: kit.Shell, *arguments: str, key: str | None = None, code: int = 0) -> str:
    done = admin(*arguments, code=code, **({"MEDIAGATE_MASTER_KEY": key} if key else {}))
    return done.out or done.err


def test_a_key_from_the_first_to_the_last(admin: kit.Shell, http: httpx.Client) -> None:
    team = shell(admin, "teams", "create", "--team-alias", "Films", "--max-budget", "5", "--budget-duration", "1mo")
    options = ["--team-id", team, "--key-alias", "shell", "--model", "local-*", "--model", "sora-2", "--rpm-limit", "9"]
    key = shell(admin, "keys", "create", *options, "--retention-days", "batch=3", "--placement", "region=eu")
    assert http.get("/v1/files", headers={"authorization": f"Bearer {key}"}).status_code == 200
    info = json.loads(shell(admin, "keys", "show", "shell"))["info"]
    assert (info["models"], info["rpm_limit"], info["team_id"]) == (["local-*", "sora-2"], 9, team)
    assert (info["retention_days"], info["placement"]) == ({"batch": 3}, {"region": "eu"})
    shell(admin, "keys", "update", "shell", "--max-budget", "2.5", "--clear", "rpm_limit")
    info = json.loads(shell(admin, "keys", "show", key))["info"]
    assert info["max_budget"] == 2.5
    assert "rpm_limit" not in info
    listed = shell(admin, "keys", "list").splitlines()
    assert listed[0].startswith("key_id")
    assert any(info["key_id"] in line and f"sk-...{key[-4:]}" in line and "shell" in line for line in listed)
    assert key not in "".join(listed)
    new = shell(admin, "keys", "regenerate", "shell")
    assert shell(admin, "keys", "delete", new) == info["key_id"]
    assert "no such key" in shell(admin, "keys", "show", "shell", code=4)
    assert shell(admin, "teams", "delete", team) == team


def test_users(admin: kit.Shell) -> None:
    assert shell(admin, "users", "create", "--user-id", "grace", "--user-email", "grace@example.com") == "grace"
    assert "already" not in shell(admin, "users", "create", "--user-id", "grace", code=2)
    shell(admin, "users", "update", "grace", "--blocked")
    assert json.loads(shell(admin, "users", "show", "grace"))["user_info"]["blocked"] is True
    assert "grace@example.com" in shell(admin, "users", "list")
    assert shell(admin, "users", "delete", "grace") == "grace"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["keys", "create", "--max-budget", "-1"], 2),
        (["keys", "create", "--retention-days", "batch"], 2),
        (["keys", "create", "--team-id", "no-such"], 2),
        (["keys", "update", "sk-unknown", "--rpm-limit", "1"], 4),
        (["keys", "list", "--url", "http://127.0.0.1:9"], 5),
        (["keys", "list", "--url", "nonsense"], 2),
    ],
)
def test_what_goes_wrong_is_one_sentence(admin: kit.Shell, arguments: list[str], code: int) -> None:
    assert shell(admin, *arguments, code=code)


def test_a_key_that_may_not(admin: kit.Shell) -> None:
    key = shell(admin, "keys", "create")
    assert "admin" in shell(admin, "keys", "list", key=key, code=3)
    assert "Incorrect API key" in shell(admin, "keys", "list", key="sk-none", code=3)


def test_spend_models_and_health(admin: kit.Shell) -> None:
    video = admin("videos", "create", "A boat", "-m", "local-video", "-s", "1", "--size", "320x180", "-w").out.split()[
        0
    ]
    (line,) = admin("spend", "logs", "--request", video, "--json").json
    assert (line["request_id"], line["model"]) == (video, "local-video")
    assert video in admin("spend", "logs", "--limit", "5").out
    assert admin("spend", "logs", "--request", video, "--csv").out.splitlines()[1].startswith(video)
    for name in ("keys", "models", "users", "teams", "providers", "days"):
        assert "REQUESTS" in admin("spend", name, "--since", "2026-01-01").out
    assert admin("spend", "models", "--model", "nobody", "--json").json == []
    assert "KIND" in admin("spend", "budgets").out
    assert "soon" in admin("spend", "days", "--since", "soon", code=2).err
    assert "local-video" in admin("models", "ls").out
    assert "320x180" in admin("models", "ls", "--video").out
    assert admin("providers", "health", "--json").json["healthy_count"] >= 1
