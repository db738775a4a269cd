"""The lines of a job, where the job can read them and the files that they mention.

A job reads everything of one folder, files in S3 among it, and takes every `.jsonl` there for its lines. So lines that
mention files in S3 lie in a folder of their own, with copies of these files, which S3 makes by itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from mediagate.core.errors import ProviderFailed
from mediagate.providers.batches import BatchOrder
from mediagate.providers.bedrock.client import S3Client
from mediagate.providers.bedrock.copying import CopyLimits, ServerCopy
from mediagate.providers.bedrock.names import Place, place_of, sanitised
from mediagate.providers.bedrock.writer import S3Writer
from mediagate.providers.encoding import encoded
from mediagate.providers.files import NewFile

LINES: Final = "lines.jsonl"
_MENTION: Final = b'"s3Location"'
_JSONL: Final = ".jsonl"


async def placed_input(s3: S3Client, order: BatchOrder, folder: Place) -> Place:
    """What a job is told to read: the lines as they lie in the account, or `folder` with copies of all. Raises
    `FileNotFoundError` where the lines, or a file that they mention, are gone."""
    if order.input_ref is None:
        raise FileNotFoundError("the lines are not in the account")
    source = place_of(order.input_ref)
    if source.key.endswith(_JSONL) and not await _mentions_files(order):
        return source
    copies: dict[str, str] = {}
    new = NewFile(key=order.token, filename=LINES, content_type="application/x-ndjson", purpose="batch")
    writer = S3Writer(s3, Place(folder.bucket, folder.key + LINES), new)
    try:
        async for line in _lines(order):
            await writer.write(await _moved(s3, line, folder, copies) if _MENTION in line else line)
        await writer.commit()
    except BaseException:
        await writer.abort()
        raise
    return folder


async def _mentions_files(order: BatchOrder) -> bool:
    held = b""
    async for chunk in order.open():
        window = held + bytes(chunk)
        if _MENTION in window:
            return True
        held = window[-len(_MENTION) :]
    return False


async def _lines(order: BatchOrder) -> AsyncIterator[bytes]:
    held = bytearray()
    async for chunk in order.open():
        held += chunk
        end = held.rfind(b"\n") + 1
        for line in bytes(held[:end]).splitlines(keepends=True):
            yield line
        del held[:end]
    if held:
        raise ProviderFailed("The lines of the batch broke off.", code="provider_connection_lost")


async def _moved(s3: S3Client, line: bytes, folder: Place, copies: dict[str, str]) -> bytes:
    tree = json.loads(line)
    for location in _locations(tree["modelInput"]["messages"]):
        uri = location["uri"]
        if uri not in copies:
            copies[uri] = await _copied(s3, uri, folder)
        location["uri"] = copies[uri]
    return encoded(tree) + b"\n"


def _locations(value: Any) -> Iterator[dict[str, Any]]:
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            if isinstance(found.get("s3Location"), dict):
                yield found["s3Location"]
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


async def _copied(s3: S3Client, uri: str, folder: Place) -> str:
    source = place_of(uri)
    # The same at every attempt; and never the end by which a job knows lines.
    name = sanitised(source.name)
    name = f"{name}.txt" if name.endswith(_JSONL) else name
    target = Place(folder.bucket, f"{folder.key}{hashlib.sha256(uri.encode()).hexdigest()[:16]}/{name}")
    new = NewFile(key="", filename=source.name, content_type=await _type_of(s3, source), purpose="batch")
    copied = await ServerCopy(s3, source, target, new, _unseen, CopyLimits()).run()
    return copied.ref


async def _type_of(s3: S3Client, source: Place) -> str:
    head = await s3.call("head_object", **source.params)
    return str(head.get("ContentType") or "application/octet-stream")


async def _unseen(_: int) -> None:
    """Nobody waits for the progress of such a copy."""
