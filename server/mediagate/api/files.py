"""FileService: translate, call, translate."""

from __future__ import annotations

import mimetypes
from collections.abc import AsyncIterator
from dataclasses import dataclass

from google.api.httpbody_pb2 import HttpBody

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
from mediagate.api import convert
from mediagate.api.bodies import form_events
from mediagate.api.call import Call
from mediagate.api.content import Download, head_http, stream_grpc, stream_http
from mediagate.api.pipeline import check
from mediagate.core.errors import ChecksumMismatch, InvalidField, InvalidRequest, PayloadTooLarge
from mediagate.core.forms import FieldEnd, FileData, FileEnd, FileStart, FormEvent, FormLimits
from mediagate.core.objects import File
from mediagate.files.create_file import CreateFile, Proof
from mediagate.files.delete_file import DeleteFile
from mediagate.files.get_file import GetFile
from mediagate.files.list_files import ListFiles
from mediagate.files.open_content import OpenContent
from mediagate.providers.base import Content

CHUNK_BYTES_MAX = 4 << 20


@dataclass(frozen=True, slots=True)
class FileServicer(files_pb2_grpc.FileServiceServicer):
    """Serves `mediagate.v1.FileService`."""

    create_file: CreateFile
    list_files: ListFiles
    get_file: GetFile
    delete_file: DeleteFile
    open_content: OpenContent
    form_limits: FormLimits

    async def CreateFileHttp(self, bodies: AsyncIterator[HttpBody], call: Call) -> files_pb2.File:
        file = await self.create_file.run(call.principal, form_events(bodies, self.form_limits, call.declared_bytes))
        return convert.file_to_proto(file)

    async def UploadFile(self, requests: AsyncIterator[files_pb2.UploadFileRequest], call: Call) -> files_pb2.File:
        proof = Proof()
        file = await self.create_file.run(call.principal, _upload_events(requests, proof), proof)
        return convert.file_to_proto(file)

    async def ListFiles(self, request: files_pb2.ListFilesRequest, call: Call) -> files_pb2.ListFilesResponse:
        page = await self.list_files.run(
            call.principal,
            after=request.after,
            limit=request.limit,
            ascending=request.order == "asc",
            purpose=request.purpose,
        )
        return convert.file_page_to_proto(page)

    async def GetFile(self, request: files_pb2.GetFileRequest, call: Call) -> files_pb2.File:
        return convert.file_to_proto(await self.get_file.run(call.principal, request.file_id))

    async def DeleteFile(self, request: files_pb2.DeleteFileRequest, call: Call) -> files_pb2.DeleteFileResponse:
        await self.delete_file.run(call.principal, request.file_id)
        return files_pb2.DeleteFileResponse(id=request.file_id, object="file", deleted=True)

    async def GetFileContentHttp(
        self, request: files_pb2.GetFileContentHttpRequest, call: Call
    ) -> AsyncIterator[bytes]:
        file, content = await self.open_content.run(call.principal, request.file_id)
        async for message in stream_http(_download(file, content), call):
            yield message

    async def HeadFileContentHttp(self, request: files_pb2.HeadFileContentHttpRequest, call: Call) -> bytes:
        file, content = await self.open_content.run(call.principal, request.file_id)
        return head_http(_download(file, content), call)

    async def DownloadFile(
        self, request: files_pb2.DownloadFileRequest, call: Call
    ) -> AsyncIterator[files_pb2.DownloadFileResponse]:
        file, content = await self.open_content.run(call.principal, request.file_id)
        length = request.length if request.HasField("length") else None
        async for message in stream_grpc(_download(file, content), offset=request.offset, length=length):
            yield message


def _download(file: File, content: Content) -> Download:
    return Download(content, file.filename, served_type(file.content_type), etag=f'"{file.sha256}"')


def served_type(content_type: str) -> str:
    """The type to answer. What a browser would run as a page of ours is served as plain bytes."""
    if content_type in ("text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml"):
        return "application/octet-stream"
    return content_type


async def _upload_events(
    requests: AsyncIterator[files_pb2.UploadFileRequest], proof: Proof
) -> AsyncIterator[FormEvent]:
    """A typed upload as the events of a form. Raises `InvalidField` where it is out of order or without a proof."""
    begun = closed = False
    async for request in requests:
        kind = request.WhichOneof("payload")
        if kind == "chunk" and begun and not closed:
            if len(request.chunk) > CHUNK_BYTES_MAX:
                raise PayloadTooLarge(f"A chunk may have {CHUNK_BYTES_MAX} bytes.", param="chunk")
            if request.chunk:
                yield FileData(request.chunk)
            continue
        check(request)
        if kind == "metadata" and not begun:
            begun = True
            for event in _metadata_events(request.metadata, proof):
                yield event
        elif kind == "checksum" and begun and not closed:
            closed = True
            _add_checksum(proof, request.checksum.sha256)
        else:
            raise InvalidField("Send the metadata first and once, then chunks, then at most one checksum.", param=kind)
    if not begun:
        raise InvalidRequest("The stream is empty. Send the metadata first.")
    if proof.size_bytes is None and proof.sha256 is None:
        raise InvalidField(
            "The end of the stream does not prove that the file is whole. Give size_bytes or sha256 in the metadata, "
            "or end with a checksum.",
            param="metadata.size_bytes",
        )
    yield FileEnd()


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
    if metadata.HasField("expires_after"):
        events.append(FieldEnd("expires_after[anchor]", metadata.expires_after.anchor))
        events.append(FieldEnd("expires_after[seconds]", str(metadata.expires_after.seconds)))
    guessed = mimetypes.guess_type(metadata.filename)[0] or "application/octet-stream"
    events.append(FileStart("file", metadata.filename, guessed))
    return events
