"""Methods as operations: parameters, bodies and answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.openapi import failures, prose
from tools.openapi.protos import PACKAGE, Method, Protos
from tools.openapi.schemas import Schema, Schemas

HTTP_BODY = ".google.api.HttpBody"
JSON = "application/json"


class Operations:
    """Makes operations. `notes` says, by `Service.Method`, what a proto cannot."""

    def __init__(self, protos: Protos, schemas: Schemas, notes: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
        self.protos = protos
        self.schemas = schemas
        self.notes = notes
        self.shown = shown
        self.used: set[str] = set()

    def operation(self, method: Method, tag: str) -> tuple[str, str, Schema]:
        """The path, the verb in lower case, and the operation."""
        binding = method.canonical
        note = self._note(method)
        summary, rest = prose.headline(prose.restful(method.comment))
        body = self._body(method, note)
        made: Schema = {
            "operationId": operation_id(method),
            "tags": [tag],
            "summary": note.get("summary", summary),
            "description": prose.restful(note["description"]) if "description" in note else rest,
            "parameters": self._parameters(method, note),
        }
        if body is not None:
            made["requestBody"] = body
        more = tuple(str(status) for status in note.get("statuses", ()))
        if any(parameter.get("name") == "after" for parameter in made["parameters"]):
            more = (*more, "404")
        failed = failures.of(method, has_body=body is not None, more=more)
        made["responses"] = {**self._answers(method, note), **failed}
        made |= self._security(method)
        made["x-grpc-method"] = method.full_name
        others = [str(one) for one in method.bindings if one != binding]
        if others:
            made["x-mediagate-aliases"] = others
        path = binding.path.replace("=**}", "}")
        return path, binding.verb.lower(), {key: value for key, value in made.items() if value not in ("", [])}

    def _note(self, method: Method) -> Mapping[str, Any]:
        name = f"{method.service}.{method.name}"
        self.used.add(name)
        found: Mapping[str, Any] = self.notes.get(name) or {}
        return found

    def _parameters(self, method: Method, note: Mapping[str, Any]) -> list[Schema]:
        binding, message = method.canonical, self.protos.messages.get(method.input)
        fields = {} if message is None else {field.name: field for field in self.schemas.fields(method.input)}
        made = [
            {"name": name, "in": "path", "required": True, **self._described(method, name)}
            for name in binding.variables
        ]
        if binding.body != "*" and not method.streams_in:
            for name in fields:
                if name not in (*binding.variables, binding.body):
                    required = self.schemas.is_required(method.input, fields[name])
                    made.append(
                        {
                            "name": name,
                            "in": "query",
                            **({"required": True} if required else {}),
                            **self._described(method, name),
                        }
                    )
        referred = list(note.get("parameters", ()))
        if failures.takes_idempotency_key(method):
            referred.append("IdempotencyKey")
        if failures.serves_end_users(method):
            referred.append("EndUser")
        return [*made, *({"$ref": f"#/components/parameters/{name}"} for name in referred)]

    def _described(self, method: Method, name: str) -> Schema:
        field = next(field for field in self.schemas.fields(method.input) if field.name == name)
        schema = self.schemas.parameter(method.input, field)
        description = schema.pop("description")
        schema.pop("examples", None)
        shown = {"example": self.shown[name]} if name in self.shown else {}
        return {"description": description, "schema": schema, **shown}

    def _body(self, method: Method, note: Mapping[str, Any]) -> Schema | None:
        binding = method.canonical
        if "body" in note:
            content = {kind: self._content(wanted) for kind, wanted in note["body"].items()}
            return {"required": note.get("body_required", True), "content": content}
        if not binding.body:
            return None
        type_name, without = method.input, binding.variables
        if binding.body != "*":
            inner = next(one for one in self.schemas.fields(method.input) if one.name == binding.body)
            type_name, without = inner.type, ()
        if type_name == HTTP_BODY:
            raise LookupError(f"fragments say nothing of the body of {method.service}.{method.name}")
        schema = self.schemas.request(type_name, without)
        if schema is None:
            return None
        shown = {"example": note["example"]} if "example" in note else {}
        fields = [field for field in self.schemas.fields(type_name) if field.name not in without]
        required = any(self.schemas.is_required(type_name, field) for field in fields)
        return {"required": required, "content": {JSON: {"schema": schema, **shown}}}

    def _content(self, wanted: Mapping[str, Any]) -> Schema:
        shown = {key: wanted[key] for key in ("example", "examples", "encoding") if key in wanted}
        without = tuple(wanted.get("without", ()))
        if "form" in wanted:
            type_name, required = PACKAGE + wanted["message"], wanted.get("required", ())
            schema = self.schemas.form(wanted["form"], type_name, wanted["files"], without, required)
        elif "message" in wanted:
            schema = self.schemas.request(PACKAGE + wanted["message"], without) or {}
        else:
            schema = wanted["schema"]
        return {"schema": schema, **shown}

    def _answers(self, method: Method, note: Mapping[str, Any]) -> Schema:
        if "answers" in note:
            return {str(status): self._answer(answer) for status, answer in note["answers"].items()}
        if method.output == HTTP_BODY:
            raise LookupError(f"fragments say nothing of the answer of {method.service}.{method.name}")
        message = self.protos.messages[method.output]
        summary, _ = prose.headline(prose.restful(message.comment))
        made = {"description": f"{summary}.", "content": {JSON: {"schema": self.schemas.answer(method.output)}}}
        return {"200": self._with_headers(made, note.get("headers", ()), failures.takes_idempotency_key(method))}

    def _answer(self, answer: Mapping[str, Any]) -> Schema:
        if "$ref" in answer:
            return dict(answer)
        content = {
            kind: {**one, "schema": self.schemas.answer(PACKAGE + one["message"])} if "message" in one else dict(one)
            for kind, one in answer.get("content", {}).items()
        }
        for one in content.values():
            one.pop("message", None)
        made: Schema = {"description": answer["description"]}
        if content:
            made["content"] = content
        return self._with_headers(made, answer.get("headers", ()), False)

    def _with_headers(self, answer: Schema, names: Any, is_replayed: bool) -> Schema:
        wanted = ["x-request-id", *names, *(["idempotent-replayed"] if is_replayed else [])]
        headers = {name: {"$ref": f"#/components/headers/{name}"} for name in wanted}
        return {"description": answer["description"], "headers": headers, **answer}

    def _security(self, method: Method) -> Schema:
        if not failures.is_keyed(method):
            return {"security": []}
        if failures.takes_token_in_query(method):
            return {"security": [{"bearer": []}, {"api_key": []}, {"token": []}]}
        return {}


def operation_id(method: Method) -> str:
    """The name of the RPC; that of a REST door is its twin's."""
    return method.name.removesuffix("Http")
