"""A body as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson

from mediagate.core.errors import InvalidRequest


def encoded(tree: Mapping[str, Any]) -> bytes:
    """One line, without its end. Raises `InvalidRequest` for what is nested too deeply."""
    try:
        return orjson.dumps(tree)
    except TypeError:
        # Halves of characters, numbers of more than 64 bits and deep trees, of which it takes none.
        pass
    try:
        return json.dumps(tree, separators=(",", ":")).encode()
    except RecursionError:
        raise InvalidRequest("The request is nested too deeply.", code="nested_too_deeply") from None
