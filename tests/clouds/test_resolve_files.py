"""What a request mentions, told to each provider in its own way, with the copies that it takes."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from mediagate.chat.choose_ways import Plan
from mediagate.chat.mentioned import Reader
from mediagate.chat.resolve_files import ResolveFiles
from mediagate.core.chat import Dialect, FileUse, MediaKind, Way
from mediagate.core.chat_mentions import mentions
from mediagate.core.errors import InvalidField, MediagateError, NotFound, StateConflict
from mediagate.core.objects import Principal
from mediagate.providers.registry import chat_spec
from mediagate.routing.catalog import Deployment
from tests.api.access_kit import issue_key
from tests.api.wire import eventually, field, file_part, post_form, sql
from tests.clouds.conftest import GCS_BUCKET, S3_BUCKET, Clouds
from tests.clouds.references_kit import process

PURPOSE = field("purpose", "user_data")
PDF = b"%PDF-1.4 a report"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + b"\0" * 64
WAV = b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data\0\0\0\0"
WHO = Principal("master", uses_providers=True, is_admin=True)


def reader(provider: str, model: str = "some-model", dialect: Dialect = Dialect.CHAT) -> Reader:
    deployment = Deployment(f"{provider}/{model}", model, provider, model, account=provider)
    return Reader(deployment, chat_spec(provider), dialect)


def chat(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


def file_of(file_id: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_id": file_id}}


async def planned(resolve: ResolveFiles, body: dict[str, Any], *readers: Reader, who: Principal = WHO) -> list[Plan]:
    files = await resolve.load(who, mentions(body, readers[0].dialect))
    return resolve.plans(who, files, readers)


async def told(
    resolve: ResolveFiles, body: dict[str, Any], one: Reader, **more: Any
) -> list[tuple[MediaKind, FileUse]]:
    (plan,) = await planned(resolve, body, one, **more)
    async with resolve.uses(plan) as uses:
        return list(uses.values())


def upload(http: httpx.Client, data: bytes, name: str, *targets: str) -> str:
    parts = [field("custom_llm_provider", target) for target in targets or ("local",)]
    reply = post_form(http, PURPOSE, *parts, file_part(data, name))
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


@pytest.fixture
def pdf(http: httpx.Client) -> str:
    return upload(http, PDF, "report.pdf")


def run_told(clouds: Clouds, body: dict[str, Any], one: Reader, **options: Any) -> list[tuple[MediaKind, FileUse]]:
    async def run() -> list[tuple[MediaKind, FileUse]]:
        async with process(clouds.gateway, **options) as parts:
            return await told(parts.resolve_files, body, one)

    return asyncio.run(run())


def refused(clouds: Clouds, body: dict[str, Any], *readers: Reader, **more: Any) -> MediagateError:
    async def run() -> MediagateError:
        async with process(clouds.gateway) as parts:
            with pytest.raises(MediagateError) as error:
                await planned(parts.resolve_files, body, *readers, **more)
            return error.value

    return asyncio.run(run())


def test_each_provider_is_told_in_its_own_way_and_keeps_its_copy(clouds: Clouds, pdf: str) -> None:
    async def run() -> dict[str, FileUse]:
        found = {}
        async with process(clouds.gateway) as parts:
            for provider in ("openai", "gemini", "vertex_ai", "bedrock", "anthropic", "mistral"):
                one = reader(provider, model="amazon.nova-pro-v1:0" if provider == "bedrock" else "some-model")
                ((kind, use),) = await told(parts.resolve_files, chat(file_of(pdf)), one)
                assert (kind, use.media_type, use.file_id) == (MediaKind.DOCUMENT, "application/pdf", pdf)
                found[provider] = use
        return found

    uses = asyncio.run(run())
    assert clouds.openai.contents[uses["openai"].value] == PDF
    assert uses["gemini"].way is Way.URI
    assert uses["gemini"].value.startswith("https://generativelanguage.googleapis.com/v1beta/files/")
    assert uses["gemini"].value.rpartition("/files/")[2] in {name.rpartition("/")[2] for name in clouds.gemini.files}
    assert uses["vertex_ai"].value.startswith(f"gs://{GCS_BUCKET}/")
    assert uses["bedrock"].way is Way.URI
    assert uses["bedrock"].value.startswith(f"s3://{S3_BUCKET}/")
    assert uses["anthropic"].way is Way.FILE_ID
    assert uses["mistral"].way is Way.FILE_ID
    with clouds.gateway.http() as http:
        shown = http.get(f"/v1/files/{pdf}").json()
        assert {copy["provider"] for copy in shown["replicas"]} >= {"openai", "bedrock", "gemini"}
        assert http.delete(f"/v1/files/{pdf}").status_code == 200
    eventually(lambda: not any(pdf in key for key in clouds.s3_keys()), "the copy in S3 is gone")
    eventually(lambda: uses["openai"].value not in clouds.openai.files, "the copy at OpenAI is gone")


def test_copies_on_demand_over_two_processes_are_one(clouds: Clouds, http: httpx.Client) -> None:
    file_id = upload(http, b"%PDF-1.4 " + secrets.token_bytes(2 << 20), "large.pdf")

    async def run() -> set[str]:
        async with process(clouds.gateway) as one, process(clouds.gateway) as other:
            asked = [
                told(parts.resolve_files, chat(file_of(file_id), file_of(file_id)), reader("openai"))
                for parts in (one, other) * 10
            ]
            return {use.value for found in await asyncio.gather(*asked) for _, use in found}

    (ref,) = asyncio.run(run())
    assert [name for name, file in clouds.openai.files.items() if file_id in file["filename"]] == [ref]


def test_those_that_have_a_copy_are_asked_first(clouds: Clouds, http: httpx.Client) -> None:
    file_id = upload(http, PDF, "there.pdf", "local", "anthropic")

    async def run() -> list[tuple[str, int]]:
        async with process(clouds.gateway) as parts:
            readers = [reader("openai"), reader("mistral"), reader("anthropic")]
            plans = await planned(parts.resolve_files, chat(file_of(file_id)), *readers)
            return [(plan.reader.deployment.provider, plan.copies) for plan in plans]

    assert asyncio.run(run()) == [("anthropic", 0), ("openai", 1), ("mistral", 1)]


def test_a_stale_copy_is_made_anew(clouds: Clouds, pdf: str) -> None:
    async def run() -> tuple[str, str]:
        async with process(clouds.gateway) as parts:
            resolve = parts.resolve_files
            (plan,) = await planned(resolve, chat(file_of(pdf)), reader("openai"))
            async with resolve.uses(plan) as uses:
                ((_, first),) = uses.values()
            assert not await resolve.lost(plan)
            del clouds.openai.files[first.value]
            assert await resolve.lost(plan)
            async with resolve.uses(plan) as uses:
                ((_, second),) = uses.values()
            return first.value, second.value

    first, second = asyncio.run(run())
    assert first != second
    assert second in clouds.openai.files


def test_small_files_go_along_and_large_ones_by_link(clouds: Clouds, http: httpx.Client) -> None:
    image, video = upload(http, PNG, "a.png"), upload(http, MP4, "a.mp4")
    parts = [{"type": "image_url", "image_url": {"url": f"mediagate://{image}"}}]
    ((kind, use),) = run_told(clouds, chat(*parts), reader("openai"))
    assert (kind, use.way, base64.b64decode(use.value)) == (MediaKind.IMAGE, Way.DATA, PNG)
    ((kind, use),) = run_told(
        clouds, chat({"type": "video_url", "video_url": {"url": video}}), reader("openai_compatible")
    )
    assert (kind, use.way, use.media_type) == (MediaKind.VIDEO, Way.LINK, "video/mp4")
    assert use.value.startswith(f"{clouds.gateway.url}/v1/files/{video}/content?token=")


@pytest.fixture
def anybody(clouds: Clouds) -> Iterator[httpx.Client]:
    with httpx.Client(timeout=60, verify=False) as client:
        yield client


@pytest.mark.parametrize("target", ["local", "bedrock", "vertex_ai"])
def test_a_link_opens_one_file_without_a_key_and_not_for_long(
    clouds: Clouds, http: httpx.Client, anybody: httpx.Client, target: str
) -> None:
    data = MP4 + secrets.token_bytes(300_000)
    video, other = upload(http, data, "a.mp4", target), upload(http, MP4, "b.mp4")
    body = chat({"type": "video_url", "video_url": {"url": video}})
    ((_, use),) = run_told(clouds, body, reader("openai_compatible"), links="gateway")
    whole = anybody.get(use.value)
    assert (whole.status_code, whole.content) == (200, data)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["referrer-policy"] == "no-referrer"
    part = anybody.get(use.value, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, data[100:200])
    head = anybody.head(use.value)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(data)))
    for refused_url in (
        use.value.replace(video, other),
        use.value[:-1] + ("A" if use.value[-1] != "A" else "B"),
        use.value.partition("?")[0],
        use.value.replace(f"/v1/files/{video}/content", f"/v1/files/{video}"),
        use.value.replace(f"/v1/files/{video}/content", "/v1/files"),
    ):
        assert anybody.get(refused_url).status_code in (401, 403, 404), refused_url
    assert anybody.request("DELETE", use.value.replace("/content", "")).status_code in (401, 403)
    assert http.delete(f"/v1/files/{video}").status_code == 200
    assert anybody.get(use.value).status_code == 401


def test_a_link_ends_with_its_time(clouds: Clouds, http: httpx.Client, anybody: httpx.Client) -> None:
    video = upload(http, MP4, "a.mp4")
    body = chat({"type": "video_url", "video_url": {"url": video}})
    ((_, use),) = run_told(clouds, body, reader("openai_compatible"), links="gateway", link_s=2)
    assert anybody.get(use.value).status_code == 200
    eventually(lambda: anybody.get(use.value).status_code == 401, "the link is over")
    assert anybody.get(use.value).json()["error"]["code"] == "token_expired"


@pytest.mark.parametrize(
    "token",
    [
        *("mgt_.", "mgt_..", "mgt_a.b.c", "mgt_01k4q3q8m0e8s9v0abcdefghjk.99999999999.", "mgt_" + "." * 5000),
        *("mgt_01k4q3q8m0e8s9v0abcdefghjk.NaN.AAAA", "mgt_%FF.%00.%F0", "mgt_-1.-1.-1", "mgt_1e9.1e9.1e9"),
    ],
)
def test_made_up_links_open_nothing(clouds: Clouds, pdf: str, anybody: httpx.Client, token: str) -> None:
    assert anybody.get(f"{clouds.gateway.url}/v1/files/{pdf}/content?token={token}").status_code in (400, 401)


def test_a_store_that_signs_links_serves_where_the_gateway_does_not(
    clouds: Clouds, http: httpx.Client, anybody: httpx.Client
) -> None:
    video = upload(http, MP4, "a.mp4", "bedrock")
    body = chat({"type": "video_url", "video_url": {"url": video}})
    ((_, use),) = run_told(clouds, body, reader("openai_compatible"), links="store")
    assert use.value.startswith(clouds.moto_url)
    assert anybody.get(use.value).content == MP4
    local = upload(http, MP4 + b"\0" * 100, "b.mp4")
    ((_, use),) = run_told(
        clouds, chat({"type": "video_url", "video_url": {"url": local}}), reader("openai_compatible"), links="store"
    )
    assert use.way is Way.DATA, "small enough to go along"


def test_ids_of_nobody_and_of_others_do_not_exist(clouds: Clouds, http: httpx.Client, pdf: str) -> None:
    stranger = issue_key(clouds.gateway)
    with httpx.Client(base_url=clouds.gateway.url, headers=stranger.headers, verify=False) as theirs:
        foreign = upload(theirs, PDF, "theirs.pdf")
    deleted, expired = upload(http, PDF, "deleted.pdf"), upload(http, PDF, "expired.pdf")
    assert http.delete(f"/v1/files/{deleted}").status_code == 200
    sql(
        clouds.gateway,
        f"UPDATE file SET expires_at = now() - interval '1 second' WHERE id = '{expired}' RETURNING 1",
    )
    texts = set()
    for file_id in (foreign, deleted, expired, "file-01jd0000000000000000000000", "file-abc", "nonsense"):
        error = refused(clouds, chat({"type": "text", "text": "?"}, file_of(file_id)), reader("openai"))
        assert isinstance(error, NotFound)
        assert error.param == "messages[0].content[1].file.file_id"
        texts.add(error.message.replace(file_id, "ID"))
    assert len(texts) == 1
    alice = replace(WHO, end_user="alice")
    assert isinstance(refused(clouds, chat(file_of(pdf)), reader("openai"), who=alice), NotFound)


def test_a_file_that_is_still_copied_is_waited_for(clouds: Clouds, http: httpx.Client) -> None:
    source = upload(http, b"%PDF-1.4 " + secrets.token_bytes(8 << 20), "source.pdf")
    reply = http.post(
        "/v1/files", json={"source": source, "custom_llm_provider": "local"}, headers={"prefer": "respond-async"}
    )
    ((_, use),) = run_told(clouds, chat(file_of(reply.json()["id"])), reader("openai"))
    assert use.value in clouds.openai.files
    sql(clouds.gateway, f"UPDATE file SET state = 'copying' WHERE id = '{source}' RETURNING 1")
    began = time.monotonic()

    async def run() -> None:
        async with process(clouds.gateway, wait_s=0.5) as parts:
            with pytest.raises(StateConflict) as early:
                await told(parts.resolve_files, chat(file_of(source)), reader("openai"))
            assert early.value.code == "file_not_ready"
            assert early.value.param == "messages[0].content[0].file.file_id"

    asyncio.run(run())
    assert time.monotonic() - began >= 0.5
    sql(clouds.gateway, f"UPDATE file SET state = 'failed', failure = 'It broke.' WHERE id = '{source}' RETURNING 1")
    error = refused(clouds, chat(file_of(source)), reader("openai"))
    assert (error.code, error.http_status) == ("file_failed", 400)


def test_what_a_provider_cannot_read_is_one_clear_refusal(clouds: Clouds, http: httpx.Client, pdf: str) -> None:
    video, zipped = upload(http, MP4, "a.mp4"), upload(http, b"PK\x03\x04" + b"\0" * 40, "a.zip")
    image = upload(http, PNG, "a.png")
    error = refused(clouds, chat(file_of(video)), reader("openai"), reader("anthropic"))
    assert isinstance(error, InvalidField)
    assert error.code == "unsupported_part"
    assert "OpenAI takes no videos" in error.message
    assert "Anthropic" in error.message
    error = refused(clouds, chat(file_of(zipped)), reader("openai"))
    assert error.code == "wrong_media_type"
    assert "application/pdf" in error.message
    error = refused(clouds, chat({"type": "image_url", "image_url": {"url": pdf}}), reader("openai"))
    assert (error.code, error.param) == ("wrong_media_type", "messages[0].content[0].image_url.url")
    error = refused(clouds, chat({"type": "input_audio", "input_audio": {"data": image}}), reader("openai"))
    assert error.code == "wrong_media_type"
    empty = upload(http, b"", "empty.pdf")
    assert refused(clouds, chat(file_of(empty)), reader("openai")).code == "file_empty"


def test_a_file_too_large_for_the_model(clouds: Clouds, http: httpx.Client) -> None:
    large = upload(http, b"%PDF-1.4 " + b"\0" * (51 << 20), "large.pdf")
    error = refused(clouds, chat(file_of(large)), reader("openai"))
    assert (error.code, error.http_status) == ("file_too_large", 400)
    assert str(50 << 20) in error.message


def test_many_small_files_are_too_much_for_one_request(clouds: Clouds, http: httpx.Client) -> None:
    images = [upload(http, PNG + bytes([number]) * (12 << 20), f"{number}.png") for number in range(4)]
    parts = [{"type": "image_url", "image_url": {"url": image}} for image in images]
    assert refused(clouds, chat(*parts), reader("openai")).code == "request_too_large"


def test_what_nobody_gives_back_is_only_read_where_it_is(clouds: Clouds, http: httpx.Client) -> None:
    there = upload(http, PDF + b" there", "there.pdf", "gemini")
    ((_, use),) = run_told(clouds, chat(file_of(there)), reader("gemini"))
    assert use.way is Way.URI
    assert refused(clouds, chat(file_of(there)), reader("anthropic")).code == "no_readable_copy"


def test_places_are_as_the_caller_requires(clouds: Clouds, pdf: str) -> None:
    strict = replace(WHO, placement={"region": "eu"})
    error = refused(clouds, chat(file_of(pdf)), reader("openai"), who=strict)
    assert (error.code, error.param) == ("placement_not_satisfied", "messages[0].content[0].file.file_id")


def test_files_for_tools_are_told_by_id(clouds: Clouds, http: httpx.Client) -> None:
    rows = upload(http, b"PK\x03\x04" + b"\0" * 50, "rows.zip")
    body = {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": [rows]}}]}

    async def run() -> list[tuple[MediaKind, FileUse]]:
        async with process(clouds.gateway) as parts:
            return await told(parts.resolve_files, body, reader("openai", dialect=Dialect.RESPONSES))

    ((_, use),) = asyncio.run(run())
    assert use.value in clouds.openai.files
    error = refused(clouds, body, reader("anthropic", dialect=Dialect.RESPONSES))
    assert error.code == "unsupported_part"


def test_what_is_given_inline_goes_on_as_it_is(clouds: Clouds) -> None:
    data = base64.b64encode(PNG).decode()
    inline = {"type": "image_url", "image_url": {"url": f"data:application/octet-stream;base64,{data}"}}
    for provider in ("openai", "anthropic", "gemini", "openai_compatible"):
        ((kind, use),) = run_told(clouds, chat(inline), reader(provider))
        assert (kind, use.way, use.value, use.media_type) == (MediaKind.IMAGE, Way.DATA, data, "image/png")
    linked = {"type": "image_url", "image_url": {"url": "https://media.example/a.png"}}
    for provider in ("anthropic", "gemini"):
        ((_, use),) = run_told(clouds, chat(linked), reader(provider))
        assert (use.way, use.value) == (Way.LINK, "https://media.example/a.png")
    broken = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data[:-1]}"}}
    assert isinstance(refused(clouds, chat(broken), reader("openai")), InvalidField)
    pdf = base64.b64encode(PDF + b" ").decode()
    lying = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{pdf}"}}
    assert refused(clouds, chat(lying), reader("openai")).code == "wrong_media_type"


def test_links_of_callers_are_fetched_for_servers_at_home(clouds: Clouds, http: httpx.Client) -> None:
    clouds.s3.put_object(Bucket="mediagate-sources", Key="a.png", Body=PNG)
    url = clouds.s3.generate_presigned_url("get_object", Params={"Bucket": "mediagate-sources", "Key": "a.png"})
    part = {"type": "image_url", "image_url": {"url": url}}
    for provider in ("openai_compatible", "openai"):
        # What is called OpenAI here is a server at another place.
        ((kind, use),) = run_told(clouds, chat(part), reader(provider))
        assert (kind, use.way, base64.b64decode(use.value)) == (MediaKind.IMAGE, Way.DATA, PNG)

    async def run(link: str, **options: Any) -> str | None:
        async with process(clouds.gateway, **options) as parts:
            body = chat({"type": "image_url", "image_url": {"url": link}})
            with pytest.raises(InvalidField) as error:
                await told(parts.resolve_files, body, reader("openai_compatible"))
            assert error.value.param == "messages[0].content[0].image_url.url"
            return error.value.code

    for link in (
        "http://169.254.169.254/latest",
        "https://localhost/a.png",
        "https://[::1]/",
        f"{clouds.gateway.url}/",
    ):
        assert asyncio.run(run(link)) == "url_not_allowed"
    assert asyncio.run(run(url, inline_bytes_max=8)) == "url_too_large"
    assert asyncio.run(run(url, inline_bytes_in_flight_max=50)) == "request_too_large"
    clouds.s3.put_object(Bucket="mediagate-sources", Key="a.pdf", Body=PDF)
    pdf = clouds.s3.generate_presigned_url("get_object", Params={"Bucket": "mediagate-sources", "Key": "a.pdf"})
    assert asyncio.run(run(pdf)) == "wrong_media_type"


def test_a_copy_that_was_lost_is_made_from_another(clouds: Clouds, http: httpx.Client) -> None:
    file_id = upload(http, PDF + b" cloud", "cloud.pdf", "bedrock")
    sql(
        clouds.gateway,
        f"INSERT INTO file_replica (file_id, account, provider, ref, state, seen_at) SELECT file_id, 'openai',"
        f" 'openai', 'file-gone', 'lost', now() FROM file_replica WHERE file_id = '{file_id}' RETURNING 1",
    )
    ((_, use),) = run_told(clouds, chat(file_of(file_id)), reader("openai"))
    assert use.value in clouds.openai.files
