"""The OpenAPI document as such: valid, whole, tidy, and OpenAI's where OpenAI has the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Required, get_origin, get_type_hints

import openai.types
import openai.types.uploads
import pytest
from google.protobuf import descriptor_pb2
from openapi_spec_validator import OpenAPIV31SpecValidator

from mediagate.core.webhooks import EMITTED
from mediagate.envoy.render import DESCRIPTORS
from mediagate.pages.folder import ROOT
from tools.openapi.protos import OUTSIDE, rest_bindings

DOCUMENT: dict[str, Any] = json.loads((ROOT / "docs" / "openapi.json").read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
BY_ENVOY = {"GET /livez"}
"""What Envoy answers by itself."""
VERBS = ("get", "put", "post", "delete", "head")


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, found in DOCUMENT["paths"].items():
        for verb, operation in found.items():
            yield verb.upper(), path, operation


def test_it_is_valid() -> None:
    assert not [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()]


def test_each_binding_is_there_once_and_nothing_else() -> None:
    descriptors = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    bindings = {
        str(binding).replace("=**}", "}"): f"/{file.package}.{service.name}/{method.name}"
        for file in descriptors.file
        for service in file.service
        if file.package == "mediagate.v1" and service.name not in OUTSIDE
        for method in service.method
        for binding in rest_bindings(method)
    }
    told = [
        (name.replace("=**}", "}"), operation.get("x-grpc-method", ""))
        for verb, path, operation in operations()
        for name in (f"{verb} {path}", *operation.get("x-mediagate-aliases", ()))
    ]
    assert len(told) == len(dict(told))
    assert {name: method for name, method in told if name not in BY_ENVOY} == bindings
    assert set(DOCUMENT["webhooks"]) == set(EMITTED)


def test_each_operation_can_be_understood() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for verb, path, operation in operations():
        assert set(operation["tags"]) <= tags
        assert 0 < len(operation["summary"]) < 110, (verb, path)
        assert "`" not in operation["summary"]
        # gRPC's words are for gRPC's callers.
        assert not re.search(r"INVALID_ARGUMENT|NOT_FOUND|UNAVAILABLE|[Mm]etadata `", json.dumps(operation)), path
        for status, answer in operation["responses"].items():
            assert status[0] in "2345d", (path, status)
            assert "$ref" in answer or answer["description"]


def test_every_member_is_described_and_every_component_is_used() -> None:
    text = json.dumps(DOCUMENT)
    for kind, components in DOCUMENT["components"].items():
        for name in components:
            if kind != "securitySchemes":
                assert f'"#/components/{kind}/{name}"' in text, f"{kind}/{name} is not used"
    for name, schema in SCHEMAS.items():
        assert schema["title"] == name
        assert schema["description"], name
        for member, value in schema.get("properties", {}).items():
            # What OpenAI or a provider says is described by them.
            passed = name in ("ChatCompletion", "Response", "ResponseDeleted", "ResponseInputItems")
            assert passed or value.get("description"), f"{name}.{member}"


@pytest.mark.parametrize(
    ("theirs", "ours", "absent"),
    [
        (openai.types.FileObject, "File", set()),
        (openai.types.FileDeleted, "DeleteFileResponse", set()),
        (openai.types.Upload, "Upload", set()),
        (openai.types.uploads.UploadPart, "UploadPart", set()),
        (openai.types.Batch, "Batch", set()),
        (openai.types.Video, "Video", set()),
        (openai.types.VideoDeleteResponse, "DeleteVideoResponse", set()),
        (openai.types.VideoCreateCharacterResponse, "Character", set()),
        (openai.types.Model, "Model", {"shutdown_date"}),
    ],
)
def test_answers_are_those_of_openai_and_more(theirs: Any, ours: str, absent: set[str]) -> None:
    schema = SCHEMAS[ours]
    assert set(theirs.model_fields) - set(schema["properties"]) == absent
    required = {name for name, field in theirs.model_fields.items() if field.is_required()}
    assert required <= set(schema["required"])
    for name, published in theirs.model_json_schema()["properties"].items():
        mine = schema["properties"].get(name, {})
        if name == "size":
            continue  # Models of other providers make others.
        if "enum" in mine:
            assert set(published.get("enum", mine["enum"])) <= set(mine["enum"])
        if "const" in published:
            assert mine["const"] == published["const"]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (openai.types.FileCreateParams, ["CreateFileForm"]),
        (openai.types.UploadCreateParams, ["CreateUploadRequest"]),
        (openai.types.UploadCompleteParams, ["CompleteUploadRequest"]),
        (openai.types.BatchCreateParams, ["CreateBatchRequest"]),
        (openai.types.VideoCreateParams, ["CreateVideoRequest", "CreateVideoForm"]),
        (openai.types.VideoRemixParams, ["RemixVideoRequest", "RemixVideoForm"]),
        (openai.types.VideoEditParams, ["EditVideoRequest", "EditVideoForm"]),
        (openai.types.VideoExtendParams, ["ExtendVideoRequest", "ExtendVideoForm"]),
        (openai.types.VideoCreateCharacterParams, ["CreateCharacterForm"]),
    ],
)
def test_what_openai_takes_is_taken(theirs: Any, ours: list[str]) -> None:
    for name in ours:
        schema = SCHEMAS[name]
        hints = get_type_hints(theirs, include_extras=True)
        assert set(hints) <= set(schema["properties"])
        needed = {name for name, hint in hints.items() if theirs.__total__ or get_origin(hint) is Required}
        assert set(schema.get("required", ())) <= needed
