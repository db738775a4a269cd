"""Videos, their events and characters in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, any_, bindparam, extract, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from mediagate.core import ids
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Character, Page, Principal, Video, VideoEvent
from mediagate.store.batching import Batched
from mediagate.store.database import Database, compiled
from mediagate.store.owners import visible_to
from mediagate.store.tables import CharacterRefRow, CharacterRow, VideoEventRow, VideoRow, table

VIDEO = table(VideoRow)
EVENT = table(VideoEventRow)
CHARACTER = table(CharacterRow)
CHARACTER_REF = table(CharacterRefRow)
_COLUMNS = tuple(VIDEO.c[field.name] for field in fields(Video))
_FIND = compiled(
    select(*_COLUMNS).where(VIDEO.c.id == any_(bindparam("ids", type_=ARRAY(TEXT))), VIDEO.c.deleted_at.is_(None))
)
_EVENTS_AFTER = """
SELECT event.video_id, event.seq, event.time, event.type, event.payload
FROM unnest(%(ids)s::text[], %(afters)s::int[]) AS seen(video_id, after)
JOIN video_event AS event ON event.video_id = seen.video_id AND event.seq > seen.after
ORDER BY event.video_id, event.seq
"""
_PHASE = [field.name for field in fields(Video)].index("phase")


def _video(row: Sequence[Any]) -> Video:
    """A row of `_COLUMNS`, which are the members of Video in their order."""
    values: list[Any] = list(row)
    values[_PHASE] = VideoPhase(values[_PHASE])
    return Video(*values)


class VideoRepository:
    """Reads and writes videos through one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, video: Video) -> None:
        """Insert a new video: the intent, before anything that costs money."""
        values = {field.name: getattr(video, field.name) for field in fields(Video)}
        await self._connection.execute(insert(VIDEO).values(**{**values, "phase": video.phase.value}))

    async def find(self, video_id: str) -> Video | None:
        """A video whoever owns it, for jobs; None once it was deleted."""
        query = select(*_COLUMNS).where(VIDEO.c.id == video_id, VIDEO.c.deleted_at.is_(None))
        row = (await self._connection.execute(query)).first()
        return None if row is None else _video(row)

    async def page(self, who: Principal, *, after: str | None, limit: int, ascending: bool) -> Page[Video]:
        """The caller's videos, ordered by id, which is by time."""
        conditions: list[ColumnElement[bool]] = [*visible_to(who, VIDEO), VIDEO.c.deleted_at.is_(None)]
        if after is not None:
            conditions.append(VIDEO.c.id > after if ascending else VIDEO.c.id < after)
        order = VIDEO.c.id.asc() if ascending else VIDEO.c.id.desc()
        query = select(*_COLUMNS).where(*conditions).order_by(order).limit(limit + 1)
        rows = (await self._connection.execute(query)).all()
        return Page(tuple(_video(row) for row in rows[:limit]), has_more=len(rows) > limit)

    async def alive(self, who: Principal, *, ended_since: datetime | None, limit: int) -> list[Video]:
        """The caller's videos that have not ended, and those that have since a time; the newest, by their ids."""
        over: ColumnElement[bool] = VIDEO.c.ended_at.is_(None)
        if ended_since is not None:
            over = or_(over, VIDEO.c.ended_at >= ended_since)
        query = (
            select(*_COLUMNS)
            .where(*visible_to(who, VIDEO), VIDEO.c.deleted_at.is_(None), over)
            .order_by(VIDEO.c.id.desc())
            .limit(limit)
        )
        return [_video(row) for row in reversed((await self._connection.execute(query)).all())]

    async def change(self, before: Video, values: Mapping[str, Any]) -> bool:
        """Compare-and-set: write `values` if nobody wrote, deleted or cancelled since `before`; False otherwise."""
        result = await self._connection.execute(
            update(VIDEO)
            .where(
                VIDEO.c.id == before.id,
                VIDEO.c.seq == before.seq,
                VIDEO.c.deleted_at.is_(None),
                VIDEO.c.cancel_requested_at.is_not_distinct_from(before.cancel_requested_at),
            )
            .values(**values)
        )
        return result.rowcount == 1

    async def request_cancel(self, video_id: str, *, now: datetime) -> bool:
        """Ask the tracker to stop a video that has not ended; False where it has. Only the first request counts."""
        result = await self._connection.execute(
            update(VIDEO)
            .where(VIDEO.c.id == video_id, VIDEO.c.ended_at.is_(None), VIDEO.c.deleted_at.is_(None))
            .values(cancel_requested_at=func.coalesce(VIDEO.c.cancel_requested_at, now))
        )
        return result.rowcount == 1

    async def entomb(self, who: Principal, video_id: str, *, now: datetime) -> Video | None:
        """The tombstone: from here on the video does not exist for anybody; its outputs still have to go.

        Returns the video as it was, or None where there is no such video.
        """
        statement = (
            update(VIDEO)
            .where(VIDEO.c.id == video_id, *visible_to(who, VIDEO), VIDEO.c.deleted_at.is_(None))
            .values(deleted_at=now)
            .returning(*_COLUMNS)
        )
        row = (await self._connection.execute(statement)).first()
        return None if row is None else _video(row)

    async def note_ref(self, video_id: str, provider_ref: str) -> None:
        """Remember the provider's job of a video that was over before the provider took it, for what removes it."""
        await self._connection.execute(
            update(VIDEO)
            .where(VIDEO.c.id == video_id, VIDEO.c.provider_ref.is_(None))
            .values(provider_ref=provider_ref)
        )

    async def note_no_attempt(self, video_id: str) -> None:
        """Remember that a deleted video was surely not taken by its provider, for what removes it."""
        await self._connection.execute(
            update(VIDEO)
            .where(VIDEO.c.id == video_id, VIDEO.c.provider_ref.is_(None), VIDEO.c.deleted_at.is_not(None))
            .values(submit_started_at=None)
        )

    async def entombed(self, video_id: str) -> Video | None:
        """A deleted video, for the job that removes its outputs."""
        query = select(*_COLUMNS).where(VIDEO.c.id == video_id, VIDEO.c.deleted_at.is_not(None))
        row = (await self._connection.execute(query)).first()
        return None if row is None else _video(row)

    async def purge(self, video_id: str) -> None:
        """Forget a deleted video whose outputs are gone."""
        await self._connection.execute(VIDEO.delete().where(VIDEO.c.id == video_id, VIDEO.c.deleted_at.is_not(None)))

    async def untracked(self, *, limit: int) -> list[str]:
        """Videos that have not ended and for which no job is waiting or running."""
        query = text(
            "SELECT v.id FROM video v WHERE v.ended_at IS NULL AND v.deleted_at IS NULL AND NOT EXISTS ("
            " SELECT 1 FROM procrastinate_jobs j WHERE j.lock = v.id AND j.status IN ('todo', 'doing')) LIMIT :limit"
        )
        return [row.id for row in (await self._connection.execute(query, {"limit": limit})).all()]

    async def undeleted_outputs(self, *, limit: int) -> list[str]:
        """Deleted videos whose outputs may still be there and for which no job is waiting or running."""
        query = text(
            "SELECT v.id FROM video v WHERE v.deleted_at IS NOT NULL AND NOT EXISTS ("
            " SELECT 1 FROM procrastinate_jobs j WHERE j.lock = v.id AND j.status IN ('todo', 'doing')) LIMIT :limit"
        )
        return [row.id for row in (await self._connection.execute(query, {"limit": limit})).all()]

    async def uses_input(self, file_id: str) -> bool:
        """Whether a video, deleted or not, or a character was made from a file, or the file from a video."""
        query = text(
            "SELECT EXISTS (SELECT 1 FROM video v WHERE :id IN (v.image_file_id, v.source_file_id, v.archive_file_id))"
            " OR EXISTS (SELECT 1 FROM video_picture p WHERE p.file_id = :id)"
            " OR EXISTS (SELECT 1 FROM character c WHERE c.file_id = :id)"
        )
        return bool((await self._connection.execute(query, {"id": file_id})).scalar_one())

    async def unused_inputs(self, *, before: datetime, limit: int) -> list[str]:
        """Inputs kept before a time for which no video and no character came to be, copies and pictures that no video
        has, and what no batch that runs needs or writes: its files are named by its id."""
        query = text(
            "SELECT f.id FROM file f WHERE f.internal AND f.state = 'processed' AND f.created_at < :before"
            " AND NOT EXISTS (SELECT 1 FROM video v WHERE v.image_file_id = f.id)"
            " AND NOT EXISTS (SELECT 1 FROM video v WHERE v.source_file_id = f.id)"
            " AND NOT EXISTS (SELECT 1 FROM video v WHERE v.archive_file_id = f.id)"
            " AND NOT EXISTS (SELECT 1 FROM video_picture p WHERE p.file_id = f.id)"
            " AND NOT EXISTS (SELECT 1 FROM character c WHERE c.file_id = f.id)"
            " AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.copy_id = f.id AND b.ended_at IS NULL)"
            " AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.index_id = f.id AND b.ended_at IS NULL)"
            " AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.id = left(f.filename, :id_chars) AND b.ended_at IS NULL)"
            " LIMIT :limit"
        )
        values = {"before": before, "id_chars": len(ids.BATCH.new()), "limit": limit}
        return [row.id for row in (await self._connection.execute(query, values)).all()]

    async def add_events(self, events: Sequence[VideoEvent]) -> None:
        """Append to the life of a video."""
        await self._connection.execute(
            insert(EVENT),
            [
                {"video_id": e.video_id, "seq": e.seq, "time": e.time, "type": e.type, "payload": dict(e.payload)}
                for e in events
            ],
        )

    async def newest_seq(self, video_ids: Sequence[str]) -> dict[str, int]:
        """The number of the newest event of each video that still exists."""
        query = select(VIDEO.c.id, VIDEO.c.seq).where(VIDEO.c.id.in_(video_ids), VIDEO.c.deleted_at.is_(None))
        return {row.id: row.seq for row in (await self._connection.execute(query)).all()}

    async def finished_durations_s(self, video: Video, *, limit: int) -> list[float]:
        """Seconds from the first frame to the end of the newest finished videos that were like `video`."""
        query = (
            select(extract("epoch", VIDEO.c.completed_at - VIDEO.c.render_started_at))
            .where(
                VIDEO.c.provider == video.provider,
                VIDEO.c.provider_model == video.provider_model,
                VIDEO.c.seconds == video.seconds,
                VIDEO.c.width == video.width,
                VIDEO.c.height == video.height,
                VIDEO.c.completed_at.is_not(None),
                VIDEO.c.render_started_at.is_not(None),
            )
            .order_by(VIDEO.c.completed_at.desc())
            .limit(limit)
        )
        return [float(row[0]) for row in (await self._connection.execute(query)).all()]

    async def add_character(self, character: Character) -> None:
        """Insert a character."""
        await self._connection.execute(
            insert(CHARACTER).values(**{field.name: getattr(character, field.name) for field in fields(Character)})
        )

    async def get_character(self, who: Principal, character_id: str) -> Character | None:
        """A character of the caller's."""
        query = select(CHARACTER).where(CHARACTER.c.id == character_id, *visible_to(who, CHARACTER))
        row = (await self._connection.execute(query)).first()
        return None if row is None else Character(**row._asdict())

    async def character_ref(self, character_id: str, account: str) -> str | None:
        """What an account calls a character; None where it was not told of it."""
        query = select(CHARACTER_REF.c.ref).where(
            CHARACTER_REF.c.character_id == character_id, CHARACTER_REF.c.account == account
        )
        return (await self._connection.execute(query)).scalar_one_or_none()

    async def keep_character_ref(self, character_id: str, account: str, ref: str) -> str:
        """Remember it; where somebody else was faster, theirs is returned and stays."""
        values = {"character_id": character_id, "account": account, "ref": ref}
        await self._connection.execute(postgresql_insert(CHARACTER_REF).values(values).on_conflict_do_nothing())
        return await self.character_ref(character_id, account) or ref


class VideoLookup:
    """Finds videos that were not deleted, many callers to a query."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._batched = Batched(self._load)

    async def get(self, who: Principal, video_id: str) -> Video | None:
        """A video of the caller's."""
        video = await self._batched.get(video_id)
        return video if video is not None and who.sees(video) else None

    async def find(self, video_id: str) -> Video | None:
        """A video whoever owns it, for jobs."""
        return await self._batched.get(video_id)

    async def _load(self, video_ids: Sequence[str]) -> dict[str, Video]:
        rows = await self._db.fetch(_FIND, {"ids": list(video_ids)})
        return {row[0]: _video(row) for row in rows}


class EventLookup:
    """Finds what happened to videos, for many videos with one query."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def after(self, seqs: Mapping[str, int]) -> dict[str, list[VideoEvent]]:
        """The events of each video behind the number that stands with it, in order; a video without any is missing."""
        rows = await self._db.fetch(_EVENTS_AFTER, {"ids": list(seqs), "afters": list(seqs.values())})
        found: dict[str, list[VideoEvent]] = {}
        for row in rows:
            found.setdefault(row[0], []).append(VideoEvent(*row))
        return found
