"""What is asked for, held against what a model can: nobody is asked and nothing is paid before it fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mediagate.core.errors import InvalidField, NotFound, Unsupported
from mediagate.core.objects import Principal
from mediagate.files.get_file import GetFile
from mediagate.providers.base import Audio, VideoKind, VideoModel, VideoProvider, VideoSpec
from mediagate.routing.catalog import Deployment, ModelCatalog
from mediagate.store.videos import VideoLookup
from mediagate.videos.characters import GetCharacter
from mediagate.videos.measure_input import MeasureInput
from mediagate.videos.plan_video import Plan, PlanVideo, VideoDraft
from mediagate.videos.read_fields import wishes

WHO = Principal("owner")
FIXED = VideoModel(
    name="fixed",
    sizes=("1280x720", "720x1280", "1920x1080"),
    seconds=(4, 8),
    default_size="1280x720",
    default_seconds=8,
    prompt_chars_max=20,
    inputs=("text",),
    kinds=(VideoKind.CREATE,),
    audio=Audio.ALWAYS,
)
ANY = VideoModel("any", (), (), "1280x720", 5, 100, ("text", "image"), tuple(VideoKind), audio=Audio.OPTIONAL)
SPEC = VideoSpec(
    name="one",
    title="One",
    source="tests",
    models={"fixed": FIXED, "cast": replace(FIXED, name="cast", characters_max=2, kinds=tuple(VideoKind))},
    any_model=ANY,
    shut_down={"old": "2026-09-24"},
    reserved=frozenset({"storageUri"}),
)
VIDEO_MODE = {"mode": "video_generation"}
NOBODY: dict[str, VideoProvider] = {}


def deployment(model: str, name: str = "", **info: Any) -> Deployment:
    return Deployment(f"{model}:one", name or model, "one", model, model_account="one", info=info)


@pytest.fixture
def plan() -> PlanVideo:
    catalog = ModelCatalog(
        [
            deployment("fixed"),
            deployment("old"),
            deployment("chat-only"),
            deployment("cast"),
            deployment("open-ended", **VIDEO_MODE),
            deployment("told", **VIDEO_MODE, sizes=["640x360"], seconds=[3], audio="never"),
            deployment("*", "many/*", **VIDEO_MODE),
        ],
        NOBODY,
        spec_of={"one": SPEC}.__getitem__,
    )
    # Nothing here has an input, so nothing is looked up.
    return PlanVideo(
        VideoLookup.__new__(VideoLookup),
        catalog,
        GetFile.__new__(GetFile),
        MeasureInput.__new__(MeasureInput),
        KnownCharacters(),
    )


class KnownCharacters(GetCharacter):
    """Has every character but one."""

    def __init__(self) -> None: ...

    async def run(self, who: Principal, character_id: str) -> Any:
        if character_id == "char_absent":
            raise NotFound("no such character")
        return character_id


async def planned(plan: PlanVideo, **wishes: Any) -> Plan:
    return await plan.run(WHO, VideoDraft("a boat", **wishes))


@pytest.mark.parametrize(
    ("wishes", "size", "seconds"),
    [
        ({}, "1280x720", 8),
        ({"size": "720x1280", "seconds": "4"}, "720x1280", 4),
        ({"aspect_ratio": "9:16"}, "720x1280", 8),
        ({"resolution": "1080p"}, "1920x1080", 8),
        ({"resolution": "720P", "aspect_ratio": "16:9"}, "1280x720", 8),
        ({"model": "open-ended", "size": "1001x333", "seconds": "61"}, "1001x333", 61),
        ({"model": "open-ended", "aspect_ratio": "1:1", "resolution": "480p"}, "480x480", 5),
        ({"model": "told"}, "640x360", 3),
        ({"model": "many/models/of/all/kinds"}, "1280x720", 5),
    ],
)
async def test_what_fits_is_planned(plan: PlanVideo, wishes: dict[str, Any], size: str, seconds: int) -> None:
    found = await planned(plan, **wishes)
    assert (f"{found.width}x{found.height}", found.seconds) == (size, seconds)


@pytest.mark.parametrize(
    ("wishes", "param", "says"),
    [
        ({"size": "1x1"}, "size", "'1280x720', '720x1280', '1920x1080'"),
        ({"size": "1280x720", "aspect_ratio": "16:9"}, "size", "not both"),
        ({"aspect_ratio": "1:1"}, "aspect_ratio", "'16:9', '9:16'"),
        ({"aspect_ratio": "9:16", "resolution": "1080p"}, "resolution", "'720p'"),
        ({"seconds": "5"}, "seconds", "'4', '8'"),
        ({"seconds": "8.0"}, "seconds", "'4', '8'"),
        ({"audio": False}, "generate_audio", "with sound only"),
        ({"model": "told", "audio": True}, "generate_audio", "without sound only"),
        ({"model": "open-ended", "size": "x720"}, "size", "1280x720"),
        ({"model": "open-ended", "size": "99999999x1"}, "size", "1280x720"),
        ({"model": "open-ended", "seconds": "0"}, "seconds", "1 to 3600"),
        ({"model": "open-ended", "seconds": "1e3"}, "seconds", "1 to 3600"),
        ({"model": "open-ended", "resolution": "8k"}, "resolution", "720p"),
        ({"image_file_id": "file-1"}, "input_reference", "it takes text"),
        ({"model": "old"}, "model", "was shut down by One on 2026-09-24"),
        ({"model": "none"}, "model", "Video models: fixed, cast, open-ended, told."),
        ({"extra": {"parameters": [{"storageUri": "gs://mine/"}]}}, "storageUri", "set by the gateway alone"),
    ],
)
async def test_what_does_not_is_refused_with_what_would(
    plan: PlanVideo, wishes: dict[str, Any], param: str, says: str
) -> None:
    with pytest.raises(InvalidField) as refused:
        await planned(plan, **wishes)
    assert refused.value.param == param
    assert says in refused.value.message


@pytest.mark.parametrize("prompt", ["", "  \n", "x" * 21])
async def test_a_prompt_has_bounds(plan: PlanVideo, prompt: str) -> None:
    with pytest.raises(InvalidField) as refused:
        await plan.run(WHO, VideoDraft(prompt))
    assert refused.value.param == "prompt"


async def test_a_model_that_makes_no_videos_names_those_that_do(plan: PlanVideo) -> None:
    with pytest.raises(Unsupported, match="Video models: fixed, cast, open-ended, told"):
        await planned(plan, model="chat-only")


async def test_what_a_model_cannot_do_names_those_that_can(plan: PlanVideo) -> None:
    with pytest.raises(Unsupported, match=r"cannot edit\. Models that can: cast, open-ended, told"):
        await planned(plan, kind=VideoKind.EDIT, source_file_id="file-1")


async def test_characters_go_to_models_that_take_them(plan: PlanVideo) -> None:
    with pytest.raises(
        Unsupported, match=r"takes no 'characters' here\. Models that can, in a new video: cast\.$"
    ) as no:
        await planned(plan, model="fixed", characters=("char_1",))
    assert no.value.param == "characters"
    assert await planned(plan, model="cast", characters=("char_1", "char_2"))
    with pytest.raises(InvalidField, match=r"at most 2 'characters'; these are 3"):
        await planned(plan, model="cast", characters=("char_1", "char_2", "char_3"))
    with pytest.raises(NotFound):
        await planned(plan, model="cast", characters=("char_absent",))
    with pytest.raises(Unsupported, match="in a new video"):
        await planned(plan, model="cast", characters=("char_1",), kind=VideoKind.EDIT, source_file_id="file-1")


@pytest.mark.parametrize(
    "given",
    [
        {"characters": [{"id": "char_1"}, "char_2", "char_1"]},
        {"characters": {"0": {"id": "char_1"}, "1": {"id": "char_2"}}},
        {"extra_body": {"characters": ["char_1", "char_2"]}},
    ],
)
def test_characters_are_told_in_several_ways(given: dict[str, Any]) -> None:
    found = wishes({"prompt": "x", **given})
    assert (found["characters"], found["extra"]) == (("char_1", "char_2"), {})


@pytest.mark.parametrize("given", [5, [5], [{"name": "Bo"}], [["char_1"]], True])
def test_what_names_no_character_is_refused(given: Any) -> None:
    with pytest.raises(InvalidField) as refused:
        wishes({"prompt": "x", "characters": given})
    assert (refused.value.param, refused.value.code) == ("characters", "invalid_type")


async def test_sound_is_as_the_model_has_it(plan: PlanVideo) -> None:
    assert (await planned(plan)).has_audio
    assert (await planned(plan, model="open-ended")).has_audio
    assert not (await planned(plan, model="open-ended", audio=False)).has_audio
    assert not (await planned(plan, model="told")).has_audio


@pytest.mark.parametrize(
    ("model", "wishes", "says"),
    [
        ("gen4.5", {"size": "1584x672"}, "'1280x720', '720x1280'"),
        ("gen4.5", {"aspect_ratio": "1:1"}, "'16:9', '9:16'"),
        ("gen4.5", {"size": "1920x1080", "image_file_id": "file-1"}, "'1584x672'"),
        ("grok_imagine_1_5_lite", {"size": "1x1"}, "'1280x720'"),
        ("gen4_turbo", {}, "from text alone; it takes image"),
    ],
)
async def test_a_size_is_one_that_is_made_from_this_input(model: str, wishes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidField) as refused:
        await runway().run(WHO, VideoDraft("a boat", model=model, **wishes))
    assert says in refused.value.message


async def test_a_size_that_only_images_have_is_made_from_one() -> None:
    planned = await runway(Known()).run(WHO, VideoDraft("a boat", model="gen4.5", size="1584x672", image_file_id="f"))
    assert (planned.width, planned.height) == (1584, 672)


async def test_the_default_is_a_size_of_this_input() -> None:
    model = replace(ANY, sizes=("16x16", "32x32"), default_size="16x16", sizes_by_input={"text": ("32x32",)})
    spec = replace(SPEC, models={"some": model})
    catalog = ModelCatalog([deployment("some")], NOBODY, spec_of={"one": spec}.__getitem__)
    assert (await planner(catalog).run(WHO, VideoDraft("a boat"))).width == 32
    told = ModelCatalog([deployment("some", sizes=["16x16"])], NOBODY, spec_of={"one": spec}.__getitem__)
    assert (await planner(told).run(WHO, VideoDraft("a boat"))).width == 16


class Known(GetFile):
    """Has every file."""

    def __init__(self) -> None: ...

    async def run(self, who: Principal, file_id: str) -> Any:
        return file_id


def planner(catalog: ModelCatalog, files: GetFile | None = None) -> PlanVideo:
    files = files or GetFile.__new__(GetFile)
    return PlanVideo(
        VideoLookup.__new__(VideoLookup), catalog, files, MeasureInput.__new__(MeasureInput), KnownCharacters()
    )


def runway(files: GetFile | None = None) -> PlanVideo:
    names = ("gen4.5", "gen4_turbo", "grok_imagine_1_5_lite")
    return planner(ModelCatalog([Deployment(name, name, "runwayml", name) for name in names], NOBODY), files)
