"""What a file may be copied from, and which of that the configuration allows.

Nothing of a bucket is allowed by default, the gateway's own buckets least of all: what lies there belongs to somebody.
A URL needs no leave, since only the guarded fetcher opens it. Who owns a file is asked where it is opened.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from mediagate.core.errors import InvalidField, PermissionDenied
from mediagate.core.limits import echo
from mediagate.net.urls import endpoint_of

PARAM: Final = "source"
KEY_BYTES_MAX: Final = 1024
"""Both clouds' limit for the UTF-8 of a key."""

_FILE_ID_CHARS_MAX: Final = 256
_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9_+.-]*)://")
# Provider, and the scheme of its own references.
_SCHEMES: Final[Mapping[str, tuple[str, str]]] = {
    "s3": ("bedrock", "s3"),
    "bedrock": ("bedrock", "s3"),
    "gs": ("vertex_ai", "gs"),
    "vertex_ai": ("vertex_ai", "gs"),
}
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
# https://cloud.google.com/storage/docs/buckets#naming
_BUCKETS: Final = {
    "s3": re.compile(r"(?=.{3,63}\Z)[a-z0-9](?:[a-z0-9-]|\.(?!\.))*[a-z0-9]"),
    "gs": re.compile(r"(?=.{3,222}\Z)[a-z0-9](?:[a-z0-9_-]|\.(?!\.))*[a-z0-9]"),
}
_LABEL_CHARS_MAX: Final = 63
_LIKE_IPV4: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ObjectSource:
    """An object in a bucket. `uri` is the provider's own reference of it, with the key as it is: `s3://bucket/key`."""

    provider: str
    bucket: str
    key: str
    uri: str


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file of the caller, or what claims to be one."""

    file_id: str


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A URL for the guarded fetcher, which judges it."""

    url: str


@dataclass(frozen=True, slots=True)
class VideoSource:
    """A finished video of the caller, or what claims to be one."""

    video_id: str


Source: TypeAlias = ObjectSource | FileSource | VideoSource | UrlSource


@dataclass(frozen=True, slots=True)
class SourcePrefix:
    """A part of a bucket. It ends at a slash: `team` holds the key `team` and all below `team/`, and not `team-b`."""

    provider: str
    bucket: str
    prefix: str

    def holds(self, source: ObjectSource) -> bool:
        """Whether the object lies in it."""
        if (source.provider, source.bucket) != (self.provider, self.bucket):
            return False
        below = self.prefix if self.prefix.endswith("/") or not self.prefix else f"{self.prefix}/"
        return source.key == self.prefix or source.key.startswith(below)


@dataclass(frozen=True, slots=True)
class SourceRules:
    """What may be copied. `https_hosts` are what `net.urls.allowed_host` returns; None allows every host that the
    fetcher allows. They bind the URL that is given; where that is redirected to, the fetcher judges alone."""

    prefixes: tuple[SourcePrefix, ...] = ()
    https_hosts: frozenset[tuple[str, int | None]] | None = None

    def require(self, source: Source) -> None:
        """Raises `PermissionDenied` with the code `source_not_allowed`."""
        if isinstance(source, ObjectSource) and not any(prefix.holds(source) for prefix in self.prefixes):
            raise _denied("its bucket or prefix")
        if isinstance(source, UrlSource) and self.https_hosts is not None:
            try:
                host, port = endpoint_of(source.url)
            except ValueError as error:
                raise _refused(str(error)) from None
            if self.https_hosts.isdisjoint({(host, port), (host, None)}):
                raise _denied("its host")


def parse_source(text: str) -> Source:
    """Read a source: `s3://bucket/key`, `bedrock://…`, `gs://…`, `vertex_ai://…`, `https://…`, `file-…` or `video_…`.

    A key is taken as it is: nothing in it is decoded, and `?` and `#` belong to it. Raises `InvalidField`.
    """
    if text.startswith("file-") and len(text) <= _FILE_ID_CHARS_MAX:
        return FileSource(text)
    if text.startswith("video_") and len(text) <= _FILE_ID_CHARS_MAX:
        return VideoSource(text)
    match = _SCHEME.match(text)
    scheme = match[1].lower() if match else ""
    if match and scheme in ("https", "http"):
        return UrlSource(text)
    if not match or scheme not in _SCHEMES:
        raise _refused(
            f"{echo(text) or 'an empty text'} is none. It must be s3://bucket/key, gs://bucket/key, https://... or the "
            "id of a file or of a video"
        )
    bucket, _, key = text[match.end() :].partition("/")
    try:
        provider, own = _SCHEMES[scheme]
        _require_bucket(own, bucket)
        if not key:
            raise ValueError("it has no key behind the bucket")
        _require_key(key)
    except ValueError as error:
        raise _refused(str(error)) from None
    return ObjectSource(provider, bucket, key, f"{own}://{bucket}/{key}")


def source_prefix(text: str) -> SourcePrefix:
    """Read an entry of the configuration's list: `s3://bucket/`, `gs://bucket/prefix/`. Raises `ValueError`."""
    match = _SCHEME.match(text)
    if not match or match[1].lower() not in _SCHEMES:
        raise ValueError(f"{echo(text)} should be s3://bucket/prefix/ or gs://bucket/prefix/")
    provider, own = _SCHEMES[match[1].lower()]
    bucket, _, prefix = text[match.end() :].partition("/")
    _require_bucket(own, bucket)
    _require_key(prefix)
    return SourcePrefix(provider, bucket, prefix)


def _require_bucket(own: str, bucket: str) -> None:
    if not bucket:
        raise ValueError("it has no bucket")
    too_long = any(len(label) > _LABEL_CHARS_MAX for label in bucket.split("."))
    if too_long or not _BUCKETS[own].fullmatch(bucket) or _LIKE_IPV4.fullmatch(bucket):
        raise ValueError(f"{echo(bucket)} is no name of a bucket")


def _require_key(key: str) -> None:
    if _CONTROL.search(key):
        raise ValueError("its key holds a control character")
    # HTTP clients and proxies resolve these, and would fetch another object than the one that was allowed.
    if not {".", ".."}.isdisjoint(key.split("/")):
        raise ValueError("its key has '.' or '..' as a segment")
    try:
        size_bytes = len(key.encode())
    except UnicodeEncodeError:
        raise ValueError("its key is no valid text") from None
    if size_bytes > KEY_BYTES_MAX:
        raise ValueError(f"its key is longer than {KEY_BYTES_MAX} bytes")


def _refused(why: str) -> InvalidField:
    return InvalidField(f"'{PARAM}' cannot be copied from: {why}.", param=PARAM)


def _denied(what: str) -> PermissionDenied:
    return PermissionDenied(
        f"'{PARAM}' is not allowed: {what} is not on the gateway's list of sources.",
        param=PARAM,
        code="source_not_allowed",
    )
