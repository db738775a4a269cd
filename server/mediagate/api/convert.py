"""Objects of the product as messages of the wire, and what messages may leave out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value

from mediagate._gen.mediagate.v1 import files_pb2, models_pb2, uploads_pb2, videos_pb2
from mediagate.core.lifecycle import OVER, FileState, file_status_of, status_of
from mediagate.core.objects import Character, File, Page, Replica, Upload, UploadPart, Video
from mediagate.providers.files import ObjectState, ProviderFile
from mediagate.routing.health import Fares
from mediagate.videos.feed import FeedItem
from mediagate.videos.watch_videos import cursor_of

NULL = Value(null_value=NULL_VALUE)
_UNIX_MAX = 0xFFFFFFFF
_OUTPUT = frozenset(videos_pb2.VideoOutput.DESCRIPTOR.fields_by_name)


def unix(time: datetime) -> int:
    """Whole seconds since 1970; what is beyond the year 2106, where `uint32` ends, reads as the last that there is."""
    return min(int(time.timestamp()), _UNIX_MAX)


def number_or_null(time: datetime | None) -> Value:
    """A time as a number, its absence as an explicit null."""
    return NULL if time is None else Value(number_value=unix(time))


def text_or_null(text: str | None) -> Value:
    """A text, or an explicit null."""
    return NULL if text is None else Value(string_value=text)


def given(message: Message, name: str) -> Any:
    """The value of an optional member; None where it is absent."""
    return getattr(message, name) if message.HasField(name) else None


def file_to_proto(file: File) -> files_pb2.File:
    """OpenAI's File object."""
    status, why = file_status(file)
    message = files_pb2.File(
        id=file.id,
        object="file",
        bytes=file.size_bytes,
        created_at=unix(file.created_at),
        filename=file.filename,
        purpose=file.purpose,
        status=status,
        status_details=why,
        mediagate=files_pb2.FileDetails(
            sha256=file.sha256,
            content_type=file.content_type,
            source=file.source,
            copied_bytes=file.copied_bytes,
            user=file.end_user,
        ),
        replicas=[_replica(replica) for replica in file.replicas],
    )
    if file.expires_at is not None:
        message.expires_at = unix(file.expires_at)
    return message


def file_status(file: File) -> tuple[str, str | None]:
    """OpenAI's word for where a file stands, and why it is an error where it is one."""
    states = {replica.state for replica in file.replicas}
    if file.state is FileState.COPYING:
        return "uploaded", None
    if file.state is FileState.FAILED:
        return "error", file.failure
    status = file_status_of(states)
    return status, "No provider has a usable copy of the file any more." if status == "error" else None


def _replica(replica: Replica) -> files_pb2.Replica:
    return files_pb2.Replica(
        provider=replica.provider,
        account=replica.account,
        state=replica.state.value,
        reference=replica.ref,
        expires_at=None if replica.expires_at is None else unix(replica.expires_at),
    )


def provider_file_to_proto(file: ProviderFile) -> files_pb2.File:
    """A provider's own file in OpenAI's shape, under the provider's own id."""
    status = {ObjectState.READY: "processed", ObjectState.PROCESSING: "uploaded", ObjectState.FAILED: "error"}
    return files_pb2.File(
        id=file.ref,
        object="file",
        bytes=file.size_bytes or 0,
        created_at=0 if file.created_at is None else unix(file.created_at),
        filename=file.filename,
        purpose=file.purpose or "user_data",
        status=status[file.state],
        expires_at=None if file.expires_at is None else unix(file.expires_at),
    )


def provider_page_to_proto(page: Page[ProviderFile]) -> files_pb2.ListFilesResponse:
    """OpenAI's list object over a provider's own files."""
    return files_pb2.ListFilesResponse(
        object="list",
        data=[provider_file_to_proto(file) for file in page.items],
        first_id=text_or_null(page.items[0].ref if page.items else None),
        last_id=text_or_null(page.items[-1].ref if page.items else None),
        has_more=page.has_more,
    )


def file_page_to_proto(page: Page[File]) -> files_pb2.ListFilesResponse:
    """OpenAI's list object."""
    return files_pb2.ListFilesResponse(
        object="list",
        data=[file_to_proto(file) for file in page.items],
        first_id=text_or_null(page.items[0].id if page.items else None),
        last_id=text_or_null(page.items[-1].id if page.items else None),
        has_more=page.has_more,
    )


def upload_to_proto(upload: Upload, file: File | None = None) -> uploads_pb2.Upload:
    """OpenAI's Upload object. An upload that is being completed is still `pending` to everybody else."""
    return uploads_pb2.Upload(
        id=upload.id,
        object="upload",
        bytes=upload.size_bytes,
        created_at=unix(upload.created_at),
        expires_at=unix(upload.expires_at),
        filename=upload.filename,
        purpose=upload.purpose,
        status="pending" if upload.state == "completing" else upload.state.value,
        file=file_to_proto(file) if file else None,
        user=upload.end_user,
    )


def part_to_proto(part: UploadPart) -> uploads_pb2.UploadPart:
    """OpenAI's upload.part object."""
    return uploads_pb2.UploadPart(
        id=part.id, object="upload.part", created_at=unix(part.created_at), upload_id=part.upload_id
    )


def video_to_proto(video: Video) -> videos_pb2.Video:
    """OpenAI's Video object, with our details beside it."""
    return videos_pb2.Video(
        id=video.id,
        object="video",
        model=video.model,
        status=status_of(video.phase).value,
        progress=video.progress,
        created_at=unix(video.created_at),
        completed_at=number_or_null(video.completed_at),
        expires_at=number_or_null(video.expires_at),
        prompt=text_or_null(video.prompt),
        size=video.size,
        seconds=str(video.seconds),
        remixed_from_video_id=text_or_null(video.source_video_id),
        error=_error(video),
        usage=_usage(video),
        mediagate=_details(video),
    )


def _error(video: Video) -> Value:
    if video.failure is None:
        return NULL
    error = Struct(fields={key: Value(string_value=str(video.failure[key])) for key in ("code", "message")})
    return Value(struct_value=error)


def usage_of(video: Video) -> dict[str, Any] | None:
    """The wire's VideoUsage; None where nothing was made and nothing is charged."""
    if video.output is None and not video.cost_usd:
        return None
    usage: dict[str, Any] = {"duration_seconds": (video.output or {}).get("duration_seconds", 0.0)}
    if video.cost_usd is not None:
        usage["cost_usd"] = video.cost_usd
    return usage


def cost_of(video: Video) -> dict[str, Any] | None:
    """The wire's VideoCost; None where no price is known."""
    if video.estimate_usd is None and video.cost_usd is None:
        return None
    cost: dict[str, Any] = {
        "estimate_usd": video.estimate_usd,
        # An end that nobody knows settles nothing.
        "held_usd": 0.0 if video.cost_usd is not None else video.estimate_usd or 0.0,
        "charged_usd": video.cost_usd or 0.0,
        "source": video.cost_source,
    }
    return {name: value for name, value in cost.items() if value is not None}


def _output(made: Mapping[str, Any]) -> dict[str, Any]:
    """What callers see of it: the rest is for content's headers."""
    return {name: value for name, value in made.items() if name in _OUTPUT}


def _usage(video: Video) -> videos_pb2.VideoUsage | None:
    usage = usage_of(video)
    return None if usage is None else videos_pb2.VideoUsage(**usage)


def _details(video: Video) -> videos_pb2.VideoDetails:
    details = videos_pb2.VideoDetails(
        seq=video.seq,
        phase=video.phase.value,
        kind=video.kind,
        progress_source=video.progress_source,
        user=video.end_user,
        start_by=None if video.start_by is None else unix(video.start_by),
        cancel_at=None if video.cancel_at is None else unix(video.cancel_at),
    )
    if video.hold is not None:
        details.hold.CopyFrom(videos_pb2.VideoHold(**video.hold))
    cost = cost_of(video)
    if cost is not None:
        details.cost.CopyFrom(videos_pb2.VideoCost(**cost))
    if video.position is not None:
        details.position = video.position
    if video.eta is not None:
        details.eta.CopyFrom(videos_pb2.VideoEta(**video.eta))
    if video.failure is not None:
        details.failure.CopyFrom(videos_pb2.VideoFailure(**video.failure))
    if video.output is not None:
        details.output.CopyFrom(videos_pb2.VideoOutput(**_output(video.output)))
    if video.cancellation is not None:
        details.cancellation.CopyFrom(videos_pb2.VideoCancellation(**video.cancellation))
    elif video.cancel_requested_at is not None:
        details.cancellation.CopyFrom(videos_pb2.VideoCancellation(stopped="pending"))
    return details


def video_page_to_proto(page: Page[Video]) -> videos_pb2.ListVideosResponse:
    """OpenAI's list object."""
    return videos_pb2.ListVideosResponse(
        object="list",
        data=[video_to_proto(video) for video in page.items],
        first_id=text_or_null(page.items[0].id if page.items else None),
        last_id=text_or_null(page.items[-1].id if page.items else None),
        has_more=page.has_more,
    )


def event_to_proto(item: FeedItem) -> videos_pb2.VideoEvent:
    """One event of a watch."""
    event = item.event
    message = videos_pb2.VideoEvent(
        seq=event.seq, video_id=event.video_id, time=round(event.time.timestamp(), 3), type=event.type
    )
    payload = dict(event.payload)
    if item.video is not None:
        message.video.CopyFrom(video_to_proto(item.video))
    if event.type == "phase":
        failure, hold = payload.pop("failure", None), payload.pop("hold", None)
        change = videos_pb2.VideoPhaseChange(**payload)
        if failure:
            change.failure.CopyFrom(videos_pb2.VideoFailure(**failure))
        if hold:
            change.hold.CopyFrom(videos_pb2.VideoHold(**hold))
        message.phase.CopyFrom(change)
    elif event.type == "progress":
        message.progress.CopyFrom(videos_pb2.VideoProgress(**payload))
    elif event.type == "attempt":
        message.attempt.CopyFrom(videos_pb2.VideoAttempt(**payload))
    elif event.type == "output":
        message.output.CopyFrom(videos_pb2.VideoOutput(**payload))
    elif event.type == "cost":
        message.cost.CopyFrom(videos_pb2.VideoCostChange(**payload))
    return message


def event_to_grpc(item: FeedItem) -> bytes:
    """The encoded event, made once for all watchers of this process."""
    if "grpc" not in item.encoded:
        item.encoded["grpc"] = event_to_proto(item).SerializeToString()
    return item.encoded["grpc"]  # type: ignore[no-any-return]


def event_to_sse(item: FeedItem) -> bytes:
    """The event as the lines of a `text/event-stream`, made once for all watchers of this process."""
    if "sse" not in item.encoded:
        event = item.event
        body: dict[str, Any] = {
            "seq": event.seq,
            "video_id": event.video_id,
            "time": round(event.time.timestamp(), 3),
            "type": event.type,
        }
        if item.video is not None:
            body["video"] = video_to_json(item.video)
        elif event.payload:
            body[event.type] = _as_edge(event.payload)
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        item.encoded["sse"] = f"id: {event.seq}\nevent: {event.type}\ndata: {text}\n\n".encode()
    return item.encoded["sse"]  # type: ignore[no-any-return]


def owners_event_to_grpc(item: FeedItem) -> bytes:
    """The encoded event of a watch of all videos, with its cursor."""
    if "owners_grpc" not in item.encoded:
        message = event_to_proto(item)
        message.cursor = cursor_of(item.event)
        item.encoded["owners_grpc"] = message.SerializeToString()
    return item.encoded["owners_grpc"]  # type: ignore[no-any-return]


def owners_event_to_sse(item: FeedItem) -> bytes:
    """The same as the lines of a `text/event-stream`, whose `id:` is the cursor."""
    _, _, rest = event_to_sse(item).partition(b"\n")
    return b"id: " + cursor_of(item.event).encode() + b"\n" + rest


def _as_edge(value: Any) -> Any:
    """A value as the edge prints it: whole numbers have no fraction."""
    if isinstance(value, Mapping):
        return {key: _as_edge(member) for key, member in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def video_to_json(video: Video) -> dict[str, Any]:
    """The Video object as the edge prints it."""
    details: dict[str, Any] = {"seq": video.seq, "phase": video.phase.value, "kind": video.kind}
    optional: Mapping[str, Any] = {
        "progress_source": video.progress_source,
        "position": video.position,
        "eta": video.eta,
        "failure": video.failure,
        "output": _output(video.output) if video.output else None,
        "cancellation": video.cancellation
        or ({"stopped": "pending", "charged": False} if video.cancel_requested_at else None),
        "user": video.end_user,
        "hold": video.hold,
        "cost": cost_of(video),
        "start_by": None if video.start_by is None else unix(video.start_by),
        "cancel_at": None if video.cancel_at is None else unix(video.cancel_at),
    }
    details.update({key: _as_edge(value) for key, value in optional.items() if value is not None})
    failure, usage = video.failure, usage_of(video)
    return {
        "id": video.id,
        "object": "video",
        "model": video.model,
        "status": status_of(video.phase).value,
        "progress": video.progress,
        "created_at": unix(video.created_at),
        "completed_at": unix(video.completed_at) if video.completed_at else None,
        "expires_at": unix(video.expires_at) if video.expires_at else None,
        "prompt": video.prompt,
        "size": video.size,
        "seconds": str(video.seconds),
        "remixed_from_video_id": video.source_video_id,
        "error": {"code": failure["code"], "message": failure["message"]} if failure else None,
        **({} if usage is None else {"usage": _as_edge(usage)}),
        "mediagate": details,
    }


def character_to_proto(character: Character) -> videos_pb2.Character:
    """OpenAI's character object."""
    return videos_pb2.Character(id=character.id, name=character.name, created_at=unix(character.created_at))


def model_to_proto(name: str, created: datetime, fares: Sequence[Fares]) -> models_pb2.Model:
    """OpenAI's Model object, and how its deployments fare."""
    healthy = sum(one.is_healthy for one in fares)
    health = "healthy" if healthy == len(fares) else "degraded" if healthy else "unhealthy"
    state = models_pb2.ModelState(health=health, deployments=len(fares), healthy_deployments=healthy)
    return models_pb2.Model(id=name, object="model", created=unix(created), owned_by="mediagate", mediagate=state)


def is_finished(video: Video) -> bool:
    """Whether an SDK's polling ends with this answer."""
    return video.phase in OVER
