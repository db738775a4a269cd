"""What a file may be, as a table."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.errors import ChecksumMismatch, InvalidField, TruncatedUpload
from mediagate.core.objects import PURPOSES, Principal
from mediagate.files.proof import Proof, Received
from mediagate.files.rules import check_expiry, check_filename, check_purpose
from mediagate.storage.retention import OPENAI


def after(seconds: object, anchor: object = "created_at") -> dict[str, Any]:
    return {"anchor": anchor, "seconds": seconds}


@pytest.mark.parametrize(
    ("given_expiry", "purpose", "life_s"),
    [
        (None, "user_data", None),
        ({}, "vision", None),
        ("", "vision", None),
        (None, "batch", 2_592_000),
        (after(3600), "batch", 3600),
        (after("3600"), "vision", 3600),
        (after("02592000"), "vision", 2_592_000),
        ({**after("3600"), "more": "x"}, "vision", 3600),
    ],
)
def test_an_expiry_is_what_it_says_or_the_default(given_expiry: Any, purpose: str, life_s: int | None) -> None:
    assert OPENAI.life_s(Principal("somebody"), purpose, check_expiry(given_expiry)) == life_s


@pytest.mark.parametrize(
    ("given_expiry", "param"),
    [
        ("soon", "expires_after"),
        (["created_at"], "expires_after"),
        (3600, "expires_after"),
        (after(3600, "now"), "expires_after[anchor]"),
        (after(3600, ["created_at"]), "expires_after[anchor]"),
        ({"seconds": 3600}, "expires_after[anchor]"),
        ({"anchor": "created_at"}, "expires_after[seconds]"),
        (after(["3600"]), "expires_after[seconds]"),
        (after({"x": "3600"}), "expires_after[seconds]"),
        (after(3600.0), "expires_after[seconds]"),
        (after(True), "expires_after[seconds]"),
        (after(None), "expires_after[seconds]"),
    ],
)
def test_what_is_no_expiry_is_refused(given_expiry: Any, param: str) -> None:
    with pytest.raises(InvalidField) as caught:
        check_expiry(given_expiry)
    assert caught.value.param == param


@given(st.text() | st.integers() | st.floats() | st.none() | st.lists(st.text()))
def test_seconds_are_within_their_bounds_or_refused(seconds: object) -> None:
    try:
        life_s = check_expiry(after(seconds))
    except InvalidField:
        return
    assert life_s is not None
    assert 3600 <= life_s <= 2_592_000
    assert str(seconds).isascii()


@given(st.text())
def test_only_known_purposes_are_taken_and_others_shown_in_short(purpose: str) -> None:
    if purpose in PURPOSES:
        assert check_purpose(purpose) == purpose
        return
    with pytest.raises(InvalidField) as caught:
        check_purpose(purpose)
    assert len(caught.value.message) < 250
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("name", ["a.jsonl", "A.JSONL", "dir/a.jsonl", ".jsonl"])
@pytest.mark.parametrize("purpose", ["batch", "fine-tune"])
def test_rows_are_taken_for_batches_and_training(name: str, purpose: str) -> None:
    assert check_filename(name, purpose).lower().endswith(".jsonl")


@pytest.mark.parametrize("name", ["a.json", "a.jsonl.txt", "jsonl", "a.jsonl/b.txt", ""])
@pytest.mark.parametrize("purpose", ["batch", "fine-tune"])
def test_only_rows_are_taken_for_batches_and_training(name: str, purpose: str) -> None:
    with pytest.raises(InvalidField, match=r"Must be \.jsonl"):
        check_filename(name, purpose)


RECEIVED = Received(3, "ab")


@pytest.mark.parametrize("proof", [Proof(), Proof(3), Proof(None, "ab"), Proof(3, "ab")])
def test_a_proof_that_holds(proof: Proof) -> None:
    proof.check(RECEIVED)


@pytest.mark.parametrize(
    ("proof", "error"),
    [
        (Proof(2), TruncatedUpload),
        (Proof(0), TruncatedUpload),
        (Proof(4, "ab"), TruncatedUpload),
        (Proof(3, "cd"), ChecksumMismatch),
        (Proof(None, "AB"), ChecksumMismatch),
    ],
)
def test_a_proof_that_does_not_hold(proof: Proof, error: type[Exception]) -> None:
    with pytest.raises(error):
        proof.check(RECEIVED)
