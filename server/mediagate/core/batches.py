"""Batches as plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from mediagate.core.lifecycle import BatchPhase

COMPLETION_WINDOW_S: Final = 86_400
METADATA_MAX: Final = 16
METADATA_KEY_CHARS_MAX: Final = 64
METADATA_VALUE_CHARS_MAX: Final = 512


@dataclass(frozen=True, slots=True)
class Batch:
    """Many requests as one job, from the first row to its end.

    `account` is where its provider works through it and `file_account` where that reads its input, None (as `model`,
    `deployment` and `provider`) where the file does not say who shall answer. `copy_id` is the internal file that holds
    the lines in the provider's words, `index_id` the one that holds the caller's `custom_id` of each line; both are
    there once the lines are checked. `outcome` is the provider's last word, once it has ended. `errors` are
    `{code, message, param, line}`. `lines` is how many the file has, 0 until that is known.

    `key_id`, `user_id` and `team_id` are for whom it counts, `required` is what its places must be like, by label, and
    `guardrails` are those that the policies of its key have added. `estimate_usd` is held until the end, `cost_usd` is
    what it came to and `cost_source` who says so. `fetched_bytes` counts what of the answers is here.
    """

    id: str
    owner_id: str
    endpoint: str
    input_file_id: str
    phase: BatchPhase
    seq: int
    created_at: datetime
    expires_at: datetime
    completion_window: str = "24h"
    end_user: str | None = None
    model: str | None = None
    deployment: str | None = None
    account: str | None = None
    file_account: str | None = None
    provider: str | None = None
    provider_model: str | None = None
    metadata: Mapping[str, str] | None = None
    output_life_s: int | None = None
    key_id: str | None = None
    user_id: str | None = None
    team_id: str | None = None
    required: Mapping[str, str] | None = None
    guardrails: Sequence[str] | None = None
    errors: Sequence[Mapping[str, Any]] | None = None
    lines: int = 0
    completed: int = 0
    failed: int = 0
    usage: Mapping[str, Any] | None = None
    copy_id: str | None = None
    index_id: str | None = None
    attempts: int = 0
    submit_started_at: datetime | None = None
    provider_ref: str | None = None
    outcome: str | None = None
    in_progress_at: datetime | None = None
    finalizing_at: datetime | None = None
    completed_at: datetime | None = None
    failed_at: datetime | None = None
    expired_at: datetime | None = None
    cancelling_at: datetime | None = None
    cancelled_at: datetime | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    estimate_usd: float | None = None
    cost_usd: float | None = None
    cost_source: str | None = None


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with one line of an input file, counted from 1; `line` is None for the file as a whole."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None

    def plain(self) -> dict[str, Any]:
        """As OpenAI's `errors.data` has it."""
        return {"code": self.code, "message": self.message, "param": self.param, "line": self.line}


@dataclass(frozen=True, slots=True)
class TrackingRules:
    """`poll_interval_s` is in the place of every provider's own; a provider that lists no job for a submit whose answer
    was lost is believed after `lost_submit_s`. `parallel` files are read or written at once."""

    poll_interval_s: float | None = None
    lost_submit_s: float = 600.0
    parallel: int = 2
