"""Members for the provider: which go on, and which would reach what is not the caller's, or cost what nobody asked."""

from __future__ import annotations

from typing import Any

import pytest

from mediagate.core.errors import InvalidField
from mediagate.core.objects import Principal
from mediagate.files.get_file import GetFile
from mediagate.providers.base import VideoProvider
from mediagate.providers.registry import VIDEO_PROVIDERS, video_spec
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.store.videos import VideoLookup
from mediagate.videos.characters import GetCharacter
from mediagate.videos.extra_members import require_free
from mediagate.videos.measure_input import MeasureInput
from mediagate.videos.plan_video import PlanVideo, VideoDraft
from mediagate.videos.read_fields import wishes

NOBODY: dict[str, VideoProvider] = {}
OPENAI_SHAPED = ("openai", "azure", "openai_compatible")


def refused(provider: str, extra: dict[str, Any], *, bounded: bool = False) -> InvalidField:
    with pytest.raises(InvalidField) as found:
        require_free(extra, video_spec(provider), bounded=bounded)
    return found.value


@pytest.mark.parametrize(
    ("provider", "extra", "param"),
    [
        *((name, {"video": {"id": "video_1"}}, "video") for name in OPENAI_SHAPED),
        *((name, {"video_id": "video_1"}, "video_id") for name in OPENAI_SHAPED),
        *((name, {"video[id]": "video_1"}, "video[id]") for name in OPENAI_SHAPED),
        *((name, {"video.id": "video_1"}, "video.id") for name in OPENAI_SHAPED),
        *((name, {"input_reference[file_id]": "f"}, "input_reference[file_id]") for name in OPENAI_SHAPED),
        *((name, {"characters": [{"id": "char_1"}]}, "characters") for name in OPENAI_SHAPED),
        ("openai_compatible", {"image_reference": {"file_id": "file-1"}}, "file_id"),
        ("xai", {"image": {"file_id": "file_1"}}, "file_id"),
        ("xai", {"storage_options": {"public_url": {}}}, "storage_options"),
        ("openrouter", {"previous_job_id": "job-1"}, "previous_job_id"),
        ("openrouter", {"provider": [{"callback_url": "https://x"}]}, "callback_url"),
        ("runwayml", {"promptImage": "runway://upload/1"}, "promptImage"),
        ("runwayml", {"references": [{"uri": " RUNWAY://upload/1"}]}, "uri"),
        ("replicate", {"input": {"image": "https://api.replicate.com/v1/files/1"}}, "image"),
        ("vertex_ai", {"webhook_config": {"uris": ["https://x"]}}, "webhook_config"),
        ("vertex_ai", {"parameters": {"storage_uri": "gs://mine"}}, "storage_uri"),
        ("vertex_ai", {"parameters[storageUri]": "gs://mine"}, "parameters[storageUri]"),
        ("vertex_ai", {"mask": {"gcs-uri": "x"}}, "gcs-uri"),
        ("vertex_ai", {"mask": ["gs://other/1.png"]}, "mask"),
        ("bedrock", {"keyframes": {"frame0": {"source": "s3://other/1.png"}}}, "source"),
        ("gemini", {"webhookConfig": {}}, "webhookConfig"),
        ("fal", {"fal_webhook": "https://x"}, "fal_webhook"),
    ],
)
def test_none_reaches_what_is_stored_in_the_account(provider: str, extra: dict[str, Any], param: str) -> None:
    assert refused(provider, extra).param == param


@pytest.mark.parametrize("provider", VIDEO_PROVIDERS)
@pytest.mark.parametrize(
    "extra",
    [{"sampleCount": 4}, {"parameters": {"sample_count": "2"}}, {"n": 2}, {"input": [{"num_outputs": 0}]}, {"n": True}],
)
def test_none_asks_for_more_than_the_one_that_is_delivered(provider: str, extra: dict[str, Any]) -> None:
    assert "more than one" in refused(provider, extra).message
    require_free({"n": 1, "sampleCount": "1"}, video_spec(provider), bounded=True)


@pytest.mark.parametrize("provider", VIDEO_PROVIDERS)
@pytest.mark.parametrize(
    ("extra", "ours"),
    [
        ({"duration": 60}, "seconds"),
        ({"parameters": {"durationSeconds": 60}}, "seconds"),
        ({"num_frames": 6000}, "seconds"),
        ({"input": {"resolution": "4k"}}, "size"),
        ({"width": 3840}, "size"),
        ({"parameters": [{"generateAudio": True}]}, "generate_audio"),
    ],
)
def test_none_changes_the_price_behind_a_bound(provider: str, extra: dict[str, Any], ours: str) -> None:
    assert f"Give '{ours}'" in refused(provider, extra, bounded=True).message
    require_free(extra, video_spec(provider), bounded=False)


@pytest.mark.parametrize("provider", VIDEO_PROVIDERS)
def test_all_others_go_on(provider: str) -> None:
    extra = {"seed": 7, "negative_prompt": "gs", "labels": {"team": ["a", None, 1.5]}, "frame_images": [{"url": "x"}]}
    require_free(extra, video_spec(provider), bounded=True)


async def test_a_plan_holds_them_against_the_provider_that_makes_it() -> None:
    deployment = Deployment("v", "veo", "vertex_ai", "veo-3.1-generate-001", model_account="v")
    catalog = ModelCatalog([deployment], NOBODY)
    plan = PlanVideo(
        VideoLookup.__new__(VideoLookup),
        catalog,
        GetFile.__new__(GetFile),
        MeasureInput.__new__(MeasureInput),
        GetCharacter.__new__(GetCharacter),
    )
    who, extra = Principal("owner"), {"parameters": {"durationSeconds": 8}}
    assert (await plan.run(who, VideoDraft("a boat", extra=extra))).seconds == 8
    with pytest.raises(InvalidField) as found:
        await plan.run(who, VideoDraft("a boat", extra=extra, max_cost_usd=1.0))
    assert found.value.param == "durationSeconds"


@pytest.mark.parametrize("name", ["video[id]", "input_reference[file_id]", "video.id", "size[0]", "seconds"])
def test_a_part_of_a_field_of_ours_is_no_member_for_the_provider(name: str) -> None:
    assert wishes({name: "x" if name != "seconds" else "4", "seed": 7})["extra"] == {"seed": 7}
    assert wishes({"extra_body": {name: "4", "video_style": "a"}})["extra"] == {"video_style": "a"}
