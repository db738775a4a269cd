"""What goes over the wire to servers of OpenAI's shape."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import OpenAI
from openai.types import Video

from mediagate.core.errors import Unsupported
from mediagate.providers.account import Account
from mediagate.providers.base import (
    FailureStage,
    FateUnknown,
    JobState,
    MediaInput,
    ProviderBusy,
    SubmitRefused,
    VideoKind,
    VideoProvider,
    VideoRequest,
    VideoVariant,
)
from mediagate.providers.openai.videos import OpenAIVideos
from mediagate.providers.registry import build_videos, video_spec
from tests.contract.test_videos_openai import compatible
from tests.contract.video_bench import VIDEO, Said, media
from tests.doubles.faulty import answer, faulty_server
from tests.doubles.openai_videos import Flavour, OpenAIVideosApi

PNG = b"\x89PNG\r\n\x1a\n" + bytes(1000)


def wanted(**fields: Any) -> VideoRequest:
    """A request for a video of four seconds."""
    values = {
        "token": "video_0001",
        "kind": VideoKind.CREATE,
        "model": "some-model",
        "prompt": "a paper boat",
        "seconds": 4,
        "width": 1280,
        "height": 720,
    }
    return VideoRequest(**{**values, **fields})  # type: ignore[arg-type]


def openai(api: OpenAIVideosApi) -> VideoProvider:
    """An account at OpenAI."""
    return build_videos(Account("o", "openai", api_key=api.key, api_base=f"{api.url}/v1"))


@pytest.fixture
def official() -> Iterator[OpenAIVideosApi]:
    """OpenAI, strict about fields."""
    with OpenAIVideosApi().running() as api:
        yield api


@pytest.fixture
def gateway() -> Iterator[OpenAIVideosApi]:
    """A gateway, which takes every field."""
    with OpenAIVideosApi(Flavour.GATEWAY).running() as api:
        yield api


def forms(api: OpenAIVideosApi) -> list[tuple[str, Any]]:
    """Every POST: where it went, and its fields in their order or its JSON."""
    return [(seen.path, seen.json or sorted(seen.form)) for seen in api.asked if seen.method == "POST"]


async def test_what_is_sent_is_what_openais_client_sends(official: OpenAIVideosApi) -> None:
    provider = openai(official)
    image, source = media(PNG, "image/png"), media(VIDEO, "video/mp4")
    ref = await provider.submit(wanted(image=image))
    await provider.submit(wanted(token="t2", kind=VideoKind.REMIX, source_ref=ref, source_video=source))
    await provider.submit(wanted(token="t3", kind=VideoKind.EDIT, source_ref=ref, source_video=source))
    await provider.submit(wanted(token="t4", kind=VideoKind.EDIT, source_video=source))
    await provider.submit(wanted(token="t5", kind=VideoKind.REMIX, source_video=source))
    await provider.submit(wanted(token="t6", kind=VideoKind.EXTEND, seconds=8, source_ref=ref))
    ours = forms(official)
    official.asked.clear()

    def by_the_client() -> None:
        with OpenAI(api_key=official.key, base_url=f"{official.url}/v1", _strict_response_validation=True) as client:
            edited = ("video.mp4", VIDEO, "video/mp4")
            client.videos.create(
                prompt="a paper boat",
                model="some-model",
                seconds="4",
                size="1280x720",
                input_reference=("input_reference.png", PNG, "image/png"),
            )
            client.videos.remix(ref, prompt="a paper boat")
            by_id(client, "edits", {"prompt": "a paper boat", "video": {"id": ref}})
            client.videos.edit(prompt="a paper boat", video=edited)
            client.videos.edit(prompt="a paper boat", video=edited)
            by_id(client, "extensions", {"prompt": "a paper boat", "seconds": "8", "video": {"id": ref}})

    def by_id(client: OpenAI, route: str, body: dict[str, Any]) -> None:
        # The method for it takes files alone; the client's own encoding of a form is what counts.
        form = {"headers": {"Content-Type": "multipart/form-data"}}
        client.post(f"/videos/{route}", cast_to=Video, body=body, files=[], options=form)  # type: ignore[arg-type]

    await asyncio.to_thread(by_the_client)
    assert ours == forms(official)
    await provider.close()


async def test_every_submit_carries_its_token(official: OpenAIVideosApi) -> None:
    provider = openai(official)
    ref = await provider.submit(wanted(token="video_a"))
    await provider.submit(wanted(token="video_b", kind=VideoKind.REMIX, source_ref=ref))
    await provider.close()
    assert [seen.headers["idempotency-key"] for seen in official.asked] == ["video_a", "video_b"]


async def test_a_server_that_honours_tokens_is_asked_again(gateway: OpenAIVideosApi) -> None:
    provider = compatible(gateway, idempotent_submit="true")
    assert provider.spec.idempotent_submit
    assert not video_spec("openai_compatible").idempotent_submit
    gateway.lose("POST /v1/videos")
    with pytest.raises(FateUnknown):
        await provider.submit(wanted())
    ref = await provider.submit(wanted())
    assert list(gateway.jobs) == [ref]
    await provider.close()


@pytest.mark.parametrize("code", ["idempotency_in_progress", "idempotency_key_reused"])
@pytest.mark.parametrize("status", ["409 Conflict", "422 Unprocessable"])
async def test_an_earlier_submit_that_still_runs_is_no_refusal(code: str, status: str) -> None:
    body: dict[str, Any] = {"error": {"message": "Still running.", "type": "invalid_request_error", "code": code}}
    async with faulty_server("500", {"": answer(body, status=status)}) as server:
        provider = build_videos(Account("c", "openai_compatible", api_base=f"{server.url}/v1"))
        with pytest.raises(FateUnknown):
            await provider.submit(wanted())
        await provider.close()


async def test_members_of_the_caller_are_fields(gateway: OpenAIVideosApi) -> None:
    provider = compatible(gateway)
    extra = {
        "seed": 42,
        "guidance_scale": 4.5,
        "enable_frame_interpolation": True,
        "negative_prompt": 'blur "ä"\r\n--x',
        "lora": {"name": "a", "scale": 1},
        "size": None,
    }
    ref = await provider.submit(wanted(extra=extra))
    await provider.close()
    assert gateway.jobs[ref].sent == {
        "prompt": "a paper boat",
        "model": "some-model",
        "seconds": "4",
        "seed": "42",
        "guidance_scale": "4.5",
        "enable_frame_interpolation": "true",
        "negative_prompt": 'blur "ä"\r\n--x',
        "lora": json.dumps(extra["lora"]),
    }


async def test_members_of_a_remix_stay_what_they_are(gateway: OpenAIVideosApi) -> None:
    provider = compatible(gateway)
    ref = await provider.submit(wanted())
    remix = await provider.submit(
        wanted(token="t2", kind=VideoKind.REMIX, source_ref=ref, extra={"seed": 42, "lora": {"name": "a"}})
    )
    await provider.close()
    assert gateway.jobs[remix].sent == {"prompt": "a paper boat", "seed": 42, "lora": {"name": "a"}}


@pytest.mark.parametrize(
    ("options", "audio", "more"),
    [
        ({}, None, {}),
        ({}, True, {"generate_audio": "true"}),
        ({"audio_field": "generate_sound"}, False, {"generate_sound": "false"}),
        ({"send_dimensions": True}, None, {"width": "1280", "height": "720"}),
        ({"send_dimensions": "false"}, None, {}),
    ],
)
async def test_what_the_operator_says_of_the_server(
    gateway: OpenAIVideosApi, options: dict[str, Any], audio: bool | None, more: dict[str, str]
) -> None:
    provider = compatible(gateway, **options)
    ref = await provider.submit(wanted(audio=audio))
    await provider.close()
    plain = {"prompt": "a paper boat", "model": "some-model", "seconds": "4", "size": "1280x720"}
    assert gateway.jobs[ref].sent == plain | more


async def test_an_uploaded_source_names_the_model_where_the_server_has_many(gateway: OpenAIVideosApi) -> None:
    provider = compatible(gateway)
    ref = await provider.submit(wanted(kind=VideoKind.EXTEND, seconds=8, source_video=media(VIDEO, "video/mp4")))
    await provider.close()
    job = gateway.jobs[ref]
    assert job.sent == {"prompt": "a paper boat", "model": "some-model", "seconds": "8"}
    assert job.file is not None
    assert (job.file.filename, job.file.content_type, job.file.data) == ("video.mp4", "video/mp4", VIDEO)


async def test_vllm_takes_a_source_as_a_reference() -> None:
    with OpenAIVideosApi(Flavour.VLLM).running() as api:
        plain, derives = compatible(api), compatible(api, derive_by_create="true")
        request = wanted(kind=VideoKind.EDIT, source_ref="video_1", source_video=media(VIDEO, "video/mp4"))
        with pytest.raises(SubmitRefused) as refused:
            await plain.submit(request)
        assert refused.value.failure.stage is FailureStage.PROVIDER
        job = api.jobs[await derives.submit(request)]
        assert job.file is not None
        assert (job.file.filename, job.file.data) == ("input_reference.mp4", VIDEO)
        assert job.sent["seconds"] == "4"
        with pytest.raises(SubmitRefused):
            await derives.submit(wanted(kind=VideoKind.EDIT, source_ref="video_1"))
        assert len(api.jobs) == 1
        await plain.close()
        await derives.close()


@pytest.mark.parametrize("kind", [VideoKind.REMIX, VideoKind.EDIT, VideoKind.EXTEND])
async def test_a_source_that_is_gone(official: OpenAIVideosApi, kind: VideoKind) -> None:
    provider = openai(official)
    for ref in ("video_gone", "../x", None):
        with pytest.raises(SubmitRefused) as refused:
            await provider.submit(wanted(kind=kind, seconds=8, source_ref=ref))
        assert refused.value.failure.field == "video"
        assert refused.value.failure.stage is FailureStage.INPUT
    await provider.close()


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({"prompt": "something forbidden"}, "content_policy_violation", "prompt"),
        ({"width": 64, "height": 64}, "provider_rejected_request", "size"),
        ({"seconds": 7}, "provider_rejected_request", "seconds"),
        ({"extra": {"seed": 1}}, "provider_rejected_request", "seed"),
    ],
)
async def test_a_refusal_names_the_field(
    official: OpenAIVideosApi, fields: dict[str, Any], code: str, field: str
) -> None:
    provider = openai(official)
    with pytest.raises(SubmitRefused) as refused:
        await provider.submit(wanted(**fields))
    await provider.close()
    failure = refused.value.failure
    assert (failure.stage, failure.code, failure.field) == (FailureStage.INPUT, code, field)
    assert not failure.retryable
    assert not official.jobs


@pytest.mark.parametrize(("status", "code"), [("402 Payment Required", None), ("429 Too Many", "insufficient_quota")])
async def test_an_account_without_credit_is_refused_and_not_waited_for(status: str, code: str | None) -> None:
    body: dict[str, Any] = {"error": {"message": "You exceeded your current quota", "type": "x", "code": code}}
    async with faulty_server("500", {"": answer(body, status=status)}) as server:
        provider = build_videos(Account("o", "openai", api_key="k", api_base=f"{server.url}/v1"))
        with pytest.raises(SubmitRefused) as refused:
            await provider.submit(wanted())
        await provider.close()
    assert refused.value.failure.stage is FailureStage.GATEWAY


async def test_an_input_whose_store_fails_is_asked_for_again(official: OpenAIVideosApi) -> None:
    class Gone(Exception):
        pass

    def broken(error: Exception) -> MediaInput:
        async def chunks() -> AsyncIterator[bytes]:
            yield os.urandom(1 << 18)
            await asyncio.sleep(0.01)
            raise error

        return MediaInput("image/png", 1 << 20, chunks)

    provider = openai(official)
    with pytest.raises(ProviderBusy):
        await provider.submit(wanted(image=broken(OSError("disk"))))
    with pytest.raises(Gone):
        await provider.submit(wanted(image=broken(Gone())))
    assert not official.jobs
    await provider.close()


async def test_vllm_stops_a_job_by_removing_it() -> None:
    with OpenAIVideosApi(Flavour.VLLM).running() as api:
        provider = compatible(api)
        ref = await provider.submit(wanted())
        assert await provider.cancel(ref)
        assert not api.jobs
        assert [str(seen).replace(ref, "ID") for seen in api.asked[1:]] == [
            "POST /v1/videos/ID/cancel",
            "GET /v1/videos/ID",
            "DELETE /v1/videos/ID",
        ]
        assert (await provider.poll(ref)).state is JobState.CANCELLED
        again = compatible(api)
        with pytest.raises(FateUnknown):
            await again.cancel(ref)
        await provider.close()
        await again.close()


@pytest.mark.parametrize(
    ("details", "stopped"),
    [
        ({"phase": "cancelled", "cancellation": {"stopped": "provider", "charged": False}}, True),
        ({"phase": "cancelled", "cancellation": {"stopped": "local_only", "charged": True}}, False),
    ],
)
async def test_a_gateways_word_on_a_cancel(details: dict[str, Any], stopped: bool) -> None:
    tree: dict[str, object] = {"id": "v", "status": "failed", "error": {"code": "cancelled"}, "mediagate": details}
    async with faulty_server("500", {"POST /v1/videos/v/cancel": answer(tree)}) as server:
        provider = build_videos(Account("c", "openai_compatible", api_base=f"{server.url}/v1"))
        assert await provider.cancel("v") is stopped
        await provider.close()


async def test_a_cancel_that_is_still_on_its_way() -> None:
    tree: dict[str, object] = {"id": "v", "status": "in_progress", "mediagate": {"phase": "rendering"}}
    async with faulty_server("500", {"POST /v1/videos/v/cancel": answer(tree)}) as server:
        provider = build_videos(Account("c", "openai_compatible", api_base=f"{server.url}/v1"))
        with pytest.raises(FateUnknown):
            await provider.cancel("v")
        await provider.close()


async def test_openai_is_not_asked_to_stop_what_it_cannot(official: OpenAIVideosApi) -> None:
    provider = openai(official)
    ref = await provider.submit(wanted())
    assert not await provider.cancel(ref)
    await provider.delete(ref)
    assert ref in official.jobs
    official.say(ref, Said.FAILED)
    await provider.delete(ref)
    assert not official.jobs
    await provider.close()


async def test_the_edge_gets_the_place_itself(official: OpenAIVideosApi) -> None:
    provider = openai(official)
    assert isinstance(provider, OpenAIVideos)
    ref = await provider.submit(wanted())
    official.say(ref, Said.SUCCEEDED, video=VIDEO)
    origins = [await provider.origin(ref, method="GET") for _ in range(3)]
    assert {origin.url for origin in origins} == {f"{official.url}/v1/videos/{ref}/content"}
    assert origins[0].headers == {"authorization": f"Bearer {official.key}"}
    assert len([seen for seen in official.asked if seen.path.endswith("/content")]) == 1
    with pytest.raises(Unsupported):
        await provider.origin(ref, method="HEAD")
    await provider.close()


async def test_azures_address_and_header() -> None:
    with OpenAIVideosApi().running() as api:
        for base, version, query in (
            (api.url, None, {}),
            (f"{api.url}/openai/v1/", "2024-10-21", {}),
            (f"{api.url}/openai", "preview", {"api-version": "preview"}),
        ):
            provider = build_videos(Account("a", "azure", api_key=api.key, api_base=base, api_version=version))
            ref = await provider.submit(wanted(model="my-deployment"))
            api.say(ref, Said.SUCCEEDED, video=VIDEO)
            await provider.poll(ref)
            await (await provider.open(ref, VideoVariant.THUMBNAIL)).read(0, 1).__anext__()
            await provider.delete(ref)
            await provider.close()
            for seen in api.asked:
                assert seen.path.startswith("/openai/v1/videos")
                assert seen.headers["api-key"] == api.key
                assert "authorization" not in seen.headers
                assert {name: seen.query[name] for name in seen.query if name != "variant"} == query
            api.asked.clear()


async def test_azures_token_of_an_application() -> None:
    token = answer({"access_token": "entra-token", "expires_in": 3600})
    async with faulty_server("500", {"POST /tenant-1/oauth2/v2.0/token": token}) as entra:
        with OpenAIVideosApi(key="entra-token").running() as api:
            options = {
                "tenant_id": "tenant-1",
                "client_id": "client-1",
                "client_secret": "secret",
                "azure_authority_host": entra.url,
            }
            provider = build_videos(Account("a", "azure", api_base=api.url, options=options))
            await provider.poll(await provider.submit(wanted()))
            await provider.close()
            assert {seen.headers["authorization"] for seen in api.asked} == {"Bearer entra-token"}
