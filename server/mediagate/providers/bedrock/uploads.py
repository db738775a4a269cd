"""What single objects, uploads in parts and copies have in common."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from mediagate.providers.bedrock.client import S3Client
from mediagate.providers.bedrock.names import Place
from mediagate.providers.bedrock.settings import Settings

_ABORTS_MAX: Final = 3
_EXPIRY: Final = re.compile(r'expiry-date="([^"]+)"')


def encryption(settings: Settings) -> dict[str, str]:
    """The members that ask for the account's own key."""
    if not settings.kms_key_id:
        return {}
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": settings.kms_key_id}


def expiry_of(expiration: str | None) -> datetime | None:
    """When a life-cycle rule will remove the object, from S3's `x-amz-expiration`."""
    match = _EXPIRY.search(expiration or "")
    if match is None:
        return None
    try:
        return parsedate_to_datetime(match[1]).astimezone(UTC)
    except ValueError:
        return None


async def abort_upload(s3: S3Client, place: Place, upload_id: str) -> None:
    """Remove an unfinished upload and its parts. A part that S3 was still taking can outlive an abort, so it is asked
    again until S3 knows no such upload."""
    for _ in range(_ABORTS_MAX):
        try:
            await s3.call("abort_multipart_upload", **place.params, UploadId=upload_id)
            await s3.call("list_parts", **place.params, UploadId=upload_id, MaxParts=1)
        except FileNotFoundError:
            return


async def objects_under(s3: S3Client, bucket: str, prefix: str, *, after: str = "") -> AsyncIterator[dict[str, Any]]:
    """Yield S3's records of what lies under `prefix`, by name, page by page."""
    more: dict[str, Any] = {"StartAfter": after} if after else {}
    while True:
        answer = await s3.call("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
        for record in answer.get("Contents", ()):
            yield record
        if not answer.get("IsTruncated"):
            return
        more = {"ContinuationToken": answer["NextContinuationToken"]}


async def uploads_under(s3: S3Client, bucket: str, prefix: str) -> AsyncIterator[dict[str, Any]]:
    """Yield S3's records of the unfinished uploads under `prefix`, page by page."""
    more: dict[str, Any] = {}
    while True:
        answer = await s3.call("list_multipart_uploads", Bucket=bucket, Prefix=prefix, **more)
        for record in answer.get("Uploads", ()):
            yield record
        if not answer.get("IsTruncated"):
            return
        more = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}
