"""How deployments fare, for all processes: who cools down, how many videos each has, how fast each is.

Times are the database's own, so that the clocks of several machines need not agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.store.database import Transaction

ROUTING_CHANNEL: Final = "mediagate_routing"
"""NOTIFY channel; the payload is the id of a deployment that began to cool down, or is well again."""
WINDOW_S: Final = 60.0
_SAMPLES: Final = 20

_HEALTH: Final = """
SELECT deployment, failures, extract(epoch FROM cooling_until - now()) AS cooling_s, reason FROM deployment_health
WHERE cooling_until > now() OR failed_since > now() - make_interval(secs => :window)
"""
# What waits for a provider that asked for patience keeps nobody waiting, as in the line.
_LOADS: Final = """
SELECT deployment, account,
    count(*) FILTER (WHERE submit_started_at IS NOT NULL) AS busy,
    count(*) FILTER (WHERE submit_started_at IS NULL AND deleted_at IS NULL
        AND hold ->> 'reason' IS DISTINCT FROM 'provider_busy') AS waiting
FROM video WHERE ended_at IS NULL AND phase <> 'archiving' GROUP BY deployment, account
"""
_RECENT: Final = """
SELECT deployment, count(*) AS submits FROM deployment_submit
WHERE at > now() - make_interval(secs => :window) GROUP BY deployment
"""
# The middle of the newest ones: one that was stuck for an hour says little.
_LATENCIES: Final = """
SELECT wanted.deployment, percentile_cont(0.5) WITHIN GROUP (ORDER BY newest.took / newest.seconds) AS latency
FROM unnest(CAST(:deployments AS text[])) AS wanted(deployment)
CROSS JOIN LATERAL (
    SELECT extract(epoch FROM completed_at - submit_started_at) AS took, greatest(seconds, 1) AS seconds FROM video
    WHERE video.deployment = wanted.deployment AND completed_at IS NOT NULL AND submit_started_at IS NOT NULL
        AND completed_at > now() - make_interval(secs => :ttl)
    ORDER BY completed_at DESC LIMIT :samples
) AS newest
GROUP BY wanted.deployment
"""
_FAILED: Final = """
INSERT INTO deployment_health AS known (deployment, failures, failed_since, cooling_until, reason)
VALUES (:deployment, 1, now(), CASE WHEN :at_once OR :allowed < 1 THEN now() + make_interval(secs => :cooldown) END,
    :reason)
ON CONFLICT (deployment) DO UPDATE SET
    failures = CASE WHEN known.failed_since > now() - make_interval(secs => :window) THEN known.failures + 1 ELSE 1 END,
    failed_since = CASE WHEN known.failed_since > now() - make_interval(secs => :window) THEN known.failed_since
        ELSE now() END,
    cooling_until = CASE
        WHEN :at_once OR :allowed < CASE WHEN known.failed_since > now() - make_interval(secs => :window)
            THEN known.failures + 1 ELSE 1 END
        THEN greatest(known.cooling_until, now() + make_interval(secs => :cooldown)) ELSE known.cooling_until END,
    reason = excluded.reason
RETURNING cooling_until > now() AS cooling
"""
_WORKED: Final = """
DELETE FROM deployment_health
WHERE deployment = :deployment AND (cooling_until IS NULL OR cooling_until <= now()) RETURNING deployment
"""


@dataclass(frozen=True, slots=True)
class Ailing:
    """A deployment that failed within the last minute, or cools down for `cooling_s` more seconds."""

    deployment: str
    failures: int
    cooling_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class Load:
    """How many videos a deployment has at an account (`busy`), and how many wait for it."""

    deployment: str
    account: str
    busy: int
    waiting: int


class DeploymentState:
    """Reads and writes it through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def ailing(self) -> list[Ailing]:
        """Every deployment that failed lately."""
        rows = await self._connection.execute(text(_HEALTH), {"window": WINDOW_S})
        return [Ailing(row.deployment, row.failures, max(0.0, float(row.cooling_s or 0.0)), row.reason) for row in rows]

    async def loads(self) -> list[Load]:
        """What every deployment has to do."""
        rows = await self._connection.execute(text(_LOADS))
        return [Load(row.deployment, row.account, int(row.busy), int(row.waiting)) for row in rows]

    async def submits(self) -> dict[str, int]:
        """Of the last minute, for deployments that have a limit for it."""
        rows = await self._connection.execute(text(_RECENT), {"window": WINDOW_S})
        return {row.deployment: int(row.submits) for row in rows}

    async def latencies(self, deployments: Sequence[str], *, ttl_s: float) -> dict[str, float]:
        """From submit to end, for each second of video; without those that finished nothing lately."""
        given = {"deployments": list(deployments), "ttl": ttl_s, "samples": _SAMPLES}
        rows = await self._connection.execute(text(_LATENCIES), given)
        return {row.deployment: float(row.latency) for row in rows}

    async def submits_of(self, deployment: str) -> int:
        """The same of one deployment; who asks holds its line."""
        query = text(
            "SELECT count(*) FROM deployment_submit"
            " WHERE deployment = :deployment AND at > now() - make_interval(secs => :window)"
        )
        found = await self._connection.execute(query, {"deployment": deployment, "window": WINDOW_S})
        return int(found.scalar_one())

    async def add_submit(self, deployment: str) -> None:
        """Count one, and forget those that count no longer."""
        # Not now(): that is when the transaction began, and it may have waited for the line.
        await self._connection.execute(
            text("INSERT INTO deployment_submit (deployment, at) VALUES (:deployment, clock_timestamp())"),
            {"deployment": deployment},
        )
        await self._connection.execute(
            text(
                "DELETE FROM deployment_submit"
                " WHERE deployment = :deployment AND at <= now() - make_interval(secs => :window)"
            ),
            {"deployment": deployment, "window": WINDOW_S},
        )


async def note_failure(
    tx: Transaction, deployment: str, reason: str, *, at_once: bool, allowed_fails: int, cooldown_s: float
) -> bool:
    """Count a failure; True where the deployment cools down from now on. `at_once` does not wait for others."""
    given = {
        "deployment": deployment,
        "reason": reason,
        "at_once": at_once,
        "allowed": allowed_fails,
        "cooldown": cooldown_s,
        "window": WINDOW_S,
    }
    cooling = bool((await tx.connection.execute(text(_FAILED), given)).scalar_one())
    if cooling:
        await tx.notify(ROUTING_CHANNEL, deployment)
    return cooling


async def note_success(tx: Transaction, deployment: str) -> None:
    """Forget its failures, unless it cools down: what succeeds then began before."""
    if (await tx.connection.execute(text(_WORKED), {"deployment": deployment})).first() is not None:
        await tx.notify(ROUTING_CHANNEL, deployment)
