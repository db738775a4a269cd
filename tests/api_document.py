"""The OpenAPI document as a judge: whether a call has an operation, and whether its answer is one that is described."""

from __future__ import annotations

import copy
import functools
import json
import re
from dataclasses import dataclass
from typing import Any

import httpx
import jsonschema_rs

from mediagate.pages.folder import ROOT

Json = dict[str, Any]
DOCUMENT: Json = json.loads((ROOT / "docs" / "openapi.json").read_text())
ON_THE_WAY = (408, 431)
"""What a caller gets who sends too slowly or too long headers, whatever the operation: its answer `default`."""
URN = "urn:mediagate:openapi"
JSON_BYTES_MAX = 1 << 20


@dataclass(frozen=True)
class Operation:
    """An operation, by the path and the verb under which it is described."""

    verb: str
    path: str
    tree: Json

    @property
    def id(self) -> str:
        """Its name."""
        return str(self.tree["operationId"])

    def answer(self, status: int) -> tuple[str, Json] | None:
        """The pointer of what describes a status, and that; None where nothing does. A range counts, `default` only
        for what has nothing to do with the operation."""
        for key in (str(status), f"{status // 100}XX", *(["default"] if status in ON_THE_WAY else [])):
            if key in self.tree["responses"]:
                pointer = f"/paths/{escaped(self.path)}/{self.verb}/responses/{key}"
                found = self.tree["responses"][key]
                return resolved(pointer, found)
        return None


def operations() -> list[Operation]:
    """All of them."""
    return [
        Operation(verb, path, tree)
        for path, found in DOCUMENT["paths"].items()
        for verb, tree in found.items()
        if verb != "parameters"
    ]


def resolved(pointer: str, found: Json) -> tuple[str, Json]:
    """What a reference refers to, with its pointer."""
    while "$ref" in found:
        pointer = found["$ref"].removeprefix("#")
        found = functools.reduce(lambda tree, name: tree[name], pointer.strip("/").split("/"), DOCUMENT)
    return pointer, found


def escaped(name: str) -> str:
    """A name as a part of a JSON pointer in a URI."""
    return name.replace("~", "~0").replace("/", "~1").replace("{", "%7B").replace("}", "%7D")


@functools.cache
def _routes() -> list[tuple[re.Pattern[str], str, Operation]]:
    """Every path by its length, the ones with the fewest variables first."""
    found = []
    for operation in operations():
        aliases = [one.split(" ", 1) for one in operation.tree.get("x-mediagate-aliases", ())]
        for verb, path in [(operation.verb.upper(), operation.path), *aliases]:
            deep = ".+" if operation.id == "GetModel" else "[^/]+"
            pattern = re.sub(r"\\\{\w+(?:=\\\*\\\*)?\\\}|\\\*", deep, re.escape(path))
            found.append((path.count("{") + path.count("*"), re.compile(pattern), verb, operation))
    found.sort(key=lambda one: one[0])
    return [(pattern, verb, operation) for _, pattern, verb, operation in found]


@functools.lru_cache(4096)
def operation_of(verb: str, path: str) -> Operation | None:
    """The operation of a call; None where there is none."""
    return next((one for pattern, kind, one in _routes() if kind == verb and pattern.fullmatch(path)), None)


@functools.cache
def _registry() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry([(URN, _closed(copy.deepcopy(DOCUMENT)))])


def _closed(tree: Any) -> Any:
    """The same document where no object may have members that are not described, unless it says that it may."""
    if isinstance(tree, dict):
        for value in tree.values():
            _closed(value)
        if tree.get("type") == "object" and "properties" in tree:
            tree.setdefault("additionalProperties", False)
    elif isinstance(tree, list):
        for value in tree:
            _closed(value)
    return tree


@functools.cache
def _validator(pointer: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator({"$ref": f"{URN}#{pointer}"}, registry=_registry())


def faults_of(pointer: str, value: Any) -> list[str]:
    """What a value breaks of the schema at a pointer of the document."""
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in _validator(pointer).iter_errors(value)
    ]


def complaint(operation: Operation, response: httpx.Response) -> str | None:
    """What the document does not say of an answer; None where it describes it whole."""
    described = operation.answer(response.status_code)
    if described is None:
        return f"{operation.id} answered {response.status_code}, which is not described: {response.text[:300]}"
    pointer, answer = described
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    content = answer.get("content", {})
    if not content or operation.verb == "head":
        return f"{operation.id} {response.status_code} has a body" if response.content else None
    key = kind if kind in content else "*/*"
    if key not in content:
        return f"{operation.id} {response.status_code} is {kind!r}, described are {list(content)}"
    if kind != "application/json" or key == "*/*":
        return None
    faults = faults_of(f"{pointer}/content/{escaped(key)}/schema", response.json())
    return f"{operation.id} {response.status_code}: {faults[:3]} in {response.text[:500]}" if faults else None


def judge(response: httpx.Response) -> None:
    """A hook for clients: fails where an answer of the API is not as described. Streams and files pass unread."""
    operation = operation_of(response.request.method, response.request.url.path)
    if operation is None:
        return
    length = response.headers.get("content-length", "")
    if response.headers.get("content-type") == "application/json" and int(length or 0) < JSON_BYTES_MAX:
        response.read()
        said = complaint(operation, response)
    else:
        described = operation.answer(response.status_code)
        said = None if described else f"{operation.id} answered {response.status_code}, which is not described"
    assert said is None, said
