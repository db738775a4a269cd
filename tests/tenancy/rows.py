"""Ways in which RPCs name objects."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.api.wire import FORM_TYPE, field, form


@dataclass(frozen=True)
class Row:
    """One way in which an RPC names an object.

    `message` is the request natively, for streamed requests the list of messages; `body` what a REST call sends where
    it is no JSON of `message`. `own` are the codes that the owner may get: mostly it just works.
    """

    kind: str
    message: Callable[[str], Any]
    body: Callable[[str], tuple[str, bytes]] | None = None
    own: tuple[str, ...] = ("OK",)
    consumes: bool = False
    """Whether the owner's call takes the object away."""


def http_body(content_type: str, data: bytes) -> dict[str, str]:
    return {"content_type": content_type, "data": base64.b64encode(data).decode()}


def sent(kind: str, body: Callable[[str], tuple[str, bytes]], member: str = "", **first: str) -> Row:
    """A row of a method whose request is a stream of bodies, maybe in a member beside others."""

    def message(object_id: str) -> list[Any]:
        whole = http_body(*body(object_id))
        named = dict.fromkeys(first, object_id)
        return [{member: whole, **named} if member else whole]

    return Row(kind, message, body)


def by_id(name: str, kind: str, *own: str, **more: Any) -> Row:
    """A row of a method that takes an id and little else."""
    return Row(kind, lambda object_id: {name: object_id, **more}, own=own or ("OK",))


def as_json(**members: Any) -> Callable[[str], tuple[str, bytes]]:
    """A JSON body with `ID` replaced."""
    return lambda object_id: ("application/json", json.dumps(members).replace("ID", object_id).encode())


def as_form(*fields: tuple[str, str]) -> Callable[[str], tuple[str, bytes]]:
    """A form with `ID` replaced."""
    return lambda object_id: (
        FORM_TYPE,
        form(*[field(name, value.replace("ID", object_id)) for name, value in fields]),
    )
