"""Who asks for objects, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from tests.api.access_kit import add_holder, issue_key
from tests.conftest import MASTER_KEY, Gateway

SOMEBODY = "somebody-else"


@dataclass(frozen=True)
class Role:
    """`caller` are the headers of every question, `maker` of what makes the caller's own objects, and `owner` of what
    an end user may not make. `foreign` is how the row of somebody else's object differs."""

    caller: Mapping[str, str]
    maker: Mapping[str, str]
    owner_id: str
    foreign: str
    owner: Mapping[str, str] | None = None
    is_token: bool = False

    def refuses(self, name: str, kind: str) -> bool:
        """Whether the role opens no way to what is asked for, whose ever it is."""
        is_end_user = self.owner is not None
        return (is_end_user and kind in OF_THE_OWNER) or (self.is_token and name.startswith("TokenService."))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def _master(_: Gateway) -> Role:
    auth = bearer(MASTER_KEY)
    return Role(auth, auth, "master", f"owner_id = '{SOMEBODY}'")


def _key_of_a_team(gateway: Gateway) -> Role:
    team, other = (add_holder(gateway, "team", f"matrix-{name}") for name in ("team", "other-team"))
    first, second = issue_key(gateway, team_id=team), issue_key(gateway, team_id=team)
    return Role(second.headers, first.headers, f"team:{team}", f"owner_id = 'team:{other}'")


def _key_of_nobody(gateway: Gateway) -> Role:
    key = issue_key(gateway)
    return Role(key.headers, key.headers, f"key:{key.id}", "owner_id = 'master'")


def _token_of_an_end_user(gateway: Gateway) -> Role:
    key = issue_key(gateway, uses_providers=True)
    made = httpx.post(
        f"{gateway.url}/v1/tokens", json={"kind": "end_user", "user": "carol"}, headers=key.headers, timeout=60
    ).json()
    hers = {**key.headers, "x-litellm-end-user-id": "carol"}
    return Role(bearer(made["token"]), hers, f"key:{key.id}", "end_user = NULL", key.headers, is_token=True)


def _end_user(gateway: Gateway) -> Role:
    key = issue_key(gateway, uses_providers=True)
    hers = {**key.headers, "x-mediagate-user": "alice"}
    return Role(hers, hers, f"key:{key.id}", "end_user = 'bob'", key.headers)


ROLES = {
    "the master key": _master,
    "another key of the team": _key_of_a_team,
    "a key of nobody": _key_of_nobody,
    "an end user": _end_user,
    "a token of an end user": _token_of_an_end_user,
}
OF_THE_OWNER = ("endpoint", "event")
"""Kinds of objects that no end user has."""
