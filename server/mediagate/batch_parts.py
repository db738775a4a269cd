"""The objects of the room `batches`, connected once per process."""

from __future__ import annotations

from mediagate.api.batches import BatchServicer
from mediagate.api.targets import TargetReader
from mediagate.batches.cancel_batch import CancelBatch
from mediagate.batches.clean_batch import CleanBatch
from mediagate.batches.cost import BatchCosts
from mediagate.batches.create_batch import CreateBatch
from mediagate.batches.finish_batch import FinishBatch
from mediagate.batches.get_batch import GetBatch
from mediagate.batches.guard_lines import GuardLines
from mediagate.batches.journal import Journal
from mediagate.batches.list_batches import ListBatches
from mediagate.batches.prepare_batch import PrepareBatch
from mediagate.batches.tell_files import TellFiles
from mediagate.batches.track_batch import TrackBatch
from mediagate.composition import Parts
from mediagate.routing.batch_accounts import BatchRoutes
from mediagate.storage.retention import RetentionDefaults
from mediagate.store.batches import BatchLookup

FILE_WAIT_S = 3600.0
"""How long a batch waits for a file of its lines that has to be copied first: nobody holds a connection for it."""


def build_batch_tracker(parts: Parts) -> TrackBatch:
    """What carries a batch to its end."""
    journal = Journal(parts.db, parts.clock)
    costs, guard = BatchCosts(parts.chat_money.costs, parts.budgets), GuardLines(parts.guardrails)
    tell_files = TellFiles(parts.resolve_files.patient(FILE_WAIT_S), parts.catalog)
    drops = frozenset(one.id for one in parts.catalog.all() if one.drops_settings)
    return TrackBatch(
        parts.db,
        parts.batch_accounts,
        parts.files,
        parts.open_content,
        PrepareBatch(parts.db, parts.intake, parts.open_content, journal, tell_files, costs, guard, drops),
        FinishBatch(
            parts.intake,
            parts.files,
            parts.open_content,
            parts.targets,
            journal,
            costs,
            guard,
            parts.settings.data_dir / "spool",
        ),
        journal,
        parts.clock,
        parts.settings.config.batches.rules,
    )


def build_batch_cleaner(parts: Parts) -> CleanBatch:
    """What removes the rest of a batch from its provider."""
    return CleanBatch(parts.db, parts.batch_accounts, parts.clock)


def build_batch_servicer(parts: Parts) -> BatchServicer:
    """The service."""
    get_batch = GetBatch(BatchLookup(parts.db))
    return BatchServicer(
        create_batch=CreateBatch(
            parts.db,
            parts.get_file,
            parts.open_content,
            BatchRoutes(parts.catalog, parts.batch_accounts, parts.stores.accounts, parts.router),
            parts.targets,
            Journal(parts.db, parts.clock),
            parts.clock,
            GuardLines(parts.guardrails),
            RetentionDefaults(parts.settings.config.retention),
        ),
        list_batches=ListBatches(parts.db),
        get_batch=get_batch,
        cancel_batch=CancelBatch(parts.db, get_batch, parts.clock),
        targets=TargetReader(parts.stores),
    )
