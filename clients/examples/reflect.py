"""Any method of a gateway from JSON, by what it says of itself: no generated code, no proto file.

    pip install grpcio grpcio-reflection
    python clients/examples/reflect.py 127.0.0.1:4000 "$(cat .mediagate/master_key)"
    python clients/examples/reflect.py 127.0.0.1:4000 "$(cat .mediagate/master_key)" FileService/ListFiles '{}'

Without a method it lists all of them. A request stream is one message a line, on stdin where no JSON is given; answers
are one a line. The same few steps make a client in every language that has gRPC and reflection.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import grpc
from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

PACKAGE = "mediagate.v1"


def describe(method: MethodDescriptor) -> str:
    """A method as a proto file has it."""
    asks, answers = (
        ("stream " if streams else "") + kind.name
        for streams, kind in (
            (method.client_streaming, method.input_type),
            (method.server_streaming, method.output_type),
        )
    )
    return f"{method.containing_service.name}/{method.name}({asks}) returns ({answers})"


def services(channel: grpc.Channel) -> list[ServiceDescriptor]:
    """All services that the gateway tells of."""
    known = ProtoReflectionDescriptorDatabase(channel)
    pool = DescriptorPool(known)
    return [pool.FindServiceByName(name) for name in sorted(known.get_services()) if name.startswith(PACKAGE)]


def find(channel: grpc.Channel, name: str) -> MethodDescriptor:
    """A method by `Service/Method`. Raises `SystemExit` where there is none."""
    methods = {
        f"{method.containing_service.name}/{method.name}": method
        for service in services(channel)
        for method in service.methods
    }
    if name not in methods:
        raise SystemExit(f"there is no method {name!r}; without a name all are listed")
    return methods[name]


def call(channel: grpc.Channel, key: str, method: MethodDescriptor, lines: Iterator[str]) -> Iterator[Message]:
    """Call it with a message from each line; yields its answers."""
    request, answer = (message_factory.GetMessageClass(kind) for kind in (method.input_type, method.output_type))
    try:
        messages = [json_format.Parse(line, request()) for line in lines]
    except json_format.ParseError as error:
        raise SystemExit(f"no {request.DESCRIPTOR.name}: {error}") from None
    invoke = channel.stream_stream(
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=request.SerializeToString,
        response_deserializer=answer.FromString,
    )
    yield from invoke(iter(messages), metadata=(("authorization", f"Bearer {key}"),))


def main(address: str, key: str, name: str = "", *given: str) -> None:
    with grpc.insecure_channel(address) as channel:
        if not name:
            print(*(describe(method) for service in services(channel) for method in service.methods), sep="\n")
            return
        lines = iter(given) if given else (line for line in sys.stdin if line.strip())
        try:
            for message in call(channel, key, find(channel, name), lines):
                print(json.dumps(json_format.MessageToDict(message, preserving_proto_field_name=True)), flush=True)
        except grpc.RpcError as error:
            raise SystemExit(f"{error.code().name}: {error.details()}") from None


if __name__ == "__main__":
    main(*sys.argv[1:])
