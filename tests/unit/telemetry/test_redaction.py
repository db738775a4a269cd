"""What looks like a secret is taken out of a line, and what does not stays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from mediagate.telemetry.redaction import HIDDEN, learn, redact, redacted, secrets_in


@pytest.fixture(autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    learn([])


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("the key sk-abcdef123456 is wrong", "sk-abcdef123456"),
        ("sk-proj-Ab_c-1234567890", "sk-proj-Ab_c-1234567890"),
        ("Authorization: Bearer abc.def-ghi=", "abc.def-ghi="),
        ("authorization: basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("Key 1234567890:abcdef is refused", "1234567890:abcdef"),
        ("GET https://host/path?token=hush&x=1 failed", "hush"),
        ("https://bucket.s3.amazonaws.com/a?X-Amz-Signature=deadbeef", "deadbeef"),
        ("postgresql://user:hunter2@host/db", "hunter2"),
        ("whsec_C2FVsBQIhrscChlQIMV", "C2FVsBQIhrscChlQIMV"),
        ("AIzaSyA1234567890abcdefghijklmnopqrstuv", "AIzaSyA1234567890abcdefghijklmnopqrstuv"),
        ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7EXAMPLE"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def", "eyJzdWIiOiIxIn0"),
        ('{"api_key": "plain-looking"}', "plain-looking"),
        ("password=correcthorse and more", "correcthorse"),
    ],
)
def test_shapes_of_secrets(text: str, secret: str) -> None:
    assert secret not in redacted(text)
    assert HIDDEN in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "file-01jd0000000000000000000000 is gone",
        "key_01jd0000000000000000000000",
        "https://host.example/a/path",
        "FileService/GetFile NOT_FOUND",
        "3 tokens of the token bucket are left",
        "the basic plan",
        "mediagate.core.errors.ProviderFailed at /srv/mediagate/api/errors.py:12",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


def test_what_was_learnt_goes_whatever_it_looks_like() -> None:
    learn(["correct horse battery", "correct horse battery staple", "short", ""])
    assert redacted("say correct horse battery staple, short") == f"say {HIDDEN}, short"


def test_names_of_secrets_hide_their_values() -> None:
    event = {
        "event": "something",
        "api_key": "abc",
        "key_id": "key_1",
        "prompt": "a person",
        "nested": {"password": "p", "list": [{"client-secret": 1.5, "fine": "yes"}]},
        "n": 3,
        "error": ValueError("Bearer abcdefghijk"),
        "none": None,
    }
    found = redact(None, "info", event)
    assert found["api_key"] == found["prompt"] == HIDDEN
    assert found["nested"] == {"password": HIDDEN, "list": [{"client-secret": 1.5, "fine": "yes"}]}
    assert (found["key_id"], found["n"], found["none"]) == ("key_1", 3, None)
    assert found["error"] == f"Bearer {HIDDEN}"


def test_deep_and_odd_values_end() -> None:
    deep: dict[str, object] = {}
    deep["again"] = deep
    assert redact(None, "info", {"deep": deep})


def test_secrets_of_a_configuration_are_found() -> None:
    tree = {
        "api_key": "one",
        "other": {"sealed": SecretStr("two"), "list": [{"client_secret": "three"}]},
        "name": "no",
        "tokens": ["no"],
    }
    assert secrets_in(tree) == ["one", "two", "three"]


@given(st.text(), st.text(alphabet="abcdefXYZ0123456789_-", min_size=8), st.text())
def test_a_key_is_found_anywhere(before: str, key: str, after: str) -> None:
    secret = f"sk-{key}"
    text = f"{before} {secret} {after}"
    assert f" {secret} " not in redacted(text)
