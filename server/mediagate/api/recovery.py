"""What each method with an idempotency key may have done where it was lost, and how that is found."""

from __future__ import annotations

from typing import Any

from mediagate._gen.mediagate.v1 import batches_pb2, files_pb2, uploads_pb2, videos_pb2
from mediagate.api import convert
from mediagate.api.batches import BatchServicer
from mediagate.api.call import Call
from mediagate.api.files import FileServicer
from mediagate.api.idempotency import Recovery
from mediagate.api.videos import VideoServicer
from mediagate.api.webhooks import WebhookServicer
from mediagate.core import ids
from mediagate.core.errors import NotFound
from mediagate.core.lifecycle import VideoPhase
from mediagate.files.abandon_file import AbandonFile
from mediagate.files.get_upload import GetUpload

_MAKE_FILES = ("CreateFileHttp", "PutFileHttp", "UploadFile", "CopyFile")
_MAKE_PARTS = ("AddUploadPart", "AddUploadPartHttp")
_MAKE_VIDEOS = tuple(f"{verb}Video{door}" for verb in ("Create", "Remix", "Edit", "Extend") for door in ("", "Http"))
_MAKE_CHARACTERS = ("CreateCharacter", "CreateCharacterHttp")


def recoveries(
    files: FileServicer,
    videos: VideoServicer,
    batches: BatchServicer,
    get_upload: GetUpload,
    abandon_file: AbandonFile,
    webhooks: WebhookServicer,
) -> dict[str, Recovery]:
    """By full method name. Methods that answer the same when they are repeated need none."""
    found = Found(files, videos, batches, get_upload)
    file = Recovery(found.file, ids.FILE, anew=True, give_up=abandon_file.run)
    part = Recovery(found.part, ids.PART, anew=True)
    return {
        **{f"/mediagate.v1.FileService/{name}": file for name in _MAKE_FILES},
        "/mediagate.v1.FileService/DeleteFile": Recovery(found.deleted_file),
        "/mediagate.v1.UploadService/CreateUpload": Recovery(found.upload, ids.UPLOAD),
        **{f"/mediagate.v1.UploadService/{name}": part for name in _MAKE_PARTS},
        **{f"/mediagate.v1.VideoService/{name}": Recovery(found.video, ids.VIDEO) for name in _MAKE_VIDEOS},
        **{f"/mediagate.v1.VideoService/{name}": Recovery(found.character, ids.CHARACTER) for name in _MAKE_CHARACTERS},
        "/mediagate.v1.BatchService/CreateBatch": Recovery(found.batch, ids.BATCH),
        "/mediagate.v1.BatchService/CancelBatch": Recovery(found.cancelled_batch),
        "/mediagate.v1.VideoService/CancelVideo": Recovery(found.cancelled_video),
        "/mediagate.v1.VideoService/DeleteVideo": Recovery(found.deleted_video),
        "/mediagate.v1.WebhookService/CreateWebhookEndpoint": Recovery(webhooks.made, ids.WEBHOOK_ENDPOINT),
        "/mediagate.v1.WebhookService/DeleteWebhookEndpoint": Recovery(webhooks.deleted),
    }


class Found:
    """Answers for calls that were lost; each raises `NotFound`, or returns None, where such a call did nothing."""

    def __init__(
        self, files: FileServicer, videos: VideoServicer, batches: BatchServicer, get_upload: GetUpload
    ) -> None:
        self._files = files
        self._videos = videos
        self._batches = batches
        self._get_upload = get_upload

    async def file(self, file_id: str, _request: Any, call: Call) -> files_pb2.File:
        """A file that was made, or promised."""
        return convert.file_to_proto(await self._files.get_file.run(call.principal, file_id))

    async def upload(self, upload_id: str, _request: Any, call: Call) -> uploads_pb2.Upload:
        """An upload that was announced."""
        return convert.upload_to_proto(await self._get_upload.run(call.principal, upload_id))

    async def part(self, part_id: str, _request: Any, call: Call) -> uploads_pb2.UploadPart:
        """A part that was stored."""
        return convert.part_to_proto(await self._get_upload.part(call.principal, part_id))

    async def video(self, video_id: str, _request: Any, call: Call) -> videos_pb2.Video:
        """A video that was begun."""
        return await self._videos.GetVideo(videos_pb2.GetVideoRequest(video_id=video_id), call)

    async def batch(self, batch_id: str, _request: Any, call: Call) -> batches_pb2.Batch:
        """A batch that was begun."""
        return await self._batches.GetBatch(batches_pb2.GetBatchRequest(batch_id=batch_id), call)

    async def cancelled_batch(self, _: str, request: Any, call: Call) -> batches_pb2.Batch | None:
        """A batch that was stopped."""
        batch = await self.batch(request.batch_id, None, call)
        return batch if batch.HasField("cancelling_at") else None

    async def character(self, character_id: str, _request: Any, call: Call) -> videos_pb2.Character:
        """A character that was kept."""
        return await self._videos.GetCharacter(videos_pb2.GetCharacterRequest(character_id=character_id), call)

    async def cancelled_video(self, _: str, request: Any, call: Call) -> videos_pb2.Video | None:
        """A video that was stopped."""
        video = await self.video(request.video_id, None, call)
        return video if video.mediagate.phase == VideoPhase.CANCELLED.value else None

    async def deleted_file(self, _: str, request: Any, call: Call) -> files_pb2.DeleteFileResponse | None:
        """A file that is gone, be it one of ours or a provider's own."""
        try:
            await self._files.GetFile(files_pb2.GetFileRequest(file_id=request.file_id), call)
        except NotFound:
            return files_pb2.DeleteFileResponse(id=request.file_id, object="file", deleted=True)
        return None

    async def deleted_video(self, _: str, request: Any, call: Call) -> videos_pb2.DeleteVideoResponse | None:
        """A video that is gone."""
        try:
            await self.video(request.video_id, None, call)
        except NotFound:
            return videos_pb2.DeleteVideoResponse(id=request.video_id, object="video.deleted", deleted=True)
        return None
