"""A provider's own files by its own ids, and who may see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import openai
import pytest

from tests.api.wire import field, file_part, post_form
from tests.clouds.conftest import GCS_BUCKET, S3_BUCKET, Clouds

Sdk = Callable[..., openai.OpenAI]
DATA = b'{"custom_id": "1"}\n' * 10


def stored(http: httpx.Client, provider: str, purpose: str = "batch") -> dict[str, Any]:
    """A file of ours at a provider; returns its copy there."""
    fields = field("purpose", purpose), field("custom_llm_provider", provider)
    reply = post_form(http, *fields, file_part(DATA, "rows.jsonl"))
    assert reply.status_code == 200, reply.text
    copy: dict[str, Any] = reply.json()["replicas"][0]
    return copy


@pytest.mark.parametrize(
    "provider", ["openai", "azure", "bedrock", "vertex_ai", "gemini", "anthropic", "mistral", "xai", "local"]
)
def test_every_verb_takes_the_providers_own_id(http: httpx.Client, sdk: Sdk, provider: str) -> None:
    ref = stored(http, provider)["reference"]
    client = sdk(default_headers={"custom-llm-provider": provider})
    if provider == "local":
        return  # Its ids are ours.
    found = client.files.retrieve(ref)
    assert (found.id, found.bytes) == (ref, len(DATA))
    assert found.filename.startswith("rows")
    assert ref in [file.id for file in client.files.list(limit=1000).data]
    try:
        assert client.files.content(ref).read() == DATA
    except openai.APIStatusError as error:
        assert (error.status_code, error.code) == (501, "unsupported_by_provider")
    assert client.files.delete(ref).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(ref)
    with pytest.raises(openai.NotFoundError):
        client.files.delete(ref)


def test_path_and_query_name_the_provider_too(clouds: Clouds, http: httpx.Client) -> None:
    ref = stored(http, "openai")["reference"]
    for path in (f"/openai/v1/files/{ref}", f"/v1/files/{ref}?custom_llm_provider=openai"):
        assert http.get(path).json()["id"] == ref
    assert http.get(f"/openai/v1/files/{ref}/content").content == DATA
    assert http.get(f"/v1/files/{ref}").status_code == 404
    # Azure's clients put the same words before every path.
    assert http.get(f"/openai/v1/files/{ref}?api-version=2024-10-21").status_code == 404


def test_objects_of_a_bucket_that_nobody_sent_through_the_gateway(clouds: Clouds, http: httpx.Client) -> None:
    clouds.s3.put_object(Bucket=S3_BUCKET, Key="else/where é.txt", Body=b"hello", ContentType="text/plain")
    ref = quote(f"s3://{S3_BUCKET}/else/where é.txt", safe="")
    headers = {"custom-llm-provider": "bedrock"}
    assert http.get(f"/v1/files/{ref}", headers=headers).json()["bytes"] == 5
    assert http.get(f"/v1/files/{ref}/content", headers=headers).content == b"hello"
    part = http.get(f"/v1/files/{ref}/content", headers={**headers, "range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, b"el")


def test_lists_take_limit_after_order_and_purpose(http: httpx.Client) -> None:
    refs = [stored(http, "openai", purpose)["reference"] for purpose in ("batch", "fine-tune", "batch")]
    headers = {"custom-llm-provider": "openai"}

    def page(**query: Any) -> Any:
        return http.get("/v1/files", params=query, headers=headers).json()

    ascending = [file["id"] for file in page(order="asc", limit=1000)["data"]]
    assert [ref for ref in ascending if ref in refs] == refs
    newest = page(limit=1)
    assert [file["id"] for file in newest["data"]] == [refs[2]]
    assert newest["has_more"]
    assert (newest["first_id"], newest["last_id"]) == (refs[2], refs[2])
    assert [file["id"] for file in page(limit=1, after=refs[2])["data"]] == [refs[1]]
    assert refs[1] not in [file["id"] for file in page(purpose="batch", limit=1000)["data"]]


@pytest.mark.parametrize(
    ("provider", "ref", "status"),
    [
        ("bedrock", f"s3://{S3_BUCKET}/nothing", 404),
        ("bedrock", "gs://wrong/kind", 404),
        ("bedrock", "nonsense", 404),
        ("vertex_ai", f"gs://{GCS_BUCKET}/nothing", 404),
        ("vertex_ai", "../../etc", 404),
        ("openai", "file-nothing", 404),
        ("openai", "a/../../b", 404),
        ("gemini", "files/nothing", 404),
        ("nobody", "file-x", 400),
    ],
)
def test_what_is_not_there(http: httpx.Client, provider: str, ref: str, status: int) -> None:
    for path in (f"/v1/files/{quote(ref, safe='')}", f"/v1/files/{quote(ref, safe='')}/content"):
        reply = http.get(path, headers={"custom-llm-provider": provider})
        assert reply.status_code == status, reply.text
        assert set(reply.json()) == {"error"}


def test_our_own_ids_are_ours_whatever_is_named(http: httpx.Client) -> None:
    file = post_form(http, field("purpose", "user_data"), file_part(b"x")).json()
    assert http.get(f"/v1/files/{file['id']}", headers={"custom-llm-provider": "openai"}).json() == file
