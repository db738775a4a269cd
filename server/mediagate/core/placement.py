"""What accounts are like, and what they must be like, by label: `region: eu`, `zero_retention: true`, `kms: true`.

A requirement holds where the account has the label with this value. A label that an account does not have is not
satisfied, whatever it is required to be; but for the labels that say yes or no, which an account without them denies.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from mediagate.core.errors import InvalidField
from mediagate.core.limits import echo
from mediagate.core.objects import Principal

PLACEMENT: Final = "placement"
"""The form field, the JSON member; the header is `x-mediagate-placement`."""
HEADER: Final = "x-mediagate-placement"
REGION: Final = "region"
ZERO_RETENTION: Final = "zero_retention"
KMS: Final = "kms"
KMS_KEY: Final = "kms_key_id"
"""How an account says which key its store encrypts with; `kms` is required to be `true`, or to be that key."""
LABELS_MAX: Final = 16

_DENIED_BY_DEFAULT: Final = (ZERO_RETENTION, KMS)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")
_VALUE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,256}")

Required = Mapping[str, str]
"""What accounts must be like."""


def label_of(name: Any, value: Any) -> tuple[str, str]:
    """One label, as it is compared: names and the words true and false in lower case. Raises `ValueError`."""
    text = str(value).lower() if isinstance(value, bool) else str(value).strip() if isinstance(value, str) else ""
    key = str(name).strip().lower()
    if not _NAME.fullmatch(key) or not _VALUE.fullmatch(text):
        raise ValueError("a label is a name such as region and a text of at most 256 characters, or true or false")
    return key, text.lower() if text.lower() in ("true", "false") else text


def unmet(labels: Mapping[str, str], required: Required) -> tuple[str, str] | None:
    """The first label that an account with these `labels` does not satisfy, with the value it should have."""
    for name, value in required.items():
        if name == KMS and value not in ("true", "false"):
            if labels.get(KMS_KEY) != value:
                return name, value
            continue
        has = labels.get(name) or ("false" if name in _DENIED_BY_DEFAULT else None)
        if has is None or has.casefold() != value.casefold():
            return name, value
    return None


def told(given: Any) -> dict[str, str]:
    """What a request requires: an object, its JSON, or `region=eu, zero_retention=true`. Raises `InvalidField`."""
    if given is None or given in ("", {}):
        return {}
    if isinstance(given, str):
        given = _read(given)
    if not isinstance(given, Mapping) or len(given) > LABELS_MAX:
        raise _unreadable()
    try:
        return dict(label_of(name, value) for name, value in given.items())
    except ValueError:
        raise _unreadable() from None


def _read(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise _unreadable() from None
    pairs = [part.partition("=") for part in text.split(",")]
    found = {name.strip(): value.strip() for name, sign, value in pairs if sign}
    return found if len(found) == len(pairs) else None


def _unreadable() -> InvalidField:
    return InvalidField(
        f"'{PLACEMENT}' must be an object of labels such as {{\"region\": \"eu\"}}, in the header '{HEADER}' "
        f"region=eu, zero_retention=true; {LABELS_MAX} labels at most.",
        param=PLACEMENT,
    )


def required_of(who: Principal) -> dict[str, str]:
    """What the policies of a caller and its request require together. Raises `InvalidField` where two of them cannot
    both be had."""
    return together([*(_labels(scope.policy.placement) for scope in who.scopes), who.placement])


def requiring(who: Principal, asked: Any) -> Principal:
    """The caller, with what a field of its request requires. Raises `InvalidField`."""
    required = told(asked)
    return replace(who, placement=together([who.placement, required])) if required else who


def together(parts: Iterable[Required]) -> dict[str, str]:
    """All requirements in one. Raises `InvalidField` where two contradict each other."""
    found: dict[str, str] = {}
    for part in parts:
        for name, value in part.items():
            before = found.setdefault(name, value)
            if before == value:
                continue
            if name == KMS and "true" in (before, value) and "false" not in (before, value):
                # One key of one's own is some key of one's own.
                found[name] = value if before == "true" else before
            elif before.casefold() != value.casefold():
                raise InvalidField(
                    f"Nothing can be both '{name}: {echo(before)}' and '{name}: {echo(value)}': one is required by "
                    "the policy of this key, its user or its team or by the source, the other is asked for.",
                    param=PLACEMENT,
                    code="placement_contradiction",
                    label=name,
                )
    return found


def _labels(policy: Mapping[str, Any]) -> dict[str, str]:
    """A policy's requirement as it is compared. What is no label stays as it is, and nothing satisfies it."""
    labels = {}
    for name, value in policy.items():
        try:
            key, text = label_of(name, value)
        except ValueError:
            key, text = str(name), str(value)
        labels[key] = text
    return labels
