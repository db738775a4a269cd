from mediagate._gen.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import field_behavior_pb2 as _field_behavior_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ListSpendLogsRequest(_message.Message):
    __slots__ = ("api_key", "user_id", "team_id", "end_user", "model", "provider", "request_id", "status", "start_date", "end_date", "after", "limit", "format")
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    START_DATE_FIELD_NUMBER: _ClassVar[int]
    END_DATE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    api_key: str
    user_id: str
    team_id: str
    end_user: str
    model: str
    provider: str
    request_id: str
    status: str
    start_date: str
    end_date: str
    after: str
    limit: int
    format: str
    def __init__(self, api_key: _Optional[str] = ..., user_id: _Optional[str] = ..., team_id: _Optional[str] = ..., end_user: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., request_id: _Optional[str] = ..., status: _Optional[str] = ..., start_date: _Optional[str] = ..., end_date: _Optional[str] = ..., after: _Optional[str] = ..., limit: _Optional[int] = ..., format: _Optional[str] = ...) -> None: ...

class SpendLog(_message.Message):
    __slots__ = ("request_id", "object", "api_key", "key_alias", "user", "team_id", "end_user", "model", "provider", "spend", "reserved", "estimate", "status", "reason", "start_time", "end_time", "account")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    KEY_ALIAS_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SPEND_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    ESTIMATE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    object: str
    api_key: str
    key_alias: str
    user: str
    team_id: str
    end_user: str
    model: str
    provider: str
    spend: float
    reserved: float
    estimate: float
    status: str
    reason: str
    start_time: str
    end_time: str
    account: str
    def __init__(self, request_id: _Optional[str] = ..., object: _Optional[str] = ..., api_key: _Optional[str] = ..., key_alias: _Optional[str] = ..., user: _Optional[str] = ..., team_id: _Optional[str] = ..., end_user: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., spend: _Optional[float] = ..., reserved: _Optional[float] = ..., estimate: _Optional[float] = ..., status: _Optional[str] = ..., reason: _Optional[str] = ..., start_time: _Optional[str] = ..., end_time: _Optional[str] = ..., account: _Optional[str] = ...) -> None: ...

class ListSpendLogsResponse(_message.Message):
    __slots__ = ("object", "data", "has_more")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    HAS_MORE_FIELD_NUMBER: _ClassVar[int]
    object: str
    data: _containers.RepeatedCompositeFieldContainer[SpendLog]
    has_more: bool
    def __init__(self, object: _Optional[str] = ..., data: _Optional[_Iterable[_Union[SpendLog, _Mapping]]] = ..., has_more: _Optional[bool] = ...) -> None: ...

class GetSpendRequest(_message.Message):
    __slots__ = ("group", "api_key", "user_id", "team_id", "end_user", "model", "provider", "start_date", "end_date", "limit", "format")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    API_KEY_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    TEAM_ID_FIELD_NUMBER: _ClassVar[int]
    END_USER_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    START_DATE_FIELD_NUMBER: _ClassVar[int]
    END_DATE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    group: str
    api_key: str
    user_id: str
    team_id: str
    end_user: str
    model: str
    provider: str
    start_date: str
    end_date: str
    limit: int
    format: str
    def __init__(self, group: _Optional[str] = ..., api_key: _Optional[str] = ..., user_id: _Optional[str] = ..., team_id: _Optional[str] = ..., end_user: _Optional[str] = ..., model: _Optional[str] = ..., provider: _Optional[str] = ..., start_date: _Optional[str] = ..., end_date: _Optional[str] = ..., limit: _Optional[int] = ..., format: _Optional[str] = ...) -> None: ...

class SpendTotal(_message.Message):
    __slots__ = ("id", "alias", "spend", "reserved", "requests")
    ID_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    SPEND_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    alias: str
    spend: float
    reserved: float
    requests: int
    def __init__(self, id: _Optional[str] = ..., alias: _Optional[str] = ..., spend: _Optional[float] = ..., reserved: _Optional[float] = ..., requests: _Optional[int] = ...) -> None: ...

class SpendReport(_message.Message):
    __slots__ = ("object", "group", "data")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    object: str
    group: str
    data: _containers.RepeatedCompositeFieldContainer[SpendTotal]
    def __init__(self, object: _Optional[str] = ..., group: _Optional[str] = ..., data: _Optional[_Iterable[_Union[SpendTotal, _Mapping]]] = ...) -> None: ...

class GetBudgetsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetBudgetsResponse(_message.Message):
    __slots__ = ("object", "data")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    object: str
    data: _containers.RepeatedCompositeFieldContainer[Budget]
    def __init__(self, object: _Optional[str] = ..., data: _Optional[_Iterable[_Union[Budget, _Mapping]]] = ...) -> None: ...

class Budget(_message.Message):
    __slots__ = ("object", "kind", "id", "spend", "reserved", "max_budget", "soft_budget", "remaining", "budget_duration", "budget_reset_at", "soft_limit_reached")
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SPEND_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    MAX_BUDGET_FIELD_NUMBER: _ClassVar[int]
    SOFT_BUDGET_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    BUDGET_DURATION_FIELD_NUMBER: _ClassVar[int]
    BUDGET_RESET_AT_FIELD_NUMBER: _ClassVar[int]
    SOFT_LIMIT_REACHED_FIELD_NUMBER: _ClassVar[int]
    object: str
    kind: str
    id: str
    spend: float
    reserved: float
    max_budget: float
    soft_budget: float
    remaining: float
    budget_duration: str
    budget_reset_at: int
    soft_limit_reached: bool
    def __init__(self, object: _Optional[str] = ..., kind: _Optional[str] = ..., id: _Optional[str] = ..., spend: _Optional[float] = ..., reserved: _Optional[float] = ..., max_budget: _Optional[float] = ..., soft_budget: _Optional[float] = ..., remaining: _Optional[float] = ..., budget_duration: _Optional[str] = ..., budget_reset_at: _Optional[int] = ..., soft_limit_reached: _Optional[bool] = ...) -> None: ...

class ResetBudgetRequest(_message.Message):
    __slots__ = ("kind", "id")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: str
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class SettleSpendRequest(_message.Message):
    __slots__ = ("request_id", "usd")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    USD_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    usd: float
    def __init__(self, request_id: _Optional[str] = ..., usd: _Optional[float] = ...) -> None: ...
