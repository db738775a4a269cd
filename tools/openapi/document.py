"""The whole document."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from mediagate.core.webhooks import EMITTED
from tools.openapi import failures, prose
from tools.openapi.operations import Operations
from tools.openapi.protos import PACKAGE, read_protos
from tools.openapi.schemas import Schema, Schemas

FRAGMENTS = Path(__file__).resolve().parent / "fragments"


def document() -> str:
    """The document as it is committed. Raises `LookupError` where the protos and the fragments do not fit."""
    protos = read_protos()
    notes = {key: value for path in sorted(FRAGMENTS.glob("operations/*.yaml")) for key, value in _read(path).items()}
    shared, types = _read(FRAGMENTS / "shared.yaml"), _read(FRAGMENTS / "types.yaml")
    schemas = Schemas(protos.messages, types)
    operations = Operations(protos, schemas, notes, shared["path_examples"])
    paths: dict[str, Schema] = {}
    tags = shared["tags"]
    for method in protos.methods:
        path, verb, operation = operations.operation(method, tags[method.service]["name"])
        if verb in paths.setdefault(path, {}):
            raise LookupError(f"two methods have {verb} {path}")
        paths[path][verb] = operation
    for name in shared["events"]:
        schemas.answer(PACKAGE + name)
    paths |= shared["paths"]
    components = {
        "schemas": dict(sorted({**schemas.components, **shared["schemas"]}.items())),
        "parameters": shared["parameters"],
        "headers": shared["headers"],
        "responses": {**shared["responses"], **failures.components()},
        "securitySchemes": shared["securitySchemes"],
    }
    unused = sorted((set(notes) - operations.used) | (set(types) - schemas.used))
    if unused:
        raise LookupError(f"fragments speak of what is not there: {', '.join(unused)}")
    whole = {
        "openapi": "3.1.0",
        "info": {**shared["info"], "description": prose.restful(shared["info"]["description"])},
        "servers": [{"url": "/", "description": "Where this document was read."}],
        "security": [{"bearer": []}, {"api_key": []}],
        "tags": list(tags.values()),
        "paths": dict(sorted(paths.items())),
        "webhooks": {name: _webhook(name) for name in EMITTED},
        "components": components,
    }
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def _webhook(name: str) -> Schema:
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/WebhookEvent"}}}
    operation_id = "On" + "".join(part.title() for part in name.replace(".", "_").split("_"))
    return {
        "post": {
            "operationId": operation_id,
            "tags": ["Webhooks"],
            "summary": f"{name} happened",
            "description": "Sent to every enabled endpoint that asks for this type, signed as Standard Webhooks.",
            "parameters": [
                {"$ref": f"#/components/parameters/{header}"}
                for header in ("WebhookId", "WebhookTimestamp", "WebhookSignature")
            ],
            "requestBody": {"required": True, "content": body},
            "responses": {"2XX": {"description": "The event was taken. Any other answer has it sent again."}},
            "security": [],
        }
    }


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(path.read_text())
    return read
