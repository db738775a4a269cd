"""Webhooks as plain values: endpoints, events, deliveries, and when a delivery is tried again."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any, Final

VIDEO_COMPLETED: Final = "video.completed"
VIDEO_FAILED: Final = "video.failed"
VIDEO_PROGRESS: Final = "video.progress"
FILE_CREATED: Final = "file.created"
FILE_PROCESSED: Final = "file.processed"
FILE_FAILED: Final = "file.failed"
FILE_DELETED: Final = "file.deleted"
FILE_EXPIRED: Final = "file.expired"
BATCH_COMPLETED: Final = "batch.completed"
BATCH_FAILED: Final = "batch.failed"
BATCH_EXPIRED: Final = "batch.expired"
BATCH_CANCELLED: Final = "batch.cancelled"
BUDGET_SOFT_LIMIT_REACHED: Final = "budget.soft_limit_reached"

EMITTED: Final = (
    *(VIDEO_COMPLETED, VIDEO_FAILED, VIDEO_PROGRESS),
    *(FILE_CREATED, FILE_PROCESSED, FILE_FAILED, FILE_DELETED, FILE_EXPIRED),
    *(BATCH_COMPLETED, BATCH_FAILED, BATCH_EXPIRED, BATCH_CANCELLED),
    BUDGET_SOFT_LIMIT_REACHED,
)
"""The types of events that this gateway emits."""

HANDLE_PREFIX: Final = "whsec_"
SECRETS_MAX: Final = 8
ATTEMPTS_LOGGED_MAX: Final = 20
# What a video's progress was minutes ago helps nobody.
PROGRESS_RETRY: Final = timedelta(minutes=5)
RETRY_AFTER_S_MAX: Final = 86_400.0


class DeliveryState(StrEnum):
    """How far the delivery of one event to one endpoint is."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class OldSecret:
    """A secret that was replaced and still signs."""

    secret: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """A URL that takes events. `failures` counts attempts in a row that were not acknowledged; `disabled_reason` is
    None while it gets events; `wake_at` is when a job will look for what is due by then."""

    id: str
    owner_id: str
    name: str
    url: str
    event_types: tuple[str, ...]
    secret: str
    old_secrets: tuple[OldSecret, ...]
    progress_interval_s: float
    failures: int
    disabled_reason: str | None
    created_at: datetime
    updated_at: datetime
    wake_at: datetime | None = None

    def valid_secrets(self, now: datetime) -> tuple[str, ...]:
        """Those that sign, the newest first."""
        return (self.secret, *(old.secret for old in self.old_secrets if old.expires_at > now))


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """Something that happened. `body` is what every attempt sends."""

    id: str
    owner_id: str
    type: str
    data_id: str
    body: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver. `error` is None where it was acknowledged, `status_code` where nobody answered;
    `retry_after_s` is what the answer asked for."""

    started_at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None
    response: str = ""
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one endpoint. `tries` are the attempts since `started_at`, `attempts` all there were."""

    endpoint_id: str
    event_id: str
    event_type: str
    data_id: str
    state: DeliveryState
    attempts: int
    tries: int
    created_at: datetime
    started_at: datetime
    next_attempt_at: datetime | None
    log: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How long, and how often, an event is sent that nobody acknowledges. All in seconds."""

    whole_s: float
    first_s: float
    interval_s_max: float


def body_of(event_id: str, type: str, data_id: str, data: Mapping[str, Any], created_at: datetime) -> bytes:
    """The bytes of an event. Call it once: they are signed, and must be the same at every attempt."""
    tree = {
        "id": event_id,
        "object": "event",
        "created_at": int(created_at.timestamp()),
        "type": type,
        "data": {"id": data_id, **data},
    }
    return json.dumps(tree, separators=(",", ":"), ensure_ascii=True).encode()


def next_attempt_at(delivery: Delivery, attempt: Attempt, rules: RetryRules, now: datetime) -> datetime | None:
    """When to try again after a failure; None where that would be past the end of the event's time.

    The wait doubles with each try and is spread by half, so that what failed together does not come back together. A
    `Retry-After` can only make it longer.
    """
    whole = timedelta(seconds=rules.whole_s)
    if delivery.event_type == VIDEO_PROGRESS:
        whole = min(whole, PROGRESS_RETRY)
    wait_s = min(rules.interval_s_max, rules.first_s * 2.0 ** min(delivery.tries, 40))
    wait_s *= random.uniform(0.75, 1.25)  # noqa: S311
    if attempt.retry_after_s is not None:
        wait_s = max(wait_s, attempt.retry_after_s)
    due = now + timedelta(seconds=wait_s)
    return due if due <= delivery.started_at + whole else None


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """What a `Retry-After` asks for, in seconds or as a date, bounded; None for what is neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), RETRY_AFTER_S_MAX)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - now).total_seconds()), RETRY_AFTER_S_MAX)


def logged(log: Sequence[Attempt], attempt: Attempt) -> tuple[Attempt, ...]:
    """The log with one attempt more; the oldest make room."""
    return (*log, attempt)[-ATTEMPTS_LOGGED_MAX:]
