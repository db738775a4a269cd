"""What is sent to Vertex AI for a video, and what is made of its answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from mediagate.core.sizes import parse_size
from mediagate.providers.base import (
    FailureStage,
    FateUnknown,
    JobState,
    SubmitRefused,
    VideoKind,
    VideoProvider,
    VideoVariant,
)
from mediagate.providers.registry import build_videos
from mediagate.providers.vertex_ai import videos
from tests.contract.interactions_bench import TEXT
from tests.contract.vertex_video_bench import FOLDER, OMNI, PNG, TOKEN, VEO, OmniBench, VeoBench, account, done, known
from tests.contract.video_bench import VIDEO, Said, media, request_for
from tests.contract.video_suite import finished, read
from tests.doubles.gcs import BUCKET, gcs_double
from tests.doubles.vertex_videos import FILTERED, PROJECT, VertexVideosApi


@pytest_asyncio.fixture
async def api() -> AsyncIterator[VertexVideosApi]:
    async with gcs_double() as bucket:
        with VertexVideosApi(bucket).running() as running:
            yield running


@pytest_asyncio.fixture
async def provider(api: VertexVideosApi) -> AsyncIterator[VideoProvider]:
    made = build_videos(account(api.url, api.bucket.url))
    yield made
    await made.close()


@pytest.fixture
def veo(api: VertexVideosApi, provider: VideoProvider) -> VeoBench:
    return VeoBench(api, provider)


@pytest.fixture
def omni(api: VertexVideosApi, provider: VideoProvider) -> OmniBench:
    return OmniBench(api, provider)


async def test_the_body_of_a_prediction(veo: VeoBench) -> None:
    ref = await veo.provider.submit(request_for(veo, seconds=6, width=1080, height=1920))
    assert veo.api.operations[veo.name_of(ref)].body == {
        "instances": [{"prompt": "a paper boat in the rain"}],
        "parameters": {
            "sampleCount": 1,
            "storageUri": f"{FOLDER}/video_0001/",
            "generateAudio": True,
            "aspectRatio": "9:16",
            "durationSeconds": 6,
            "resolution": "1080p",
        },
    }
    parent = f"/v1/projects/{PROJECT}/locations/us-central1/publishers/google/models/{VEO}"
    assert str(veo.api.asked[-1]) == f"POST {parent}:predictLongRunning"
    assert veo.api.asked[-1].headers["authorization"] == f"Bearer {TOKEN}"
    await veo.provider.poll(ref)
    assert str(veo.api.asked[-1]) == f"POST {parent}:fetchPredictOperation"
    assert veo.api.asked[-1].json == {"operationName": ref.removesuffix("#video_0001")}


async def test_the_body_of_an_interaction(omni: OmniBench) -> None:
    ref = await omni.provider.submit(request_for(omni, seconds=12))
    assert omni.api.interactions[omni.name_of(ref)].body == {
        "model": OMNI,
        "input": [{"type": "user_input", "content": [{"type": "text", "text": "a paper boat in the rain"}]}],
        "background": True,
        "response_format": {
            "type": "video",
            "delivery": "uri",
            "gcs_uri": f"{FOLDER}/video_0001/",
            "resolution": "720p",
            "duration": "12s",
            "aspect_ratio": "16:9",
        },
        "generation_config": {"video_config": {"task": "text_to_video"}},
    }
    assert str(omni.api.asked[-1]) == f"POST /v1beta1/projects/{PROJECT}/locations/global/interactions"


async def test_the_ref_tells_the_family(veo: VeoBench, omni: OmniBench) -> None:
    prediction = await veo.provider.submit(request_for(veo))
    interaction = await omni.provider.submit(request_for(omni))
    assert "/operations/" in prediction
    assert "/interactions/" in interaction
    await veo.advance(prediction, Said.SUCCEEDED, video=VIDEO)
    await omni.advance(interaction, Said.QUEUED)
    assert (await veo.provider.poll(prediction)).state is JobState.SUCCEEDED
    assert (await veo.provider.poll(interaction)).state is JobState.QUEUED


@pytest.mark.parametrize(("audio", "sent"), [(None, True), (True, True), (False, False)])
async def test_sound_is_made_unless_nobody_wants_it(veo: VeoBench, audio: bool | None, sent: bool) -> None:
    ref = await veo.provider.submit(request_for(veo, audio=audio))
    assert veo.sent(ref)["parameters"]["generateAudio"] is sent


async def test_every_size_of_the_spec_is_one_that_the_api_has_words_for(veo: VeoBench, omni: OmniBench) -> None:
    for name, model in veo.provider.spec.models.items():
        pairs = set()
        for size in model.sizes:
            width, height = parse_size(size)
            if name.startswith("veo"):
                ref = await veo.provider.submit(request_for(veo, width=width, height=height))
                parameters = veo.sent(ref)["parameters"]
                pairs.add((parameters["aspectRatio"], parameters["resolution"]))
            else:
                ref = await omni.provider.submit(request_for(omni, width=width, height=height))
                form = omni.sent(ref)["response_format"]
                pairs.add((form["aspect_ratio"], form["resolution"]))
        assert len(pairs) == len(model.sizes)


async def test_members_of_a_caller_go_where_the_api_has_them(veo: VeoBench) -> None:
    frame = {"gcsUri": f"gs://{BUCKET}/last.png", "mimeType": "image/png"}
    references = [{"image": frame, "referenceType": "ASSET"}]
    extra = {"lastFrame": frame, "referenceImages": references, "seed": 7, "parameters": {"negativePrompt": "rain"}}
    ref = await veo.provider.submit(request_for(veo, extra=extra))
    sent = veo.sent(ref)
    assert sent["instances"] == [
        {"prompt": "a paper boat in the rain", "lastFrame": frame, "referenceImages": references}
    ]
    assert sent["parameters"]["seed"] == 7
    assert sent["parameters"]["negativePrompt"] == "rain"
    assert sent["parameters"]["durationSeconds"] == 8
    more = await veo.provider.submit(request_for(veo, extra={"instances": [{"lastFrame": frame}]}))
    assert veo.sent(more)["instances"] == [{"prompt": "a paper boat in the rain", "lastFrame": frame}]


async def test_an_image_in_the_cloud_is_named(veo: VeoBench, omni: OmniBench) -> None:
    image = known(("s3://bucket/a.png", "gs://other/a.png"))
    ref = await veo.provider.submit(request_for(veo, image=image))
    assert veo.sent_instance(ref)["image"] == {"gcsUri": "gs://other/a.png", "mimeType": "image/png"}
    own = known(("gs://other/a.png", f"vertex_ai://{BUCKET}/mediagate/file-1/a.png"))
    ref = await omni.provider.submit(request_for(omni, image=own))
    assert omni.part(ref, "image") == {
        "type": "image",
        "mime_type": "image/png",
        "uri": f"gs://{BUCKET}/mediagate/file-1/a.png",
    }
    assert omni.sent(ref)["generation_config"] == {"video_config": {"task": "image_to_video"}}


async def test_a_large_image_goes_by_way_of_the_bucket(veo: VeoBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(videos, "IMAGE_BYTES_MAX", len(PNG) - 1)
    ref = await veo.provider.submit(request_for(veo, image=media(PNG, "image/png")))
    uri = f"{FOLDER}/video_0001/inputs/image.png"
    assert veo.sent_instance(ref)["image"] == {"gcsUri": uri, "mimeType": "image/png"}
    assert veo.image_of(ref) == PNG
    await veo.provider.delete(ref)
    assert not veo.bucket.objects


async def test_an_extension_starts_from_where_the_source_is(veo: VeoBench, omni: OmniBench) -> None:
    source = await finished(veo, "video_source")
    uri = veo.api.outputs[veo.name_of(source)]
    unread = known((), VIDEO, "video/mp4")
    ref = await veo.provider.submit(
        request_for(veo, "video_longer", kind=VideoKind.EXTEND, seconds=7, source_ref=source, source_video=unread)
    )
    assert veo.sent(ref) == {
        "instances": [{"prompt": "a paper boat in the rain", "video": {"gcsUri": uri, "mimeType": "video/mp4"}}],
        "parameters": {"sampleCount": 1, "storageUri": f"{FOLDER}/TOKEN/", "generateAudio": True},
    }
    # What one family has made the other can go on from.
    ref = await omni.provider.submit(
        request_for(omni, "video_more", kind=VideoKind.EXTEND, seconds=5, source_ref=source, source_video=unread)
    )
    sent = omni.sent(ref)
    assert omni.part(ref, "video") == {"type": "video", "mime_type": "video/mp4", "uri": uri}
    assert "previous_interaction_id" not in sent
    assert sent["generation_config"] == {"video_config": {"task": "extend"}}
    assert (sent["response_format"]["duration"], "aspect_ratio" in sent["response_format"]) == ("5s", False)


@pytest.mark.parametrize("kind", [VideoKind.REMIX, VideoKind.EDIT])
async def test_an_edit_goes_on_from_the_interaction(omni: OmniBench, kind: VideoKind) -> None:
    source = await finished(omni, "video_source")
    unread = known((), VIDEO, "video/mp4")
    ref = await omni.provider.submit(request_for(omni, "video_edit", kind=kind, source_ref=source, source_video=unread))
    sent = omni.sent(ref)
    assert sent["previous_interaction_id"] == omni.name_of(source)
    assert [part["type"] for part in sent["input"][0]["content"]] == ["text"]
    assert "generation_config" not in sent
    assert "duration" not in sent["response_format"]


async def test_an_edit_outlives_the_interaction(omni: OmniBench) -> None:
    source = await finished(omni, "video_source")
    uri = omni.api.outputs[omni.name_of(source)]
    omni.api.interactions.clear()
    ref = await omni.provider.submit(request_for(omni, "video_edit", kind=VideoKind.EDIT, source_ref=source))
    assert omni.part(ref, "video")["uri"] == uri
    assert "previous_interaction_id" not in omni.sent(ref)


async def test_an_edit_of_what_veo_made_names_the_video(veo: VeoBench, omni: OmniBench) -> None:
    source = await finished(veo, "video_source")
    request = request_for(omni, "video_edit", kind=VideoKind.EDIT, source_ref=source)
    ref = await omni.provider.submit(request)
    assert omni.part(ref, "video")["uri"] == veo.api.outputs[veo.name_of(source)]
    assert omni.sent(ref)["generation_config"] == {"video_config": {"task": "edit"}}


async def test_a_source_that_is_gone_everywhere(veo: VeoBench) -> None:
    with pytest.raises(SubmitRefused) as refused:
        await veo.provider.submit(request_for(veo, kind=VideoKind.EXTEND, source_ref=veo.absent_ref))
    failure = refused.value.failure
    assert (failure.stage, failure.code, failure.field) == (FailureStage.INPUT, "missing_video", "video")
    assert not veo.submits()


@pytest.mark.parametrize(("data", "size_bytes"), [(VIDEO, len(VIDEO) + 1), (VIDEO, len(VIDEO) - 1)])
async def test_a_source_of_another_length_leaves_nothing(veo: VeoBench, data: bytes, size_bytes: int) -> None:
    source = media(data, "video/mp4", size_bytes=size_bytes)
    with pytest.raises(SubmitRefused) as refused:
        await veo.provider.submit(request_for(veo, kind=VideoKind.EXTEND, source_video=source))
    assert refused.value.failure.code == "input_changed"
    assert not veo.bucket.objects
    assert not veo.submits()


@pytest.mark.parametrize("kind", [VideoKind.REMIX, VideoKind.EDIT])
async def test_what_veo_cannot_do_is_refused_with_those_that_can(veo: VeoBench, kind: VideoKind) -> None:
    with pytest.raises(SubmitRefused) as refused:
        await veo.provider.submit(request_for(veo, kind=kind, source_video=media(VIDEO, "video/mp4")))
    assert refused.value.failure.code == "unsupported_by_provider"
    assert OMNI in refused.value.failure.message
    assert not veo.submits()


@pytest.mark.parametrize("model", ["gemini-3.8-flash", "veo-3.1/../../x", "imagen-4.0", ""])
async def test_other_models_are_refused(veo: VeoBench, model: str) -> None:
    veo.model = model
    with pytest.raises(SubmitRefused) as refused:
        await veo.provider.submit(request_for(veo))
    assert (refused.value.failure.code, refused.value.failure.field) == ("model_not_found", "model")
    assert not veo.submits()


async def test_a_prompt_that_is_refused_at_once(veo: VeoBench) -> None:
    with pytest.raises(SubmitRefused) as refused:
        await veo.provider.submit(request_for(veo, prompt="forbidden"))
    failure = refused.value.failure
    assert (failure.stage, failure.code, failure.field) == (FailureStage.INPUT, "content_policy_violation", "prompt")
    assert "violence" in failure.message
    assert "61493863" not in failure.message


async def test_a_parameter_that_is_refused_is_told(veo: VeoBench) -> None:
    with pytest.raises(SubmitRefused) as refused:
        await veo.provider.submit(request_for(veo, extra={"durationSeconds": 5}))
    failure = refused.value.failure
    assert (failure.stage, failure.code) == (FailureStage.INPUT, "provider_rejected_request")
    assert "durationSeconds" in failure.message


def ended(code: int, message: str) -> dict[str, Any]:
    """An operation that has failed."""
    return {"done": True, "error": {"code": code, "message": message}}


BLOCKED = "content_policy_violation"


@pytest.mark.parametrize(
    ("tree", "stage", "code", "field", "retryable"),
    [
        (done({"raiMediaFilteredReasons": [FILTERED]}), "input", BLOCKED, "input_reference", False),
        (done({"raiMediaFilteredCount": 1}), "output", BLOCKED, None, False),
        (ended(3, FILTERED), "input", BLOCKED, "input_reference", False),
        (ended(3, "bad seed"), "input", "provider_rejected_request", None, False),
        (ended(7, "sa@x.iam"), "gateway", "provider_credentials_refused", None, False),
        (ended(8, "quota"), "provider", "provider_rate_limited", None, True),
        (ended(13, "boom"), "provider", "provider_failed", None, True),
        (ended(4, "late"), "provider", "provider_timeout", None, True),
        ({"done": True}, "output", "no_video", None, True),
    ],
)
async def test_a_prediction_that_failed_says_why(
    veo: VeoBench, tree: dict[str, Any], stage: str, code: str, field: str | None, retryable: bool
) -> None:
    ref = await veo.provider.submit(request_for(veo))
    veo.api.operations[veo.name_of(ref)].tree = tree
    status = await veo.provider.poll(ref)
    assert status.state is JobState.FAILED
    failure = status.failure
    assert failure is not None
    assert (failure.stage, failure.code, failure.field, failure.retryable) == (stage, code, field, retryable)
    assert not failure.charged


async def test_words_in_the_place_of_a_video(omni: OmniBench) -> None:
    ref = await omni.provider.submit(request_for(omni))
    found = omni.api.interactions[omni.name_of(ref)]
    found.status, found.content = "completed", [TEXT]
    failure = (await omni.provider.poll(ref)).failure
    assert failure is not None
    assert failure.code == "content_policy_violation"


@pytest.mark.parametrize("family", ["veo", "omni"])
async def test_the_video_outlives_what_the_api_knows_of_the_job(
    veo: VeoBench, omni: OmniBench, api: VertexVideosApi, family: str
) -> None:
    bench = {"veo": veo, "omni": omni}[family]
    ref = await finished(bench)
    api.operations.clear()
    api.interactions.clear()
    content = await bench.provider.open(ref, VideoVariant.VIDEO)
    assert await read(content) == VIDEO
    with pytest.raises(FateUnknown):
        await bench.provider.poll(ref)


async def test_an_input_is_no_output(veo: VeoBench) -> None:
    source = media(VIDEO, "video/mp4")
    ref = await veo.provider.submit(request_for(veo, kind=VideoKind.EXTEND, source_video=source))
    veo.api.operations.clear()
    assert len(veo.bucket.objects) == 1
    with pytest.raises(FileNotFoundError):
        await veo.provider.open(ref, VideoVariant.VIDEO)


async def test_a_video_inside_of_the_answer(veo: VeoBench) -> None:
    ref = await veo.provider.submit(request_for(veo))
    video = {"bytesBase64Encoded": "AAAAIGZ0eXA=", "mimeType": "video/mp4"}
    veo.api.operations[veo.name_of(ref)].tree = done({"videos": [video]})
    assert (await veo.provider.poll(ref)).state is JobState.SUCCEEDED
    content = await veo.provider.open(ref, VideoVariant.VIDEO)
    assert await read(content) == b"\x00\x00\x00 ftyp"


async def test_where_the_video_is_is_asked_once(veo: VeoBench) -> None:
    ref = await finished(veo)
    await veo.provider.open(ref, VideoVariant.VIDEO)
    asked = len(veo.api.asked)
    await veo.provider.open(ref, VideoVariant.VIDEO)
    assert len(veo.api.asked) == asked


async def test_a_delete_leaves_other_videos_alone(veo: VeoBench) -> None:
    refs = [await finished(veo, token) for token in ("video_1", "video_12")]
    await veo.provider.delete(refs[0])
    assert await read(await veo.provider.open(refs[1], VideoVariant.VIDEO)) == VIDEO
    assert len(veo.bucket.objects) == 1
