"""Where a file goes, in every way of saying it, and that one id then serves all of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from tests.api.wire import eventually, field, file_part, post_form, sql
from tests.clouds.conftest import Clouds

Json = dict[str, Any]
Sdk = Callable[..., openai.OpenAI]
PURPOSE = field("purpose", "user_data")
BOTH = field("custom_llm_provider", '["vertex_ai","bedrock"]')


def places(file: Json) -> set[str]:
    """Accounts that have the file."""
    assert all(replica["state"] == "ready" for replica in file["replicas"]), file
    return {replica["account"] for replica in file["replicas"]}


def form(*names: str) -> list[bytes]:
    return [field("custom_llm_provider", name) for name in names]


SAID: dict[str, tuple[dict[str, Any], list[bytes], set[str]]] = {
    "nothing": ({}, [], {"local"}),
    "path": ({"path": "/bedrock/v1/files"}, form("vertex_ai"), {"bedrock"}),
    "header": ({"headers": {"custom-llm-provider": "bedrock"}}, form("vertex_ai"), {"bedrock"}),
    "header over query": (
        {"headers": {"custom-llm-provider": "bedrock"}, "path": "/v1/files?custom_llm_provider=vertex_ai"},
        [],
        {"bedrock"},
    ),
    "path over header": (
        {"headers": {"custom-llm-provider": "bedrock"}, "path": "/vertex_ai/v1/files"},
        [],
        {"vertex_ai"},
    ),
    "query": ({"path": "/v1/files?custom_llm_provider=bedrock"}, form("vertex_ai"), {"bedrock"}),
    "field": ({}, form("bedrock"), {"bedrock"}),
    "JSON list": ({}, [BOTH], {"vertex_ai", "bedrock"}),
    "comma list": ({}, form("vertex_ai, bedrock"), {"vertex_ai", "bedrock"}),
    "repeated": ({}, form("vertex_ai", "bedrock"), {"vertex_ai", "bedrock"}),
    "with brackets": ({}, [field("custom_llm_provider[]", "bedrock")], {"bedrock"}),
    "field over models": ({}, [*form("bedrock"), field("target_model_names", "gpt")], {"bedrock"}),
    "models": ({}, [field("target_model_names", "gpt, bedrock/nova")], {"openai", "openai-second", "bedrock"}),
    "repeated models": (
        {},
        [field("target_model_names[]", "gpt"), field("target_model_names[]", "vertex_ai/gemini-2.5-pro")],
        {"openai", "openai-second", "vertex_ai"},
    ),
    "an account": ({}, form("openai-second"), {"openai-second"}),
}


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("said", SAID)
def test_a_target_may_be_said_anywhere(http: httpx.Client, said: str, behind: bool) -> None:
    options, fields, expected = SAID[said]
    parts = [file_part(b"hello"), PURPOSE, *fields] if behind else [PURPOSE, *fields, file_part(b"hello")]
    reply = post_form(http, *parts, **options)
    assert reply.status_code == 200, reply.text
    file = reply.json()
    assert places(file) == expected
    assert file["status"] == "processed"
    assert http.get(f"/v1/files/{file['id']}").json() == file


@pytest.mark.parametrize(
    ("parts", "options", "param"),
    [
        ([*form("nobody")], {}, "custom_llm_provider"),
        ([*form('["bedrock", "nobody"]')], {}, "custom_llm_provider"),
        ([*form("[")], {}, "custom_llm_provider"),
        ([*form("{}")], {}, "custom_llm_provider"),
        ([*form('["a", 1]')], {}, "custom_llm_provider"),
        ([], {"headers": {"custom-llm-provider": "nobody"}}, "custom_llm_provider"),
        ([], {"path": "/nobody/v1/files"}, "custom_llm_provider"),
        ([field("target_model_names", "nothing")], {}, "target_model_names"),
        ([field("on_partial", "maybe")], {}, "on_partial"),
    ],
)
def test_an_unknown_name_is_refused(
    http: httpx.Client, parts: list[bytes], options: dict[str, Any], param: str
) -> None:
    for body in ([PURPOSE, *parts, file_part(b"x")], [file_part(b"x"), PURPOSE, *parts]):
        reply = post_form(http, *body, **options)
        assert reply.status_code == 400, reply.text
        assert reply.json()["error"]["param"] == param


@pytest.mark.parametrize("size", [0, 1, 70_000, 12 << 20])
def test_one_upload_lies_in_every_store_as_it_was(clouds: Clouds, sdk: Sdk, size: int) -> None:
    data = os.urandom(size)
    client = sdk()
    file = client.files.create(
        file=("film é.bin", data),
        purpose="user_data",
        extra_body={"custom_llm_provider": ["vertex_ai", "bedrock", "openai", "local"]},
    )
    assert client.files.content(file.id).read() == data
    details: Json = file.model_dump()
    assert details["mediagate"]["sha256"] == hashlib.sha256(data).hexdigest()
    references = {replica["provider"]: replica["reference"] for replica in details["replicas"]}
    key = references["bedrock"].split("/", 3)[3]
    assert clouds.s3.get_object(Bucket="mediagate-test", Key=key)["Body"].read() == data
    assert clouds.gcs_bytes(references["vertex_ai"].split("/", 3)[3]) == data
    assert clouds.openai.contents[references["openai"]] == data
    assert client.files.delete(file.id).deleted

    def left() -> list[str]:
        keys = [key for key in (*clouds.s3_keys(), *clouds.gcs_keys()) if file.id in key]
        keys += [ref for ref in clouds.openai.files if ref == references["openai"]]
        return keys + [
            str(row) for row in sql(clouds.gateway, "SELECT * FROM file_replica WHERE file_id = %s", file.id)
        ]

    eventually(lambda: not left(), "every copy is removed")


@pytest.mark.parametrize(
    "provider", ["openai", "azure", "openai_compatible", "bedrock", "vertex_ai", "mistral", "xai", "anthropic"]
)
def test_every_provider_keeps_a_file(sdk: Sdk, provider: str) -> None:
    client = sdk(default_headers={"custom-llm-provider": provider})
    data = b'{"custom_id": "1"}\n' * 100
    file = client.files.create(file=("rows.jsonl", data), purpose="batch")
    assert places(file.model_dump()) == {provider}
    assert client.files.retrieve(file.id).filename == "rows.jsonl"
    try:
        assert client.files.content(file.id).read() == data
    except openai.APIStatusError as error:
        assert error.status_code == 501
        assert error.response.headers["x-should-retry"] == "false"
        assert error.code == "unsupported_by_provider"
        assert provider in ("anthropic", "xai")
    assert client.files.delete(file.id).deleted


def test_gemini_is_followed_until_the_file_is_active(sdk: Sdk) -> None:
    client = sdk()
    file = client.files.create(
        file=("film.mp4", b"\x00" * 1000), purpose="user_data", extra_body={"target_model_names": "gemini-flash"}
    )
    (replica,) = file.model_dump()["replicas"]
    assert replica["provider"] == "gemini"
    assert replica["reference"].startswith("files/")
    assert file.expires_at is not None
    assert abs(file.expires_at - file.created_at - 48 * 3600) < 60
    eventually(lambda: client.files.retrieve(file.id).status == "processed", "the file becomes active")
    with pytest.raises(openai.APIStatusError) as refused:
        client.files.content(file.id)
    assert refused.value.status_code == 501


class TestPartly:
    """One of the targets fails."""

    def test_all_or_none(self, clouds: Clouds, http: httpx.Client) -> None:
        clouds.gemini.key, key = "another", clouds.gemini.key
        before = set(clouds.s3_keys())
        try:
            reply = post_form(http, PURPOSE, *form("bedrock", "gemini"), file_part(b"x" * 100_000))
        finally:
            clouds.gemini.key = key
        assert reply.status_code == 502
        assert reply.json()["error"]["code"] == "provider_credentials_refused"
        assert reply.headers["x-should-retry"] == "false"
        assert set(clouds.s3_keys()) == before

    def test_what_succeeded_stays_and_the_rest_follows(self, clouds: Clouds, http: httpx.Client) -> None:
        clouds.gemini.key, key = "another", clouds.gemini.key
        try:
            reply = post_form(
                http, PURPOSE, *form("bedrock", "gemini"), field("on_partial", "keep"), file_part(b"x" * 100_000)
            )
        finally:
            clouds.gemini.key = key
        assert reply.status_code == 200, reply.text
        file = reply.json()
        assert {replica["account"]: replica["state"] for replica in file["replicas"]} == {
            "bedrock": "ready",
            "gemini": "pending",
        }
        path = f"/v1/files/{file['id']}"
        eventually(lambda: len(places_now(http, path)) == 2, "the job makes the rest", 30)

    def test_nothing_at_all_is_a_failure(self, clouds: Clouds, http: httpx.Client) -> None:
        clouds.gemini.key, key = "another", clouds.gemini.key
        try:
            reply = post_form(http, PURPOSE, *form("gemini"), field("on_partial", "keep"), file_part(b"x" * 100))
        finally:
            clouds.gemini.key = key
        assert reply.status_code == 502


def places_now(http: httpx.Client, path: str) -> set[str]:
    """Accounts with a ready copy."""
    return {item["account"] for item in http.get(path).json()["replicas"] if item["state"] == "ready"}


def test_a_file_in_parts_goes_where_its_upload_says(clouds: Clouds, http: httpx.Client) -> None:
    data = os.urandom(6 << 20)
    upload = http.post(
        "/v1/uploads",
        json={
            "bytes": len(data),
            "filename": "a.bin",
            "mime_type": "application/octet-stream",
            "purpose": "user_data",
            "custom_llm_provider": ["bedrock", "vertex_ai"],
        },
    ).json()
    half = len(data) // 2
    parts = [
        post_form(http, file_part(part, name="data"), path=f"/v1/uploads/{upload['id']}/parts").json()["id"]
        for part in (data[:half], data[half:])
    ]
    done = http.post(f"/v1/uploads/{upload['id']}/complete", json={"part_ids": parts}).json()
    assert places(done["file"]) == {"bedrock", "vertex_ai"}
    assert http.get(f"/v1/files/{done['file']['id']}/content").content == data


def test_a_list_shows_where_files_lie(clouds: Clouds, http: httpx.Client) -> None:
    file = post_form(http, PURPOSE, BOTH, file_part(b"hello")).json()
    listed = http.get("/v1/files?limit=1").json()["data"][0]
    assert json.dumps(listed, sort_keys=True) == json.dumps(file, sort_keys=True)
