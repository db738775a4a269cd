"""The input of a model by the schema that its provider publishes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.errors import ProviderFailed
from mediagate.providers.base import SubmitRefused, VideoKind, VideoRequest
from mediagate.providers.input_schema import (
    KNOWN_S,
    SCHEMAS_MAX,
    UNKNOWN_S,
    InputSchema,
    Property,
    Schemas,
    media_name,
    members_of,
    place,
    schema_of,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("type", "enum", "anyOf", "allOf", "$ref", "properties", "minimum", "const", "duration")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def schema(**properties: Any) -> InputSchema:
    return schema_of({"type": "object", "properties": properties}, {})


def request(**fields: Any) -> VideoRequest:
    values = {"seconds": 5, "width": 1280, "height": 720, "kind": VideoKind.CREATE, **fields}
    return VideoRequest(token="t", model="m", prompt="p", **values)


def members(given_schema: InputSchema | None, **fields: Any) -> dict[str, Any]:
    found = members_of(request(**fields), given_schema)
    assert found.pop("prompt") == "p"
    return found


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "integer"}, 5),
        ({"type": "number"}, 5),
        ({"type": "string"}, "5"),
        ({"enum": [5, 10]}, 5),
        ({"enum": ["5", "10"], "type": "string"}, "5"),
        ({"enum": ["4s", "5s"]}, "5s"),
        ({"anyOf": [{"type": "integer", "maximum": 9}, {"type": "null"}]}, 5),
        ({"allOf": [{"$ref": "#/components/schemas/duration"}]}, "5"),
        ({"$ref": "#/components/schemas/duration"}, "5"),
        ({"const": 5}, 5),
        ({"type": ["integer", "null"]}, 5),
        ({}, 5),
    ],
)
def test_seconds_are_written_as_the_model_wants_them(part: dict[str, Any], expected: Any) -> None:
    known = schema_of({"properties": {"duration": part}}, {"duration": {"enum": ["5", "10"], "type": "string"}})
    assert members(known) == {"duration": expected}
    assert type(members(known)["duration"]) is type(expected)


@pytest.mark.parametrize(
    ("part", "named"),
    [
        ({"enum": [4, 6, 8]}, "4, 6, 8"),
        ({"enum": [True]}, "True"),
        ({"type": "integer", "minimum": 6}, "at least 6"),
        ({"type": "integer", "maximum": 4}, "at most 4"),
        ({"type": "integer", "minimum": 1, "maximum": 4}, "at least 1 and at most 4"),
    ],
)
def test_seconds_that_the_model_does_not_take_are_refused_with_those_that_it_does(
    part: dict[str, Any], named: str
) -> None:
    with pytest.raises(SubmitRefused) as refused:
        members(schema(duration=part))
    assert refused.value.failure.field == "seconds"
    assert named in refused.value.failure.message


def test_true_is_not_one() -> None:
    with pytest.raises(SubmitRefused):
        members(schema(duration={"enum": [True, 2]}), seconds=1)


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"aspect_ratio": {"enum": ["16:9"]}, "size": {}}, {"aspect_ratio": "16:9", "size": "1280x720"}),
        ({"resolution": {"enum": ["720p"]}}, {"resolution": "720p"}),
        ({"resolution": {"enum": ["480P", "720P"]}}, {"resolution": "720P"}),
        ({"resolution": {"enum": [720, 1080]}}, {"resolution": 720}),
        ({"resolution": {"enum": ["720"]}}, {"resolution": "720"}),
        ({"size": {"enum": ["1280*720"]}}, {"size": "1280*720"}),
        ({"size": {"type": "string"}}, {"size": "1280x720"}),
        ({"width": {"type": "integer"}, "height": {}, "resolution": {}}, {"width": 1280, "height": 720}),
        ({}, {}),
    ],
)
def test_sizes(properties: dict[str, Any], expected: dict[str, Any]) -> None:
    assert members(schema(**properties)) == expected


def test_a_list_of_values_is_shown_in_part() -> None:
    with pytest.raises(SubmitRefused) as refused:
        members(schema(size={"enum": [f"{side}x{side}" for side in range(1000)]}))
    assert len(refused.value.failure.message) < 300


def test_without_a_schema_the_usual_names_are_taken() -> None:
    assert members(None) == {"duration": 5, "aspect_ratio": "16:9", "resolution": "720p"}
    assert members(None, audio=True)["generate_audio"] is True
    assert members(None, kind=VideoKind.EXTEND) == {"duration": 5}
    assert members(None, kind=VideoKind.EDIT) == {}


def test_sound_is_a_switch_and_no_sound_file() -> None:
    assert members(schema(audio={"type": "string", "format": "uri"}), audio=True) == {}
    assert members(schema(audio={"type": "boolean"}), audio=False) == {"audio": False}
    assert members(schema(audio={"type": "boolean"})) == {}


def test_media_go_where_the_model_has_a_place() -> None:
    known = schema(images={"type": "array"}, video_url={"type": "string"})
    found: dict[str, Any] = {}
    place(found, ("image", "images"), "https://x/1", known)
    place(found, ("video_url",), "https://x/2", known)
    assert found == {"images": ["https://x/1"], "video_url": "https://x/2"}
    assert media_name(("image",), None, "input_reference") == "image"
    with pytest.raises(SubmitRefused) as refused:
        media_name(("video",), known, "video")
    assert refused.value.failure.field == "video"
    assert refused.value.failure.code == "unsupported_video"


@given(JSON, st.dictionaries(st.text(max_size=3), JSON, max_size=2))
def test_what_is_no_schema_is_told_by_the_errors_that_are_expected(root: Any, definitions: dict[str, Any]) -> None:
    async def fetched(model: str) -> InputSchema:
        return schema_of(root, definitions)

    found = asyncio.run(Schemas(fetched).of("m"))
    assert found is None or isinstance(found, InputSchema)


async def test_a_schema_is_asked_for_once_an_hour_and_one_that_is_missing_once_a_minute() -> None:
    now, asked, known = 0.0, [], InputSchema({"duration": Property(frozenset())})
    fails = True

    async def fetch(model: str) -> InputSchema:
        asked.append(model)
        if fails:
            raise ProviderFailed("down")
        return known

    schemas = Schemas(fetch, clock=lambda: now)
    assert [await schemas.of("a"), await schemas.of("a")] == [None, None]
    assert asked == ["a"]
    now, fails = UNKNOWN_S, False
    assert [await schemas.of("a"), await schemas.of("a")] == [known, known]
    assert asked == ["a", "a"]
    now += KNOWN_S - 1
    await schemas.of("a")
    assert asked == ["a", "a"]
    now += 1
    await schemas.of("a")
    assert asked == ["a", "a", "a"]


async def test_a_provider_that_is_silent_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediagate.providers.input_schema.ANSWER_S", 0.01)

    async def fetch(model: str) -> InputSchema:
        await asyncio.sleep(3600)
        raise AssertionError(model)

    assert await Schemas(fetch).of("a") is None


async def test_schemas_are_not_kept_without_end() -> None:
    asked: list[str] = []

    async def fetch(model: str) -> InputSchema:
        asked.append(model)
        return InputSchema()

    schemas = Schemas(fetch)
    for number in range(SCHEMAS_MAX + 1):
        await schemas.of(str(number))
    await schemas.of(str(SCHEMAS_MAX))
    assert len(asked) == SCHEMAS_MAX + 1
    await schemas.of("0")
    assert len(asked) == SCHEMAS_MAX + 2
