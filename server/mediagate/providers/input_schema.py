"""The input of a model that nobody can list here, by the schema that its provider publishes for it.

Such models name the same things differently (`image`, `start_image`, `image_url`) and write them differently (`5`,
`"5"`, `"5s"`). The schema says which name and which form; without one the usual names are taken.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from mediagate.core.errors import MediagateError
from mediagate.core.sizes import aspect_ratio, resolution
from mediagate.providers.answers import Tree
from mediagate.providers.base import Failure, FailureStage, SubmitRefused, VideoKind, VideoRequest

SECONDS: Final = ("duration", "duration_seconds", "seconds")
AUDIO: Final = ("generate_audio", "enable_audio", "with_audio", "audio")
# How long a schema is good for, and how soon a provider that did not give one is asked again.
KNOWN_S: Final = 3600.0
UNKNOWN_S: Final = 60.0
ANSWER_S: Final = 10.0
SCHEMAS_MAX: Final = 512
_SHOWN_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Property:
    """One member: its JSON types, the only values it takes, and the bounds of a number; empty or None where the schema
    does not say."""

    types: frozenset[str]
    values: tuple[Any, ...] = ()
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class InputSchema:
    """The members of one model's input, in the schema's order."""

    properties: Mapping[str, Property] = field(default_factory=dict)

    def first(self, names: Iterable[str]) -> str | None:
        """The first of `names` that the model has."""
        return next((name for name in names if name in self.properties), None)


def schema_of(root: Mapping[str, Any], definitions: Mapping[str, Any]) -> InputSchema:
    """A JSON schema of an object as an `InputSchema`. `definitions` are what `#/components/schemas/NAME` points to.
    Raises `LookupError`, `TypeError` or `ValueError` for what is no such schema."""
    root = _resolved(root, definitions)
    if not isinstance(root["properties"], Mapping):
        raise TypeError("properties")
    return InputSchema({name: _property(part, definitions) for name, part in root["properties"].items()})


def _property(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Property:
    types: set[str] = set()
    values: list[Any] = []
    least = most = None
    for variant in _variants(part, definitions):
        known = variant.get("type")
        types |= {known} if isinstance(known, str) else set(known or ())
        values += variant.get("enum", [variant["const"]] if "const" in variant else [])
        least, most = variant.get("minimum", least), variant.get("maximum", most)
    return Property(frozenset(types), tuple(value for value in values if value is not None), least, most)


def _variants(part: Mapping[str, Any], definitions: Mapping[str, Any], depth: int = 4) -> Iterable[Mapping[str, Any]]:
    """The schema and what it refers to or is put together of."""
    part = _resolved(part, definitions)
    yield part
    if depth:
        for word in ("allOf", "anyOf", "oneOf"):
            for inner in part.get(word) or ():
                yield from _variants(inner, definitions, depth - 1)


def _resolved(part: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = part.get("$ref")
    if reference is None:
        return part
    found = definitions[str(reference).rpartition("/")[2]]
    if not isinstance(found, Mapping):
        raise TypeError(reference)
    return found


def members_of(request: VideoRequest, schema: InputSchema | None) -> Tree:
    """The members that say what to make, without its media. Raises `SubmitRefused`, with the values that the model
    takes, for what it cannot do."""
    members: Tree = {"prompt": request.prompt}
    # An edit keeps the shape and the length of its source, an extension its shape.
    if request.kind in (VideoKind.CREATE, VideoKind.EXTEND):
        members |= _seconds(request.seconds, schema)
    if request.kind is VideoKind.CREATE:
        members |= _size(request.width, request.height, schema)
    if request.audio is not None:
        members |= _audio(request.audio, schema)
    return members


def place(members: Tree, names: Sequence[str], value: Any, schema: InputSchema | None) -> None:
    """Put the address of a medium where the model wants it."""
    name = media_name(names, schema, "input_reference")
    many = schema is not None and "array" in schema.properties[name].types
    members[name] = [value] if many else value


def media_name(names: Sequence[str], schema: InputSchema | None, about: str) -> str:
    """The member for a medium: the first of `names` that the model has. Raises `SubmitRefused` where it has none."""
    if schema is None:
        return names[0]
    name = schema.first(names)
    if name is None:
        what = "a source video" if about == "video" else "an image"
        _refuse(about, f"unsupported_{about}", f"This model does not take {what}.")
    return name


def _seconds(seconds: int, schema: InputSchema | None) -> Tree:
    if schema is None:
        return {SECONDS[0]: seconds}
    name = schema.first(SECONDS)
    if name is None:
        return {}
    return {name: _chosen(schema.properties[name], (seconds, str(seconds), f"{seconds}s"), "seconds")}


def _size(width: int, height: int, schema: InputSchema | None) -> Tree:
    ratio, word = aspect_ratio(width, height), resolution(width, height)
    if schema is None:
        return {"aspect_ratio": ratio, "resolution": word}
    if schema.first(("width",)) and schema.first(("height",)):
        return {"width": width, "height": height}
    found: Tree = {}
    for name, ways in (
        ("aspect_ratio", (ratio,)),
        ("resolution", (word, word.upper(), min(width, height), str(min(width, height)))),
        ("size", (f"{width}x{height}", f"{width}*{height}")),
    ):
        if name in schema.properties:
            found[name] = _chosen(schema.properties[name], ways, "size")
    return found


def _audio(audio: bool, schema: InputSchema | None) -> Tree:
    if schema is None:
        return {AUDIO[0]: audio}
    # The same names are also those of sound files.
    switches = [name for name in AUDIO if name in schema.properties and "boolean" in schema.properties[name].types]
    return {switches[0]: audio} if switches else {}


def _chosen(known: Property, ways: Sequence[Any], about: str) -> Any:
    """The first of `ways` to write a value that the model takes."""
    if known.values:
        for way in ways:
            if any(type(value) is type(way) and value == way for value in known.values):
                return way
        shown = ", ".join(str(value) for value in known.values[:_SHOWN_MAX])
        _refuse(about, f"invalid_{about}", f"This model takes only these values here: {shown}.")
    numbers = [way for way in ways if isinstance(way, int)]
    if known.types & {"integer", "number"} and numbers:
        number = numbers[0]
        if (known.least is not None and number < known.least) or (known.most is not None and number > known.most):
            _refuse(about, f"invalid_{about}", f"This model takes {_span(known)} here.")
        return number
    if "string" in known.types:
        return next(way for way in ways if isinstance(way, str))
    return ways[0]


def _span(known: Property) -> str:
    least = "" if known.least is None else f"at least {known.least:g}"
    most = "" if known.most is None else f"at most {known.most:g}"
    return " and ".join(part for part in (least, most) if part)


def _refuse(about: str, code: str, message: str) -> NoReturn:
    raise SubmitRefused(Failure(FailureStage.INPUT, code, message, retryable=False, field=about))


class Schemas:
    """The schemas of one provider's models, asked for once an hour. `fetch` may fail in any way: then there is none."""

    def __init__(
        self, fetch: Callable[[str], Awaitable[InputSchema]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, InputSchema | None]] = OrderedDict()

    async def of(self, model: str) -> InputSchema | None:
        """The model's schema, or None where the provider does not give one now."""
        until, schema = self._known.get(model, (0.0, None))
        if self._clock() < until:
            return schema
        try:
            async with asyncio.timeout(ANSWER_S):
                schema = await self._fetch(model)
        except (MediagateError, OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
            schema = None
        self._known[model] = (self._clock() + (UNKNOWN_S if schema is None else KNOWN_S), schema)
        self._known.move_to_end(model)
        if len(self._known) > SCHEMAS_MAX:
            self._known.popitem(last=False)
        return schema
