"""What an account's configuration means, and what needs no server."""

from __future__ import annotations

import os
import subprocess
import sys
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mediagate.core.ids import new_file_id
from mediagate.providers.account import Account
from mediagate.providers.bedrock.checksums import combined, contradict
from mediagate.providers.bedrock.credentials import session_of
from mediagate.providers.bedrock.names import metadata_of, new_place, place_of, told
from mediagate.providers.bedrock.settings import settings_of
from mediagate.providers.bedrock.writer import PART_BYTES, PARTS_MAX, part_bytes
from mediagate.providers.files import NewFile, ServesDirectly
from mediagate.providers.registry import build_files, file_spec
from tests.doubles.s3 import BATCH_URI

TIB = 1 << 40


def made(**members: Any) -> Account:
    """An account with a bucket."""
    return Account("s3-1", "bedrock", **{"bucket_name": "b", **members})


@pytest.mark.parametrize(
    ("account", "region", "endpoint"),
    [
        (made(), None, None),
        (made(api_base="https://bedrock.us-east-1.amazonaws.com"), "us-east-1", None),
        (made(api_base="https://bedrock-runtime.eu-central-1.amazonaws.com"), "eu-central-1", None),
        (made(api_base="https://bedrock.us-gov-west-1.amazonaws.com/x"), "us-gov-west-1", None),
        (
            made(api_base="https://bedrock.us-east-1.amazonaws.com", options={"aws_region_name": "eu-west-1"}),
            "eu-west-1",
            None,
        ),
        (made(environ={"AWS_DEFAULT_REGION": "a-b-1", "AWS_REGION": "c-d-1"}), "c-d-1", None),
        (made(api_base="https://minio.example.com:9000/"), None, "https://minio.example.com:9000"),
        (made(environ={"AWS_ENDPOINT_URL": "http://a:1", "AWS_ENDPOINT_URL_S3": "http://s:1"}), None, "http://s:1"),
        (made(environ={"AWS_ENDPOINT_URL": "http://a:1"}), None, "http://a:1"),
        (
            made(options={"s3_endpoint_url": "http://o:1"}, environ={"AWS_ENDPOINT_URL": "http://a:1"}),
            None,
            "http://o:1",
        ),
    ],
)
def test_where_the_bucket_is(account: Account, region: str | None, endpoint: str | None) -> None:
    settings = settings_of(account)
    assert (settings.region, settings.endpoint) == (region, endpoint)


@pytest.mark.parametrize(
    ("account", "bucket"),
    [
        (made(), "b"),
        (made(bucket_name=None, options={"s3_bucket_name": "o"}), "o"),
        (made(bucket_name=None, environ={"AWS_S3_BUCKET_NAME": "e"}), "e"),
        (made(bucket_name="s3://b/"), "b"),
    ],
)
def test_which_bucket(account: Account, bucket: str) -> None:
    assert settings_of(account).bucket == bucket


@pytest.mark.parametrize(
    ("account", "sentence"),
    [
        (made(bucket_name=None), "bucket_name is missing; set it in files_settings or AWS_S3_BUCKET_NAME"),
        (made(prefix=""), "prefix must be"),
        (made(prefix="ümlaut"), "prefix must be"),
        (made(options={"aws_access_key_id": "A"}), "belong together"),
        (made(options={"timeout": "soon"}), "timeout must be"),
        (made(options={"s3_endpoint_url": "minio:9000"}), "absolute URL"),
    ],
)
def test_what_an_account_lacks_is_said_in_one_sentence(account: Account, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        build_files(account)


def test_which_credentials() -> None:
    found = {"AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "es", "AWS_SESSION_TOKEN": "et"}
    given_keys = {"aws_access_key_id": "O", "aws_secret_access_key": "os"}
    settings = settings_of(made(options=given_keys, environ=found))
    assert (settings.access_key_id, settings.secret_access_key, settings.session_token) == ("O", "os", None)
    settings = settings_of(made(environ=found))
    assert (settings.access_key_id, settings.secret_access_key, settings.session_token) == ("E", "es", "et")
    assert settings_of(made(environ=found, options={"aws_profile_name": "p"})).access_key_id is None
    frozen = session_of(settings).get_credentials().get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key, frozen.token) == ("E", "es", "et")


@pytest.mark.parametrize(
    ("api_key", "more", "alone"), [("k", {}, True), (None, {}, False), ("k", {"aws_role_name": "r"}, False)]
)
def test_a_bearer_key_alone_is_noticed(api_key: str | None, more: dict[str, str], alone: bool) -> None:
    assert settings_of(made(api_key=api_key, options=more)).only_bearer is alone


@pytest.mark.parametrize(
    ("bucket", "url"),
    [
        ("files", "https://files.s3.eu-central-1.amazonaws.com/in%20put/%C3%A4%2B.bin"),
        ("my.files", "https://s3.eu-central-1.amazonaws.com/my.files/in%20put/%C3%A4%2B.bin"),
    ],
)
async def test_where_the_edge_finds_an_object_at_amazon(bucket: str, url: str) -> None:
    keys = {"aws_access_key_id": "AKIA1", "aws_secret_access_key": "s", "aws_region_name": "eu-central-1"}
    files = build_files(made(bucket_name=bucket, options=keys))
    assert isinstance(files, ServesDirectly)
    found = await files.origin(f"s3://{bucket}/in put/ä+.bin", method="GET")
    assert found.url.partition("?")[0] == url
    assert "X-Amz-Signature=" in found.url
    await files.close()


def test_no_secret_shows_in_a_repr() -> None:
    keys = {"aws_access_key_id": "AKIA1", "aws_secret_access_key": "S3CR3T", "aws_session_token": "T0K3N"}
    shown = repr(settings_of(made(options=keys)))
    assert not any(value in shown for value in keys.values())


def test_the_spec_loads_nothing_heavy() -> None:
    code = "import sys, mediagate.providers.bedrock.spec; sys.exit('botocore' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert file_spec("bedrock").lifecycle


@given(st.text(st.characters(codec="utf-8"), max_size=400), st.text(alphabet="abc-_ü", max_size=20))
def test_any_name_and_purpose_come_back(filename: str, purpose: str) -> None:
    new = NewFile(key=new_file_id(), filename=filename, purpose=purpose)
    place = new_place("bucket", "mediagate", new)
    metadata = metadata_of(new)
    assert BATCH_URI.fullmatch(place.ref)
    assert place_of(place.ref) == place
    assert sum(len(name) + len(value) for name, value in metadata.items()) < 1900
    assert all(value.isascii() and value.isprintable() for value in metadata.values())
    name, back, key = told(place, metadata, "mediagate")
    assert (back, key) == (purpose, new.key)
    if filename and len(filename) < 120:
        assert name == filename


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_the_checksum_of_the_whole_comes_from_its_parts(parts: list[bytes]) -> None:
    crc = 0
    for part in parts:
        crc = combined(crc, zlib.crc32(part), len(part))
    assert crc == zlib.crc32(b"".join(parts))


def test_the_checksum_of_ordinary_parts() -> None:
    data = os.urandom(PART_BYTES + 77)
    parts = data[:PART_BYTES], data[PART_BYTES:]
    assert combined(zlib.crc32(parts[0]), zlib.crc32(parts[1]), 77) == zlib.crc32(data)


def test_which_checksums_contradict_each_other() -> None:
    assert contradict({"ChecksumCRC32": "a"}, {"ChecksumCRC32": "b"})
    assert not contradict({"ChecksumCRC32": "a"}, {"ChecksumCRC32": "a"})
    assert not contradict({"ChecksumCRC32": "a"}, {"ChecksumCRC64NVME": "b"})
    assert not contradict({"ChecksumCRC32": "a"}, {"ChecksumCRC32": "b-3"})


@pytest.mark.parametrize("size_bytes", [0, 1, PART_BYTES * PARTS_MAX, PART_BYTES * PARTS_MAX + 1, 5 * TIB])
def test_ten_thousand_parts_are_enough(size_bytes: int) -> None:
    assert PART_BYTES <= part_bytes(1, size_bytes) <= 5 << 30
    assert part_bytes(1, size_bytes) * PARTS_MAX >= size_bytes
    assert part_bytes(1, PART_BYTES * PARTS_MAX) == PART_BYTES


def test_parts_of_an_unknown_length_grow_late() -> None:
    sizes = [part_bytes(number, None) for number in range(1, PARTS_MAX + 1)]
    assert sizes == sorted(sizes)
    assert set(sizes[:5000]) == {PART_BYTES}
    assert sum(sizes) > 180 << 30
