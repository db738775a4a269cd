"""The API's reference from the protos: a page for each file of them, and one table of all REST paths."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import generate
from google.api import field_behavior_pb2
from google.protobuf import descriptor_pb2
from google.protobuf.message import Message
from markdown_words import table

from mediagate._gen.buf.validate import validate_pb2

Field = descriptor_pb2.FieldDescriptorProto
PACKAGE = ".mediagate.v1."
SERVICE, MESSAGES, ENUMS, METHOD, FIELD, NESTED, VALUE = 6, 4, 5, 2, 2, 3, 2  # numbers in descriptor.proto
WORDS = {
    Field.TYPE_STRING: "string",
    Field.TYPE_BYTES: "bytes",
    Field.TYPE_BOOL: "bool",
    Field.TYPE_DOUBLE: "double",
    Field.TYPE_FLOAT: "float",
    Field.TYPE_INT32: "int32",
    Field.TYPE_UINT32: "uint32",
    Field.TYPE_INT64: "int64",
    Field.TYPE_UINT64: "uint64",
}


REST = """Each RPC with its first path; most have others (without `/v1`, under `/openai` and `/openai/v1`), named in its
own section. A path is the same call as the RPC beside it: `{name}` is a field of the request, and so is what stands in
the query or the JSON body."""


@dataclass(frozen=True, slots=True)
class Source:
    """One proto file: its descriptor, the comments by their paths in it, and its page."""

    file: descriptor_pb2.FileDescriptorProto
    comments: dict[tuple[int, ...], str]
    page: str

    @property
    def title(self) -> str:
        """What the page is called."""
        return self.page.removesuffix(".md").capitalize()

    def say(self, *path: int) -> str:
        """The comment of one thing, its paragraphs apart."""
        return self.comments.get(path, "")


def pages(root: Path) -> dict[str, str]:
    """All pages by name, `README.md` with the list of them."""
    sources = [*read(root)]
    homes = {name: source.page for source in sources for name in names_of(source)}
    made = {f"api/{source.page}": page(source, homes) for source in sources}
    return {**made, "rest.md": rest(sources), "README.md": index(sources)}


def read(root: Path) -> Iterator[Source]:
    """The protos of our own, with their comments."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "api.binpb")
        command = [sys.executable, "-m", "grpc_tools.protoc", "-Iproto", "-Iproto/third_party", "--include_source_info"]
        subprocess.run([*command, f"--descriptor_set_out={target}", *generate.OWN], check=True, cwd=root)
        files = descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes()).file
    for file in files:
        comments = {tuple(place.path): text_of(place.leading_comments) for place in file.source_code_info.location}
        yield Source(file, comments, f"{Path(file.name).stem}.md")


def text_of(comment: str) -> str:
    """A comment as Markdown: its lines joined, its paragraphs and lists kept."""
    lines = [line.removeprefix(" ") for line in comment.strip("\n").splitlines()]
    return "\n".join(lines).strip()


def names_of(source: Source) -> Iterator[str]:
    """Full names of the messages and enums of a file."""
    for message in source.file.message_type:
        yield PACKAGE + message.name
        yield from (f"{PACKAGE}{message.name}.{inner.name}" for inner in message.nested_type)
    yield from (PACKAGE + enum.name for enum in source.file.enum_type)


def page(source: Source, homes: dict[str, str]) -> str:
    """One file: its services, then its messages."""
    lines = [f"# {source.title}", "", f"[`{source.file.name}`](../../../proto/{source.file.name})", ""]
    lines += [source.say(2), ""]
    for number, service in enumerate(source.file.service):
        lines += [f"## {service.name}", "", source.say(SERVICE, number), ""]
        for position, method in enumerate(service.method):
            lines += [f"### {method.name}", "", *signature(method, source, homes), ""]
            lines += [source.say(SERVICE, number, METHOD, position), ""]
    if source.file.message_type:
        lines += ["## Messages", ""]
    for number, message in enumerate(source.file.message_type):
        lines += message_lines(message, source, homes, (MESSAGES, number), message.name)
    for number, enum in enumerate(source.file.enum_type):
        lines += [f"### {enum.name}", "", source.say(ENUMS, number), ""]
        rows = [(f"`{value.name}`", source.say(ENUMS, number, VALUE, at)) for at, value in enumerate(enum.value)]
        lines += [*table(("value", "meaning"), rows), ""]
    return tidy(lines)


def signature(method: descriptor_pb2.MethodDescriptorProto, source: Source, homes: dict[str, str]) -> list[str]:
    """What goes in and out, and the REST paths."""
    taken = ("stream of " if method.client_streaming else "") + link(method.input_type, source, homes)
    given = ("stream of " if method.server_streaming else "") + link(method.output_type, source, homes)
    paths = [f"`{verb} {path}`" for verb, path, _ in generate.rest_bindings(method)]
    lines = [f"Takes {taken}, answers {given}."]
    if paths:
        lines += ["", f"REST: {paths[0]}" + (f" (also {', '.join(paths[1:])})" if paths[1:] else "")]
    return lines


def message_lines(
    message: descriptor_pb2.DescriptorProto, source: Source, homes: dict[str, str], path: tuple[int, ...], name: str
) -> Iterator[str]:
    """One message as a table of its fields, and those inside of it."""
    yield from (f"### {name}", "", source.say(*path), "")
    entries = {f".{source.file.package}.{name}.{inner.name}": inner for inner in message.nested_type}
    rows = []
    for at, field in enumerate(message.field):
        words = kind_of(field, source, homes, entries)
        if field.HasField("oneof_index") and not field.proto3_optional:
            words += f", one of `{message.oneof_decl[field.oneof_index].name}`"
        rows.append((f"`{field.name}`", words, ", ".join(rules_of(field)), source.say(*path, FIELD, at)))
    if rows:
        yield from (*table(("field", "type", "rules", "meaning"), rows), "")
    for number, inner in enumerate(message.nested_type):
        if not inner.options.map_entry:
            yield from message_lines(inner, source, homes, (*path, NESTED, number), f"{name}.{inner.name}")


def kind_of(
    field: Field, source: Source, homes: dict[str, str], entries: dict[str, descriptor_pb2.DescriptorProto]
) -> str:
    """The type of a field, with a link where it is a message of ours."""
    entry = entries.get(field.type_name)
    if entry is not None and entry.options.map_entry:
        key, value = entry.field
        return f"map of {kind_of(key, source, homes, {})} to {kind_of(value, source, homes, {})}"
    name = link(field.type_name, source, homes) if field.type_name else WORDS[field.type]
    if field.label == Field.LABEL_REPEATED:
        return f"repeated {name}"
    return f"{name}, optional" if field.proto3_optional else name


def link(name: str, source: Source, homes: dict[str, str]) -> str:
    """A type by its short name."""
    short = name.removeprefix(PACKAGE)
    if name not in homes:
        return f"`{name.lstrip('.')}`"
    place = "" if homes[name] == source.page else homes[name]
    return f"[{short}]({place}#{short.lower().replace('.', '')})"


def rules_of(field: Field) -> Iterator[str]:
    """What the server demands of a field, in short."""
    if field_behavior_pb2.REQUIRED in field.options.Extensions[field_behavior_pb2.field_behavior]:
        yield "required"
    # The options came without the module that knows these, so they are read again with it.
    options = descriptor_pb2.FieldOptions.FromString(field.options.SerializeToString())
    yield from spelled(options.Extensions[validate_pb2.field])


def spelled(rules: Message, prefix: str = "") -> Iterator[str]:
    """The rules that are set; those of the items of a list, or of a map, are said of these."""
    for descriptor, value in rules.ListFields():
        name = descriptor.name
        if name == "cel":
            yield from (f"{rule.message or rule.expression}" for rule in value)
        elif name in ("items", "keys", "values"):
            yield from spelled(value, f"each {name.removesuffix('s') if name != 'values' else 'value'}: ")
        elif descriptor.message_type is not None and not descriptor.is_repeated:
            yield from spelled(value, prefix)
        elif descriptor.enum_type is None:
            yield f"{prefix}{words(name, value)}"


def words(name: str, value: object) -> str:
    """One rule."""
    if value is True:
        return name.replace("_", " ")
    if name == "pattern":
        return f"`{value}`"
    if name in ("in", "not_in"):
        choices = ", ".join(f"`{one}`" for one in value)  # type: ignore[attr-defined]
        return f"one of {choices}" if name == "in" else f"none of {choices}"
    signs = {"gte": "≥", "lte": "≤", "gt": ">", "lt": "<"}
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    return f"{signs[name]} {number}" if name in signs else f"{name.replace('_', ' ')} {number}"


def rest(sources: list[Source]) -> str:
    """Every RPC that has a REST path, by that path."""
    rows = []
    for source in sources:
        for service in source.file.service:
            for method in service.method:
                bindings = [*generate.rest_bindings(method)]
                if bindings:
                    verb, path, _ = bindings[0]
                    name = f"[{service.name}.{method.name}](api/{source.page}#{method.name.lower()})"
                    rows.append((f"`{path}`", verb, name))
    return tidy(
        [
            "# REST",
            "",
            REST,
            "",
            *table(("path", "method", "RPC"), sorted(rows)),
            "",
        ]
    )


def index(sources: list[Source]) -> str:
    """What the reference has."""
    rows = [(f"[{source.title}](api/{source.page})", source.say(2).partition("\n\n")[0]) for source in sources]
    return tidy(
        [
            "# Reference",
            "",
            "Generated from the sources by `poe generate`, and proven current by `poe check`.",
            "",
            "[REST paths](rest.md) · [Configuration](configuration.md) · [Command line](cli.md) · [Errors](errors.md)",
            "",
            "## gRPC API",
            "",
            "One package, `mediagate.v1`, on the gateway's only port. Reflection is on.",
            "",
            *table(("", ""), rows),
            "",
        ]
    )


def tidy(lines: list[str]) -> str:
    """Joined, without empty lines in a row."""
    text = "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.rstrip("\n") + "\n"
