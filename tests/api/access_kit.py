"""Keys for tests, with the policy that a test wants."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from mediagate.core import ids
from mediagate.core.access import Policy
from tests.api.wire import sql
from tests.conftest import Gateway


@dataclass(frozen=True)
class Issued:
    """A key, and whom it stands for."""

    key: str
    id: str
    user_id: str | None = None
    team_id: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}"}


def add_holder(gateway: Gateway, table: str, id_: str, policy: Policy | None = None) -> str:
    """A user (`access_user`) or a team (`team`)."""
    sql(
        gateway,
        f"INSERT INTO {table} (id, is_blocked, policy, info, created_at, updated_at, version)"
        " VALUES (%s, false, %s, '{}', now(), now(), 1) ON CONFLICT (id) DO UPDATE SET policy = excluded.policy",
        id_,
        Jsonb((policy or Policy()).stored()),
    )
    return id_


def issue_key(
    gateway: Gateway,
    *,
    user_id: str | None = None,
    team_id: str | None = None,
    is_admin: bool = False,
    uses_providers: bool = False,
    **policy: Any,
) -> Issued:
    """A new key; `policy` are members of `Policy`. Its user and its team must exist."""
    key, key_id = "sk-" + secrets.token_urlsafe(32), ids.KEY.new()
    sql(
        gateway,
        "INSERT INTO api_key (id, hash, hint, user_id, team_id, is_admin, uses_providers, is_blocked, policy, info,"
        " created_at, updated_at, version) VALUES (%s, %s, %s, %s, %s, %s, %s, false, %s, '{}', now(), now(), 1)",
        key_id,
        hashlib.sha256(key.encode()).digest(),
        key[-4:],
        user_id,
        team_id,
        is_admin,
        uses_providers,
        Jsonb(Policy(**policy).stored()),
    )
    return Issued(key, key_id, user_id, team_id)
