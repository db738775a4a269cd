"""What was taken under limits, in the database: read, and written by whoever knows the newest version.

Every method is one statement that commits by itself. No lock outlives it, so a process that is stopped half-way stops
no other.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import structlog
from psycopg_pool import PoolTimeout

from mediagate.core.errors import Unavailable
from mediagate.store.database import Database

log = structlog.get_logger(__name__)
StateKey = tuple[str, str]
"""A scope (`KIND:ID`) and a measure."""
IDLE_S: Final = 26 * 3600
"""Longer than any window, debt or call lasts."""
_READ = """
SELECT asked.scope, asked.measure, coalesce(l.version, 0), l.state, extract(epoch FROM clock_timestamp())::float8
FROM unnest(%(scopes)s::text[], %(measures)s::text[]) AS asked (scope, measure)
LEFT JOIN limit_state AS l ON l.scope = asked.scope AND l.measure = asked.measure
"""
# In the order of the key, so that two processes never wait for each other.
_SWAP = """
INSERT INTO limit_state AS l (scope, measure, version, state, updated_at)
SELECT * FROM (
    SELECT asked.scope, asked.measure, asked.version + 1, asked.state::jsonb, clock_timestamp()
    FROM unnest(%(scopes)s::text[], %(measures)s::text[], %(versions)s::int[], %(states)s::text[])
        AS asked (scope, measure, version, state)
    ORDER BY asked.scope COLLATE "C", asked.measure COLLATE "C") AS ordered
ON CONFLICT (scope, measure) DO UPDATE
SET version = excluded.version, state = excluded.state, updated_at = excluded.updated_at
WHERE l.version = excluded.version - 1
RETURNING scope, measure, extract(epoch FROM clock_timestamp())::float8
"""
_RENEW = """
INSERT INTO limit_holder (id, expires_at)
VALUES (%(id)s, clock_timestamp() + make_interval(secs => %(lease_s)s))
ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at
RETURNING id
"""
_ALIVE = "SELECT id FROM limit_holder WHERE id = ANY(%(ids)s::text[]) AND expires_at > clock_timestamp()"
_LEAVE = "DELETE FROM limit_holder WHERE id = %(id)s RETURNING id"
_SWEEP = """
WITH idle AS (
    DELETE FROM limit_state WHERE (scope, measure) IN (
        SELECT scope, measure FROM limit_state
        WHERE updated_at < clock_timestamp() - make_interval(secs => %(idle_s)s)
        ORDER BY updated_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
    RETURNING 1),
gone AS (
    DELETE FROM limit_holder WHERE expires_at < clock_timestamp() - make_interval(secs => %(idle_s)s) RETURNING 1)
SELECT (SELECT count(*) FROM idle) + (SELECT count(*) FROM gone)
"""


@dataclass(frozen=True, slots=True)
class Version:
    """A state as it was read; number 0 where there is none yet."""

    number: int = 0
    state: Mapping[str, Any] | None = None


class LimitStates:
    """Reads and writes them. Raises `Unavailable` where the database does not answer."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def read(self, keys: Sequence[StateKey]) -> tuple[dict[StateKey, Version], float]:
        """The newest version of each, and the database's clock in Unix seconds. `keys` has one at least."""
        scopes, measures = zip(*keys, strict=True)
        rows = await self._fetch(_READ, {"scopes": list(scopes), "measures": list(measures)})
        return {(scope, measure): Version(number, state) for scope, measure, number, state, _ in rows}, rows[0][4]

    async def swap(
        self, changes: Iterable[tuple[StateKey, int, Mapping[str, Any]]]
    ) -> tuple[set[StateKey], float | None]:
        """Write states, each over the version that is named. Returns those whose version was still the newest, and the
        database's clock where there are any."""
        listed = list(changes)
        parameters = {
            "scopes": [key[0] for key, _, _ in listed],
            "measures": [key[1] for key, _, _ in listed],
            "versions": [number for _, number, _ in listed],
            "states": [json.dumps(state) for _, _, state in listed],
        }
        rows = await self._fetch(_SWAP, parameters)
        return {(scope, measure) for scope, measure, _ in rows}, rows[0][2] if rows else None

    async def renew(self, holder: str, lease_s: float) -> None:
        """Say that a process lives, and will for this long."""
        await self._fetch(_RENEW, {"id": holder, "lease_s": lease_s})

    async def alive(self, holders: Iterable[str]) -> set[str]:
        """Those of these processes that live."""
        return {row[0] for row in await self._fetch(_ALIVE, {"ids": list(holders)})}

    async def leave(self, holder: str) -> None:
        """Say that a process holds nothing any longer."""
        await self._fetch(_LEAVE, {"id": holder})

    async def sweep(self, *, limit: int) -> int:
        """Drop up to `limit` states that nothing counts in any longer, and processes that are long gone."""
        return int((await self._fetch(_SWEEP, {"idle_s": IDLE_S, "limit": limit}))[0][0])

    async def _fetch(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        try:
            return await self._db.fetch(statement, parameters)
        except (psycopg.OperationalError, PoolTimeout) as error:
            log.warning("limits_unavailable", error=type(error).__name__)
            raise Unavailable(
                "The service is temporarily unavailable. Try again in a moment.", retry_after_s=1
            ) from error
