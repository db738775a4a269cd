"""Which headers open."""

from __future__ import annotations

import hmac

import pytest

from mediagate.access import authenticate
from mediagate.access.authenticate import Authenticate
from mediagate.core.errors import Unauthenticated

KEY = "sk-Geheim✓"


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [
        (f"Bearer {KEY}", None),
        (f"bearer  {KEY} ", None),
        (None, KEY),
        (f"Bearer {KEY}", "another"),
    ],
)
async def test_the_key_opens(authorization: str | None, api_key: str | None) -> None:
    assert (await Authenticate(KEY).run(authorization, api_key)).owner_id == "master"


@pytest.mark.parametrize(
    ("authorization", "api_key"),
    [
        (None, None),
        ("", None),
        (None, ""),
        ("Bearer", None),
        ("Bearer ", None),
        (KEY, None),
        (f"Basic {KEY}", None),
        (f"Basic {KEY}", KEY),
        ("Bearer no", KEY),
        (f"Bearer {KEY}x", None),
        (f"Bearer {KEY[:-1]}", None),
        (f"Bearer Bearer {KEY}", None),
        ("Bearer \udcff\udcfe", None),
        (None, "\udcff"),
        (None, f" {KEY}x"),
    ],
)
async def test_nothing_else_does(authorization: str | None, api_key: str | None) -> None:
    with pytest.raises(Unauthenticated) as caught:
        await Authenticate(KEY).run(authorization, api_key)
    assert "sk-" not in caught.value.message


async def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By digests of one length, so that neither a common beginning nor a length shows in the time."""
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def spy(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return compare(left, right)

    monkeypatch.setattr(authenticate.hmac, "compare_digest", spy)
    for key in ("s", "S" * 10_000, KEY[:-1]):
        with pytest.raises(Unauthenticated):
            await Authenticate(KEY).run(None, key)
    assert [(len(left), len(right)) for left, right in compared] == [(32, 32)] * 3


def test_the_key_is_not_in_the_representation() -> None:
    assert KEY not in repr(Authenticate(KEY))
