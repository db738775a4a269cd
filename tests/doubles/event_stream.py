"""Amazon's binary event streams, as a server writes them; and its signature, worked out by hand."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote
from zlib import crc32

from tests.doubles.streaming import Seen

_STRING = 7


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """A message: lengths and their CRC, headers, payload, the CRC of all before."""
    head = b"".join(
        struct.pack(f"!B{len(name)}sBH", len(name), name.encode(), _STRING, len(value.encode())) + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(head) + len(payload), len(head))
    whole = prelude + struct.pack("!I", crc32(prelude)) + head + payload
    return whole + struct.pack("!I", crc32(whole))


def event(kind: str, tree: Any) -> bytes:
    """An event with JSON in it."""
    headers = {":event-type": kind, ":content-type": "application/json", ":message-type": "event"}
    return message(headers, json.dumps(tree, ensure_ascii=False).encode())


def exception(kind: str, said: str) -> bytes:
    """An exception, behind which nothing comes."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return message(headers, json.dumps({"message": said}).encode())


def error(code: str, said: str) -> bytes:
    """An error without a model."""
    return message({":error-code": code, ":error-message": said, ":message-type": "error"}, b"")


def signature_of(seen: Seen, secret: str, service: str) -> tuple[str, str]:
    """The signature that a request carries, and the one that it should."""
    told = dict(part.strip().split("=", 1) for part in seen.headers["authorization"].split(" ", 1)[1].split(","))
    _, day, region, named, end = told["Credential"].split("/")
    assert (named, end) == (service, "aws4_request")
    names = told["SignedHeaders"].split(";")
    # Whatever is on the wire is quoted once more.
    canonical = "\n".join(
        [
            seen.method,
            quote(seen.target, safe="/~"),
            "",
            *(f"{name}:{' '.join(seen.headers[name].split())}" for name in names),
            "",
            told["SignedHeaders"],
            hashlib.sha256(seen.body).hexdigest(),
        ]
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(
        ["AWS4-HMAC-SHA256", seen.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()]
    )
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return told["Signature"], hmac.new(key, text.encode(), "sha256").hexdigest()
