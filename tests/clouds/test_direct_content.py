"""Content of files at every provider that hands it back: the edge fetches the bytes where they lie."""

from __future__ import annotations

import httpx
import pytest

from tests.api.wire import field, file_part, post_form
from tests.clouds.conftest import Clouds

DATA = bytes(range(256)) * 600
VOLATILE = {"date", "x-request-id", "openai-processing-ms"}
# Which of them also answer a range by themselves; of the others the server cuts it out.
RANGES = {"bedrock": True, "vertex_ai": True, "openai": False, "azure": False, "mistral": False, "xai": False}


def fetched(clouds: Clouds) -> int:
    """How many replies with content the edge has had from origins."""
    socket = clouds.gateway.data_dir / "run" / "envoy-admin.sock"
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as admin:
        text = admin.get("http://edge/stats", params={"filter": "^cluster.origins-https?.upstream_rq_2xx$"}).text
    return sum(int(line.rpartition(" ")[2]) for line in text.splitlines())


@pytest.mark.parametrize("provider", RANGES)
def test_content_comes_from_where_it_lies(clouds: Clouds, http: httpx.Client, provider: str) -> None:
    fields = field("purpose", "batch"), field("custom_llm_provider", provider)
    reply = post_form(http, *fields, file_part(DATA, "naïve.jsonl"))
    assert reply.status_code == 200, reply.text
    made = reply.json()
    path = f"/v1/files/{made['id']}/content"
    before = fetched(clouds)
    whole = http.get(path)
    assert (whole.status_code, whole.content) == (200, DATA)
    assert fetched(clouds) == before + 1
    assert whole.headers["etag"] == f'"{made["mediagate"]["sha256"]}"'
    assert whole.headers["content-length"] == str(len(DATA))
    assert not [name for name in whole.headers if name.startswith(("x-amz", "x-goog", "server", "x-edge"))]

    part = http.get(path, headers={"range": "bytes=1000-1099"})
    assert (part.status_code, part.content) == (206, DATA[1000:1100])
    assert part.headers["content-range"] == f"bytes 1000-1099/{len(DATA)}"
    if RANGES[provider]:
        assert fetched(clouds) == before + 2

    head = http.head(path)
    assert {k: v for k, v in head.headers.items() if k not in VOLATILE} == {
        k: v for k, v in whole.headers.items() if k not in VOLATILE
    }
    assert http.get(path, headers={"if-none-match": whole.headers["etag"]}).status_code == 304
    assert http.get(path, headers={"range": f"bytes={len(DATA)}-"}).status_code == 416


def test_a_lost_copy_is_replaced_by_the_next(clouds: Clouds, http: httpx.Client) -> None:
    made = post_form(
        http,
        field("purpose", "batch"),
        field("custom_llm_provider", '["bedrock","vertex_ai"]'),
        file_part(DATA, "a.jsonl"),
    ).json()
    references = {replica["provider"]: replica["reference"] for replica in made["replicas"]}
    _, _, bucket, key = references["bedrock"].split("/", 3)
    clouds.s3.delete_object(Bucket=bucket, Key=key)
    before = fetched(clouds)
    assert http.get(f"/v1/files/{made['id']}/content").content == DATA
    assert fetched(clouds) == before + 1
