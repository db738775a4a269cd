from mediagate._gen.buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Stage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STAGE_UNSPECIFIED: _ClassVar[Stage]
    STAGE_PROMPT: _ClassVar[Stage]
    STAGE_IMAGE: _ClassVar[Stage]
    STAGE_THUMBNAIL: _ClassVar[Stage]
    STAGE_TEXT_FILE: _ClassVar[Stage]
    STAGE_ANSWER: _ClassVar[Stage]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_ALLOW: _ClassVar[Verdict]
    VERDICT_BLOCK: _ClassVar[Verdict]
STAGE_UNSPECIFIED: Stage
STAGE_PROMPT: Stage
STAGE_IMAGE: Stage
STAGE_THUMBNAIL: Stage
STAGE_TEXT_FILE: Stage
STAGE_ANSWER: Stage
VERDICT_UNSPECIFIED: Verdict
VERDICT_ALLOW: Verdict
VERDICT_BLOCK: Verdict

class GuardedImage(_message.Message):
    __slots__ = ("data", "content_type")
    DATA_FIELD_NUMBER: _ClassVar[int]
    CONTENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    content_type: str
    def __init__(self, data: _Optional[bytes] = ..., content_type: _Optional[str] = ...) -> None: ...

class CheckRequest(_message.Message):
    __slots__ = ("guardrail", "stage", "text", "image", "model", "key_id", "user_id", "team_id", "end_user", "request_id", "object_id")
    GUARDRAIL_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_ID_FIELD_NUMBER: _ClassVar[int]
    guardrail: str
    stage: Stage
    text: str
    image: GuardedImage
    model: str
    key_id: str
    user_id: str
    team_id: str
    end_user: str
    request_id: str
    object_id: str
    def __init__(self, guardrail: _Optional[str] = ..., stage: _Optional[_Union[Stage, str]] = ..., text: _Optional[str] = ..., image: _Optional[_Union[GuardedImage, _Mapping]] = ..., model: _Optional[str] = ..., key_id: _Optional[str] = ..., user_id: _Optional[str] = ..., team_id: _Optional[str] = ..., end_user: _Optional[str] = ..., request_id: _Optional[str] = ..., object_id: _Optional[str] = ...) -> None: ...

class CheckResponse(_message.Message):
    __slots__ = ("verdict", "reason", "category", "findings")
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    CATEGORY_FIELD_NUMBER: _ClassVar[int]
    FINDINGS_FIELD_NUMBER: _ClassVar[int]
    verdict: Verdict
    reason: str
    category: str
    findings: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, verdict: _Optional[_Union[Verdict, str]] = ..., reason: _Optional[str] = ..., category: _Optional[str] = ..., findings: _Optional[_Iterable[str]] = ...) -> None: ...
