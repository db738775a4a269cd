"""List what admins did."""

from __future__ import annotations

from dataclasses import dataclass

from mediagate.access.authenticate import require_admin
from mediagate.core.access import AuditEvent
from mediagate.core.objects import Page, Principal
from mediagate.store.access import AuditRepository
from mediagate.store.database import Database


@dataclass(frozen=True, slots=True)
class ListAudit:
    """Return one page, newest first."""

    db: Database

    async def run(
        self, who: Principal, *, object_id: str | None, actor_key_id: str | None, before: str | None, limit: int
    ) -> Page[AuditEvent]:
        """Raises `PermissionDenied`."""
        require_admin(who)
        async with self.db.reading() as connection:
            return await AuditRepository(connection).page(
                object_id=object_id, actor_key_id=actor_key_id, before=before, limit=limit
            )
