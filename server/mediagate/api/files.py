"""FileService: translate, call, translate."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from google.api.httpbody_pb2 import HttpBody

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
from mediagate.api import convert
from mediagate.api.bodies import Body, RawChunk, raw_events
from mediagate.api.call import Call
from mediagate.api.content import Download, head_http, stream_grpc, stream_http
from mediagate.api.paths import ORIGINAL_PATH
from mediagate.api.pipeline import check
from mediagate.api.served import kept_by
from mediagate.api.targets import TargetReader
from mediagate.core.errors import ChecksumMismatch, InvalidField, InvalidRequest, PayloadTooLarge, PermissionDenied
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent, FormLimits
from mediagate.core.handles import HandleKind
from mediagate.core.lifecycle import FileState
from mediagate.core.objects import File
from mediagate.core.placement import PLACEMENT
from mediagate.files.copy_file import CopyFile
from mediagate.files.create_file import CreateFile
from mediagate.files.delete_file import DeleteFile
from mediagate.files.get_file import GetFile
from mediagate.files.list_files import ListFiles
from mediagate.files.open_content import OpenContent
from mediagate.files.proof import Proof
from mediagate.files.provider_files import ProviderFiles
from mediagate.providers.base import Content
from mediagate.providers.files import ListQuery
from mediagate.routing.targets import Named

CHUNK_BYTES_MAX = 4 << 20
JSON_BYTES_MAX = 1 << 20
LIMIT_DEFAULT = 10_000


@dataclass(frozen=True, slots=True)
class FileServicer(files_pb2_grpc.FileServiceServicer):
    """Serves `mediagate.v1.FileService`."""

    create_file: CreateFile
    copy_file: CopyFile
    list_files: ListFiles
    get_file: GetFile
    delete_file: DeleteFile
    open_content: OpenContent
    provider_files: ProviderFiles
    targets: TargetReader
    form_limits: FormLimits

    async def CreateFileHttp(self, bodies: AsyncIterator[HttpBody], call: Call) -> files_pb2.File:
        body = await Body.open(bodies)
        if body.is_json:
            promise = "respond-async" in (call.header("prefer") or "").lower()
            tree = await body.json(bytes_max=JSON_BYTES_MAX)
            return await self._copy(tree, self.targets.read(call), call, promise=promise)
        file = await self.create_file.run(
            call.principal,
            body.events(self.form_limits, call.declared_bytes),
            named=self.targets.read(call),
            file_id=call.object_id,
            body_bytes=call.declared_bytes,
        )
        call.respond(kept_by(file))
        return convert.file_to_proto(file)

    async def PutFileHttp(self, bodies: AsyncIterator[HttpBody], call: Call) -> files_pb2.File:
        query = parse_qs((call.header(ORIGINAL_PATH) or "").partition("?")[2])
        file = await self.create_file.run(
            call.principal,
            raw_events(bodies, call.declared_bytes, query),
            named=self.targets.read(call),
            file_id=call.object_id,
            body_bytes=call.declared_bytes,
        )
        return convert.file_to_proto(file)

    async def CopyFile(self, request: files_pb2.CopyFileRequest, call: Call) -> files_pb2.File:
        tree = {
            name: getattr(request, name)
            for name in ("source", "purpose", "filename", "on_partial", "user")
            if name == "source" or request.HasField(name)
        }
        if request.HasField("expires_after"):
            tree["expires_after"] = {
                "anchor": request.expires_after.anchor,
                "seconds": request.expires_after.seconds,
            }
        for name in ("custom_llm_provider", "target_model_names"):
            if getattr(request, name):
                tree[name] = list(getattr(request, name))
        if request.placement:
            tree[PLACEMENT] = dict(request.placement)
        return await self._copy(tree, self.targets.read(call), call, promise=request.respond_async)

    async def _copy(self, tree: dict[str, Any], named: Named, call: Call, *, promise: bool) -> files_pb2.File:
        handle = call.principal.handle
        if handle is not None and handle.kind is HandleKind.UPLOAD:
            raise PermissionDenied("This token takes bytes: it copies nothing.", code="token_kind")
        file = await self.copy_file.run(call.principal, tree, named=named, promise=promise, file_id=call.object_id)
        if file.state is FileState.COPYING:
            call.respond([("x-http-status", "202")])
        if promise:
            call.respond([("preference-applied", "respond-async")])
        call.respond(kept_by(file))
        return convert.file_to_proto(file)

    async def UploadFile(
        self, requests: AsyncIterator[files_pb2.UploadFileRequest | RawChunk], call: Call
    ) -> files_pb2.File:
        proof = Proof()
        events = _upload_events(requests, proof)
        file = await self.create_file.run(
            call.principal, events, proof, named=self.targets.read(call), file_id=call.object_id
        )
        call.respond(kept_by(file))
        return convert.file_to_proto(file)

    async def ListFiles(self, request: files_pb2.ListFilesRequest, call: Call) -> files_pb2.ListFilesResponse:
        named = self.targets.read(call)
        ascending = request.order == "asc"
        if named.first is not None:
            query = ListQuery(request.limit or LIMIT_DEFAULT, request.after or None, ascending, request.purpose or None)
            return convert.provider_page_to_proto(await self.provider_files.list(call.principal, named, query))
        page = await self.list_files.run(
            call.principal,
            after=request.after,
            limit=request.limit,
            ascending=ascending,
            purpose=request.purpose,
            end_user=request.user,
        )
        return convert.file_page_to_proto(page)

    async def GetFile(self, request: files_pb2.GetFileRequest, call: Call) -> files_pb2.File:
        named = self.targets.read(call)
        if self.provider_files.names(named, request.file_id):
            found = await self.provider_files.get(call.principal, named, request.file_id)
            return convert.provider_file_to_proto(found)
        return convert.file_to_proto(await self.get_file.run(call.principal, request.file_id))

    async def DeleteFile(self, request: files_pb2.DeleteFileRequest, call: Call) -> files_pb2.DeleteFileResponse:
        named = self.targets.read(call)
        if self.provider_files.names(named, request.file_id):
            await self.provider_files.delete(call.principal, named, request.file_id)
        else:
            await self.delete_file.run(call.principal, request.file_id)
        return files_pb2.DeleteFileResponse(id=request.file_id, object="file", deleted=True)

    async def GetFileContentHttp(
        self, request: files_pb2.GetFileContentHttpRequest, call: Call
    ) -> AsyncIterator[bytes]:
        async for message in stream_http(await self._open(request.file_id, call), call):
            yield message

    async def HeadFileContentHttp(self, request: files_pb2.HeadFileContentHttpRequest, call: Call) -> bytes:
        return head_http(await self._open(request.file_id, call), call)

    async def DownloadFile(
        self, request: files_pb2.DownloadFileRequest, call: Call
    ) -> AsyncIterator[files_pb2.DownloadFileResponse]:
        length = request.length if request.HasField("length") else None
        download = await self._open(request.file_id, call)
        async for message in stream_grpc(download, offset=request.offset, length=length):
            yield message

    async def _open(self, file_id: str, call: Call) -> Download:
        named = self.targets.read(call)
        if self.provider_files.names(named, file_id):
            found, content = await self.provider_files.open(call.principal, named, file_id)
            kind = served_type(found.content_type or content.content_type)
            return Download(content, found.filename, kind, etag="")
        file, content = await self.open_content.run(call.principal, file_id)
        return _download(file, content)


def _download(file: File, content: Content) -> Download:
    etag = f'"{file.sha256}"' if file.sha256 else ""
    return Download(content, file.filename, served_type(file.content_type), etag=etag)


def served_type(content_type: str) -> str:
    """The type to answer. What a browser would run as a page of ours is served as plain bytes."""
    if content_type in ("text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"):
        return "application/octet-stream"
    return content_type


def chunk_events(message: RawChunk) -> list[FormEvent]:
    """A chunk of an upload. Raises `PayloadTooLarge`."""
    if len(message.chunk) > CHUNK_BYTES_MAX:
        raise PayloadTooLarge(f"A chunk may have {CHUNK_BYTES_MAX} bytes.", param="chunk")
    return [FileData(message.chunk)] if message.chunk else []


async def _upload_events(
    requests: AsyncIterator[files_pb2.UploadFileRequest | RawChunk], proof: Proof
) -> AsyncIterator[FormEvent]:
    """A typed upload as the events of a form. Raises `InvalidField` where it is out of order or without a proof."""
    begun = closed = False
    async for request in requests:
        if isinstance(request, RawChunk):
            if not begun or closed:
                raise _out_of_order("chunk")
            for event in chunk_events(request):
                yield event
            continue
        kind = request.WhichOneof("payload")
        check(request)
        if kind == "metadata" and not begun:
            begun = True
            for event in _metadata_events(request.metadata, proof):
                yield event
        elif kind == "checksum" and begun and not closed:
            closed = True
            _add_checksum(proof, request.checksum.sha256)
        else:
            raise _out_of_order(kind)
    if not begun:
        raise InvalidRequest("The stream is empty. Send the metadata first.")
    if proof.size_bytes is None and proof.sha256 is None:
        raise InvalidField(
            "The end of the stream does not prove that the file is whole. Give size_bytes or sha256 in the metadata, "
            "or end with a checksum.",
            param="metadata.size_bytes",
        )
    yield FileEnd()


def _out_of_order(kind: str | None) -> InvalidField:
    return InvalidField("Send the metadata first and once, then chunks, then at most one checksum.", param=kind)


def _add_checksum(proof: Proof, sha256: str) -> None:
    if proof.sha256 not in (None, sha256):
        raise ChecksumMismatch("The metadata and the end announce different checksums.", param="checksum.sha256")
    proof.sha256 = sha256


def _metadata_events(metadata: files_pb2.UploadFileMetadata, proof: Proof) -> list[FormEvent]:
    if metadata.HasField("size_bytes"):
        proof.size_bytes = metadata.size_bytes
    if metadata.HasField("sha256"):
        proof.sha256 = metadata.sha256
    events: list[FormEvent] = [FieldEnd("purpose", metadata.purpose)]
    for name in ("custom_llm_provider", "target_model_names"):
        events += [FieldEnd(name, value) for value in getattr(metadata, name)]
    for name in ("on_partial", "user"):
        if metadata.HasField(name):
            events.append(FieldEnd(name, getattr(metadata, name)))
    if metadata.placement:
        events.append(FieldEnd(PLACEMENT, json.dumps(dict(metadata.placement))))
    if metadata.HasField("expires_after"):
        events.append(FieldEnd("expires_after[anchor]", metadata.expires_after.anchor))
        events.append(FieldEnd("expires_after[seconds]", str(metadata.expires_after.seconds)))
    guessed = mimetypes.guess_type(metadata.filename)[0] or "application/octet-stream"
    events.append(FileStart("file", metadata.filename, guessed))
    return events
