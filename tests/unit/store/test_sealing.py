"""What is sealed under a master key opens with that key alone, and as what it is about."""

from __future__ import annotations

import pytest

from mediagate.store.sealing import Seal


def test_what_is_sealed_opens_again_and_shows_nothing() -> None:
    sealed = Seal("sk-master").close(b"sk-provider", "openai")
    assert b"sk-provider" not in sealed
    assert Seal("sk-master").open(sealed, "openai") == b"sk-provider"
    assert Seal("sk-master").close(b"sk-provider", "openai") != sealed


@pytest.mark.parametrize(("key", "about"), [("sk-other", "openai"), ("sk-master", "xai")])
def test_it_opens_with_no_other_key_and_for_nothing_else(key: str, about: str) -> None:
    sealed = Seal("sk-master").close(b"secret", "openai")
    with pytest.raises(ValueError, match="another key"):
        Seal(key).open(sealed, about)


@pytest.mark.parametrize("at", [0, 11, 12, -1])
def test_a_changed_byte_is_seen(at: int) -> None:
    seal = Seal("sk-master")
    sealed = bytearray(seal.close(b"secret", "openai"))
    sealed[at] ^= 1
    with pytest.raises(ValueError, match="another key"):
        seal.open(bytes(sealed), "openai")


def test_what_is_too_short_is_no_seal() -> None:
    with pytest.raises(ValueError, match=r"8 and 128|another key"):
        Seal("sk-master").open(b"short", "openai")
