"""A gRPC server that does what each request's `x-stub` header says, behind the real generated stubs.

`python stub_server.py TARGET` serves `mediagate.v1.*` and `grpc.health.v1.Health` on TARGET (`unix:/path` or
`host:port`), prints `ready` and runs until SIGTERM, which drains it: health turns NOT_SERVING first.

`x-stub` is JSON with any of these members, obeyed in this order:

`health`        sets the health of the whole server to this state
`wait`          seconds to sleep first
`initial`       object of initial metadata, sent at once
`raise`         raise ValueError with this text
`abort`         `{"code", "message", "trailing": {…}}`: abort with these
`read`          `{"wait": seconds after each message, "limit": bytes after which it aborts with `then`}` for uploads
`chunks`        list of `{"text" | "zeros", "wait"}`: the messages of a streaming HttpBody reply
`content_type`  of those messages
`then`          the same as `abort`, after everything above; or `"poison"`, a message that is no HttpBody

Without a script a reply is the method's empty message. Every reply and every abort carries `x-stub-call`: the method,
the request and its metadata as JSON.
"""

from __future__ import annotations

import asyncio
import json
import pkgutil
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib import import_module
from typing import Any

import grpc
from google.api import httpbody_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from mediagate._gen.mediagate import v1
from mediagate._gen.mediagate.v1 import system_pb2
from mediagate.envoy import BROKEN_STREAM

# Every service that there is, with its stubs.
MODULES = [
    (import_module(f"{v1.__name__}.{name.removesuffix('_grpc')}"), import_module(f"{v1.__name__}.{name}"))
    for _, name, _ in pkgutil.iter_modules(v1.__path__)
    if name.endswith("_pb2_grpc")
]
# Bounded receive windows: a slow handler stops the sender instead of filling this process (16 MiB against 68 MiB).
OPTIONS = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1 << 20), ("grpc.so_reuseport", 0)]
Context = grpc.aio.ServicerContext[Any, Any]
HEALTH = health.aio.HealthServicer()


class RawReplies(grpc.aio.ServerInterceptor):
    """Lets a behaviour yield bytes that are sent as they are."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        handler: Any = await continuation(handler_call_details)
        if handler is None or not handler.response_streaming:
            return handler  # type: ignore[no-any-return]
        serialize = handler.response_serializer
        return handler._replace(  # type: ignore[no-any-return]
            response_serializer=lambda reply: reply if isinstance(reply, bytes) else serialize(reply)
        )


def script_of(context: Context) -> dict[str, Any]:
    for key, value in context.invocation_metadata() or ():
        if key == "x-stub":
            return dict(json.loads(value))
    return {}


def call_metadata(method: MethodDescriptor, request: Message | None, context: Context) -> tuple[tuple[str, str], ...]:
    metadata = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    metadata.pop("x-stub", None)
    seen = {
        "method": method.name,
        "request": json_format.MessageToDict(request, preserving_proto_field_name=True) if request else {},
        "metadata": metadata,
    }
    text = json.dumps(seen)
    return (("x-stub-call", text if len(text) < 8000 else json.dumps({"method": method.name})),)


async def fail(context: Context, abort: dict[str, Any], extra: tuple[tuple[str, str], ...] = ()) -> None:
    trailing: list[tuple[str, str | bytes]] = [*extra]
    for key, value in abort.get("trailing", {}).items():
        trailing.append((key, value.encode("latin-1") if key.endswith("-bin") else value))
    await context.abort(getattr(grpc.StatusCode, abort["code"]), abort.get("message", ""), tuple(trailing))


async def begin(script: dict[str, Any], context: Context, call: tuple[tuple[str, str], ...]) -> None:
    if state := script.get("health"):
        await HEALTH.set("", health_pb2.HealthCheckResponse.ServingStatus.Value(state))
    await asyncio.sleep(script.get("wait", 0))
    if "initial" in script:
        await context.send_initial_metadata((*script["initial"].items(), *call))
    if "raise" in script:
        raise ValueError(script["raise"])
    if abort := script.get("abort"):
        await fail(context, abort, call)


async def drain(requests: AsyncIterator[Any], script: dict[str, Any], context: Context) -> int:
    read, total = script.get("read", {}), 0
    async for request in requests:
        body = request if isinstance(request, httpbody_pb2.HttpBody) else getattr(request, "content", None)
        total += len(body.data) if body is not None else 0
        if total >= read.get("limit", float("inf")):
            await fail(context, script["then"])
        await asyncio.sleep(read.get("wait", 0))
    return total


def reply_of(method: MethodDescriptor, script: dict[str, Any], total: int = 0) -> Message:
    if method.name == "CountBytes":
        return system_pb2.CountBytesResponse(bytes=total)
    if method.output_type.full_name == "google.api.HttpBody":
        body: Message = httpbody_pb2.HttpBody(content_type=script.get("content_type", "application/octet-stream"))
        return body
    reply: Message = GetMessageClass(method.output_type)()
    json_format.ParseDict(script.get("reply", {}), reply)
    return reply


async def chunks_of(method: MethodDescriptor, request: Message | None, script: dict[str, Any]) -> AsyncIterator[Any]:
    kind = script.get("content_type", "application/octet-stream")
    if isinstance(request, system_pb2.StreamZerosRequest):
        zeros, left = bytes(1 << 20), int(request.bytes)
        while left > 0:
            yield httpbody_pb2.HttpBody(content_type=kind, data=zeros[:left])
            left -= len(zeros)
    elif method.output_type.full_name != "google.api.HttpBody":
        yield reply_of(method, script)
    else:
        for chunk in script.get("chunks", []):
            await asyncio.sleep(chunk.get("wait", 0))
            data = bytes(chunk["zeros"]) if "zeros" in chunk else chunk["text"].encode()
            yield httpbody_pb2.HttpBody(content_type=kind, data=data)
    if script.get("then") == "poison":
        yield BROKEN_STREAM


def behaviour(method: MethodDescriptor) -> Callable[..., Any]:
    async def run(request: Any, context: Context) -> AsyncIterator[Any]:
        script = script_of(context)
        single = None if method.client_streaming else request
        call = call_metadata(method, single, context)
        await begin(script, context, call)
        total = await drain(request, script, context) if method.client_streaming else 0
        if "initial" not in script:
            await context.send_initial_metadata(call)
        if method.server_streaming:
            async for chunk in chunks_of(method, single, script):
                yield chunk
        else:
            yield reply_of(method, script, total)
        if isinstance(script.get("then"), dict):
            await fail(context, script["then"])

    async def unary(self: object, request: Any, context: Context) -> Any:
        replies = [reply async for reply in run(request, context)]
        return replies[-1] if replies else None

    async def stream(self: object, request: Any, context: Context) -> AsyncIterator[Any]:
        async for reply in run(request, context):
            yield reply

    return stream if method.server_streaming else unary


async def ping(self: object, request: Message, context: Context) -> Message:
    """The empty RPC of the benchmarks: no script is read unless there is one."""
    script = script_of(context)
    if script:
        await begin(script, context, ())
    return system_pb2.PingResponse()


def servicer_of(service: ServiceDescriptor, base: type) -> object:
    methods = {method.name: behaviour(method) for method in service.methods}
    if "Ping" in methods:
        methods["Ping"] = ping
    return type(f"Stub{service.name}", (base,), methods)()


async def serve(target: str) -> None:
    server = grpc.aio.server(options=OPTIONS, interceptors=[RawReplies()])
    for module, stubs in MODULES:
        for name, service in module.DESCRIPTOR.services_by_name.items():
            servicer = servicer_of(service, getattr(stubs, f"{name}Servicer"))
            getattr(stubs, f"add_{name}Servicer_to_server")(servicer, server)
    health_pb2_grpc.add_HealthServicer_to_server(HEALTH, server)
    await HEALTH.set("", health_pb2.HealthCheckResponse.SERVING)
    server.add_insecure_port(target)
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    print("ready", flush=True)
    await stop.wait()
    await HEALTH.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
    await asyncio.sleep(1.0)
    await server.stop(grace=10)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
