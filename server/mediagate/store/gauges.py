"""What metrics say of the moment, in one round trip: counts that walk no more than an index."""

from __future__ import annotations

from typing import Final

from sqlalchemy import text

from mediagate.store.database import Database
from mediagate.telemetry.exposition import Gauge

_QUERY: Final = """
SELECT 'replicas' AS what, account AS a, state AS b, CAST(count(*) AS float8) AS value FROM file_replica
 GROUP BY account, state
UNION ALL
SELECT 'videos', provider, phase, count(*) FROM video WHERE ended_at IS NULL AND deleted_at IS NULL
 GROUP BY provider, phase
UNION ALL
SELECT 'uploads', state, '', count(*) FROM file WHERE state IN ('receiving', 'copying') GROUP BY state
UNION ALL
SELECT 'jobs', queue_name, CAST(status AS text), count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')
 GROUP BY queue_name, status
UNION ALL
SELECT 'oldest', queue_name, '', greatest(0, extract(epoch FROM now() - min(since))) FROM (
 SELECT queue_name, scheduled_at AS since FROM procrastinate_jobs
  WHERE status = 'todo' AND scheduled_at <= now()
 UNION ALL
 SELECT first.queue_name, event.at FROM (
  SELECT queue_name, min(id) AS id FROM procrastinate_jobs WHERE status = 'todo' AND scheduled_at IS NULL
   GROUP BY queue_name) AS first
  JOIN procrastinate_events AS event ON event.job_id = first.id AND event.type = 'deferred') AS waiting
 GROUP BY queue_name
UNION ALL
SELECT 'outbox', '', '', greatest(0, extract(epoch FROM now() - min(started_at))) FROM webhook_delivery
 WHERE state = 'pending' HAVING count(*) > 0
"""
_STATEMENT: Final = text(_QUERY)


async def gauges(db: Database) -> list[Gauge]:
    """The gauges. They are of the whole cluster, whichever process says them."""
    # Not by the connections for look-ups, which are few.
    async with db.reading() as connection:
        rows = (await connection.execute(_STATEMENT)).all()

    def of(what: str, labels: int) -> tuple[tuple[tuple[str, ...], float], ...]:
        return tuple((tuple(row[1 : 1 + labels]), float(row[3])) for row in rows if row[0] == what)

    uploads = {labels[0]: value for labels, value in of("uploads", 1)}
    outbox = of("outbox", 0)
    return [
        Gauge(
            "mediagate_replica_state", "Copies of files, by account and state.", ("backend", "state"), of("replicas", 2)
        ),
        Gauge("mediagate_videos", "Videos that are on their way.", ("provider", "phase"), of("videos", 2)),
        Gauge(
            "mediagate_inflight_uploads", "Files that are being received.", (), (((), uploads.get("receiving", 0.0)),)
        ),
        Gauge("mediagate_inflight_copies", "Copies that are being made.", (), (((), uploads.get("copying", 0.0)),)),
        Gauge("mediagate_jobs", "Jobs that wait or run.", ("queue", "status"), of("jobs", 2)),
        Gauge(
            "mediagate_jobs_oldest_seconds", "How long the first job waits that is due.", ("queue",), of("oldest", 1)
        ),
        Gauge(
            "mediagate_outbox_oldest_seconds",
            "Age of the oldest webhook that is not acknowledged yet.",
            (),
            outbox or (((), 0.0),),
        ),
    ]
