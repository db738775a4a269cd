"""Signed URLs of Google Cloud Storage, as the official client (google-cloud-storage 3.17.1) makes them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from mediagate.providers.vertex_ai.links import LIFE_S_MAX, signed_url
from mediagate.providers.vertex_ai.objects import Place

EMAIL = "links@project.iam.gserviceaccount.com"
NOW = datetime(2026, 11, 22, 1, 2, 3, tzinfo=UTC)
PLACE = Place("a-bucket", "mediagate/file-1/a b~c-ü.mp4")


def made(life_s: int) -> tuple[str, bytes]:
    signed = []

    async def sign(text: bytes) -> bytes:
        signed.append(text)
        return b"\x01\xff"

    host = "https://storage.googleapis.com"
    return asyncio.run(signed_url(host, PLACE, EMAIL, sign, now=NOW, life_s=life_s)), signed[0]


def test_a_link_is_that_of_the_official_client() -> None:
    url, signed = made(600)
    assert url == (
        "https://storage.googleapis.com/a-bucket/mediagate/file-1/a%20b~c-%C3%BC.mp4"
        "?X-Goog-Algorithm=GOOG4-RSA-SHA256"
        "&X-Goog-Credential=links%40project.iam.gserviceaccount.com%2F20261122%2Fauto%2Fstorage%2Fgoog4_request"
        "&X-Goog-Date=20261122T010203Z&X-Goog-Expires=600&X-Goog-SignedHeaders=host&X-Goog-Signature=01ff"
    )
    assert signed == (
        b"GOOG4-RSA-SHA256\n20261122T010203Z\n20261122/auto/storage/goog4_request\n"
        b"aa22414acb2ee215b8e5af2d32537a5764377de6faa79bbbcfdb21b3e8ad9b24"
    )


@pytest.mark.parametrize(("asked", "lives"), [(0, 1), (-5, 1), (10**9, LIFE_S_MAX)])
def test_a_link_lives_as_long_as_it_may(asked: int, lives: int) -> None:
    assert f"X-Goog-Expires={lives}&" in made(asked)[0]
