from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.errors import InvalidField, InvalidRequest
from mediagate.core.nesting import NESTED_FIELDS_MAX, NESTED_LEVELS_MAX, flat_json, nested


@pytest.mark.parametrize(
    ("fields", "tree"),
    [
        ([], {}),
        ([("a", "1")], {"a": "1"}),
        ([("a", "1"), ("a", "2")], {"a": "2"}),
        ([("tags[]", "x"), ("tags[]", "y")], {"tags": ["x", "y"]}),
        (
            [("expires_after[anchor]", "created_at"), ("expires_after[seconds]", "3600")],
            {"expires_after": {"anchor": "created_at", "seconds": "3600"}},
        ),
        ([("meta[k][z]", "1"), ("meta[k][l][]", "2"), ("meta[k][z]", "3")], {"meta": {"k": {"z": "3", "l": ["2"]}}}),
        ([("meta[0]", "x"), ("ü.-%", "y")], {"meta": {"0": "x"}, "ü.-%": "y"}),
    ],
)
def test_names_become_trees(fields: list[tuple[str, str]], tree: dict[str, Any]) -> None:
    assert nested(fields) == tree


@pytest.mark.parametrize(
    "names",
    [
        ["a", "a[b]"],
        ["a[b]", "a"],
        ["a", "a[]"],
        ["a[]", "a"],
        ["a[]", "a[b]"],
        ["a[b]", "a[]"],
        ["a[b]", "a[b][c]"],
        [""],
        ["[a]"],
        ["[]"],
        ["a[b"],
        ["a]b"],
        ["a[b]c"],
        ["a[[b]]"],
        ["a[][b]"],
        ["a[][]"],
        ["a" + "[b]" * NESTED_LEVELS_MAX],
        ["x" * 500 + "["],
    ],
)
def test_a_garbled_or_contradicting_name_is_refused_by_name(names: list[str]) -> None:
    with pytest.raises(InvalidField) as caught:
        nested([(name, "1") for name in names])
    assert caught.value.param is not None
    assert caught.value.param[:60] == names[-1][:60]
    assert len(caught.value.param) <= 64


def test_limits_of_depth_and_number() -> None:
    assert nested([("a" + "[b]" * (NESTED_LEVELS_MAX - 1), "1")])
    assert nested([("a[]", "1")] * NESTED_FIELDS_MAX)
    with pytest.raises(InvalidRequest, match="more than 1024 fields"):
        nested([("a[]", "1")] * (NESTED_FIELDS_MAX + 1))


keys = st.text("abcdefgh_-.ü ", min_size=1, max_size=5)
leaves = st.text("xyz[]\\\"'€ ", max_size=8)
trees = st.dictionaries(
    keys,
    st.recursive(
        leaves | st.lists(leaves, min_size=1, max_size=4),
        lambda children: st.dictionaries(keys, children, min_size=1, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(trees)
def test_a_tree_survives_the_way_through_json_and_form_fields(tree: dict[str, Any]) -> None:
    def depth(value: Any) -> int:
        if isinstance(value, dict):
            return 1 + max(map(depth, value.values()), default=0)
        return int(isinstance(value, list))

    fields = [field for key, value in tree.items() for field in flat_json(key, json.dumps(value))]
    assert depth(tree) <= NESTED_LEVELS_MAX
    assert nested(fields) == tree
