"""Ask for a batch: commit the intent and its tracking job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import orjson

from mediagate.batches.cut_lines import LineCutter
from mediagate.batches.guard_lines import GuardLines
from mediagate.batches.journal import Journal
from mediagate.batches.prepare_batch import LINE_BYTES_MAX
from mediagate.batches.tasks import TRACK_BATCH, TRACKING_QUEUE
from mediagate.core import ids
from mediagate.core.batches import (
    COMPLETION_WINDOW_S,
    METADATA_KEY_CHARS_MAX,
    METADATA_MAX,
    METADATA_VALUE_CHARS_MAX,
    Batch,
)
from mediagate.core.clock import Clock
from mediagate.core.end_users import settled_end_user
from mediagate.core.errors import InvalidField
from mediagate.core.guardrails import Stage
from mediagate.core.lifecycle import BatchPhase
from mediagate.core.limits import echo
from mediagate.core.objects import File, Principal
from mediagate.core.placement import required_of, together
from mediagate.files.get_file import GetFile
from mediagate.files.open_content import OpenContent
from mediagate.files.rules import check_expiry
from mediagate.providers.batches import ENDPOINTS
from mediagate.routing.batch_accounts import BatchRoutes
from mediagate.routing.catalog import Deployment
from mediagate.routing.targets import Targets
from mediagate.storage.retention import RetentionDefaults
from mediagate.store.database import Database
from mediagate.store.files import FileRepository
from mediagate.telemetry.requests import note_backend, note_model
from mediagate.telemetry.traces import carried

WINDOW: Final = "24h"
# Of the beginning of a file, to see which model its first line names.
HEAD_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class BatchDraft:
    """What a caller asks for. `provider` restricts who may answer; `model` is needed only where the lines do not name
    one that this gateway has."""

    input_file_id: str
    endpoint: str
    completion_window: str = WINDOW
    metadata: Mapping[str, str] | None = None
    output_expires_after: Mapping[str, Any] | None = None
    model: str | None = None
    provider: str | None = None
    end_user: str | None = None


@dataclass(frozen=True, slots=True)
class CreateBatch:
    """Answers at once; lines are checked, and the rest done, by a durable job."""

    db: Database
    get_file: GetFile
    open_content: OpenContent
    routes: BatchRoutes
    targets: Targets
    journal: Journal
    clock: Clock
    guard: GuardLines
    retention: RetentionDefaults

    async def run(self, who: Principal, draft: BatchDraft, *, batch_id: str | None = None) -> Batch:
        """`batch_id` is for a batch whose id was reserved.

        Raises `InvalidField`, `NotFound` for the file, `StateConflict` for one without its bytes, `PermissionDenied`
        for a model or a provider that the caller may not use, `Unsupported` where nobody who has the model takes such
        batches, and `ProviderRefused` for a policy that names no guardrail. A file whose first line is broken is taken,
        and the batch fails.
        """
        _check(draft)
        life_s = self.retention.life_s(who, "batch_output", check_expiry(draft.output_expires_after))
        file = await self.get_file.run(who, draft.input_file_id)
        model = await self._first_model(file)
        if draft.model is not None and model is not None and model != draft.model:
            raise InvalidField(
                f"The lines are for the model '{echo(model)}', and 'model' is '{echo(draft.model)}'.", param="model"
            )
        model = draft.model or model
        required = await self._required(who, file)
        deployment = None
        if model is not None:
            deployment = await self.routes.choose(
                who, model, draft.endpoint, provider=draft.provider, required=required
            )
        # Where the answers will be must be allowed before anything is asked.
        self.targets.default(who)
        now = self.clock.now()
        batch = Batch(
            id=batch_id or ids.BATCH.new(),
            owner_id=who.owner_id,
            endpoint=draft.endpoint,
            input_file_id=file.id,
            phase=BatchPhase.VALIDATING,
            seq=1,
            created_at=now,
            expires_at=now + timedelta(seconds=COMPLETION_WINDOW_S),
            completion_window=draft.completion_window,
            end_user=settled_end_user(who, draft.end_user) or file.end_user,
            metadata=dict(draft.metadata) if draft.metadata else None,
            output_life_s=life_s,
            key_id=who.key_id,
            user_id=who.user_id,
            team_id=who.team_id,
            required=required or None,
            guardrails=list(self.guard.guardrails.of_policies(who)) or None,
            **_of(deployment),
        )
        # A policy that names a guardrail which is none is the operator's to hear of now.
        for stage in (Stage.PROMPT, Stage.ANSWER):
            self.guard.of(batch, stage)
        if deployment is not None:
            note_model(deployment.model_name)
            note_backend(deployment.model_account)
        async with self.db.transaction() as tx:
            await self.journal.open(tx, batch)
            await tx.enqueue(TRACK_BATCH, queue=TRACKING_QUEUE, lock=batch.id, batch_id=batch.id, **carried())
        return batch

    async def _first_model(self, file: File) -> str | None:
        """The model that the first line names; None where it cannot be read as a request."""
        content = await self.open_content.of(file)
        cutter, end = LineCutter(LINE_BYTES_MAX), min(content.size_bytes, LINE_BYTES_MAX)
        lines: Sequence[bytes] = ()
        async with aclosing(content.read(0, min(end, HEAD_BYTES))) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                lines = cutter.feed(chunk)
                if lines:
                    break
        if not lines and end > HEAD_BYTES:
            async with aclosing(content.read(HEAD_BYTES, end)) as chunks:  # type: ignore[type-var]
                async for chunk in chunks:
                    lines = cutter.feed(chunk)
                    if lines:
                        break
        try:
            model = orjson.loads((lines or cutter.end())[0])["body"]["model"]
        except (ValueError, LookupError, TypeError):
            return None
        return model if isinstance(model, str) and model else None

    async def _required(self, who: Principal, file: File) -> dict[str, str]:
        async with self.db.reading() as connection:
            return together([required_of(who), await FileRepository(connection).required(file.id)])


def _of(deployment: Deployment | None) -> dict[str, Any]:
    if deployment is None:
        return {}
    return {
        "model": deployment.model_name,
        "deployment": deployment.id,
        "account": deployment.model_account,
        "file_account": deployment.account,
        "provider": deployment.provider,
        "provider_model": deployment.provider_model,
    }


def _check(draft: BatchDraft) -> None:
    if draft.endpoint not in ENDPOINTS:
        raise InvalidField(
            f"'endpoint' must be one of {', '.join(ENDPOINTS)}, not '{echo(draft.endpoint)}'.",
            param="endpoint",
            code="invalid_value",
        )
    if draft.completion_window != WINDOW:
        raise InvalidField(f"'completion_window' must be '{WINDOW}'.", param="completion_window", code="invalid_value")
    metadata = draft.metadata or {}
    if len(metadata) > METADATA_MAX:
        raise InvalidField(f"'metadata' may have {METADATA_MAX} members.", param="metadata")
    for name, value in metadata.items():
        if len(name) > METADATA_KEY_CHARS_MAX or len(value) > METADATA_VALUE_CHARS_MAX:
            raise InvalidField(
                f"A key of 'metadata' may have {METADATA_KEY_CHARS_MAX} characters and a value "
                f"{METADATA_VALUE_CHARS_MAX}.",
                param="metadata",
            )
        if "\x00" in name + value:
            raise InvalidField("'metadata' must not hold a null character.", param="metadata")
