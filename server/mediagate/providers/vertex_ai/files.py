"""Files in a bucket of Google Cloud Storage, by its JSON API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit

from mediagate.core.ids import FILE
from mediagate.core.objects import Page
from mediagate.providers import http, http_failures
from mediagate.providers.account import Account
from mediagate.providers.files import (
    ListQuery,
    NewFile,
    Origin,
    Progress,
    ProviderFile,
    RetentionPlan,
    StoredBlob,
)
from mediagate.providers.http import ProviderHttp
from mediagate.providers.settings import silence_of
from mediagate.providers.vertex_ai import api, links, objects, retention
from mediagate.providers.vertex_ai.content import GcsContent
from mediagate.providers.vertex_ai.credentials import GoogleToken, NoToken, is_explicit, source_of
from mediagate.providers.vertex_ai.listing import GcsListing
from mediagate.providers.vertex_ai.objects import Place
from mediagate.providers.vertex_ai.spec import FILES
from mediagate.providers.vertex_ai.upload import GcsWriter

HOST: Final = "https://storage.googleapis.com"
_UNKNOWN_TYPE: Final = "application/octet-stream"
_RULES: Final = {"fields": "metageneration,lifecycle"}


class VertexFiles:
    """Objects `gs://BUCKET/PREFIX/KEY/NAME`. Any other `gs://` of the same credentials can be read and deleted."""

    spec = FILES

    def __init__(
        self,
        calls: ProviderHttp,
        token: GoogleToken | NoToken,
        *,
        bucket: str,
        prefix: str,
        retention_days: int | None = None,
        kms_key: str | None = None,
        signs_links: bool = False,
    ) -> None:
        self._http = calls
        self._token = token
        self._bucket = bucket
        self._root = f"{prefix}/"
        self._retention_days = retention_days
        self._kms_key = kms_key
        self._signs_links = signs_links
        self._listing = GcsListing(calls, bucket, self._root)

    def _place(self, new: NewFile) -> Place:
        return Place(self._bucket, f"{self._root}{new.key}/{objects.safe_name(new.filename)}")

    async def _resource(self, place: Place) -> dict[str, Any]:
        return await self._http.json("GET", place.path, params={"fields": objects.OBJECT_FIELDS})

    async def create(self, new: NewFile) -> GcsWriter:
        """Begin an object; the store hears of it with the first full chunk, or with the commit."""
        return GcsWriter(self._http, self._place(new), new, self._kms_key)

    async def get(self, ref: str) -> ProviderFile:
        """Raises `FileNotFoundError` where the object is gone."""
        return objects.file_of(await self._resource(objects.parse_ref(ref)), self._root, self.spec.title)

    async def list(self, query: ListQuery) -> Page[ProviderFile]:
        """One page of what lies under our prefix."""
        return await self._listing.page(query)

    async def delete(self, ref: str) -> None:
        """Remove the object; what is absent, or can be no object, is deleted."""
        with suppress(FileNotFoundError):
            await self._http.call("DELETE", objects.parse_ref(ref).path)

    def folder_of(self, key: str = "") -> str:
        """What the names of the objects of `key` begin with, as a URI that ends with a slash; of all, without a key."""
        return Place(self._bucket, f"{self._root}{key}/" if key else self._root).ref

    async def resources_of(self, key: str) -> AsyncIterator[ProviderFile]:
        """The objects of `key`, whoever has written them."""
        async for resource in self._listing.resources(f"{self._root}{key}/"):
            yield objects.file_of(resource, self._root, self.spec.title)

    async def discard(self, key: str) -> None:
        """Remove the objects of `key`. A session that was never ended shows nowhere and leaves no object."""
        async for resource in self._listing.resources(f"{self._root}{key}/"):
            await self.delete(Place(self._bucket, str(resource["name"])).ref)

    async def open(self, ref: str) -> GcsContent:
        """Raises `FileNotFoundError` where the object is gone."""
        place = objects.parse_ref(ref)
        resource = await self._resource(place)
        objects.file_of(resource, self._root, self.spec.title)
        return GcsContent(self._http, place, resource)

    async def scan(
        self, *, since: datetime | None = None, before: datetime | None = None
    ) -> AsyncIterator[ProviderFile]:
        """Yield the objects that carry a key of ours and were written in that time."""
        async for resource in self._listing.resources(self._root + FILE.prefix):
            file = objects.file_of(resource, self._root, self.spec.title)
            written = file.created_at
            if file.key is None or written is None:
                continue
            if (since is None or written >= since) and (before is None or written < before):
                yield file

    async def close(self) -> None:
        """Close connections, and end the thread that gets tokens."""
        await self._http.close()
        self._token.close()

    def copies(self, uri: str) -> bool:
        """Whether `uri` is of this cloud."""
        return objects.is_uri(uri)

    async def copy(self, uri: str, new: NewFile, progress: Progress) -> StoredBlob:
        """Have the store rewrite the object, step by step where it takes several; compared by size and crc32c."""
        source, target = objects.parse_ref(uri), self._place(new)
        original = await self._resource(source)
        content_type = new.content_type
        if content_type == _UNKNOWN_TYPE:
            # Nobody here has seen a byte of it.
            content_type = str(original.get("contentType") or content_type)
        try:
            made = await self._rewrite(source, target, original, objects.resource_of(new, content_type), progress)
        except api.PreconditionFailed:
            # An earlier attempt under the same key may have been finished without our hearing of it.
            made = await self._resource(target)
            if not _is_same(original, made):
                raise
        if not _is_same(original, made):
            await self.delete(target.ref)
            raise api.checksum_mismatch(self.spec.title)
        return StoredBlob(ref=target.ref, size_bytes=int(made["size"]))

    async def _rewrite(
        self, source: Place, target: Place, original: dict[str, Any], resource: dict[str, Any], progress: Progress
    ) -> dict[str, Any]:
        path = f"{source.path}/rewriteTo{target.path.removeprefix('/storage/v1')}"
        params = {"ifGenerationMatch": "0", "sourceGeneration": str(original.get("generation", ""))}
        if self._kms_key:
            params["destinationKmsKeyName"] = self._kms_key
        while True:
            try:
                # The first call creates; those with a token go on with what it has begun.
                answer = await self._http.json(
                    "POST", path, params=params, json=resource, repeatable="rewriteToken" in params
                )
                done_bytes = int(answer["totalBytesRewritten"])
                made = dict(answer["resource"]) if answer["done"] else None
                if made is None:
                    params["rewriteToken"] = str(answer["rewriteToken"])
            except FileNotFoundError:
                # The source has just been seen.
                raise http_failures.nowhere(self.spec.title) from None
            except (KeyError, TypeError, ValueError):
                raise objects.bad_answer(self.spec.title) from None
            await progress(done_bytes)
            if made is not None:
                return made

    async def plan_retention(self) -> RetentionPlan:
        """Read the bucket's rules and merge ours."""
        return (await self._planned())[0]

    async def _planned(self) -> tuple[RetentionPlan, str]:
        try:
            bucket = await self._http.json("GET", f"/storage/v1/b/{self._bucket}", params=_RULES)
        except FileNotFoundError:
            raise http_failures.nowhere(self.spec.title) from None
        rules = (bucket.get("lifecycle") or {}).get("rule") or []
        plan = retention.plan(self._bucket, self._root, self._retention_days, rules)
        return plan, str(bucket.get("metageneration", ""))

    async def apply_retention(self) -> RetentionPlan:
        """Plan, and write where there is a difference. A bucket that somebody else changed meanwhile is read again."""
        for attempt in range(1, http.ATTEMPTS_MAX + 1):
            plan, metageneration = await self._planned()
            if plan.rules is None:
                break
            try:
                await self._http.call(
                    "PATCH",
                    f"/storage/v1/b/{self._bucket}",
                    params={"ifMetagenerationMatch": metageneration, **_RULES},
                    json=dict(plan.rules),
                )
                break
            except api.PreconditionFailed:
                if attempt == http.ATTEMPTS_MAX:
                    raise
                await asyncio.sleep(http.BACK_OFF_S * attempt)
        return plan

    async def origin(self, ref: str, *, method: str) -> Origin:
        """The object in the XML API, which documents GET and HEAD with the same validators, with a bearer token that
        lasts some minutes yet."""
        place = objects.parse_ref(ref)
        return Origin(
            f"{self._http.base_url}/{place.bucket}/{quote(place.name, safe='/~')}", await self._http.headers()
        )

    async def signed_link(self, ref: str, life_s: float) -> str:
        """The object in the XML API, with a signature of the service account's in the URL. Raises `Unsupported` for
        credentials without a key."""
        place = objects.parse_ref(ref)
        email, sign = await self._token.signer()
        now = datetime.now(UTC)
        return await links.signed_url(self._http.base_url, place, email, sign, now=now, life_s=int(life_s))

    @property
    def signs_links(self) -> bool:
        """Whether the account names credentials of its own, which have a key as a rule."""
        return self._signs_links


def _is_same(original: dict[str, Any], made: dict[str, Any]) -> bool:
    return (original.get("size"), original.get("crc32c")) == (made.get("size"), made.get("crc32c"))


def build(account: Account) -> VertexFiles:
    """Raises `ValueError` for an account without a bucket. Credentials are looked for at the first use."""
    named = account.bucket_name or account.option("gcs_bucket_name", "bucket_name") or account.env("GCS_BUCKET_NAME")
    if not named:
        raise ValueError("bucket_name is missing; set it in files_settings or GCS_BUCKET_NAME")
    bucket, _, folder = named.removeprefix("gs://").partition("/")
    prefix = "/".join(part for part in (folder.strip("/"), account.prefix.strip("/")) if part)
    if not prefix:
        raise ValueError("prefix is empty; a bucket needs one, so that what is ours can be told from the rest")
    base_url, is_emulator = endpoint_of(account)
    token = NoToken() if is_emulator else GoogleToken(source_of(account), FILES.title)
    calls = ProviderHttp(
        FILES.title,
        base_url,
        token.headers,
        silence_s=silence_of(account),
        explain=api.explain,
    )
    return VertexFiles(
        calls,
        token,
        bucket=bucket,
        prefix=prefix,
        retention_days=account.retention_days,
        kms_key=account.option("kms_key_id", "gcs_kms_key_name"),
        signs_links=not is_emulator and is_explicit(account),
    )


def endpoint_of(account: Account) -> tuple[str, bool]:
    """Where the API is, and whether it is an emulator, which gets no credentials."""
    said = account.api_base
    # The configuration of a model names Vertex AI's own host, which keeps no objects.
    if said and (urlsplit(said).hostname or "").endswith("aiplatform.googleapis.com"):
        said = None
    emulator = account.env("STORAGE_EMULATOR_HOST")
    if not said and emulator:
        return _base_url(emulator if "://" in emulator else f"http://{emulator}"), True
    url = _base_url(said or account.env("GOOGLE_STORAGE_API_ENDPOINT", "API_ENDPOINT_OVERRIDE") or HOST)
    # Credentials that nobody named for this place do not travel in clear text.
    return url, url.startswith("http://") and not is_explicit(account)


def _base_url(text: str) -> str:
    url = text if "://" in text else f"https://{text}"
    return url.rstrip("/").removesuffix("/storage/v1")
