from mediagate._gen.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from mediagate._gen.mediagate.v1 import files_pb2 as _files_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Video(_message.Message):
    __slots__ = ("id", "object", "model", "status", "progress", "created_at", "completed_at", "expires_at", "prompt", "size", "seconds", "remixed_from_video_id", "error", "mediagate")
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
    mediagate: VideoDetails
    def __init__(self, id: _Optional[str] = ..., object: _Optional[str] = ..., model: _Optional[str] = ..., status: _Optional[str] = ..., progress: _Optional[int] = ..., created_at: _Optional[int] = ..., completed_at: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., expires_at: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., prompt: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., size: _Optional[str] = ..., seconds: _Optional[str] = ..., remixed_from_video_id: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., error: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., mediagate: _Optional[_Union[VideoDetails, _Mapping]] = ...) -> None: ...

class VideoDetails(_message.Message):
    __slots__ = ("seq", "phase", "kind", "progress_source", "position", "eta", "failure", "output", "cancellation", "user")
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
    def __init__(self, seq: _Optional[int] = ..., phase: _Optional[str] = ..., kind: _Optional[str] = ..., progress_source: _Optional[str] = ..., position: _Optional[int] = ..., eta: _Optional[_Union[VideoEta, _Mapping]] = ..., failure: _Optional[_Union[VideoFailure, _Mapping]] = ..., output: _Optional[_Union[VideoOutput, _Mapping]] = ..., cancellation: _Optional[_Union[VideoCancellation, _Mapping]] = ..., user: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("duration_seconds", "width", "height", "bytes")
    DURATION_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    duration_seconds: float
    width: int
    height: int
    bytes: float
    def __init__(self, duration_seconds: _Optional[float] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., bytes: _Optional[float] = ...) -> None: ...

class VideoCancellation(_message.Message):
    __slots__ = ("stopped", "charged")
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    CHARGED_FIELD_NUMBER: _ClassVar[int]
    stopped: str
    charged: bool
    def __init__(self, stopped: _Optional[str] = ..., charged: _Optional[bool] = ...) -> None: ...

class CreateVideoRequest(_message.Message):
    __slots__ = ("prompt", "model", "seconds", "size", "input_reference", "user")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    INPUT_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    model: str
    seconds: str
    size: str
    input_reference: ImageReference
    user: str
    def __init__(self, prompt: _Optional[str] = ..., model: _Optional[str] = ..., seconds: _Optional[str] = ..., size: _Optional[str] = ..., input_reference: _Optional[_Union[ImageReference, _Mapping]] = ..., user: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("after", "limit", "order")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    after: str
    limit: int
    order: str
    def __init__(self, after: _Optional[str] = ..., limit: _Optional[int] = ..., order: _Optional[str] = ...) -> None: ...

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

class VideoEvent(_message.Message):
    __slots__ = ("seq", "video_id", "time", "type", "video", "phase", "progress", "attempt", "output")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    PHASE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    seq: int
    video_id: str
    time: float
    type: str
    video: Video
    phase: VideoPhaseChange
    progress: VideoProgress
    attempt: VideoAttempt
    output: VideoOutput
    def __init__(self, seq: _Optional[int] = ..., video_id: _Optional[str] = ..., time: _Optional[float] = ..., type: _Optional[str] = ..., video: _Optional[_Union[Video, _Mapping]] = ..., phase: _Optional[_Union[VideoPhaseChange, _Mapping]] = ..., progress: _Optional[_Union[VideoProgress, _Mapping]] = ..., attempt: _Optional[_Union[VideoAttempt, _Mapping]] = ..., output: _Optional[_Union[VideoOutput, _Mapping]] = ...) -> None: ...

class VideoPhaseChange(_message.Message):
    __slots__ = ("to", "status", "position", "failure")
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    to: str
    status: str
    position: int
    failure: VideoFailure
    def __init__(self, to: _Optional[str] = ..., status: _Optional[str] = ..., position: _Optional[int] = ..., failure: _Optional[_Union[VideoFailure, _Mapping]] = ..., **kwargs) -> None: ...

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
    __slots__ = ("number", "provider")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    number: int
    provider: str
    def __init__(self, number: _Optional[int] = ..., provider: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("video_id", "prompt")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    prompt: str
    def __init__(self, video_id: _Optional[str] = ..., prompt: _Optional[str] = ...) -> None: ...

class RemixVideoHttpRequest(_message.Message):
    __slots__ = ("video_id", "content")
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    video_id: str
    content: _httpbody_pb2.HttpBody
    def __init__(self, video_id: _Optional[str] = ..., content: _Optional[_Union[_httpbody_pb2.HttpBody, _Mapping]] = ...) -> None: ...

class EditVideoRequest(_message.Message):
    __slots__ = ("prompt", "video", "model")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    video: VideoReference
    model: str
    def __init__(self, prompt: _Optional[str] = ..., video: _Optional[_Union[VideoReference, _Mapping]] = ..., model: _Optional[str] = ...) -> None: ...

class ExtendVideoRequest(_message.Message):
    __slots__ = ("prompt", "video", "seconds", "model")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FIELD_NUMBER: _ClassVar[int]
    SECONDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    video: VideoReference
    seconds: str
    model: str
    def __init__(self, prompt: _Optional[str] = ..., video: _Optional[_Union[VideoReference, _Mapping]] = ..., seconds: _Optional[str] = ..., model: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("name", "file_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    file_id: str
    def __init__(self, name: _Optional[str] = ..., file_id: _Optional[str] = ...) -> None: ...

class GetCharacterRequest(_message.Message):
    __slots__ = ("character_id",)
    CHARACTER_ID_FIELD_NUMBER: _ClassVar[int]
    character_id: str
    def __init__(self, character_id: _Optional[str] = ...) -> None: ...

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
    __slots__ = ("id", "object", "provider", "sizes", "seconds", "default_size", "default_seconds", "inputs", "operations", "prompt_chars_max", "usd_per_second", "description")
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
    def __init__(self, id: _Optional[str] = ..., object: _Optional[str] = ..., provider: _Optional[str] = ..., sizes: _Optional[_Iterable[str]] = ..., seconds: _Optional[_Iterable[str]] = ..., default_size: _Optional[str] = ..., default_seconds: _Optional[str] = ..., inputs: _Optional[_Iterable[str]] = ..., operations: _Optional[_Iterable[str]] = ..., prompt_chars_max: _Optional[int] = ..., usd_per_second: _Optional[float] = ..., description: _Optional[str] = ...) -> None: ...
