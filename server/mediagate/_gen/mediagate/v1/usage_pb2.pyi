from mediagate._gen.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStorageUsageRequest(_message.Message):
    __slots__ = ("team_id", "user_id", "key_id", "end_user", "limit")
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    team_id: str
    user_id: str
    key_id: str
    end_user: str
    limit: int
    def __init__(self, team_id: _Optional[str] = ..., user_id: _Optional[str] = ..., key_id: _Optional[str] = ..., end_user: _Optional[str] = ..., limit: _Optional[int] = ...) -> None: ...

class StorageUsage(_message.Message):
    __slots__ = ("object", "bytes", "files", "reserved_bytes", "data", "by_purpose", "by_account")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    BY_PURPOSE_FIELD_NUMBER: _ClassVar[int]
    BY_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    object: str
    bytes: float
    files: float
    reserved_bytes: float
    data: _containers.RepeatedCompositeFieldContainer[ScopeStorage]
    by_purpose: _containers.RepeatedCompositeFieldContainer[PurposeStorage]
    by_account: _containers.RepeatedCompositeFieldContainer[AccountStorage]
    def __init__(self, object: _Optional[str] = ..., bytes: _Optional[float] = ..., files: _Optional[float] = ..., reserved_bytes: _Optional[float] = ..., data: _Optional[_Iterable[_Union[ScopeStorage, _Mapping]]] = ..., by_purpose: _Optional[_Iterable[_Union[PurposeStorage, _Mapping]]] = ..., by_account: _Optional[_Iterable[_Union[AccountStorage, _Mapping]]] = ...) -> None: ...

class ScopeStorage(_message.Message):
    __slots__ = ("kind", "id", "bytes", "files", "reserved_bytes", "quota_bytes")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    RESERVED_BYTES_FIELD_NUMBER: _ClassVar[int]
    QUOTA_BYTES_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: str
    bytes: float
    files: float
    reserved_bytes: float
    quota_bytes: float
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[str] = ..., bytes: _Optional[float] = ..., files: _Optional[float] = ..., reserved_bytes: _Optional[float] = ..., quota_bytes: _Optional[float] = ...) -> None: ...

class PurposeStorage(_message.Message):
    __slots__ = ("purpose", "bytes", "files")
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    purpose: str
    bytes: float
    files: float
    def __init__(self, purpose: _Optional[str] = ..., bytes: _Optional[float] = ..., files: _Optional[float] = ...) -> None: ...

class AccountStorage(_message.Message):
    __slots__ = ("account", "provider", "bytes", "copies", "cap_bytes", "nearly_full")
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    COPIES_FIELD_NUMBER: _ClassVar[int]
    CAP_BYTES_FIELD_NUMBER: _ClassVar[int]
    NEARLY_FULL_FIELD_NUMBER: _ClassVar[int]
    account: str
    provider: str
    bytes: float
    copies: float
    cap_bytes: float
    nearly_full: bool
    def __init__(self, account: _Optional[str] = ..., provider: _Optional[str] = ..., bytes: _Optional[float] = ..., copies: _Optional[float] = ..., cap_bytes: _Optional[float] = ..., nearly_full: _Optional[bool] = ...) -> None: ...
