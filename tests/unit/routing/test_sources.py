from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.errors import InvalidField, PermissionDenied
from mediagate.net.urls import allowed_host
from mediagate.routing.sources import (
    FileSource,
    ObjectSource,
    SourceRules,
    UrlSource,
    VideoSource,
    parse_source,
    source_prefix,
)


@pytest.mark.parametrize(
    ("text", "provider", "bucket", "key", "uri"),
    [
        ("s3://my-bucket/a/b.mp4", "bedrock", "my-bucket", "a/b.mp4", "s3://my-bucket/a/b.mp4"),
        ("bedrock://my-bucket/a/b.mp4", "bedrock", "my-bucket", "a/b.mp4", "s3://my-bucket/a/b.mp4"),
        ("gs://my_bucket/a", "vertex_ai", "my_bucket", "a", "gs://my_bucket/a"),
        ("vertex_ai://my.bucket.example/a", "vertex_ai", "my.bucket.example", "a", "gs://my.bucket.example/a"),
        ("S3://bucket/Key", "bedrock", "bucket", "Key", "s3://bucket/Key"),
        ("s3://bucket/ two  words ", "bedrock", "bucket", " two  words ", "s3://bucket/ two  words "),
        ("s3://bucket/日本/é.png", "bedrock", "bucket", "日本/é.png", "s3://bucket/日本/é.png"),
        ("s3://bucket/50%25/%2e%2e/x+y", "bedrock", "bucket", "50%25/%2e%2e/x+y", "s3://bucket/50%25/%2e%2e/x+y"),
        ("s3://bucket/a?versionId=1#x", "bedrock", "bucket", "a?versionId=1#x", "s3://bucket/a?versionId=1#x"),
        ("s3://bucket//a//b/", "bedrock", "bucket", "/a//b/", "s3://bucket//a//b/"),
        ("s3://bucket/..a/b../...", "bedrock", "bucket", "..a/b../...", "s3://bucket/..a/b../..."),
        ("gs://bucket/s3://other/x", "vertex_ai", "bucket", "s3://other/x", "gs://bucket/s3://other/x"),
    ],
)
def test_an_object_is_read_with_its_key_as_it_is(text: str, provider: str, bucket: str, key: str, uri: str) -> None:
    assert parse_source(text) == ObjectSource(provider, bucket, key, uri)


def test_files_and_urls_are_told_apart() -> None:
    assert parse_source("file-abc123") == FileSource("file-abc123")
    assert parse_source("video_abc123") == VideoSource("video_abc123")
    assert parse_source("https://example.com/x?y") == UrlSource("https://example.com/x?y")
    assert parse_source("HTTPS://example.com/") == UrlSource("HTTPS://example.com/")


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "s3", "s3:", "s3:/", "s3://", "s3:///", "s3:///key", "s3://bucket", "s3://bucket/", "gs://bucket/"),
        *("s3:bucket/key", "s3:/bucket/key", "//bucket/key", " s3://bucket/key", "ftp://example.com/x", "azure://b/k"),
        *("file:///etc/passwd", "data:text/plain,x", "x://bucket/key", "file_abc", "file-" + "x" * 300, "bucket/key"),
        *("video-abc", "video_" + "x" * 300),
        *("s3://ab/key", "s3://Bucket/key", "s3://my_bucket/key", "s3://-ab/key", "s3://ab-/key", "s3://a..b/key"),
        *("s3://.abc/key", "s3://127.0.0.1/key", "gs://10.0.0.1/key", "s3://a b/key", "s3://é€é/key", "s3://a%2fb/key"),
        *(f"s3://{'a' * 64}/key", f"gs://{'a' * 64}/key", f"gs://{'a.' * 112}b/key", "s3://u:p@bucket/key"),
        *("s3://bucket:443/key", "s3://bucket?x/key", "s3://bucket#x/key", "s3://arn:aws:s3:::bucket/key"),
        *("s3://../key", "s3://bucket/..", "s3://bucket/a/../b", "s3://bucket/./a", "gs://bucket/a/..", "s3://bucket\\a/b"),
        *("s3://bucket/a\r\nX: y", "s3://bucket/\x00", "s3://bucket/\ud800", "s3://bucket/" + "é" * 513),
        "s3://bucket\n/key",
    ],
    ids=lambda text: ascii(text)[:40],
)  # fmt: skip
def test_what_is_no_source_is_refused(text: str) -> None:
    with pytest.raises(InvalidField) as error:
        parse_source(text)
    assert (error.value.http_status, error.value.param) == (400, "source")


def rules(*prefixes: str, hosts: list[str] | None = None) -> SourceRules:
    return SourceRules(
        tuple(map(source_prefix, prefixes)), None if hosts is None else frozenset(map(allowed_host, hosts))
    )


@pytest.mark.parametrize(
    ("prefix", "source", "allowed"),
    [
        ("s3://bucket", "s3://bucket/x", True),
        ("s3://bucket/", "s3://bucket/x/y", True),
        ("s3://bucket/", "bedrock://bucket/x", True),
        ("bedrock://bucket/", "s3://bucket/x", True),
        ("vertex_ai://bucket/", "gs://bucket/x", True),
        ("s3://bucket/", "gs://bucket/x", False),
        ("s3://bucket/", "s3://bucket-b/x", False),
        ("s3://bucket/team", "s3://bucket/team/x", True),
        ("s3://bucket/team", "s3://bucket/team", True),
        ("s3://bucket/team", "s3://bucket/team-b/x", False),
        ("s3://bucket/team", "s3://bucket/teams", False),
        ("s3://bucket/team/", "s3://bucket/team/x", True),
        ("s3://bucket/team/", "s3://bucket/team", False),
        ("s3://bucket/team/", "s3://bucket/team-b/x", False),
        ("s3://bucket/team/", "s3://bucket/Team/x", False),
        ("s3://bucket/team/", "s3://bucket//team/x", False),
        ("s3://bucket/team/", "s3://bucket/team%2Fx", False),
        ("s3://bucket/a b/é/", "s3://bucket/a b/é/x", True),
    ],
)
def test_a_prefix_ends_at_a_slash(prefix: str, source: str, allowed: bool) -> None:
    if allowed:
        rules(prefix).require(parse_source(source))
        return
    with pytest.raises(PermissionDenied) as error:
        rules(prefix).require(parse_source(source))
    assert (error.value.code, error.value.param, error.value.http_status) == ("source_not_allowed", "source", 403)


@given(st.text(max_size=30), st.text(max_size=10), st.text(max_size=10))
def test_what_is_allowed_lies_under_the_prefix(prefix: str, between: str, rest: str) -> None:
    try:
        allowed = rules(f"s3://bucket/{prefix}")
        source = parse_source(f"s3://bucket/{prefix}{between}{rest}")
    except (ValueError, InvalidField):
        return
    assert isinstance(source, ObjectSource)
    try:
        allowed.require(source)
    except PermissionDenied:
        return
    segments = prefix.removesuffix("/").split("/") if prefix else []
    assert source.key.split("/")[: len(segments)] == segments


@pytest.mark.parametrize("source", ["s3://bucket/x", "gs://bucket/x", "bedrock://bucket/x", "vertex_ai://bucket/x"])
def test_no_bucket_is_allowed_by_default(source: str) -> None:
    with pytest.raises(PermissionDenied):
        rules().require(parse_source(source))


def test_a_url_and_a_file_need_no_leave() -> None:
    rules().require(parse_source("https://example.com/x"))
    rules().require(parse_source("file-abc123"))
    rules().require(parse_source("video_abc123"))
    rules(hosts=[]).require(parse_source("file-abc123"))


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://media.example/x", True),
        ("https://MEDIA.example:443/x", True),
        ("https://media.example:8443/x", True),
        ("https://cdn.example:8443/x", True),
        ("https://cdn.example/x", False),
        ("https://x.media.example/x", False),
        ("https://media.example.evil.example/x", False),
        ("https://evil.example/https://media.example/", False),
    ],
)
def test_a_list_of_hosts_is_exact(url: str, allowed: bool) -> None:
    listed = rules(hosts=["Media.example", "cdn.example:8443"])
    if allowed:
        listed.require(parse_source(url))
    else:
        with pytest.raises(PermissionDenied):
            listed.require(parse_source(url))


@pytest.mark.parametrize("url", ["https://media.example@evil.example/", "https:///x", "https://media.example\\@evil/"])
def test_a_url_that_can_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(InvalidField):
        rules(hosts=["media.example"]).require(parse_source(url))


@pytest.mark.parametrize(
    "entry", ["", "s3://", "s3:///x", "https://host/", "bucket/x", "s3://B/x", "s3://bucket/a/../b"]
)
def test_a_prefix_that_is_none_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        source_prefix(entry)
