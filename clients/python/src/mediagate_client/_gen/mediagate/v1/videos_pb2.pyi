from mediagate_client._gen.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from mediagate_client._gen.mediagate.v1 import files_pb2 as _files_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Video(_message.Message):
    __slots__ = ("id", "object", "model", "status", "progress", "created_at", "completed_at", "expires_at", "prompt", "size", "seconds", "remixed_from_video_id", "error", "usage", "mediagate")
    ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    COMPLETED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    REMIXED_FROM_VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    USAGE_FIELD_NUMBER: _ClassVar[int]
    MEDIAGATE_FIELD_NUMBER: _ClassVar[int]
    id: str
    object: str
    model: str
    status: str
    progress: int
    created_at: int
    completed_at: _struct_pb2.Value
    expires_at: _struct_pb2.Value
    prompt: _struct_pb2.Value
    size: str
    seconds: str
    remixed_from_video_id: _struct_pb2.Value
    error: _struct_pb2.Value
    usage: VideoUsage
    mediagate: VideoDetails
    def __init__(self, id: _Optional[str] = ..., object: _Optional[str] = ..., model: _Optional[str] = ..., status: _Optional[str] = ..., progress: _Optional[int] = ..., created_at: _Optional[int] = ..., completed_at: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., expires_at: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., prompt: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., size: _Optional[str] = ..., seconds: _Optional[str] = ..., remixed_from_video_id: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., error: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., usage: _Optional[_Union[VideoUsage, _Mapping]] = ..., mediagate: _Optional[_Union[VideoDetails, _Mapping]] = ...) -> None: ...

class VideoDetails(_message.Message):
    __slots__ = ("seq", "phase", "kind", "progress_source", "position", "eta", "failure", "output", "cancellation", "user", "hold", "cost", "start_by", "cancel_at")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_SOURCE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CANCELLATION_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    START_BY_FIELD_NUMBER: _ClassVar[int]
    CANCEL_AT_FIELD_NUMBER: _ClassVar[int]
    seq: int
    phase: str
    kind: str
    progress_source: str
    position: int
    eta: VideoEta
    failure: VideoFailure
    output: VideoOutput
    cancellation: VideoCancellation
    user: str
    hold: VideoHold
    cost: VideoCost
    start_by: int
    cancel_at: int
    def __init__(self, seq: _Optional[int] = ..., phase: _Optional[str] = ..., kind: _Optional[str] = ..., progress_source: _Optional[str] = ..., position: _Optional[int] = ..., eta: _Optional[_Union[VideoEta, _Mapping]] = ..., failure: _Optional[_Union[VideoFailure, _Mapping]] = ..., output: _Optional[_Union[VideoOutput, _Mapping]] = ..., cancellation: _Optional[_Union[VideoCancellation, _Mapping]] = ..., user: _Optional[str] = ..., hold: _Optional[_Union[VideoHold, _Mapping]] = ..., cost: _Optional[_Union[VideoCost, _Mapping]] = ..., start_by: _Optional[int] = ..., cancel_at: _Optional[int] = ...) -> None: ...

class VideoUsage(_message.Message):
    __slots__ = ("duration_seconds", "cost_usd")
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    duration_seconds: float
    cost_usd: float
    def __init__(self, duration_seconds: _Optional[float] = ..., cost_usd: _Optional[float] = ...) -> None: ...

class VideoHold(_message.Message):
    __slots__ = ("reason", "position", "of")
    REASON_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    reason: str
    position: int
    of: int
    def __init__(self, reason: _Optional[str] = ..., position: _Optional[int] = ..., of: _Optional[int] = ...) -> None: ...

class VideoCost(_message.Message):
    __slots__ = ("estimate_usd", "held_usd", "charged_usd", "source")
    ESTIMATE_USD_FIELD_NUMBER: _ClassVar[int]
    HELD_USD_FIELD_NUMBER: _ClassVar[int]
    CHARGED_USD_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    estimate_usd: float
    held_usd: float
    charged_usd: float
    source: str
    def __init__(self, estimate_usd: _Optional[float] = ..., held_usd: _Optional[float] = ..., charged_usd: _Optional[float] = ..., source: _Optional[str] = ...) -> None: ...

class VideoEstimate(_message.Message):
    __slots__ = ("object", "model", "provider", "size", "seconds", "audio", "cost_usd", "usd_per_second", "price_source", "price_date", "waiting", "eta")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    USD_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    PRICE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    PRICE_DATE_FIELD_NUMBER: _ClassVar[int]
    WAITING_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    object: str
    model: str
    provider: str
    size: str
    seconds: str
    audio: bool
    cost_usd: _struct_pb2.Value
    usd_per_second: float
    price_source: str
    price_date: str
    waiting: int
    eta: VideoEta
    def __init__(self, object: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., size: _Optional[str] = ..., seconds: _Optional[str] = ..., audio: _Optional[bool] = ..., cost_usd: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., usd_per_second: _Optional[float] = ..., price_source: _Optional[str] = ..., price_date: _Optional[str] = ..., waiting: _Optional[int] = ..., eta: _Optional[_Union[VideoEta, _Mapping]] = ...) -> None: ...

class VideoEta(_message.Message):
    __slots__ = ("p50_seconds", "p90_seconds", "basis", "samples", "overdue")
    P50_SECONDS_FIELD_NUMBER: _ClassVar[int]
    P90_SECONDS_FIELD_NUMBER: _ClassVar[int]
    BASIS_FIELD_NUMBER: _ClassVar[int]
    SAMPLES_FIELD_NUMBER: _ClassVar[int]
    OVERDUE_FIELD_NUMBER: _ClassVar[int]
    p50_seconds: int
    p90_seconds: int
    basis: str
    samples: int
    overdue: bool
    def __init__(self, p50_seconds: _Optional[int] = ..., p90_seconds: _Optional[int] = ..., basis: _Optional[str] = ..., samples: _Optional[int] = ..., overdue: _Optional[bool] = ...) -> None: ...

class VideoFailure(_message.Message):
    __slots__ = ("stage", "code", "message", "retryable", "charged", "field")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRYABLE_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    stage: str
    code: str
    message: str
    retryable: bool
    charged: bool
    field: str
    def __init__(self, stage: _Optional[str] = ..., code: _Optional[str] = ..., message: _Optional[str] = ..., retryable: _Optional[bool] = ..., charged: _Optional[bool] = ..., field: _Optional[str] = ...) -> None: ...

class VideoOutput(_message.Message):
    __slots__ = ("duration_seconds", "width", "height", "bytes", "has_audio")
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    HAS_AUDIO_FIELD_NUMBER: _ClassVar[int]
    duration_seconds: float
    width: int
    height: int
    bytes: float
    has_audio: bool
    def __init__(self, duration_seconds: _Optional[float] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., bytes: _Optional[float] = ..., has_audio: _Optional[bool] = ...) -> None: ...

class VideoCancellation(_message.Message):
    __slots__ = ("stopped", "charged", "cost_usd")
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    COST_USD_FIELD_NUMBER: _ClassVar[int]
    stopped: str
    charged: bool
    cost_usd: float
    def __init__(self, stopped: _Optional[str] = ..., charged: _Optional[bool] = ..., cost_usd: _Optional[float] = ...) -> None: ...

class CreateVideoRequest(_message.Message):
    __slots__ = ("prompt", "model", "seconds", "size", "input_reference", "user", "aspect_ratio", "resolution", "generate_audio", "max_cost", "start_timeout", "cancel_after", "extra_body", "characters", "placement")
    class PlacementEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    INPUT_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    GENERATE_AUDIO_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_FIELD_NUMBER: _ClassVar[int]
    START_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_AFTER_FIELD_NUMBER: _ClassVar[int]
    EXTRA_BODY_FIELD_NUMBER: _ClassVar[int]
    CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    model: str
    seconds: str
    size: str
    input_reference: ImageReference
    user: str
    aspect_ratio: str
    resolution: str
    generate_audio: bool
    max_cost: float
    start_timeout: str
    cancel_after: str
    extra_body: _struct_pb2.Struct
    characters: _containers.RepeatedScalarFieldContainer[str]
    placement: _containers.ScalarMap[str, str]
    def __init__(self, prompt: _Optional[str] = ..., model: _Optional[str] = ..., seconds: _Optional[str] = ..., size: _Optional[str] = ..., input_reference: _Optional[_Union[ImageReference, _Mapping]] = ..., user: _Optional[str] = ..., aspect_ratio: _Optional[str] = ..., resolution: _Optional[str] = ..., generate_audio: _Optional[bool] = ..., max_cost: _Optional[float] = ..., start_timeout: _Optional[str] = ..., cancel_after: _Optional[str] = ..., extra_body: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., characters: _Optional[_Iterable[str]] = ..., placement: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ImageReference(_message.Message):
    __slots__ = ("file_id", "image_url", "image")
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_URL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    file_id: str
    image_url: str
    image: bytes
    def __init__(self, file_id: _Optional[str] = ..., image_url: _Optional[str] = ..., image: _Optional[bytes] = ...) -> None: ...

class VideoReference(_message.Message):
    __slots__ = ("video_id", "file_id")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    file_id: str
    def __init__(self, video_id: _Optional[str] = ..., file_id: _Optional[str] = ...) -> None: ...

class ListVideosRequest(_message.Message):
    __slots__ = ("after", "limit", "order", "user")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    after: str
    limit: int
    order: str
    user: str
    def __init__(self, after: _Optional[str] = ..., limit: _Optional[int] = ..., order: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class ListVideosResponse(_message.Message):
    __slots__ = ("object", "data", "first_id", "last_id", "has_more")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FIRST_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_ID_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    object: str
    data: _containers.RepeatedCompositeFieldContainer[Video]
    first_id: _struct_pb2.Value
    last_id: _struct_pb2.Value
    has_more: bool
    def __init__(self, object: _Optional[str] = ..., data: _Optional[_Iterable[_Union[Video, _Mapping]]] = ..., first_id: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., last_id: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class GetVideoRequest(_message.Message):
    __slots__ = ("video_id", "wait", "after_seq")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    wait: str
    after_seq: int
    def __init__(self, video_id: _Optional[str] = ..., wait: _Optional[str] = ..., after_seq: _Optional[int] = ...) -> None: ...

class WatchVideoRequest(_message.Message):
    __slots__ = ("video_id", "after_seq")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    after_seq: int
    def __init__(self, video_id: _Optional[str] = ..., after_seq: _Optional[int] = ...) -> None: ...

class WatchVideosRequest(_message.Message):
    __slots__ = ("after", "user")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    after: str
    user: str
    def __init__(self, after: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class VideoEvent(_message.Message):
    __slots__ = ("seq", "video_id", "time", "type", "video", "phase", "progress", "attempt", "output", "cost", "cursor")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    COST_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    seq: int
    video_id: str
    time: float
    type: str
    video: Video
    phase: VideoPhaseChange
    progress: VideoProgress
    attempt: VideoAttempt
    output: VideoOutput
    cost: VideoCostChange
    cursor: str
    def __init__(self, seq: _Optional[int] = ..., video_id: _Optional[str] = ..., time: _Optional[float] = ..., type: _Optional[str] = ..., video: _Optional[_Union[Video, _Mapping]] = ..., phase: _Optional[_Union[VideoPhaseChange, _Mapping]] = ..., progress: _Optional[_Union[VideoProgress, _Mapping]] = ..., attempt: _Optional[_Union[VideoAttempt, _Mapping]] = ..., output: _Optional[_Union[VideoOutput, _Mapping]] = ..., cost: _Optional[_Union[VideoCostChange, _Mapping]] = ..., cursor: _Optional[str] = ...) -> None: ...

class VideoCostChange(_message.Message):
    __slots__ = ("kind", "usd", "reason")
    KIND_FIELD_NUMBER: _ClassVar[int]
    USD_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    kind: str
    usd: float
    reason: str
    def __init__(self, kind: _Optional[str] = ..., usd: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class VideoPhaseChange(_message.Message):
    __slots__ = ("to", "status", "position", "failure", "hold")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    to: str
    status: str
    position: int
    failure: VideoFailure
    hold: VideoHold
    def __init__(self, to: _Optional[str] = ..., status: _Optional[str] = ..., position: _Optional[int] = ..., failure: _Optional[_Union[VideoFailure, _Mapping]] = ..., hold: _Optional[_Union[VideoHold, _Mapping]] = ..., **kwargs) -> None: ...

class VideoProgress(_message.Message):
    __slots__ = ("percent", "source", "eta")
    PERCENT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    percent: int
    source: str
    eta: VideoEta
    def __init__(self, percent: _Optional[int] = ..., source: _Optional[str] = ..., eta: _Optional[_Union[VideoEta, _Mapping]] = ...) -> None: ...

class VideoAttempt(_message.Message):
    __slots__ = ("number", "provider", "deployment", "moved_from", "reason")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    MOVED_FROM_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    number: int
    provider: str
    deployment: str
    moved_from: str
    reason: str
    def __init__(self, number: _Optional[int] = ..., provider: _Optional[str] = ..., deployment: _Optional[str] = ..., moved_from: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CancelVideoRequest(_message.Message):
    __slots__ = ("video_id",)
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    def __init__(self, video_id: _Optional[str] = ...) -> None: ...

class DeleteVideoRequest(_message.Message):
    __slots__ = ("video_id",)
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    def __init__(self, video_id: _Optional[str] = ...) -> None: ...

class DeleteVideoResponse(_message.Message):
    __slots__ = ("id", "object", "deleted")
    ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    id: str
    object: str
    deleted: bool
    def __init__(self, id: _Optional[str] = ..., object: _Optional[str] = ..., deleted: _Optional[bool] = ...) -> None: ...

class GetVideoContentHttpRequest(_message.Message):
    __slots__ = ("video_id", "variant")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    variant: str
    def __init__(self, video_id: _Optional[str] = ..., variant: _Optional[str] = ...) -> None: ...

class HeadVideoContentHttpRequest(_message.Message):
    __slots__ = ("video_id", "variant")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    variant: str
    def __init__(self, video_id: _Optional[str] = ..., variant: _Optional[str] = ...) -> None: ...

class DownloadVideoRequest(_message.Message):
    __slots__ = ("video_id", "variant", "offset", "length")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    variant: str
    offset: int
    length: int
    def __init__(self, video_id: _Optional[str] = ..., variant: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class RemixVideoRequest(_message.Message):
    __slots__ = ("video_id", "prompt", "max_cost", "start_timeout", "cancel_after", "extra_body", "placement")
    class PlacementEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_FIELD_NUMBER: _ClassVar[int]
    START_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_AFTER_FIELD_NUMBER: _ClassVar[int]
    EXTRA_BODY_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    prompt: str
    max_cost: float
    start_timeout: str
    cancel_after: str
    extra_body: _struct_pb2.Struct
    placement: _containers.ScalarMap[str, str]
    def __init__(self, video_id: _Optional[str] = ..., prompt: _Optional[str] = ..., max_cost: _Optional[float] = ..., start_timeout: _Optional[str] = ..., cancel_after: _Optional[str] = ..., extra_body: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., placement: _Optional[_Mapping[str, str]] = ...) -> None: ...

class RemixVideoHttpRequest(_message.Message):
    __slots__ = ("video_id", "content")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    content: _httpbody_pb2.HttpBody
    def __init__(self, video_id: _Optional[str] = ..., content: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class EditVideoRequest(_message.Message):
    __slots__ = ("prompt", "video", "model", "max_cost", "start_timeout", "cancel_after", "extra_body", "placement")
    class PlacementEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_FIELD_NUMBER: _ClassVar[int]
    START_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_AFTER_FIELD_NUMBER: _ClassVar[int]
    EXTRA_BODY_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    video: VideoReference
    model: str
    max_cost: float
    start_timeout: str
    cancel_after: str
    extra_body: _struct_pb2.Struct
    placement: _containers.ScalarMap[str, str]
    def __init__(self, prompt: _Optional[str] = ..., video: _Optional[_Union[VideoReference, _Mapping]] = ..., model: _Optional[str] = ..., max_cost: _Optional[float] = ..., start_timeout: _Optional[str] = ..., cancel_after: _Optional[str] = ..., extra_body: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., placement: _Optional[_Mapping[str, str]] = ...) -> None: ...

class ExtendVideoRequest(_message.Message):
    __slots__ = ("prompt", "video", "seconds", "model", "max_cost", "start_timeout", "cancel_after", "extra_body", "placement")
    class PlacementEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MAX_COST_FIELD_NUMBER: _ClassVar[int]
    START_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_AFTER_FIELD_NUMBER: _ClassVar[int]
    EXTRA_BODY_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    video: VideoReference
    seconds: str
    model: str
    max_cost: float
    start_timeout: str
    cancel_after: str
    extra_body: _struct_pb2.Struct
    placement: _containers.ScalarMap[str, str]
    def __init__(self, prompt: _Optional[str] = ..., video: _Optional[_Union[VideoReference, _Mapping]] = ..., seconds: _Optional[str] = ..., model: _Optional[str] = ..., max_cost: _Optional[float] = ..., start_timeout: _Optional[str] = ..., cancel_after: _Optional[str] = ..., extra_body: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., placement: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Character(_message.Message):
    __slots__ = ("id", "name", "created_at")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    created_at: int
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., created_at: _Optional[int] = ...) -> None: ...

class CreateCharacterRequest(_message.Message):
    __slots__ = ("name", "file_id", "user")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    name: str
    file_id: str
    user: str
    def __init__(self, name: _Optional[str] = ..., file_id: _Optional[str] = ..., user: _Optional[str] = ...) -> None: ...

class GetCharacterRequest(_message.Message):
    __slots__ = ("character_id",)
    CHARACTER_ID_FIELD_NUMBER: _ClassVar[int]
    character_id: str
    def __init__(self, character_id: _Optional[str] = ...) -> None: ...

class TakeProviderCallbackRequest(_message.Message):
    __slots__ = ("video_id", "token", "content")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    token: str
    content: _httpbody_pb2.HttpBody
    def __init__(self, video_id: _Optional[str] = ..., token: _Optional[str] = ..., content: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class TakeProviderCallbackResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListVideoModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListVideoModelsResponse(_message.Message):
    __slots__ = ("object", "data")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    object: str
    data: _containers.RepeatedCompositeFieldContainer[VideoModel]
    def __init__(self, object: _Optional[str] = ..., data: _Optional[_Iterable[_Union[VideoModel, _Mapping]]] = ...) -> None: ...

class VideoModel(_message.Message):
    __slots__ = ("id", "object", "provider", "sizes", "seconds", "default_size", "default_seconds", "inputs", "operations", "prompt_chars_max", "usd_per_second", "description", "audio", "extend_seconds")
    ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SIZES_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SIZE_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    INPUTS_FIELD_NUMBER: _ClassVar[int]
    OPERATIONS_FIELD_NUMBER: _ClassVar[int]
    PROMPT_CHARS_MAX_FIELD_NUMBER: _ClassVar[int]
    USD_PER_SECOND_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    EXTEND_SECONDS_FIELD_NUMBER: _ClassVar[int]
    id: str
    object: str
    provider: str
    sizes: _containers.RepeatedScalarFieldContainer[str]
    seconds: _containers.RepeatedScalarFieldContainer[str]
    default_size: str
    default_seconds: str
    inputs: _containers.RepeatedScalarFieldContainer[str]
    operations: _containers.RepeatedScalarFieldContainer[str]
    prompt_chars_max: int
    usd_per_second: float
    description: str
    audio: str
    extend_seconds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, id: _Optional[str] = ..., object: _Optional[str] = ..., provider: _Optional[str] = ..., sizes: _Optional[_Iterable[str]] = ..., seconds: _Optional[_Iterable[str]] = ..., default_size: _Optional[str] = ..., default_seconds: _Optional[str] = ..., inputs: _Optional[_Iterable[str]] = ..., operations: _Optional[_Iterable[str]] = ..., prompt_chars_max: _Optional[int] = ..., usd_per_second: _Optional[float] = ..., description: _Optional[str] = ..., audio: _Optional[str] = ..., extend_seconds: _Optional[_Iterable[str]] = ...) -> None: ...
