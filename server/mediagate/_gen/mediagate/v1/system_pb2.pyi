from mediagate._gen.buf.validate import validate_pb2 as _validate_pb2
from google.api import annotations_pb2 as _annotations_pb2
from google.api import httpbody_pb2 as _httpbody_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetReadinessRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetReadinessResponse(_message.Message):
    __slots__ = ("status",)
    STATUS_FIELD_NUMBER: _ClassVar[int]
    status: str
    def __init__(self, status: _Optional[str] = ...) -> None: ...

class GetMetricsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetLivelinessRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetHealthRequest(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: str
    def __init__(self, model: _Optional[str] = ...) -> None: ...

class GetHealthResponse(_message.Message):
    __slots__ = ("healthy_endpoints", "unhealthy_endpoints", "healthy_count", "unhealthy_count")
    HEALTHY_ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    UNHEALTHY_ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_COUNT_FIELD_NUMBER: _ClassVar[int]
    UNHEALTHY_COUNT_FIELD_NUMBER: _ClassVar[int]
    healthy_endpoints: _containers.RepeatedCompositeFieldContainer[DeploymentHealth]
    unhealthy_endpoints: _containers.RepeatedCompositeFieldContainer[DeploymentHealth]
    healthy_count: int
    unhealthy_count: int
    def __init__(self, healthy_endpoints: _Optional[_Iterable[_Union[DeploymentHealth, _Mapping]]] = ..., unhealthy_endpoints: _Optional[_Iterable[_Union[DeploymentHealth, _Mapping]]] = ..., healthy_count: _Optional[int] = ..., unhealthy_count: _Optional[int] = ...) -> None: ...

class DeploymentHealth(_message.Message):
    __slots__ = ("model_name", "deployment", "model", "account", "reason", "failures", "cooling_seconds")
    MODEL_NAME_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    COOLING_SECONDS_FIELD_NUMBER: _ClassVar[int]
    model_name: str
    deployment: str
    model: str
    account: str
    reason: str
    failures: int
    cooling_seconds: float
    def __init__(self, model_name: _Optional[str] = ..., deployment: _Optional[str] = ..., model: _Optional[str] = ..., account: _Optional[str] = ..., reason: _Optional[str] = ..., failures: _Optional[int] = ..., cooling_seconds: _Optional[float] = ...) -> None: ...

class PingRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PingResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CountBytesResponse(_message.Message):
    __slots__ = ("bytes",)
    BYTES_FIELD_NUMBER: _ClassVar[int]
    bytes: float
    def __init__(self, bytes: _Optional[float] = ...) -> None: ...

class StreamZerosRequest(_message.Message):
    __slots__ = ("bytes",)
    BYTES_FIELD_NUMBER: _ClassVar[int]
    bytes: float
    def __init__(self, bytes: _Optional[float] = ...) -> None: ...
