"""The files of a folder as a browser gets them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mediagate.pages.folder import PageFolder


async def test_a_text_is_there_in_two_forms_with_two_etags(tmp_path: Path) -> None:
    text = b"<p>many words, many words, many words, many words</p>" * 20
    (tmp_path / "index.html").write_bytes(text)
    file = await PageFolder(tmp_path).get("index.html")
    assert file is not None
    assert file.data == text
    assert file.zipped is not None
    assert gzip.decompress(file.zipped) == text
    assert file.content_type == "text/html; charset=utf-8"
    assert file.says(gzipped=True) != file.says(gzipped=False)


async def test_what_gzip_makes_no_smaller_is_there_once(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "logo.png").write_bytes(bytes(range(256)))
    file = await PageFolder(tmp_path).get("parts/logo.png")
    assert file is not None
    assert file.zipped is None
    assert file.content_type == "image/png"


@pytest.mark.parametrize("path", ["", ".", "..", "../secret.txt", "/etc/passwd", "a/../../secret.txt", "\0", "x" * 300])
async def test_no_path_leads_out_of_the_folder(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "pages").mkdir()
    assert await PageFolder(tmp_path / "pages").get(path) is None
