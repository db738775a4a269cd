"""Ids of responses that a provider keeps: sealed, and put in the place of the provider's own."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.chat.kept_responses import ID_CHARS_MAX, LOOKS_MAX, IdRenaming, ResponseIds, require_own_state
from mediagate.core.errors import InvalidField, NotFound
from mediagate.core.objects import Principal

ANN, BOB, ADMIN = Principal("key:ann"), Principal("key:bob"), Principal("master", is_admin=True)
IDS = ResponseIds("a master key")
THEIRS = "resp_68af4030592c81938ec0a5fbab4a3e9f05438e46b5f69a3b"


def test_an_id_opens_for_whom_it_was_made() -> None:
    ours = IDS.close(ANN, "openai-1", THEIRS)
    assert re.fullmatch(r"resp_[\w-]+", ours)
    assert THEIRS not in ours
    kept = IDS.open(ANN, ours)
    assert (kept.id, kept.account, kept.provider_id) == (ours, "openai-1", THEIRS)
    assert ResponseIds("a master key").open(ADMIN, ours) == kept
    for who in (BOB, ANN.acting_for("ann's user")):
        with pytest.raises(NotFound):
            IDS.open(who, ours)
    with pytest.raises(NotFound):
        ResponseIds("another master key").open(ANN, ours)


def test_what_an_end_user_made_is_its_own_and_its_owners() -> None:
    ours = IDS.close(ANN.acting_for("eve"), "openai-1", THEIRS)
    assert IDS.open(ANN.acting_for("eve"), ours) == IDS.open(ANN, ours)
    with pytest.raises(NotFound):
        IDS.open(ANN.acting_for("dan"), ours)


@pytest.mark.parametrize("text", ["", "resp_", THEIRS, "resp_é", "resp_=", "resp_\0", "resp_" + "A" * ID_CHARS_MAX])
def test_what_is_no_id_is_not_found(text: str) -> None:
    with pytest.raises(NotFound):
        IDS.open(ADMIN, text)
    with pytest.raises(InvalidField) as refused:
        IDS.previous(ADMIN, {"previous_response_id": text})
    assert refused.value.code == "previous_response_not_found"


@given(st.integers(min_value=0), st.sampled_from("Aa0-_"))
def test_a_changed_id_is_not_found(place: int, letter: str) -> None:
    ours = IDS.close(ANN, "openai-1", THEIRS)
    at = 5 + place % (len(ours) - 6)
    changed = ours[:at] + letter + ours[at + 1 :]
    if changed != ours:
        with pytest.raises(NotFound):
            IDS.open(ADMIN, changed)


def events(**members: Any) -> bytes:
    begun = {"type": "response.created", "response": {"id": THEIRS, "object": "response", **members}}
    said = {"type": "response.output_text.delta", "delta": f'it is "{THEIRS}"', "item_id": "msg_1"}
    return "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in (begun, said)).encode()


def test_only_the_response_has_another_name() -> None:
    renaming = IdRenaming(IDS, ANN, "openai-1")
    first, second = renaming.feed(events()), renaming.feed(events())
    ours = json.loads(first.decode().split("\n")[1][6:])["response"]["id"]
    assert IDS.open(ANN, ours).provider_id == THEIRS
    assert first == second
    assert first.replace(ours.encode(), THEIRS.encode()) == events()
    assert f'\\"{THEIRS}\\"'.encode() in first


def test_a_stream_that_names_no_response_is_not_searched_for_ever() -> None:
    renaming = IdRenaming(IDS, ANN, "openai-1")
    for _ in range(LOOKS_MAX):
        assert renaming.feed(b"data: {}\n\n") == b"data: {}\n\n"
    assert renaming.feed(events()) == events()


def test_the_response_before_keeps_the_name_that_the_caller_knows() -> None:
    before = IDS.open(ANN, IDS.close(ANN, "openai-1", "resp_before"))
    renaming = IdRenaming(IDS, ANN, "openai-1", before)
    data = json.dumps({"id": THEIRS, "object": "response", "previous_response_id": "resp_before"}).encode()
    assert json.loads(renaming.feed(data))["previous_response_id"] == before.id


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1]",
        b"data: [DONE]\n\n",
        b'{"id": 3, "object": "response"}',
        b'{"id": "a\\u0000b", "object": "response"}',
        b'{"id": "chatcmpl-1", "object": "chat.completion"}',
        b'data: {"type": "error", "error": {"message": "no"}}\n\n',
        b"[" * 100_000,
    ],
)
def test_what_names_no_response_stays(data: bytes) -> None:
    assert IdRenaming(IDS, ANN, "openai-1").feed(data) == data


def test_what_lies_at_the_provider_is_the_operators_to_name() -> None:
    body = {"conversation": "conv_1", "input": [{"id": "msg_1"}], "tools": [{"container": "cntr_1"}]}
    require_own_state(ADMIN, body)
    drawn = {"type": "image_generation_call", "id": "ig_1", "status": "completed"}
    require_own_state(ANN, {"input": [{**drawn, "result": "QQ=="}]})
    with pytest.raises(InvalidField):
        require_own_state(ANN, {"input": [{**drawn, "result": None}]})
    require_own_state(ANN, {"input": "x", "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]})
    for name in body:
        with pytest.raises(InvalidField) as refused:
            require_own_state(ANN, {name: body[name]})
        assert (refused.value.param or "").startswith(name)


@pytest.mark.parametrize("body", [{"input": 3, "tools": 3}, {"input": [3, None], "tools": [None, {"container": 3}]}])
def test_what_is_of_a_wrong_type_is_the_providers_to_refuse(body: dict[str, Any]) -> None:
    require_own_state(ANN, body)
