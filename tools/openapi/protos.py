"""The protos with their comments, rules and bindings, as the compiler reads them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf import descriptor_pb2

# It registers the options by which the rules are read.
from mediagate._gen.buf.validate import validate_pb2

ROOT = Path(__file__).resolve().parent.parent.parent
PROTO = ROOT / "proto"
PACKAGE = ".mediagate.v1."
# What users implement and the gateway calls, and the pages for people: no part of the API.
OUTSIDE = frozenset({"GuardrailService", "PagesService"})
VERBS = ("get", "put", "post", "delete", "patch")
_MESSAGE_FIELD, _SERVICE_METHOD, _FILE_MESSAGE, _FILE_SERVICE = 2, 2, 4, 6

FieldProto = descriptor_pb2.FieldDescriptorProto


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message. `type` is `string`, `uint32` and so on, or the full name of a message; of a map `key` and
    `type` are those of its entries."""

    name: str
    type: str
    comment: str
    rules: validate_pb2.FieldRules
    behaviors: frozenset[str]
    is_repeated: bool
    has_presence: bool
    key: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message; `choice` names the fields of which exactly one is given."""

    name: str
    comment: str
    fields: tuple[Field, ...]
    choice: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    """One REST way to call a method. `body` is the field that the body is, `*` for all that the path does not name."""

    verb: str
    path: str
    body: str

    @property
    def variables(self) -> tuple[str, ...]:
        """The fields that the path names."""
        parts = self.path.split("/")
        return tuple(part.strip("{}").removesuffix("=**") for part in parts if part.startswith("{"))

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"


@dataclass(frozen=True, slots=True)
class Method:
    """An RPC that has REST bindings."""

    service: str
    name: str
    comment: str
    input: str
    output: str
    streams_in: bool
    streams_out: bool
    bindings: tuple[Binding, ...]

    @property
    def full_name(self) -> str:
        """As in a gRPC path."""
        return f"/{PACKAGE.strip('.')}.{self.service}/{self.name}"

    @property
    def canonical(self) -> Binding:
        """The binding under which the method is described; the others are its aliases."""
        return next((one for one in self.bindings if one.path.startswith("/v1/")), self.bindings[0])


@dataclass(frozen=True, slots=True)
class Protos:
    """All messages by full name, and the methods in the order of the files."""

    messages: dict[str, Message]
    methods: tuple[Method, ...]


def read_protos() -> Protos:
    """Compile `proto/mediagate`."""
    names = sorted(path.relative_to(PROTO).as_posix() for path in (PROTO / "mediagate").rglob("*.proto"))
    messages: dict[str, Message] = {}
    methods: list[Method] = []
    for file in compiled(names).file:
        if file.name not in names:
            continue
        comments = {tuple(spot.path): spot.leading_comments for spot in file.source_code_info.location}
        for number, message in enumerate(file.message_type):
            messages[PACKAGE + message.name] = _message(message, comments, (_FILE_MESSAGE, number))
        for number, service in enumerate(file.service):
            if service.name in OUTSIDE:
                continue
            for at, method in enumerate(service.method):
                bindings = tuple(rest_bindings(method))
                comment = _text(comments.get((_FILE_SERVICE, number, _SERVICE_METHOD, at), ""))
                if bindings:
                    methods.append(
                        Method(
                            service.name,
                            method.name,
                            comment,
                            method.input_type,
                            method.output_type,
                            method.client_streaming,
                            method.server_streaming,
                            bindings,
                        )
                    )
    return Protos(messages, tuple(methods))


def compiled(names: Sequence[str]) -> descriptor_pb2.FileDescriptorSet:
    """Descriptors of these files, with comments."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "all.binpb")
        command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{PROTO / 'third_party'}"]
        command += [f"--descriptor_set_out={target}", "--include_imports", "--include_source_info", *names]
        subprocess.run(command, check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes())


def rest_bindings(method: descriptor_pb2.MethodDescriptorProto) -> Iterator[Binding]:
    """Every REST binding of a method, the first one first."""
    rule = method.options.Extensions[annotations_pb2.http]
    for binding in (rule, *rule.additional_bindings):
        kind = binding.WhichOneof("pattern")
        if kind in VERBS:
            yield Binding(kind.upper(), getattr(binding, kind), binding.body)
        elif kind == "custom":
            yield Binding(binding.custom.kind, binding.custom.path, binding.body)


def _message(
    message: descriptor_pb2.DescriptorProto, comments: dict[tuple[int, ...], str], path: tuple[int, ...]
) -> Message:
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    fields, choice = [], []
    for number, field in enumerate(message.field):
        comment = _text(comments.get((*path, _MESSAGE_FIELD, number), ""))
        fields.append(_field(field, comment, entries.get(field.type_name.rpartition(".")[2])))
        if field.HasField("oneof_index") and not field.proto3_optional:
            choice.append(field.name)
    return Message(message.name, _text(comments.get(path, "")), tuple(fields), tuple(choice))


def _field(field: FieldProto, comment: str, entry: descriptor_pb2.DescriptorProto | None) -> Field:
    value = field if entry is None else entry.field[1]
    is_repeated = field.label == FieldProto.LABEL_REPEATED
    marked = field.proto3_optional or field.HasField("oneof_index") or field.type == FieldProto.TYPE_MESSAGE
    behaviors = field.options.Extensions[field_behavior_pb2.field_behavior]
    return Field(
        name=field.name,
        type=value.type_name or FieldProto.Type.Name(value.type).removeprefix("TYPE_").lower(),
        comment=comment,
        rules=field.options.Extensions[validate_pb2.field],
        behaviors=frozenset(field_behavior_pb2.FieldBehavior.Name(one) for one in behaviors),
        is_repeated=is_repeated and entry is None,
        has_presence=marked and not is_repeated,
        key="" if entry is None else "string",
    )


def _text(comment: str) -> str:
    """A comment without the blank at the beginning of each line."""
    return "\n".join(line.removeprefix(" ").rstrip() for line in comment.splitlines()).strip()
