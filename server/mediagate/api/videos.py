"""VideoService: translate, call, translate."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from google.api.httpbody_pb2 import HttpBody
from google.protobuf import json_format

from mediagate._gen.mediagate.v1 import files_pb2, videos_pb2, videos_pb2_grpc
from mediagate.api import convert
from mediagate.api.bodies import Body, media_type
from mediagate.api.call import Call
from mediagate.api.content import Download, head_http, http_body, stream_grpc, stream_http
from mediagate.api.offers import forecast_to_proto, video_models_to_proto
from mediagate.api.pipeline import check
from mediagate.api.served import served_by
from mediagate.core.durations import parse_duration_s
from mediagate.core.end_users import settled_end_user
from mediagate.core.errors import InvalidField, InvalidRequest, UnsupportedMediaType
from mediagate.core.forms import FormLimits
from mediagate.core.limits import echo
from mediagate.core.objects import Video
from mediagate.providers.base import VideoVariant
from mediagate.routing.catalog import ModelCatalog
from mediagate.videos.callbacks import TakeCallback
from mediagate.videos.cancel_video import CancelVideo
from mediagate.videos.characters import CreateCharacter, GetCharacter
from mediagate.videos.cost import Costs
from mediagate.videos.create_video import CreateVideo, DeriveVideo, ReadForm
from mediagate.videos.delete_video import DeleteVideo
from mediagate.videos.estimate_video import EstimateVideo
from mediagate.videos.feed import FeedItem
from mediagate.videos.get_video import GetVideo
from mediagate.videos.list_videos import ListVideos
from mediagate.videos.open_content import OpenVideoContent
from mediagate.videos.watch_video import WatchVideo
from mediagate.videos.watch_videos import WatchVideos, time_of

EVENT_STREAM = "text/event-stream"
# No blank line behind a comment: to a client that remembers the last id, as OpenAI's does, that is an empty event.
KEEP_ALIVE = http_body(b": keep-alive\n", "")


@dataclass(frozen=True, slots=True)
class VideoServicer(videos_pb2_grpc.VideoServiceServicer):
    """Serves `mediagate.v1.VideoService`."""

    read_form: ReadForm
    create_video: CreateVideo
    estimate_video: EstimateVideo
    remix_video: DeriveVideo
    edit_video: DeriveVideo
    extend_video: DeriveVideo
    get_video: GetVideo
    list_videos: ListVideos
    cancel_video: CancelVideo
    delete_video: DeleteVideo
    open_content: OpenVideoContent
    watch_video: WatchVideo
    watch_videos: WatchVideos
    take_callback: TakeCallback
    create_character: CreateCharacter
    get_character: GetCharacter
    catalog: ModelCatalog
    costs: Costs
    form_limits: FormLimits
    wait_s_max: float
    poll_after_ms: int

    async def CreateVideo(self, request: videos_pb2.CreateVideoRequest, call: Call) -> videos_pb2.Video:
        return self._answer(
            await self.create_video.run(call.principal, _creation(request), video_id=call.object_id), call
        )

    async def CreateVideoHttp(self, bodies: AsyncIterator[HttpBody], call: Call) -> videos_pb2.Video:
        async with self._fields(bodies, call, "input_reference") as fields:
            return self._answer(await self.create_video.run(call.principal, fields, video_id=call.object_id), call)

    async def EstimateVideo(self, request: videos_pb2.CreateVideoRequest, call: Call) -> videos_pb2.VideoEstimate:
        return forecast_to_proto(await self.estimate_video.run(call.principal, _creation(request)))

    async def EstimateVideoHttp(self, bodies: AsyncIterator[HttpBody], call: Call) -> videos_pb2.VideoEstimate:
        async with self._fields(bodies, call, "input_reference") as fields:
            return forecast_to_proto(await self.estimate_video.run(call.principal, fields))

    async def ListVideos(self, request: videos_pb2.ListVideosRequest, call: Call) -> videos_pb2.ListVideosResponse:
        page = await self.list_videos.run(
            call.principal,
            after=request.after,
            limit=request.limit if request.HasField("limit") else None,
            ascending=request.order == "asc",
            end_user=request.user,
        )
        return convert.video_page_to_proto(page)

    async def GetVideo(self, request: videos_pb2.GetVideoRequest, call: Call) -> videos_pb2.Video:
        _require_id(request)
        if not request.wait:
            return self._answer(await self.get_video.run(call.principal, request.video_id), call)
        wait_s = parse_duration_s(request.wait, max_s=self.wait_s_max, param="wait")
        after_seq = request.after_seq if request.HasField("after_seq") else None
        video = await self.get_video.wait(call.principal, request.video_id, wait_s=wait_s, after_seq=after_seq)
        return self._answer(video, call)

    async def WatchVideo(self, request: videos_pb2.WatchVideoRequest, call: Call) -> AsyncIterator[bytes]:
        after_seq = request.after_seq if request.HasField("after_seq") else None
        async with aclosing(self.watch_video.run(call.principal, request.video_id, after_seq=after_seq)) as items:
            async for item in items:
                if item is not None:
                    yield convert.event_to_grpc(item)

    async def WatchVideos(self, request: videos_pb2.WatchVideosRequest, call: Call) -> AsyncIterator[bytes]:
        async with aclosing(self._all_events(request, call, request.after)) as items:
            async for item in items:
                if item is not None:
                    yield convert.owners_event_to_grpc(item)

    async def WatchVideosHttp(self, request: videos_pb2.WatchVideosRequest, call: Call) -> AsyncIterator[bytes]:
        after = call.header("last-event-id") or request.after
        events = self._all_events(request, call, after)
        call.respond([("cache-control", "no-cache"), ("x-accel-buffering", "no")])
        # Whoever has no video yet shall see that the stream is open.
        yield http_body(b": open\n", EVENT_STREAM)
        async with aclosing(events) as items:
            async for item in items:
                yield KEEP_ALIVE if item is None else http_body(convert.owners_event_to_sse(item), "")

    def _all_events(
        self, request: videos_pb2.WatchVideosRequest, call: Call, after: str
    ) -> AsyncGenerator[FeedItem | None]:
        since = time_of(after) if after else None
        # Here and now: once the stream is open nothing can be refused.
        end_user = settled_end_user(call.principal, request.user)
        return self.watch_videos.run(call.principal, after=since, end_user=end_user)

    async def WatchVideoHttp(self, request: videos_pb2.WatchVideoRequest, call: Call) -> AsyncIterator[bytes]:
        last = call.header("last-event-id") or ""
        after_seq = request.after_seq if request.HasField("after_seq") else None
        if last.isascii() and last.isdigit() and len(last) < 10:
            after_seq = int(last)
        content_type = EVENT_STREAM
        call.respond([("cache-control", "no-cache"), ("x-accel-buffering", "no")])
        async with aclosing(self.watch_video.run(call.principal, request.video_id, after_seq=after_seq)) as items:
            async for item in items:
                if content_type:
                    assert item is not None
                    yield http_body(convert.event_to_sse(item), content_type)
                    content_type = ""
                else:
                    yield KEEP_ALIVE if item is None else _sse_body(item)

    async def CancelVideo(self, request: videos_pb2.CancelVideoRequest, call: Call) -> videos_pb2.Video:
        return self._answer(await self.cancel_video.run(call.principal, request.video_id), call)

    async def DeleteVideo(self, request: videos_pb2.DeleteVideoRequest, call: Call) -> videos_pb2.DeleteVideoResponse:
        await self.delete_video.run(call.principal, request.video_id)
        return videos_pb2.DeleteVideoResponse(id=request.video_id, object="video.deleted", deleted=True)

    async def GetVideoContentHttp(
        self, request: videos_pb2.GetVideoContentHttpRequest, call: Call
    ) -> AsyncIterator[bytes]:
        async for message in stream_http(await self._open(request, call), call):
            yield message

    async def HeadVideoContentHttp(self, request: videos_pb2.HeadVideoContentHttpRequest, call: Call) -> bytes:
        return head_http(await self._open(request, call), call)

    async def DownloadVideo(
        self, request: videos_pb2.DownloadVideoRequest, call: Call
    ) -> AsyncIterator[files_pb2.DownloadFileResponse]:
        length = request.length if request.HasField("length") else None
        async for message in stream_grpc(await self._open(request, call), offset=request.offset, length=length):
            yield message

    async def RemixVideo(self, request: videos_pb2.RemixVideoRequest, call: Call) -> videos_pb2.Video:
        fields = {**_typed(request), "video": {"id": request.video_id}}
        del fields["video_id"]
        return self._answer(await self.remix_video.run(call.principal, fields, video_id=call.object_id), call)

    async def RemixVideoHttp(
        self, requests: AsyncIterator[videos_pb2.RemixVideoHttpRequest], call: Call
    ) -> videos_pb2.Video:
        async for first in requests:
            check(first)
            media = () if first.video_id else ("input_reference",)
            async with self._fields(_bodies(first, requests), call, *media) as fields:
                video_id = first.video_id or fields.get("video_id")
                if video_id is None:
                    created = await self.create_video.run(call.principal, fields, video_id=call.object_id)
                    return self._answer(created, call)
                if first.video_id:
                    # A remix has its source's model. Older clients send `model` on the path without an id.
                    fields.pop("model", None)
                fields["video"] = {"id": video_id}
                return self._answer(await self.remix_video.run(call.principal, fields, video_id=call.object_id), call)
        raise InvalidRequest("The request has no body. Send multipart/form-data or JSON.")

    async def EditVideo(self, request: videos_pb2.EditVideoRequest, call: Call) -> videos_pb2.Video:
        fields = {**_typed(request), "video": _reference(request.video)}
        return self._answer(await self.edit_video.run(call.principal, fields, video_id=call.object_id), call)

    async def EditVideoHttp(self, bodies: AsyncIterator[HttpBody], call: Call) -> videos_pb2.Video:
        async with self._fields(bodies, call, "video") as fields:
            return self._answer(await self.edit_video.run(call.principal, fields, video_id=call.object_id), call)

    async def ExtendVideo(self, request: videos_pb2.ExtendVideoRequest, call: Call) -> videos_pb2.Video:
        fields = {**_typed(request), "video": _reference(request.video)}
        return self._answer(await self.extend_video.run(call.principal, fields, video_id=call.object_id), call)

    async def ExtendVideoHttp(self, bodies: AsyncIterator[HttpBody], call: Call) -> videos_pb2.Video:
        async with self._fields(bodies, call, "video") as fields:
            return self._answer(await self.extend_video.run(call.principal, fields, video_id=call.object_id), call)

    async def CreateCharacter(self, request: videos_pb2.CreateCharacterRequest, call: Call) -> videos_pb2.Character:
        fields = {"name": request.name, "video": {"file_id": request.file_id}, "user": request.user}
        return await self._character(fields, call)

    async def CreateCharacterHttp(self, bodies: AsyncIterator[HttpBody], call: Call) -> videos_pb2.Character:
        async with self._fields(bodies, call, "video") as fields:
            return await self._character(fields, call)

    async def GetCharacter(self, request: videos_pb2.GetCharacterRequest, call: Call) -> videos_pb2.Character:
        return convert.character_to_proto(await self.get_character.run(call.principal, request.character_id))

    async def TakeProviderCallback(
        self, request: videos_pb2.TakeProviderCallbackRequest, _call: Call
    ) -> videos_pb2.TakeProviderCallbackResponse:
        await self.take_callback.run(request.video_id, request.token)
        return videos_pb2.TakeProviderCallbackResponse()

    async def ListVideoModels(
        self, _request: videos_pb2.ListVideoModelsRequest, call: Call
    ) -> videos_pb2.ListVideoModelsResponse:
        who = call.principal
        offered = [
            (found, model)
            for found, model in self.catalog.video_deployments()
            if who.may_use_model(found.model_name) and who.may_use_provider(found.provider)
        ]
        return video_models_to_proto(offered, self.costs)

    @asynccontextmanager
    async def _fields(
        self, bodies: AsyncIterator[HttpBody], call: Call, *media_fields: str
    ) -> AsyncIterator[dict[str, Any]]:
        body = await Body.open(bodies)
        if body.is_json:
            yield await body.json(bytes_max=self.form_limits.fields_bytes_max)
            return
        if media_type(body.content_type) != "multipart/form-data":
            sent = f"not '{echo(media_type(body.content_type))}'" if body.content_type else "and the request has none"
            raise UnsupportedMediaType(f"Content-Type must be multipart/form-data or application/json here, {sent}.")
        events = body.events(self.form_limits, call.declared_bytes)
        async with self.read_form.reading(call.principal, events, media_fields) as fields:
            yield fields

    async def _open(
        self,
        request: videos_pb2.GetVideoContentHttpRequest
        | videos_pb2.HeadVideoContentHttpRequest
        | videos_pb2.DownloadVideoRequest,
        call: Call,
    ) -> Download:
        _require_id(request)
        variant = VideoVariant(request.variant or "video")
        opened = await self.open_content.run(call.principal, request.video_id, variant)
        call.respond([served_by(opened.deployment)])
        return Download(opened.content, opened.filename, opened.content_type, opened.etag)

    async def _character(self, fields: dict[str, Any], call: Call) -> videos_pb2.Character:
        character = await self.create_character.run(call.principal, fields, character_id=call.object_id)
        return convert.character_to_proto(character)

    def _answer(self, video: Video, call: Call) -> videos_pb2.Video:
        call.respond([served_by(video.deployment)])
        if not convert.is_finished(video):
            call.respond([("openai-poll-after-ms", str(self.poll_after_ms))])
        return convert.video_to_proto(video)


def _require_id(request: Any) -> None:
    """Paths without an id take it from the body."""
    if not request.video_id:
        raise InvalidField(
            "Missing required parameter: 'video_id'.", param="video_id", code="missing_required_parameter"
        )


def _creation(request: videos_pb2.CreateVideoRequest) -> dict[str, Any]:
    fields = _typed(request)
    source = request.input_reference.WhichOneof("source")
    if source is not None:
        fields["input_reference"] = {source: getattr(request.input_reference, source)}
    if request.characters:
        fields["characters"] = list(request.characters)
    return fields


def _typed(request: Any) -> dict[str, Any]:
    """The plain fields that are set, and what is for the provider."""
    fields = {field.name: value for field, value in request.ListFields() if field.message_type is None}
    if request.placement:
        fields["placement"] = dict(request.placement)
    if request.HasField("extra_body"):
        fields["extra_body"] = _whole(json_format.MessageToDict(request.extra_body))
    return fields


def _whole(value: Any) -> Any:
    """A `Struct` has no whole numbers; those that came as such become some again."""
    if isinstance(value, dict):
        return {key: _whole(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_whole(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _reference(reference: videos_pb2.VideoReference) -> dict[str, str]:
    return {"file_id": reference.file_id} if reference.file_id else {"id": reference.video_id}


def _sse_body(item: Any) -> bytes:
    if "sse_body" not in item.encoded:
        item.encoded["sse_body"] = http_body(convert.event_to_sse(item), "")
    return item.encoded["sse_body"]  # type: ignore[no-any-return]


async def _bodies(
    first: videos_pb2.RemixVideoHttpRequest, rest: AsyncIterator[videos_pb2.RemixVideoHttpRequest]
) -> AsyncIterator[HttpBody]:
    yield first.content
    async for request in rest:
        yield request.content
