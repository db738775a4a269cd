from mediagate._gen.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from mediagate._gen.mediagate.v1 import files_pb2 as _files_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Token(_message.Message):
    __slots__ = ("id", "object", "kind", "status", "created_at", "expires_at", "revoked_at", "hint", "video_id", "file_id", "user", "key_id", "upload", "token", "url")
    ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    REVOKED_AT_FIELD_NUMBER: _ClassVar[int]
    HINT_FIELD_NUMBER: _ClassVar[int]
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    URL_FIELD_NUMBER: _ClassVar[int]
    id: str
    object: str
    kind: str
    status: str
    created_at: int
    expires_at: int
    revoked_at: int
    hint: str
    video_id: str
    file_id: str
    user: str
    key_id: str
    upload: TokenUpload
    token: str
    url: str
    def __init__(self, id: _Optional[str] = ..., object: _Optional[str] = ..., kind: _Optional[str] = ..., status: _Optional[str] = ..., created_at: _Optional[int] = ..., expires_at: _Optional[int] = ..., revoked_at: _Optional[int] = ..., hint: _Optional[str] = ..., video_id: _Optional[str] = ..., file_id: _Optional[str] = ..., user: _Optional[str] = ..., key_id: _Optional[str] = ..., upload: _Optional[_Union[TokenUpload, _Mapping]] = ..., token: _Optional[str] = ..., url: _Optional[str] = ...) -> None: ...

class TokenUpload(_message.Message):
    __slots__ = ("purpose", "bytes_max", "filename", "expires_after", "custom_llm_provider", "target_model_names", "on_partial")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    BYTES_MAX_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AFTER_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_LLM_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    TARGET_MODEL_NAMES_FIELD_NUMBER: _ClassVar[int]
    ON_PARTIAL_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    bytes_max: float
    filename: str
    expires_after: _files_pb2.ExpiresAfter
    custom_llm_provider: _struct_pb2.Value
    target_model_names: _struct_pb2.Value
    on_partial: str
    def __init__(self, purpose: _Optional[str] = ..., bytes_max: _Optional[float] = ..., filename: _Optional[str] = ..., expires_after: _Optional[_Union[_files_pb2.ExpiresAfter, _Mapping]] = ..., custom_llm_provider: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., target_model_names: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., on_partial: _Optional[str] = ...) -> None: ...

class CreateTokenRequest(_message.Message):
    __slots__ = ("kind", "video_id", "file_id", "user", "expires_in", "upload")
    KIND_FIELD_NUMBER: _ClassVar[int]
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_FIELD_NUMBER: _ClassVar[int]
    kind: str
    video_id: str
    file_id: str
    user: str
    expires_in: str
    upload: TokenUpload
    def __init__(self, kind: _Optional[str] = ..., video_id: _Optional[str] = ..., file_id: _Optional[str] = ..., user: _Optional[str] = ..., expires_in: _Optional[str] = ..., upload: _Optional[_Union[TokenUpload, _Mapping]] = ...) -> None: ...

class ListTokensRequest(_message.Message):
    __slots__ = ("after", "limit", "kind", "user", "video_id", "file_id")
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    VIDEO_ID_FIELD_NUMBER: _ClassVar[int]
    FILE_ID_FIELD_NUMBER: _ClassVar[int]
    after: str
    limit: int
    kind: str
    user: str
    video_id: str
    file_id: str
    def __init__(self, after: _Optional[str] = ..., limit: _Optional[int] = ..., kind: _Optional[str] = ..., user: _Optional[str] = ..., video_id: _Optional[str] = ..., file_id: _Optional[str] = ...) -> None: ...

class ListTokensResponse(_message.Message):
    __slots__ = ("object", "data", "first_id", "last_id", "has_more")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    FIRST_ID_FIELD_NUMBER: _ClassVar[int]
    LAST_ID_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    object: str
    data: _containers.RepeatedCompositeFieldContainer[Token]
    first_id: _struct_pb2.Value
    last_id: _struct_pb2.Value
    has_more: bool
    def __init__(self, object: _Optional[str] = ..., data: _Optional[_Iterable[_Union[Token, _Mapping]]] = ..., first_id: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., last_id: _Optional[_Union[_struct_pb2.Value, _Mapping]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class GetTokenRequest(_message.Message):
    __slots__ = ("token_id",)
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    def __init__(self, token_id: _Optional[str] = ...) -> None: ...

class RevokeTokenRequest(_message.Message):
    __slots__ = ("token_id",)
    TOKEN_ID_FIELD_NUMBER: _ClassVar[int]
    token_id: str
    def __init__(self, token_id: _Optional[str] = ...) -> None: ...
