from __future__ import annotations

import pytest

from mediagate.core.chat import MediaKind
from mediagate.core.media_kinds import is_among, kind_of, plain_type


@pytest.mark.parametrize(
    ("media_type", "kind"),
    [
        ("image/png", MediaKind.IMAGE),
        ("IMAGE/JPG; q=1", MediaKind.IMAGE),
        ("image/svg+xml", MediaKind.DOCUMENT),
        ("audio/x-wav", MediaKind.AUDIO),
        ("application/ogg", MediaKind.AUDIO),
        ("video/quicktime", MediaKind.VIDEO),
        ("application/pdf", MediaKind.DOCUMENT),
        ("", MediaKind.DOCUMENT),
        ("nonsense", MediaKind.DOCUMENT),
    ],
)
def test_kinds(media_type: str, kind: MediaKind) -> None:
    assert kind_of(media_type) is kind


@pytest.mark.parametrize(
    ("media_type", "patterns", "fits"),
    [
        ("audio/x-wav", ("audio/wav",), True),
        ("audio/wav", ("audio/x-wav",), True),
        ("audio/mp3; x=y", ("audio/mpeg",), True),
        ("text/csv", ("text/*",), True),
        ("text/csv", ("*/*",), True),
        ("text/csv", ("text/plain", "image/*"), False),
        ("textual/csv", ("text/*",), False),
        ("", ("image/*",), False),
        ("image/png", (), False),
    ],
)
def test_patterns(media_type: str, patterns: tuple[str, ...], fits: bool) -> None:
    assert is_among(media_type, patterns) is fits


def test_one_type_has_one_name() -> None:
    assert plain_type(" Video/MOV ;x") == "video/quicktime"
