"""The tables. Ids sort by time, so every list is a range of its primary key under one owner."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, Table, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlmodel import Field, SQLModel

from mediagate.store.columns import ID, json_column, time_column


class FileRow(SQLModel, table=True):
    """A file. `lease_expires_at` bounds how long a row may stay `receiving` or `copying` without a sign of life;
    `internal` files are inputs of videos, which no list shows. `source` and `options` are what a copy was asked for.
    `key_id`, `user_id`, `team_id` and `end_user` are who made it, `reserved_bytes` what it may still come to,
    `required` what its places must be like, by label."""

    __tablename__ = "file"
    __table_args__ = (
        Index(
            "file_listed",
            "owner_id",
            "id",
            postgresql_where=text("state IN ('processed', 'copying', 'failed') AND NOT internal"),
        ),
        Index(
            "file_listed_for",
            "owner_id",
            "end_user",
            "id",
            postgresql_where=text(
                "end_user IS NOT NULL AND state IN ('processed', 'copying', 'failed') AND NOT internal"
            ),
        ),
        Index("file_expiring", "expires_at", postgresql_where=text("state = 'processed' AND expires_at IS NOT NULL")),
        Index("file_leased", "lease_expires_at", postgresql_where=text("state IN ('receiving', 'copying')")),
        Index("file_deleting", "id", postgresql_where=text("state = 'deleting'")),
        Index("file_of_team", "team_id", "id", postgresql_where=text("team_id IS NOT NULL")),
        Index("file_of_user", "user_id", "id", postgresql_where=text("user_id IS NOT NULL")),
        Index("file_of_key", "key_id", "id", postgresql_where=text("key_id IS NOT NULL")),
    )

    id: str = Field(primary_key=True, sa_type=ID)
    owner_id: str
    filename: str = ""
    purpose: str = ""
    size_bytes: int = Field(default=0, sa_type=BigInteger)
    sha256: str = ""
    content_type: str = ""
    state: str
    internal: bool = False
    created_at: datetime = time_column()
    expires_at: datetime | None = time_column(nullable=True)
    lease_expires_at: datetime | None = time_column(nullable=True)
    source: str | None = None
    options: dict[str, Any] | None = json_column()
    copied_bytes: int | None = Field(default=None, sa_type=BigInteger)
    failure: str | None = None
    key_id: str | None = Field(default=None, sa_type=ID)
    user_id: str | None = Field(default=None, sa_type=ID)
    team_id: str | None = Field(default=None, sa_type=ID)
    end_user: str | None = None
    reserved_bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    required: dict[str, str] | None = json_column()


class ReplicaRow(SQLModel, table=True):
    """One copy of a file in one account. `seen_at` is when a listing of the account last showed it."""

    __tablename__ = "file_replica"
    __table_args__ = (
        Index("file_replica_of_account", "account", "state", "file_id"),
        Index("file_replica_expiring", "expires_at", postgresql_where=text("expires_at IS NOT NULL")),
        Index("file_replica_unfinished", "file_id", postgresql_where=text("state IN ('pending', 'processing')")),
    )

    file_id: str = Field(primary_key=True, sa_type=ID, foreign_key="file.id", ondelete="CASCADE")
    account: str = Field(primary_key=True)
    provider: str
    ref: str | None = None
    state: str
    expires_at: datetime | None = time_column(nullable=True)
    seen_at: datetime = time_column()


class UploadRow(SQLModel, table=True):
    """A file on its way, in parts."""

    __tablename__ = "upload"
    __table_args__ = (Index("upload_open", "expires_at", postgresql_where=text("state IN ('pending', 'completing')")),)

    id: str = Field(primary_key=True, sa_type=ID)
    owner_id: str
    size_bytes: int = Field(sa_type=BigInteger)
    filename: str
    mime_type: str
    purpose: str
    state: str
    created_at: datetime = time_column()
    expires_at: datetime = time_column()
    file_expires_after_s: int | None = None
    file_id: str | None = None
    part_ids: list[str] | None = Field(default=None, sa_column=Column(ARRAY(TEXT), nullable=True))
    targets: list[str] | None = Field(default=None, sa_column=Column(ARRAY(TEXT), nullable=True))
    keeps_partial: bool = False
    key_id: str | None = Field(default=None, sa_type=ID)
    user_id: str | None = Field(default=None, sa_type=ID)
    team_id: str | None = Field(default=None, sa_type=ID)
    end_user: str | None = None
    reserved_bytes: int = Field(default=0, sa_column=Column(BigInteger, nullable=False, server_default="0"))
    required: dict[str, str] | None = json_column()


class UploadPartRow(SQLModel, table=True):
    """One part of an upload."""

    __tablename__ = "upload_part"

    id: str = Field(primary_key=True, sa_type=ID)
    upload_id: str = Field(sa_type=ID, foreign_key="upload.id", ondelete="CASCADE", index=True)
    size_bytes: int = Field(sa_type=BigInteger)
    ref: str
    created_at: datetime = time_column()


class VideoRow(SQLModel, table=True):
    """A video. `seq` is the number of its newest event and the version of every compare-and-set."""

    __tablename__ = "video"
    __table_args__ = (
        Index("video_listed", "owner_id", "id", postgresql_where=text("deleted_at IS NULL")),
        Index(
            "video_listed_for",
            "owner_id",
            "end_user",
            "id",
            postgresql_where=text("end_user IS NOT NULL AND deleted_at IS NULL"),
        ),
        Index("video_running", "id", postgresql_where=text("ended_at IS NULL AND deleted_at IS NULL")),
        Index("video_at_account", "account", "id", postgresql_where=text("ended_at IS NULL")),
        Index("video_at_deployment", "deployment", "id", postgresql_where=text("ended_at IS NULL")),
        Index("video_of_deployment", "deployment", "completed_at", postgresql_where=text("completed_at IS NOT NULL")),
        Index(
            "video_finished",
            "provider",
            "provider_model",
            "seconds",
            "width",
            "height",
            "completed_at",
            postgresql_where=text("completed_at IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True, sa_type=ID)
    owner_id: str
    model: str
    deployment: str
    account: str
    provider: str
    provider_model: str
    kind: str
    phase: str
    prompt: str
    seconds: int
    width: int
    height: int
    seq: int
    created_at: datetime = time_column()
    deadline_at: datetime = time_column()
    progress: int = 0
    progress_source: str | None = None
    position: int | None = None
    eta: dict[str, Any] | None = json_column()
    provider_ref: str | None = None
    attempts: int = 0
    submit_started_at: datetime | None = time_column(nullable=True)
    render_started_at: datetime | None = time_column(nullable=True)
    completed_at: datetime | None = time_column(nullable=True)
    ended_at: datetime | None = time_column(nullable=True)
    expires_at: datetime | None = time_column(nullable=True)
    cancel_requested_at: datetime | None = time_column(nullable=True)
    deleted_at: datetime | None = time_column(nullable=True)
    cancellation: dict[str, Any] | None = json_column()
    source_video_id: str | None = None
    image_file_id: str | None = None
    source_file_id: str | None = None
    failure: dict[str, Any] | None = json_column()
    output: dict[str, Any] | None = json_column()
    end_user: str | None = None
    audio: bool | None = None
    extra: dict[str, Any] | None = json_column()
    characters: list[str] | None = json_column()
    start_by: datetime | None = time_column(nullable=True)
    cancel_at: datetime | None = time_column(nullable=True)
    hold: dict[str, Any] | None = json_column()
    max_cost_usd: float | None = None
    estimate_usd: float | None = None
    cost_usd: float | None = None
    cost_source: str | None = None
    archive_file_id: str | None = None
    required: dict[str, str] | None = json_column()
    guardrails: list[str] | None = json_column()
    route: dict[str, Any] | None = json_column()


class VideoPictureRow(SQLModel, table=True):
    """A picture of a finished video that was made here, as an internal file."""

    __tablename__ = "video_picture"

    video_id: str = Field(primary_key=True, sa_type=ID, foreign_key="video.id", ondelete="CASCADE")
    variant: str = Field(primary_key=True)
    file_id: str


class AccountMemoryRow(SQLModel, table=True):
    """What an account was, sealed with a key that is not in the database, for jobs that outlive it."""

    __tablename__ = "account_memory"

    id: str = Field(primary_key=True)
    provider: str
    sealed: bytes
    updated_at: datetime = time_column()


class VideoEventRow(SQLModel, table=True):
    """One thing that happened to a video."""

    __tablename__ = "video_event"

    video_id: str = Field(primary_key=True, sa_type=ID, foreign_key="video.id", ondelete="CASCADE")
    seq: int = Field(primary_key=True)
    time: datetime = time_column()
    type: str
    payload: dict[str, Any] = json_column(nullable=False)


class GatewayRow(SQLModel, table=True):
    """One row: what tells this gateway from others that use the same accounts."""

    __tablename__ = "gateway"

    stamp: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})


class CharacterRow(SQLModel, table=True):
    """A character that videos can refer to."""

    __tablename__ = "character"

    id: str = Field(primary_key=True, sa_type=ID)
    owner_id: str
    name: str
    file_id: str
    created_at: datetime = time_column()
    end_user: str | None = None


class CharacterRefRow(SQLModel, table=True):
    """What an account calls a character of ours."""

    __tablename__ = "character_ref"

    character_id: str = Field(primary_key=True, sa_type=ID, foreign_key="character.id", ondelete="CASCADE")
    account: str = Field(primary_key=True)
    ref: str


class WebhookEndpointRow(SQLModel, table=True):
    """Where an owner's events go. `old_secrets` still sign until they expire; an endpoint with a `disabled_reason` gets
    nothing. `wake_at` is when a job will look for what is due by then."""

    __tablename__ = "webhook_endpoint"
    __table_args__ = (Index("webhook_endpoint_listed", "owner_id", "id"),)

    id: str = Field(primary_key=True, sa_type=ID)
    owner_id: str
    name: str
    url: str
    event_types: list[str] = Field(sa_column=Column(ARRAY(TEXT), nullable=False))
    secret: str
    old_secrets: list[dict[str, Any]] = json_column(nullable=False)
    progress_interval_s: float
    failures: int
    disabled_reason: str | None = None
    created_at: datetime = time_column()
    updated_at: datetime = time_column()
    wake_at: datetime | None = time_column(nullable=True)


class WebhookEventRow(SQLModel, table=True):
    """Something that happened and that an endpoint wants to know. Every attempt sends `body` as it is."""

    __tablename__ = "webhook_event"
    __table_args__ = (Index("webhook_event_of_object", "data_id", "type", "created_at"),)

    id: str = Field(primary_key=True, sa_type=ID)
    owner_id: str
    type: str
    data_id: str
    body: bytes
    created_at: datetime = time_column()


class WebhookDeliveryRow(SQLModel, table=True):
    """One event on its way to one endpoint. `claimed_by` is the job that sends it until `claimed_until`; `tries` counts
    the attempts since `started_at`. No foreign key leads to the endpoint: what happens must not wait for its deletion.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("webhook_delivery_due", "endpoint_id", "next_attempt_at", postgresql_where=text("state = 'pending'")),
        Index("webhook_delivery_claimed", "endpoint_id", postgresql_where=text("claimed_until IS NOT NULL")),
        Index("webhook_delivery_of_event", "event_id"),
    )

    endpoint_id: str = Field(primary_key=True, sa_type=ID)
    event_id: str = Field(primary_key=True, sa_type=ID, foreign_key="webhook_event.id", ondelete="CASCADE")
    state: str
    attempts: int
    tries: int
    started_at: datetime = time_column()
    next_attempt_at: datetime | None = time_column(nullable=True)
    claimed_by: int | None = Field(default=None, sa_type=BigInteger)
    claimed_until: datetime | None = time_column(nullable=True)
    log: list[dict[str, Any]] = json_column(nullable=False)


class IdempotencyRow(SQLModel, table=True):
    """A call with an idempotency key. `object_id` is what it makes, reserved before any work; `attempt` tells a holder
    of its lease from the one before; `fingerprint` is there before the object is."""

    __tablename__ = "idempotency"
    __table_args__ = (Index("idempotency_expiring", "expires_at"),)

    owner_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    method: str
    object_id: str | None = Field(default=None, sa_type=ID)
    attempt: int
    state: str
    fingerprint: bytes | None = None
    reply: bytes | None = None
    reply_headers: list[list[str]] | None = json_column()
    lease_expires_at: datetime = time_column()
    created_at: datetime = time_column()
    expires_at: datetime = time_column()


def table(model: type[SQLModel]) -> Table:
    """The SQLAlchemy table behind a model, for statements that need no objects."""
    return model.__table__  # type: ignore[attr-defined,no-any-return]
