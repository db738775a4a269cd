"""Stored files that a video is made from: their bounds, their length, and what that costs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mediagate.core.errors import InvalidField, PayloadTooLarge, Unavailable
from mediagate.core.objects import File
from mediagate.files.facts import FileFacts
from mediagate.files.get_file import GetFile
from mediagate.files.intake import Intake
from mediagate.files.open_content import OpenContent
from mediagate.files.reconcile import Reconcile
from mediagate.media.tools import VideoTools
from mediagate.providers.account import Account
from mediagate.providers.base import VideoKind
from mediagate.routing.stores import FileStores
from mediagate.store.database import Database
from mediagate.store.files import FileLookup
from mediagate.videos.create_video import CreateVideo, DeriveVideo
from mediagate.videos.inputs import KeepInput
from mediagate.videos.measure_input import MeasureInput
from mediagate.videos.plan_video import VideoDraft
from mediagate.videos.start_video import StartVideo
from tests.unit.media.clips import clip
from tests.unit.videos.test_cost import COSTS
from tests.unit.videos.world import OWNER, World, script

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000049454e44ae426082")
IMAGE_BYTES_MAX = len(PNG)


@dataclass
class Shelf:
    """A world with files."""

    world: World
    intake: Intake
    measure: MeasureInput
    start: StartVideo
    folder: Path

    async def put(self, data: bytes) -> File:
        incoming = await self.intake.begin(OWNER, size_bytes_max=1 << 30)
        await incoming.write(data)
        return await incoming.finish(await incoming.store(), FileFacts(filename="input", purpose="user_data"))

    async def edit(self, file: File, **fields: Any) -> Any:
        derive = DeriveVideo(self.start, self.start.route.plan.get_file, fields.pop("kind", VideoKind.EDIT))
        return await derive.run(OWNER, {"prompt": "in snow", "video": {"file_id": file.id}, **fields})

    def create(self) -> CreateVideo:
        unused: Any = None
        keep = KeepInput(self.intake, unused, IMAGE_BYTES_MAX, 1 << 30)
        return CreateVideo(self.start, keep, self.start.route.plan.get_file)


@pytest.fixture
async def shelf(db: Database, tmp_path: Path) -> AsyncIterator[Shelf]:
    """Files lie on the disk, as they do in the product."""
    provider = script()
    model = replace(provider.spec.models["m"], inputs=("text", "image", "video"), seconds=(2, 4))
    provider.spec = replace(provider.spec, models={"m": model})
    world = World(db, provider, COSTS)
    stores = FileStores([Account("local", "local", options={"root": str(tmp_path / "files"), "fsync": False})])
    get_file = GetFile(FileLookup(db), world.clock)
    open_file = OpenContent(stores, get_file, Reconcile(db, stores, world.clock), world.clock)
    intake, tools = Intake(db, stores, world.clock), VideoTools()
    measure = MeasureInput(open_file, tools, tmp_path / "spool")
    plan = replace(world.start.route.plan, get_file=get_file, measure=measure)
    start = replace(world.start, route=replace(world.start.route, plan=plan))
    yield Shelf(world, intake, measure, start, tmp_path)
    await intake.leases.close()
    tools.close()


@pytest.mark.parametrize("form", ["mp4", "webm", "mov"])
async def test_an_edit_of_a_file_is_as_long_as_the_file_and_priced_by_that(shelf: Shelf, form: str) -> None:
    short = await shelf.edit(await shelf.put(clip(2)))
    video = await shelf.edit(await shelf.put(clip(11, form=form)))
    assert (short.seconds, video.seconds) == (2, 11)
    assert short.estimate_usd is not None
    assert video.estimate_usd == pytest.approx(short.estimate_usd / 2 * 11, rel=1e-3)
    held = [event.payload["usd"] for event in await shelf.world.events(video) if event.payload.get("kind") == "held"]
    assert held == [video.estimate_usd]
    assert list((shelf.folder / "spool").iterdir()) == []


async def test_an_edit_of_a_long_file_is_not_below_max_cost_by_the_models_default(shelf: Shelf) -> None:
    file = await shelf.put(clip(11))
    by_default = (await shelf.edit(await shelf.put(clip(2)))).estimate_usd
    with pytest.raises(InvalidField) as refused:
        await shelf.edit(file, max_cost=by_default * 1.5)
    assert refused.value.code == "max_cost_exceeded"


async def test_seconds_that_are_asked_for_stay_and_the_source_keeps_its_own(shelf: Shelf) -> None:
    file = await shelf.put(clip(6))
    assert (await shelf.edit(file, kind=VideoKind.EXTEND, seconds="4")).seconds == 4
    draft = VideoDraft("x", VideoKind.EDIT, seconds="4", source_file_id=file.id)
    plan = await shelf.start.route.plan.run(OWNER, draft)
    assert (plan.seconds, round(plan.source_seconds)) == (4, 6)


@pytest.mark.parametrize("data", [clip(2)[:-200], b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"])
async def test_what_cannot_be_measured_is_refused_before_anything_is_made(shelf: Shelf, data: bytes) -> None:
    with pytest.raises(InvalidField, match="must be a whole MP4") as refused:
        await shelf.edit(await shelf.put(data))
    assert refused.value.param == "video"
    assert shelf.world.provider.calls == []


async def test_a_file_whose_store_is_away_is_asked_for_again(shelf: Shelf) -> None:
    file = await shelf.put(clip(2))
    (path,) = [found for found in (shelf.folder / "files").rglob("*") if found.is_file() and file.id in found.name]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Unavailable):
        await shelf.edit(file)


@pytest.mark.parametrize("more", [b"", b"\0"])
async def test_an_image_that_was_stored_before_has_the_same_bound_as_one_that_comes_along(
    shelf: Shelf, more: bytes
) -> None:
    file = await shelf.put(PNG + more)
    fields = {"prompt": "x", "input_reference": {"file_id": file.id}}
    if not more:
        assert (await shelf.create().run(OWNER, fields)).image_file_id == file.id
        return
    with pytest.raises(PayloadTooLarge) as refused:
        await shelf.create().run(OWNER, fields)
    assert refused.value.param == "input_reference"
    assert f"the limit is {IMAGE_BYTES_MAX} bytes" in refused.value.message
