"""Limits of keys whose content the edge fetches where it lies: each download is counted once, with its bytes."""

from __future__ import annotations

import httpx
import pytest

from tests.api.access_kit import Issued, issue_key
from tests.api.wire import assert_failure, eventually, field, file_part, post_form
from tests.clouds.conftest import Clouds
from tests.clouds.test_direct_content import DATA, fetched

MIB = 1 << 20


def store(http: httpx.Client, key: Issued, provider: str) -> str:
    fields = field("purpose", "batch"), field("custom_llm_provider", provider)
    reply = post_form(http, *fields, file_part(DATA, "a.jsonl"), headers=key.headers)
    assert reply.status_code == 200, reply.text
    return f"/v1/files/{reply.json()['id']}/content"


def left(reply: httpx.Response, what: str) -> int:
    return int(reply.headers[f"x-ratelimit-remaining-{what}"])


# The first is fetched by the edge, of the second a range is cut out by the server after the same question.
@pytest.mark.parametrize("provider", ["bedrock", "openai"])
def test_a_download_is_one_request_whoever_sends_the_bytes(clouds: Clouds, http: httpx.Client, provider: str) -> None:
    key = issue_key(clouds.gateway, requests_per_minute=10, bytes_per_minute=10 * MIB)
    path = store(http, key, provider)
    before = fetched(clouds)
    whole = http.get(path, headers=key.headers)
    assert (whole.status_code, whole.content) == (200, DATA)
    assert fetched(clouds) == before + 1
    assert left(whole, "requests") == 8
    part = http.get(path, headers={**key.headers, "range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, DATA[:10])
    assert left(part, "requests") == 7
    known = http.get(path, headers={**key.headers, "if-none-match": whole.headers["etag"]})
    assert (known.status_code, left(known, "requests")) == (304, 6)
    missing = http.get("/v1/files/file-01jd0000000000000000000000/content", headers=key.headers)
    assert (missing.status_code, left(missing, "requests")) == (404, 5)
    used = 10 * MIB - left(http.get(path, headers={**key.headers, "range": "bytes=0-0"}), "bytes")
    # The form, the whole, and next to nothing for the parts.
    assert 2 * len(DATA) <= used < 2 * len(DATA) + 5000


def test_no_origin_is_asked_where_nothing_is_left(clouds: Clouds, http: httpx.Client) -> None:
    key = issue_key(clouds.gateway, bytes_per_minute=len(DATA) + 1000)
    path = store(http, key, "bedrock")
    assert http.get(path, headers=key.headers).status_code == 200
    eventually(lambda: http.get(path, headers=key.headers).status_code == 429, "its bytes are counted")
    before = fetched(clouds)
    refused = http.get(path, headers=key.headers)
    assert_failure(refused, 429, code="rate_limit_exceeded", kind="rate_limit_error", retry="true")
    assert left(refused, "bytes") == 0
    assert fetched(clouds) == before


def test_a_copy_that_is_lost_costs_no_second_request(clouds: Clouds, http: httpx.Client) -> None:
    key = issue_key(clouds.gateway, requests_per_minute=10)
    path = store(http, key, '["bedrock","vertex_ai"]')
    replicas = http.get(path.removesuffix("/content"), headers=key.headers).json()["replicas"]
    reference = next(replica["reference"] for replica in replicas if replica["provider"] == "bedrock")
    _, _, bucket, name = reference.split("/", 3)
    clouds.s3.delete_object(Bucket=bucket, Key=name)
    assert http.get(path, headers=key.headers).content == DATA
    assert left(http.get("/v1/models", headers=key.headers), "requests") == 6


def test_who_has_slots_gets_content_through_the_server(clouds: Clouds, http: httpx.Client) -> None:
    key = issue_key(clouds.gateway, parallel_requests=2, requests_per_minute=10)
    path = store(http, key, "bedrock")
    before = fetched(clouds)
    reply = http.get(path, headers=key.headers)
    assert (reply.content, left(reply, "requests")) == (DATA, 8)
    assert fetched(clouds) == before
