"""A form with one file or none, written around bytes that pass: what stands before them, and what stands behind them.

The form is `multipart/form-data` of RFC 7578, with names escaped as the HTML standard has browsers do it
(https://html.spec.whatwg.org/multipage/form-control-infrastructure.html, "multipart/form-data encoding algorithm").
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Final

_ESCAPES: Final = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
_MEDIA_TYPE: Final = re.compile(r"[!-~]+/[!-~][ -~]*")


class MultipartBody:
    """The frame of a form: send `head`, the file's bytes, then `tail`, with the header `Content-Type: content_type`.

    `fields` come before the file, so that a server which reads the form as it arrives knows them first; a name may come
    more than once when pairs are given. `content_type` of the file falls back to octet-stream where it could break
    the part's header. Where `file_name` is None the form has its fields alone, and nothing goes between `head` and
    `tail`. The whole body is `overhead_bytes` longer than the file.
    """

    def __init__(
        self,
        fields: Mapping[str, str] | Iterable[tuple[str, str]],
        file_name: str | None,
        *,
        file_field: str = "file",
        content_type: str = "application/octet-stream",
    ) -> None:
        # 128 random bits: no file holds them by chance, and nobody can know them before.
        boundary = f"mediagate-{secrets.token_hex(16)}"
        pairs = fields.items() if isinstance(fields, Mapping) else fields
        lines: list[str] = []
        for name, value in pairs:
            lines += [f"--{boundary}", f'Content-Disposition: form-data; name="{_escaped(name)}"', "", value]
        if file_name is not None:
            lines += [
                f"--{boundary}",
                f'Content-Disposition: form-data; name="{_escaped(file_field)}"; filename="{_escaped(file_name)}"',
                f"Content-Type: {content_type if _MEDIA_TYPE.fullmatch(content_type) else 'application/octet-stream'}",
                "",
                "",
            ]
        self.head = "\r\n".join(lines).encode(errors="replace")
        self.tail = f"\r\n--{boundary}--\r\n".encode()
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.overhead_bytes = len(self.head) + len(self.tail)

    def headers(self, file_bytes: int | None) -> dict[str, str]:
        """The request's headers for a file of `file_bytes`; without a length where that is None, which the transport
        then sends in chunks."""
        headers = {"content-type": self.content_type}
        if file_bytes is not None:
            headers["content-length"] = str(self.overhead_bytes + file_bytes)
        return headers


def _escaped(name: str) -> str:
    return name.translate(_ESCAPES)
