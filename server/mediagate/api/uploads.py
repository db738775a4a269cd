"""UploadService: translate, call, translate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.json_format import MessageToDict

from mediagate._gen.mediagate.v1 import uploads_pb2, uploads_pb2_grpc
from mediagate.api import convert
from mediagate.api.bodies import RawChunk, form_events
from mediagate.api.call import Call
from mediagate.api.files import chunk_events
from mediagate.api.pipeline import check
from mediagate.api.targets import TargetReader
from mediagate.core.errors import InvalidField, InvalidRequest
from mediagate.core.forms import FileEnd, FileStart, FormEvent, FormLimits
from mediagate.core.placement import requiring
from mediagate.files.add_part import AddPart
from mediagate.files.cancel_upload import CancelUpload
from mediagate.files.complete_upload import CompleteUpload
from mediagate.files.create_upload import CreateUpload
from mediagate.files.proof import Proof
from mediagate.routing.targets import Wish


@dataclass(frozen=True, slots=True)
class UploadServicer(uploads_pb2_grpc.UploadServiceServicer):
    """Serves `mediagate.v1.UploadService`."""

    create_upload: CreateUpload
    add_part: AddPart
    complete_upload: CompleteUpload
    cancel_upload: CancelUpload
    targets: TargetReader
    form_limits: FormLimits

    async def CreateUpload(self, request: uploads_pb2.CreateUploadRequest, call: Call) -> uploads_pb2.Upload:
        expiry = request.expires_after
        upload = await self.create_upload.run(
            requiring(call.principal, MessageToDict(request.placement)),
            size_bytes=request.bytes,
            filename=request.filename,
            mime_type=request.mime_type,
            purpose=request.purpose,
            expires_after={"anchor": expiry.anchor, "seconds": expiry.seconds}
            if request.HasField("expires_after")
            else None,
            named=self.targets.read(call),
            wish=_wish(request),
            keeps_partial=request.on_partial == "keep",
            upload_id=call.object_id,
            end_user=request.user,
        )
        return convert.upload_to_proto(upload)

    async def AddUploadPartHttp(
        self, requests: AsyncIterator[uploads_pb2.AddUploadPartHttpRequest], call: Call
    ) -> uploads_pb2.UploadPart:
        async for first in requests:
            check(first)
            events = form_events(_bodies(first, requests), self.form_limits, call.declared_bytes)
            part = await self.add_part.run(call.principal, first.upload_id, events, part_id=call.object_id)
            return convert.part_to_proto(part)
        raise InvalidRequest("The request has no body. Send multipart/form-data.")

    async def AddUploadPart(
        self, requests: AsyncIterator[uploads_pb2.AddUploadPartRequest | RawChunk], call: Call
    ) -> uploads_pb2.UploadPart:
        async for first in requests:
            if isinstance(first, RawChunk):
                break
            check(first)
            if first.WhichOneof("payload") != "metadata":
                break
            metadata = first.metadata
            proof = Proof(metadata.size_bytes, metadata.sha256 if metadata.HasField("sha256") else None)
            part = await self.add_part.run(
                call.principal, metadata.upload_id, _chunk_events(requests), proof, part_id=call.object_id
            )
            return convert.part_to_proto(part)
        raise InvalidField("Send the metadata first.", param="metadata")

    async def CompleteUpload(self, request: uploads_pb2.CompleteUploadRequest, call: Call) -> uploads_pb2.Upload:
        md5 = request.md5 if request.HasField("md5") else None
        upload, file = await self.complete_upload.run(call.principal, request.upload_id, list(request.part_ids), md5)
        return convert.upload_to_proto(upload, file)

    async def CancelUpload(self, request: uploads_pb2.CancelUploadRequest, call: Call) -> uploads_pb2.Upload:
        return convert.upload_to_proto(await self.cancel_upload.run(call.principal, request.upload_id))


async def _bodies(
    first: uploads_pb2.AddUploadPartHttpRequest, rest: AsyncIterator[uploads_pb2.AddUploadPartHttpRequest]
) -> AsyncIterator[HttpBody]:
    yield first.content
    async for request in rest:
        yield request.content


async def _chunk_events(
    requests: AsyncIterator[uploads_pb2.AddUploadPartRequest | RawChunk],
) -> AsyncIterator[FormEvent]:
    yield FileStart("data", "data", "application/octet-stream")
    async for request in requests:
        if not isinstance(request, RawChunk):
            raise InvalidField("Only chunks may follow the metadata.", param="metadata")
        for event in chunk_events(request):
            yield event
    yield FileEnd()


def _wish(request: uploads_pb2.CreateUploadRequest) -> Wish:
    wish = Wish()
    for name in ("custom_llm_provider", "target_model_names"):
        if request.HasField(name):
            wish.take(name, MessageToDict(getattr(request, name)))
    return wish
