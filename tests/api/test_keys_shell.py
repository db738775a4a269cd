"""`mediagate keys`, `users` and `teams`: the same operations from the shell."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import httpx
import pytest

from tests.conftest import Gateway


def shell(gateway: Gateway, *arguments: str, key: str | None = None, code: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEDIAGATE_")}
    environment |= {"MEDIAGATE_URL": gateway.url, "MEDIAGATE_MASTER_KEY": key or gateway.key}
    done = subprocess.run(
        [sys.executable, "-m", "mediagate.cli.main", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return (done.stdout or done.stderr).strip()


def test_a_key_from_the_first_to_the_last(gateway: Gateway, http: httpx.Client) -> None:
    team = shell(gateway, "teams", "create", "--team-alias", "Films", "--max-budget", "5", "--budget-duration", "1mo")
    options = ["--team-id", team, "--key-alias", "shell", "--model", "local-*", "--model", "sora-2", "--rpm-limit", "9"]
    key = shell(gateway, "keys", "create", *options, "--retention-days", "batch=3", "--placement", "region=eu")
    assert http.get("/v1/files", headers={"authorization": f"Bearer {key}"}).status_code == 200
    info = json.loads(shell(gateway, "keys", "show", "shell"))["info"]
    assert (info["models"], info["rpm_limit"], info["team_id"]) == (["local-*", "sora-2"], 9, team)
    assert (info["retention_days"], info["placement"]) == ({"batch": 3}, {"region": "eu"})
    shell(gateway, "keys", "update", "shell", "--max-budget", "2.5", "--clear", "rpm_limit")
    info = json.loads(shell(gateway, "keys", "show", key))["info"]
    assert info["max_budget"] == 2.5
    assert "rpm_limit" not in info
    listed = shell(gateway, "keys", "list").splitlines()
    assert listed[0].startswith("key_id")
    assert any(info["key_id"] in line and f"sk-...{key[-4:]}" in line and "shell" in line for line in listed)
    assert key not in "".join(listed)
    new = shell(gateway, "keys", "regenerate", "shell")
    assert shell(gateway, "keys", "delete", new) == info["key_id"]
    assert "no such key" in shell(gateway, "keys", "show", "shell", code=4)
    assert shell(gateway, "teams", "delete", team) == team


def test_users(gateway: Gateway) -> None:
    assert shell(gateway, "users", "create", "--user-id", "grace", "--user-email", "grace@example.com") == "grace"
    assert "already" not in shell(gateway, "users", "create", "--user-id", "grace", code=2)
    shell(gateway, "users", "update", "grace", "--blocked")
    assert json.loads(shell(gateway, "users", "show", "grace"))["user_info"]["blocked"] is True
    assert "grace@example.com" in shell(gateway, "users", "list")
    assert shell(gateway, "users", "delete", "grace") == "grace"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["keys", "create", "--max-budget", "-1"], 2),
        (["keys", "create", "--retention-days", "batch"], 2),
        (["keys", "create", "--team-id", "no-such"], 2),
        (["keys", "update", "sk-unknown", "--rpm-limit", "1"], 4),
        (["keys", "list", "--url", "http://127.0.0.1:9"], 5),
        (["keys", "list", "--url", "nonsense"], 5),
    ],
)
def test_what_goes_wrong_is_one_sentence(gateway: Gateway, arguments: list[str], code: int) -> None:
    assert shell(gateway, *arguments, code=code)


def test_a_key_that_may_not(gateway: Gateway) -> None:
    key = shell(gateway, "keys", "create")
    assert "admin" in shell(gateway, "keys", "list", key=key, code=3)
    assert "Incorrect API key" in shell(gateway, "keys", "list", key="sk-none", code=3)
