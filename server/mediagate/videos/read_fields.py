"""Read the fields of a request for a video, from a form's tree, a JSON object or a typed message."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from mediagate.core.durations import parse_duration_s
from mediagate.core.errors import InvalidField
from mediagate.videos.extra_members import is_ours

NAME_CHARS_MAX = 256
"""Most characters of a model's name and of the caller's own mark."""
EXTRA_BYTES_MAX: Final = 1 << 16
WAIT_S_MAX: Final = 7 * 86_400.0
# How what is no text begins in JSON.
_JSON = re.compile(r"[-\d{\[]|true\Z|false\Z|null\Z")
# What PostgreSQL, protobuf and UTF-8 cannot hold, and JSON can.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
CHARACTERS: Final = "characters"
GUARDRAILS: Final = "guardrails"
GUARDRAILS_MAX: Final = 32
_OURS: Final = frozenset(
    {
        "aspect_ratio", "cancel_after", "characters", "custom_llm_provider", "extra_body", "generate_audio",
        "guardrails", "input_reference", "max_cost", "model", "placement", "prompt", "resolution", "seconds", "size",
        "start_timeout", "user", "video", "video_id",
    }
)  # fmt: skip


def wishes(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The members of a `VideoDraft` that every way to ask for a video has. Raises `InvalidField`."""
    return {
        "model": text_field(fields, "model", chars_max=NAME_CHARS_MAX),
        "size": text_field(fields, "size"),
        "aspect_ratio": text_field(fields, "aspect_ratio", chars_max=NAME_CHARS_MAX),
        "resolution": text_field(fields, "resolution", chars_max=NAME_CHARS_MAX),
        "audio": truth_field(fields, "generate_audio"),
        "max_cost_usd": amount_field(fields, "max_cost"),
        "start_timeout_s": duration_field(fields, "start_timeout"),
        "cancel_after_s": duration_field(fields, "cancel_after"),
        "end_user": text_field(fields, "user", chars_max=NAME_CHARS_MAX),
        "characters": character_ids(fields),
        "guardrails": guardrail_names(fields),
        "extra": extra_fields(fields),
    }


def text_field(
    fields: Mapping[str, Any], name: str, *, required: bool = False, chars_max: int | None = None
) -> str | None:
    """A field as text; whole numbers are taken as their digits, since people send `seconds: 4`.

    Raises `InvalidField`.
    """
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if value is None or value == "":
        if required:
            raise InvalidField(f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
        return None
    if not isinstance(value, str):
        raise InvalidField(f"Invalid type for '{name}': expected a string.", param=name, code="invalid_type")
    if _UNSTORABLE.search(value):
        raise InvalidField(f"'{name}' holds NUL or half a surrogate pair.", param=name)
    if chars_max is not None and len(value) > chars_max:
        raise InvalidField(f"'{name}' may have at most {chars_max} characters.", param=name)
    return value


def truth_field(fields: Mapping[str, Any], name: str) -> bool | None:
    """A field that is true or false, also as a form writes it. Raises `InvalidField`."""
    value = fields.get(name)
    if value is None or isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise InvalidField(f"Invalid type for '{name}': expected true or false.", param=name, code="invalid_type")


def amount_field(fields: Mapping[str, Any], name: str) -> float | None:
    """An amount of money above zero, in US dollars. Raises `InvalidField`."""
    value = fields.get(name)
    if value is None or value == "":
        return None
    try:
        amount = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not (math.isfinite(amount) and amount > 0):
        raise InvalidField(f"'{name}' must be an amount of US dollars above zero, such as 0.50.", param=name)
    return amount


def duration_field(fields: Mapping[str, Any], name: str) -> float | None:
    """A duration such as `10m`, in seconds. Raises `InvalidField`."""
    text = text_field(fields, name, chars_max=16)
    if text is None:
        return None
    seconds = parse_duration_s(text, max_s=WAIT_S_MAX, param=name)
    if seconds <= 0:
        raise InvalidField(f"'{name}' must be longer than zero.", param=name)
    return seconds


def from_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a form, in which everything is text, with what is for the provider as JSON would have it: a number,
    true, false, null, an object or a list that is written as JSON is one. Official clients send `extra_body` so."""
    return {name: value if name in _OURS and name != CHARACTERS else _told(value) for name, value in fields.items()}


def _told(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _told(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_told(member) for member in value]
    if not isinstance(value, str) or not _JSON.match(value):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def character_ids(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The characters that shall be seen: `[{"id": "char_..."}]`, or the ids alone. Raises `InvalidField`."""
    body = fields.get("extra_body")
    given = fields.get(CHARACTERS) or (body.get(CHARACTERS) if isinstance(body, Mapping) else None) or []
    if isinstance(given, Mapping) and "id" not in given:
        # As a form has it: characters[0][id].
        given = list(given.values())
    if isinstance(given, str | Mapping):
        given = [given]
    found = [one.get("id") if isinstance(one, Mapping) else one for one in given] if isinstance(given, list) else []
    told = [one for one in found if isinstance(one, str)]
    if not isinstance(given, list) or len(told) != len(given):
        raise InvalidField(
            f'Invalid value for \'{CHARACTERS}\': write it like [{{"id": "char_..."}}].',
            param=CHARACTERS,
            code="invalid_type",
        )
    return tuple(dict.fromkeys(told))


def guardrail_names(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The guardrails that the caller adds, `["name"]`, or one name alone. Raises `InvalidField`."""
    body = fields.get("extra_body")
    given = fields.get(GUARDRAILS) or (body.get(GUARDRAILS) if isinstance(body, Mapping) else None) or []
    if isinstance(given, Mapping):
        # As a form has it: guardrails[0].
        given = list(given.values())
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) > GUARDRAILS_MAX:
        raise InvalidField(
            f"Invalid value for '{GUARDRAILS}': write it like [\"name\"], with at most {GUARDRAILS_MAX} names.",
            param=GUARDRAILS,
            code="invalid_type",
        )
    return tuple(dict.fromkeys(names))


def extra_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the provider shall get as it is: the members that are not ours, and those of `extra_body`.

    Raises `InvalidField`.
    """
    given = fields.get("extra_body") or {}
    if not isinstance(given, Mapping):
        raise InvalidField(
            "Invalid type for 'extra_body': expected an object.", param="extra_body", code="invalid_type"
        )
    extra = {name: value for name, value in {**fields, **given}.items() if not is_ours(name, _OURS)}
    try:
        text = json.dumps(extra, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise InvalidField("A member for the provider is no JSON number.", param="extra_body") from None
    if len(text) > EXTRA_BYTES_MAX:
        raise InvalidField(
            f"Members for the provider may have {EXTRA_BYTES_MAX} characters together; these have {len(text)}.",
            param="extra_body",
        )
    if _UNSTORABLE.search(text) or "\\u0000" in text:
        raise InvalidField("A member for the provider holds NUL or half a surrogate pair.", param="extra_body")
    return extra
