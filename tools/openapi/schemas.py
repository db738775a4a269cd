"""Messages as JSON schemas, with the rules that the server checks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mediagate._gen.buf.validate import validate_pb2
from tools.openapi import prose
from tools.openapi.protos import Field, Message

Schema = dict[str, Any]

SCALARS: Mapping[str, Schema] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "double": {"type": "number"},
    "uint32": {"type": "integer", "minimum": 0, "maximum": 4294967295},
    ".google.protobuf.Struct": {"type": "object", "additionalProperties": True},
    ".google.protobuf.FieldMask": {"type": "string"},
}
# The JSON of a double that only ever holds whole numbers.
WHOLE = ("bytes", "files", "copies")
_MATCHES = re.compile(r"this\.matches\('(.+)'\)")


class Schemas:
    """The components made so far. `notes` says what the protos cannot: the type of a `google.protobuf.Value`, members
    that the JSON door does not take, or takes in another way."""

    def __init__(self, messages: Mapping[str, Message], notes: Mapping[str, Schema]) -> None:
        self.messages = messages
        self.notes = notes
        self.used: set[str] = set()
        self.components: dict[str, Schema] = {}
        self._built: set[tuple[str, bool]] = set()
        self._twofold = {name for name in messages if self._differs(name)}

    def answer(self, type_name: str) -> Schema:
        """A reference to what the server says."""
        return self._reference(type_name, is_answer=True)

    def request(self, type_name: str, without: Iterable[str] = ()) -> Schema | None:
        """A reference to what the caller says, but for what the path names; None where there is nothing to say."""
        message = self.messages[type_name]
        if all(field.name in without for field in self._fields(message, is_answer=False)):
            return None
        return self._reference(type_name, is_answer=False, without=without)

    def form(
        self,
        name: str,
        type_name: str,
        files: Mapping[str, str],
        without: Iterable[str] = (),
        required: Iterable[str] = (),
    ) -> Schema:
        """A reference to the form with a request's members; `files` are parts with bytes, by name and description, of
        which some may be `required`."""
        message = self.messages[type_name]
        schema = self._object(message, is_answer=False, without=(*without, *files))
        schema["description"] = schema["description"].rstrip(".") + ", as a form."
        for part, description in files.items():
            schema["properties"][part] = {"type": "string", "format": "binary", "description": description}
        schema["required"] = [one for one in schema["properties"] if one in (*schema.get("required", ()), *required)]
        self.components[name] = {"title": name, **schema}
        return {"$ref": f"#/components/schemas/{name}"}

    def fields(self, type_name: str) -> tuple[Field, ...]:
        """What a caller can give of a message."""
        return tuple(self._fields(self.messages[type_name], is_answer=False))

    def parameter(self, message: str, field: Field) -> Schema:
        """The schema of a field in a path or a query."""
        return self._value(self.messages[message], field, is_answer=False)

    def is_required(self, message: str, field: Field) -> bool:
        """Whether a request must have the field."""
        return self._required(self.messages[message], field, is_answer=False)

    def _reference(self, type_name: str, *, is_answer: bool, without: Iterable[str] = ()) -> Schema:
        message = self.messages[type_name]
        name = message.name if is_answer or type_name not in self._twofold else f"{message.name}Input"
        if (name, is_answer) not in self._built:
            self._built.add((name, is_answer))
            made = {"title": name, **self._object(message, is_answer=is_answer, without=without)}
            if self.components.setdefault(name, made) != made:
                raise LookupError(f"{name} is not the same in requests and in answers: give its members a behaviour")
        return {"$ref": f"#/components/schemas/{name}"}

    def _object(self, message: Message, *, is_answer: bool, without: Iterable[str] = ()) -> Schema:
        fields = [field for field in self._fields(message, is_answer=is_answer) if field.name not in without]
        schema: Schema = {
            "type": "object",
            "description": prose.restful(message.comment),
            "properties": {field.name: self._member(message, field, is_answer=is_answer) for field in fields},
        }
        required = [field.name for field in fields if self._required(message, field, is_answer=is_answer)]
        if required:
            schema["required"] = required
        if message.choice:
            schema |= {"minProperties": 1, "maxProperties": 1}
        return schema

    def _fields(self, message: Message, *, is_answer: bool) -> Iterator[Field]:
        hidden = "INPUT_ONLY" if is_answer else "OUTPUT_ONLY"
        for field in message.fields:
            if hidden not in field.behaviors and not self._note(message, field).get("x-absent"):
                yield field

    def _required(self, message: Message, field: Field, *, is_answer: bool) -> bool:
        note = self._note(message, field)
        if "x-required" in note:
            return bool(note["x-required"])
        if is_answer:
            return not field.has_presence or field.type == ".google.protobuf.Value"
        if "REQUIRED" in field.behaviors or field.rules.required:
            return True
        needs = field.rules.string.min_len or field.rules.repeated.min_items
        return not field.has_presence and bool(needs)

    def _note(self, message: Message, field: Field) -> Schema:
        for key in (f"{message.name}.{field.name}", f"*.{field.name}"):
            if key in self.notes:
                self.used.add(key)
                return self.notes[key]
        return {}

    def _member(self, message: Message, field: Field, *, is_answer: bool) -> Schema:
        schema = self._value(message, field, is_answer=is_answer)
        if is_answer and "OUTPUT_ONLY" in field.behaviors:
            schema["readOnly"] = True
        return schema

    def _value(self, message: Message, field: Field, *, is_answer: bool) -> Schema:
        said = {"description": prose.restful(field.comment)}
        note = {key: value for key, value in self._note(message, field).items() if not key.startswith("x-")}
        if note.keys() & {"type", "$ref", "anyOf", "oneOf"}:
            return {**said, **note}
        items = self._one(field, is_answer=is_answer)
        if field.key:
            items |= _keywords(field.rules.map.values)
            return {**said, "type": "object", "additionalProperties": items, **_map_keywords(field.rules), **note}
        if field.is_repeated:
            items |= _keywords(field.rules.repeated.items)
            return {**said, "type": "array", "items": items, **_list_keywords(field.rules), **note}
        return {**said, **items, **_told(field, items), **_keywords(field.rules), **note}

    def _one(self, field: Field, *, is_answer: bool) -> Schema:
        """The schema of one value of a field: of an item where it has several."""
        if field.type in self.messages:
            return self._reference(field.type, is_answer=is_answer)
        if field.type == ".google.protobuf.Value":
            raise LookupError(f"fragments/types.yaml says nothing of {field.name}, whose type is any")
        schema = dict(SCALARS[field.type])
        if field.type == "double" and (field.name.endswith(WHOLE) or "whole number" in field.comment):
            schema["type"] = "integer"
            schema["minimum"] = 0
        return schema

    def _differs(self, name: str) -> bool:
        """Whether what a caller says of a message is not what the server says of it."""
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            message = self.messages[waiting.pop()]
            seen.add(message.name)
            if any(field.behaviors & {"OUTPUT_ONLY", "INPUT_ONLY"} for field in message.fields):
                return True
            children = [field.type for field in message.fields if field.type in self.messages]
            waiting += [child for child in children if self.messages[child].name not in seen]
        return False


def _told(field: Field, schema: Schema) -> Schema:
    """What the comment says of the values."""
    if schema.get("type") != "string":
        return {}
    value, choices = prose.always(field.comment), prose.words(field.comment)
    if value is not None:
        return {"const": value}
    if choices is not None and "REQUIRED" not in field.behaviors:
        return {"enum": choices}
    shown = prose.example(field.comment)
    return {"examples": [shown]} if shown is not None else {}


def _keywords(rules: validate_pb2.FieldRules) -> Schema:
    """The rules of one value."""
    kind = rules.WhichOneof("type")
    keywords: Schema = {}
    if kind == "string":
        keywords = _text_keywords(rules.string)
    elif kind is not None:
        keywords = _number_keywords(getattr(rules, kind))
    for rule in rules.cel:
        found = _MATCHES.fullmatch(rule.expression)
        if found:
            keywords["pattern"] = found[1]
    return keywords


def _text_keywords(rules: validate_pb2.StringRules) -> Schema:
    keywords: Schema = {}
    if rules.HasField("min_len"):
        keywords["minLength"] = rules.min_len
    if rules.HasField("max_len") or rules.HasField("max_bytes"):
        keywords["maxLength"] = rules.max_len or rules.max_bytes
    if rules.HasField("pattern"):
        # A class of RE2 that few other engines know.
        keywords["pattern"] = rules.pattern.replace(r"\P{Cc}", r"[^\u0000-\u001f\u007f-\u009f]")
    if getattr(rules, "in"):
        keywords["enum"] = list(getattr(rules, "in"))
    return keywords


def _number_keywords(rules: Any) -> Schema:
    names = {"gte": "minimum", "lte": "maximum", "gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
    set_here = {name for name, _ in ((field.name, value) for field, value in rules.ListFields())}
    found = {keyword: getattr(rules, rule) for rule, keyword in names.items() if rule in set_here}
    return {keyword: int(value) if float(value).is_integer() else value for keyword, value in found.items()}


def _list_keywords(rules: validate_pb2.FieldRules) -> Schema:
    keywords: Schema = {}
    if rules.repeated.HasField("min_items"):
        keywords["minItems"] = rules.repeated.min_items
    if rules.repeated.HasField("max_items"):
        keywords["maxItems"] = rules.repeated.max_items
    return keywords


def _map_keywords(rules: validate_pb2.FieldRules) -> Schema:
    keywords: Schema = {"maxProperties": rules.map.max_pairs} if rules.map.HasField("max_pairs") else {}
    names = _keywords(rules.map.keys)
    return {**keywords, "propertyNames": names} if names else keywords
