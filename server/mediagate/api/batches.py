"""BatchService: translate, call, translate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict

from mediagate._gen.mediagate.v1 import batches_pb2 as pb
from mediagate._gen.mediagate.v1 import batches_pb2_grpc
from mediagate.api.call import Call
from mediagate.api.convert import text_or_null, unix
from mediagate.api.targets import TargetReader
from mediagate.batches.cancel_batch import CancelBatch
from mediagate.batches.create_batch import BatchDraft, CreateBatch
from mediagate.batches.get_batch import GetBatch
from mediagate.batches.list_batches import ListBatches
from mediagate.core.batches import Batch
from mediagate.core.lifecycle import batch_status_of
from mediagate.core.objects import Page
from mediagate.core.placement import requiring

_TIMES = (
    "in_progress_at",
    "expires_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
)


@dataclass(frozen=True, slots=True)
class BatchServicer(batches_pb2_grpc.BatchServiceServicer):
    """Serves `mediagate.v1.BatchService`."""

    create_batch: CreateBatch
    list_batches: ListBatches
    get_batch: GetBatch
    cancel_batch: CancelBatch
    targets: TargetReader

    async def CreateBatch(self, request: pb.CreateBatchRequest, call: Call) -> pb.Batch:
        expiry = request.output_expires_after
        draft = BatchDraft(
            input_file_id=request.input_file_id,
            endpoint=request.endpoint,
            completion_window=request.completion_window,
            metadata=dict(request.metadata),
            output_expires_after={"anchor": expiry.anchor, "seconds": expiry.seconds}
            if request.HasField("output_expires_after")
            else None,
            model=request.model or None,
            provider=self.targets.read(call).first or request.custom_llm_provider or None,
            end_user=request.user or None,
        )
        who = requiring(call.principal, MessageToDict(request.placement))
        return batch_to_proto(await self.create_batch.run(who, draft, batch_id=call.object_id))

    async def ListBatches(self, request: pb.ListBatchesRequest, call: Call) -> pb.ListBatchesResponse:
        page = await self.list_batches.run(
            call.principal,
            after=request.after,
            limit=request.limit if request.HasField("limit") else None,
            end_user=request.user,
        )
        return batch_page_to_proto(page)

    async def GetBatch(self, request: pb.GetBatchRequest, call: Call) -> pb.Batch:
        return batch_to_proto(await self.get_batch.run(call.principal, request.batch_id))

    async def CancelBatch(self, request: pb.CancelBatchRequest, call: Call) -> pb.Batch:
        return batch_to_proto(await self.cancel_batch.run(call.principal, request.batch_id))


def batch_to_proto(batch: Batch) -> pb.Batch:
    """OpenAI's Batch object."""
    times: dict[str, Any] = {name: unix(value) for name in _TIMES if (value := getattr(batch, name)) is not None}
    message = pb.Batch(
        id=batch.id,
        object="batch",
        endpoint=batch.endpoint,
        model=batch.model,
        input_file_id=batch.input_file_id,
        completion_window=batch.completion_window,
        status=batch_status_of(batch.phase),
        output_file_id=batch.output_file_id,
        error_file_id=batch.error_file_id,
        created_at=unix(batch.created_at),
        request_counts=pb.BatchRequestCounts(total=batch.lines, completed=batch.completed, failed=batch.failed),
        metadata=batch.metadata,
        mediagate=pb.BatchDetails(
            provider=batch.provider,
            deployment=batch.deployment,
            provider_batch_id=batch.provider_ref,
            estimate_usd=batch.estimate_usd,
            cost_usd=batch.cost_usd,
            user=batch.end_user,
        ),
        **times,
    )
    if batch.errors:
        message.errors.CopyFrom(pb.BatchErrors(object="list", data=[_error(error) for error in batch.errors]))
    if batch.usage:
        message.usage.CopyFrom(_usage(batch.usage))
    return message


def _error(error: Any) -> pb.BatchError:
    return pb.BatchError(**{name: value for name, value in error.items() if value is not None})


def _usage(usage: Any) -> pb.BatchUsage:
    return pb.BatchUsage(
        input_tokens=usage["input_tokens"],
        input_tokens_details=pb.BatchInputTokens(**usage["input_tokens_details"]),
        output_tokens=usage["output_tokens"],
        output_tokens_details=pb.BatchOutputTokens(**usage["output_tokens_details"]),
        total_tokens=usage["total_tokens"],
    )


def batch_page_to_proto(page: Page[Batch]) -> pb.ListBatchesResponse:
    """OpenAI's list object."""
    return pb.ListBatchesResponse(
        object="list",
        data=[batch_to_proto(batch) for batch in page.items],
        first_id=text_or_null(page.items[0].id if page.items else None),
        last_id=text_or_null(page.items[-1].id if page.items else None),
        has_more=page.has_more,
    )
