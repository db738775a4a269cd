"""Files in a bucket of Amazon S3, or of a store that speaks its protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from mediagate.core import ids
from mediagate.core.objects import Page
from mediagate.providers.account import Account
from mediagate.providers.bedrock.client import S3Client
from mediagate.providers.bedrock.content import S3Content
from mediagate.providers.bedrock.copying import CopyLimits, ServerCopy
from mediagate.providers.bedrock.failures import TITLE, bad_answer
from mediagate.providers.bedrock.listing import Listing
from mediagate.providers.bedrock.names import SCHEMES, Place, new_place, place_of, told
from mediagate.providers.bedrock.retention import Retention
from mediagate.providers.bedrock.settings import Settings, settings_of
from mediagate.providers.bedrock.spec import FILES
from mediagate.providers.bedrock.uploads import abort_upload, expiry_of, objects_under, uploads_under
from mediagate.providers.bedrock.writer import S3Writer
from mediagate.providers.files import (
    ListQuery,
    NewFile,
    Origin,
    Progress,
    ProviderFile,
    RetentionPlan,
    StoredBlob,
)
from mediagate.providers.http_failures import nowhere

_ORIGINS: Final = {"GET": "get_object", "HEAD": "head_object"}


def build(account: Account) -> BedrockFiles:
    """The store of one account. Raises `ValueError` with a sentence for an account that lacks what it needs."""
    return BedrockFiles(settings_of(account))


class BedrockFiles:
    """Keeps objects as `s3://bucket/prefix/KEY/name`. KEY is our id, so the order of names is that of time."""

    spec = FILES

    def __init__(
        self, settings: Settings, *, copy_limits: CopyLimits | None = None, s3: S3Client | None = None
    ) -> None:
        self._settings = settings
        self._copy_limits = copy_limits or CopyLimits()
        self._s3 = s3 or S3Client(settings)

    async def create(self, new: NewFile) -> S3Writer:
        """Begin an object; S3 hears of it with its first part, or with its end."""
        return S3Writer(self._s3, new_place(self._settings.bucket, self._settings.prefix, new), new)

    async def get(self, ref: str) -> ProviderFile:
        """Raises `FileNotFoundError` where the object is gone."""
        place = place_of(ref)
        return self._described(place, await self._head(place))

    async def _head(self, place: Place) -> dict[str, Any]:
        head = await self._s3.call("head_object", **place.params)
        if not head.get("ETag") or head.get("LastModified") is None or head.get("ContentLength") is None:
            raise bad_answer()
        return head

    def _described(self, place: Place, head: dict[str, Any]) -> ProviderFile:
        filename, purpose, key = told(place, head.get("Metadata", {}), self._settings.prefix)
        return ProviderFile(
            ref=place.ref,
            filename=filename,
            size_bytes=head["ContentLength"],
            created_at=head["LastModified"],
            content_type=head.get("ContentType", ""),
            purpose=purpose,
            expires_at=expiry_of(head.get("Expiration")),
            key=key,
        )

    async def delete(self, ref: str) -> None:
        """Remove the object. Deleting what is absent succeeds."""
        with suppress(FileNotFoundError):
            await self._s3.call("delete_object", **place_of(ref).params)

    async def discard(self, key: str) -> None:
        """Remove every object and every unfinished upload under `key`. Uploads go first: one could become an object."""
        if not ids.is_file_id(key):
            return
        bucket, prefix = self._settings.bucket, f"{self._settings.prefix}/{key}/"
        try:
            async for upload in uploads_under(self._s3, bucket, prefix):
                await abort_upload(self._s3, Place(bucket, upload["Key"]), upload["UploadId"])
            async for record in objects_under(self._s3, bucket, prefix):
                await self._s3.call("delete_object", **Place(bucket, record["Key"]).params)
        except FileNotFoundError:
            raise nowhere(TITLE) from None

    async def open(self, ref: str) -> S3Content:
        """Raises `FileNotFoundError` where the object is gone."""
        place = place_of(ref)
        head = await self._head(place)
        return S3Content(
            self._s3,
            place,
            size_bytes=head["ContentLength"],
            content_type=head.get("ContentType") or "application/octet-stream",
            etag=head["ETag"],
        )

    async def list(self, query: ListQuery) -> Page[ProviderFile]:
        """One page of what lies under our prefix. Names come from the path; the purpose is known only where it is
        asked for, at the price of a request for each object."""
        try:
            return await Listing(self._s3, self.get).page(query)
        except FileNotFoundError:
            raise nowhere(TITLE) from None

    async def scan(
        self, *, since: datetime | None = None, before: datetime | None = None
    ) -> AsyncIterator[ProviderFile]:
        """Yield the objects and the unfinished uploads that carry a key of ours and were written in that time."""
        try:
            async for file in Listing(self._s3, self.get).scan(since, before):
                yield file
        except FileNotFoundError:
            raise nowhere(TITLE) from None

    def copies(self, uri: str) -> bool:
        """Whether `uri` names an object in S3."""
        return uri.startswith(SCHEMES)

    async def copy(self, uri: str, new: NewFile, progress: Progress) -> StoredBlob:
        """Have S3 copy the object; its own metadata is replaced with ours."""
        target = new_place(self._settings.bucket, self._settings.prefix, new)
        return await ServerCopy(self._s3, place_of(uri), target, new, progress, self._copy_limits).run()

    async def plan_retention(self) -> RetentionPlan:
        """Read the bucket's life-cycle rules and merge ours."""
        return await Retention(self._s3).plan()

    async def apply_retention(self) -> RetentionPlan:
        """Plan, and write where there is a difference."""
        return await Retention(self._s3).apply()

    async def origin(self, ref: str, *, method: str) -> Origin:
        """A URL with a signature of its own, for GET or for HEAD. Made without a request, so the object may be gone."""
        place = place_of(ref)
        return Origin(await self._s3.presigned(_ORIGINS[method], place.params, method))

    @property
    def signs_links(self) -> bool:
        """Whatever credentials there are, sign."""
        return True

    async def signed_link(self, ref: str, life_s: float) -> str:
        """The same for GET alone, for as long as is asked."""
        return await self._s3.presigned("get_object", place_of(ref).params, "GET", life_s=life_s)

    async def close(self) -> None:
        """Wait for the calls that run, then close connections."""
        await self._s3.close()
