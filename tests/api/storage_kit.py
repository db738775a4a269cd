"""What tests of stored bytes share: what the counters say against what the rows add up to."""

from __future__ import annotations

import secrets
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.api.access_kit import Issued, add_holder, issue_key
from tests.conftest import Gateway

# The sums as they would be, read from the files and the uploads themselves.
_TRUTH = """
SELECT kind, id, sum(files)::bigint AS files, sum(bytes)::bigint AS bytes, sum(reserved)::bigint AS reserved FROM (
  SELECT scope.kind, scope.id, (state = 'processed')::int AS files,
    CASE WHEN state = 'processed' THEN size_bytes ELSE 0 END AS bytes,
    CASE WHEN state IN ('receiving', 'copying') THEN reserved_bytes ELSE 0 END AS reserved
  FROM file CROSS JOIN LATERAL (VALUES ('team', team_id), ('user', user_id), ('key', key_id),
    ('end_user', owner_id || chr(31) || end_user)) AS scope (kind, id)
  UNION ALL
  SELECT scope.kind, scope.id, 0, 0, CASE WHEN state IN ('pending', 'completing') THEN reserved_bytes ELSE 0 END
  FROM upload CROSS JOIN LATERAL (VALUES ('team', team_id), ('user', user_id), ('key', key_id),
    ('end_user', owner_id || chr(31) || end_user)) AS scope (kind, id)
) AS rows WHERE id IS NOT NULL GROUP BY kind, id
"""
_COUNTERS = """
SELECT scope_kind AS kind, scope_id AS id, sum(files)::bigint AS files, sum(bytes)::bigint AS bytes,
  sum(reserved_bytes)::bigint AS reserved
FROM (SELECT scope_kind, scope_id, files, bytes, reserved_bytes FROM storage_usage
  UNION ALL SELECT scope_kind, scope_id, files, bytes, reserved_bytes FROM storage_delta) AS counters
GROUP BY scope_kind, scope_id
"""


def assert_exact(gateway: Gateway) -> None:
    """The counters say what the rows add up to, in one moment."""
    with psycopg.connect(gateway.database_url, row_factory=dict_row) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = [
            {(row.pop("kind"), row.pop("id")): row for row in connection.execute(query).fetchall()}
            for query in (_TRUTH, _COUNTERS)
        ]
    empty = {"files": 0, "bytes": 0, "reserved": 0}
    truth, counters = ({scope: row for scope, row in rows.items() if row != empty} for rows in found)
    assert truth == counters


def issue_team_key(gateway: Gateway, **policies: Any) -> Issued:
    """A key of a user in a team of its own; `team`, `user` and `key` are their policies."""
    mark = secrets.token_hex(4)
    team = add_holder(gateway, "team", f"team-{mark}", policies.get("team"))
    user = add_holder(gateway, "access_user", f"user-{mark}", policies.get("user"))
    return issue_key(gateway, team_id=team, user_id=user, **policies.get("key", {}))
