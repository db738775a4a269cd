"""Google's discovery document of Vertex AI, as an oracle: `aiplatform_v1.json` is aiplatform.v1 of
google-api-python-client 2.202.0 (Apache-2.0), cut to the methods in use."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

DISCOVERY: dict[str, Any] = json.loads((Path(__file__).parent / "aiplatform_v1.json").read_text())
SCHEMAS = DISCOVERY["schemas"]
PREFIX = "GoogleCloudAiplatformV1"
_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def unlike(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    """What a value has that its schema of the discovery document has not."""
    schema = SCHEMAS[schema["$ref"]] if "$ref" in schema else schema
    if schema["type"] == "any":
        return
    # A number of 64 bits is a text in JSON.
    is_wrong = isinstance(value, bool) and schema["type"] != "boolean"
    if is_wrong or not isinstance(value, _KINDS[schema["type"]]):
        yield f"{where} is no {schema['type']}"
    elif isinstance(value, list):
        for item in value:
            yield from unlike(item, schema["items"], f"{where}[]")
    elif isinstance(value, dict):
        for name, member in value.items():
            known = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if known is None:
                yield f"{where}.{name}"
            else:
                yield from unlike(member, known, f"{where}.{name}")
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where} is '{value}'"


def require_like(value: Any, message: str) -> None:
    """Fails for a value that is no such message: `GenerateContentRequest`."""
    assert not list(unlike(value, {"$ref": f"{PREFIX}{message}"}, message))
