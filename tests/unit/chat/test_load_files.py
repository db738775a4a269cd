"""What a caller gives inline, looked at: its base64, its type, its size."""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.chat.load_files import LoadFiles
from mediagate.chat.mentioned import Mentioned
from mediagate.core.chat import MediaKind, Mention
from mediagate.core.errors import InvalidField
from mediagate.core.objects import Principal

NOBODY = cast(Any, None)


def loaded(**members: Any) -> Mentioned:
    kind = members.pop("kind", None)
    mention = Mention(("a",), "a.b", kind, **members)
    (found,) = asyncio.run(LoadFiles(NOBODY, NOBODY, 0).run(Principal("me"), [mention]))
    return found


@given(st.binary(min_size=1, max_size=200))
def test_whatever_is_base64_is_measured(data: bytes) -> None:
    found = loaded(data=base64.b64encode(data).decode())
    assert found.size_bytes == len(data)


@given(st.text(st.sampled_from("AB+/= \n_-é\udc80"), max_size=12))
def test_whatever_is_not_is_refused(text: str) -> None:
    try:
        data = binascii.a2b_base64(text.encode("ascii"), strict_mode=True) if len(text) % 4 == 0 else b""
    except (ValueError, binascii.Error):
        data = b""
    if data:
        assert loaded(data=text).size_bytes == len(data)
    else:
        with pytest.raises(InvalidField) as refused:
            loaded(data=text)
        assert refused.value.param == "a.b"


@pytest.mark.parametrize(
    ("data", "said", "name", "media_type", "kind"),
    [
        (b"%PDF-1.4", "image/png", "", "application/pdf", MediaKind.DOCUMENT),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "", "", "image/png", MediaKind.IMAGE),
        (b"a,b\n1,2\n", "text/csv", "", "text/csv", MediaKind.DOCUMENT),
        (b"a,b\n1,2\n", "", "rows.csv", "text/csv", MediaKind.DOCUMENT),
        (b"a,b\n1,2\n", "", "", "text/plain", MediaKind.DOCUMENT),
        (b"\xff\xfb\x90\x64" * 9, "audio/mpeg", "", "audio/mpeg", MediaKind.AUDIO),
        (b"\x01\x02\x03\x04", "", "", "application/octet-stream", MediaKind.DOCUMENT),
    ],
)
def test_bytes_beat_what_is_said_of_them_and_where_they_are_vague_it_counts(
    data: bytes, said: str, name: str, media_type: str, kind: MediaKind
) -> None:
    found = loaded(data=base64.b64encode(data).decode(), media_type=said, filename=name)
    assert (found.media_type, found.kind) == (media_type, kind)


def test_what_belongs_elsewhere_is_refused() -> None:
    with pytest.raises(InvalidField) as refused:
        loaded(data=base64.b64encode(b"%PDF-1.4").decode(), kind=MediaKind.IMAGE)
    assert refused.value.code == "wrong_media_type"


@pytest.mark.parametrize(
    ("link", "media_type", "kind"),
    [
        ("https://example.com/a%20b.PDF?x=.png", "application/pdf", MediaKind.DOCUMENT),
        ("https://example.com/clip.mp4#t=1", "video/mp4", MediaKind.VIDEO),
        ("https://example.com/picture", "", MediaKind.DOCUMENT),
        ("https://youtu.be/abc", "video/mp4", MediaKind.VIDEO),
        ("https://[broken", "", MediaKind.DOCUMENT),
    ],
)
def test_links_are_what_their_path_says(link: str, media_type: str, kind: MediaKind) -> None:
    found = loaded(link=link)
    assert (found.media_type, found.kind, found.size_bytes) == (media_type, kind, None)
