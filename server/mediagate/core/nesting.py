"""Form fields as trees: `expires_after[anchor]` and `tags[]` into JSON-like values, and JSON into such fields."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Final, NoReturn, TypeAlias

from mediagate.core.errors import InvalidField, InvalidRequest
from mediagate.core.limits import echo

NESTED_LEVELS_MAX: Final = 8
NESTED_FIELDS_MAX: Final = 1024

JsonTree: TypeAlias = "str | list[str] | dict[str, JsonTree]"

_FIELD_NAME: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_KEY: Final = re.compile(r"\[([^\[\]]*)\]")
_USE_JSON: Final = "A form cannot say this. Send the request as JSON."
# One character of JSON can become a hundred bytes of objects; these marks bound how many objects there can be.
_JSON_MARKS_MAX: Final = 10_000
# What PostgreSQL, protobuf and UTF-8 cannot hold, and JSON can.
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


def nested(fields: Sequence[tuple[str, str]]) -> dict[str, JsonTree]:
    """Return the tree that form field names stand for: `a[b]` is a member, every `a[]` adds to a list, and of a plain
    name that is sent more than once the last value stands.

    Raises `InvalidField(param=name)` for a garbled name, for one name used as two kinds (`a` and `a[b]`), for lists of
    objects and for more than 8 levels, `InvalidRequest` for more than 1,024 fields.
    """
    if len(fields) > NESTED_FIELDS_MAX:
        raise InvalidRequest(f"The form has more than {NESTED_FIELDS_MAX} fields. Send fewer.")
    tree: dict[str, JsonTree] = {}
    for name, value in fields:
        _place(tree, name, value)
    return tree


def flat_json(name: str, text: str) -> Iterator[tuple[str, str]]:
    """Yield the fields that OpenAI's SDKs write for the JSON value `text` under `name`: `a[b]`, `a[]`. Numbers stay the
    text they are; null, `{}` and `[]` are no field.

    Raises `InvalidField(param=name)` for what is not JSON or has no such form, lists of objects among it.
    """
    try:
        if sum(map(text.count, ",[{")) > _JSON_MARKS_MAX:
            raise ValueError
        tree = json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise InvalidField("The part is not valid JSON, or has too many members.", param=echo(name)) from None
    yield from _flat(name, tree, level=1)


def _place(tree: dict[str, JsonTree], name: str, value: str) -> None:
    match = _FIELD_NAME.fullmatch(name)
    if match is None:
        raise InvalidField(f"'{echo(name)}' is not a field name. Write it like a, a[b] or a[].", param=echo(name))
    keys = [match[1], *_KEY.findall(match[2])]
    if len(keys) > NESTED_LEVELS_MAX:
        raise InvalidField(f"The name has more than {NESTED_LEVELS_MAX} levels.", param=echo(name))
    is_list = not keys[-1]
    if is_list:
        keys.pop()
    if "" in keys:
        raise InvalidField(_USE_JSON, param=echo(name))
    *parents, last = keys
    for key in parents:
        child = tree.setdefault(key, {})
        if not isinstance(child, dict):
            raise _contradiction(name)
        tree = child
    present = tree.setdefault(last, [] if is_list else value)
    if is_list and isinstance(present, list):
        present.append(value)
    elif not is_list and isinstance(present, str):
        tree[last] = value
    else:
        raise _contradiction(name)


def _contradiction(name: str) -> InvalidField:
    shown = echo(name)
    return InvalidField(f"'{shown}' contradicts an earlier field, which uses the name in another way.", param=shown)


def _flat(name: str, tree: object, *, level: int) -> Iterator[tuple[str, str]]:
    if level > NESTED_LEVELS_MAX:
        raise InvalidField(f"The part has more than {NESTED_LEVELS_MAX} levels.", param=echo(name))
    if isinstance(tree, dict):
        for key, value in tree.items():
            if not key or "[" in key or "]" in key or _UNSTORABLE.search(key):
                raise InvalidField(_USE_JSON, param=echo(name))
            yield from _flat(f"{name}[{key}]", value, level=level + 1)
    elif isinstance(tree, list):
        for item in tree:
            if isinstance(item, dict | list):
                raise InvalidField(_USE_JSON, param=echo(name))
            yield from _flat(f"{name}[]", item, level=level + 1)
    elif tree is not None:
        yield name, _scalar(name, tree)


def _scalar(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if _UNSTORABLE.search(text):
        raise InvalidField("The part holds NUL or half a surrogate pair.", param=echo(name))
    return text


def _refuse(_: str) -> NoReturn:
    """NaN and infinities are Python's idea of JSON."""
    raise ValueError
