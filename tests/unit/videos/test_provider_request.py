"""Inputs on their way to a provider: what is gone ends a video, what is only away is waited for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import text

from mediagate.core.errors import MediagateError, NotFound, RepeatableTimeout, StateConflict, Unavailable, Unsupported
from mediagate.core.lifecycle import VideoPhase
from mediagate.core.objects import Principal
from mediagate.files.open_content import OpenContent
from mediagate.providers.base import MediaInput, ProviderBusy, VideoRequest
from mediagate.providers.http import ProviderHttp
from mediagate.providers.media_body import FormBody, JsonBody
from mediagate.providers.video_calls import submitting
from mediagate.videos.provider_request import InputLost, MakeRequest
from tests.doubles.serving import end
from tests.unit.videos.tracking import Tracker
from tests.unit.videos.world import OWNER, Bytes, Script, World, script

Make = Callable[[Script], World]
AWAY = Unavailable("away", code="provider_unavailable")
BROKEN = [ConnectionResetError("the connection broke"), AWAY]


@dataclass
class Breaking(Bytes):
    """Content whose first reading ends by an error."""

    error: Exception | None = None

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        yield b"m"
        error, self.error = self.error, None
        if error is not None:
            raise error
        yield b"p4"


@dataclass
class StoredFile:
    content_type: str = "image/png"
    replicas: tuple[Any, ...] = ()


@dataclass
class Shelf:
    """The store of the inputs: what `find` says, one after the other, the last for ever."""

    answers: list[Any] = field(default_factory=lambda: [Bytes()])

    async def find(self, who: Principal, file_id: str) -> tuple[StoredFile, Bytes]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return StoredFile(), answer


@dataclass
class Reads(Script):
    """A provider that reads the image that it is sent."""

    async def submit(self, request: VideoRequest) -> str:
        assert request.image is not None
        self.calls.append("read")
        assert b"".join([chunk async for chunk in request.image.open()]) == b"mp4"
        return await super().submit(request)


def with_shelf(w: World, *answers: Any) -> World:
    made = w.track_video.make_request
    made = MakeRequest(made.videos, Shelf(list(answers)), made.open_output, made.callbacks, made.characters)  # type: ignore[arg-type]
    w.track_video = replace(w.track_video, make_request=made)
    w.tracker = Tracker(w.track_video)
    return w


async def ask(w: World) -> Any:
    """A video with an image, behind the checks of a plan."""
    video = await w.ask()
    async with w.db.transaction() as tx:
        query = text("UPDATE video SET image_file_id = 'file-1' WHERE id = :id")
        await tx.connection.execute(query, {"id": video.id})
    return await w.now(video)


class TestFind:
    @pytest.mark.parametrize(
        ("error", "raised"),
        [
            (NotFound("x"), FileNotFoundError),
            (StateConflict("x"), FileNotFoundError),
            (Unsupported("x"), FileNotFoundError),
            (AWAY, Unavailable),
            (RepeatableTimeout("x"), RepeatableTimeout),
        ],
    )
    async def test_only_what_will_not_be_there_is_missing(self, error: MediagateError, raised: type[Exception]) -> None:
        class GetNothing:
            async def run(self, who: Principal, file_id: str) -> None:
                raise error

        unused: Any = None
        found = OpenContent(unused, GetNothing(), unused, unused)  # type: ignore[arg-type]
        with pytest.raises(raised):
            await found.find(OWNER, "file-1")


class TestTracking:
    async def test_a_store_that_is_away_at_the_submit_is_waited_for(self, world: Make) -> None:
        w = with_shelf(world(Reads(script().spec)), AWAY, AWAY, Bytes())
        video = await w.track(await ask(w))
        assert video.phase is VideoPhase.READY
        assert w.provider.calls.count("submit") == 1

    @pytest.mark.parametrize("error", BROKEN)
    async def test_a_reading_that_breaks_is_no_submit_and_is_done_again(self, world: Make, error: Exception) -> None:
        w = with_shelf(world(Reads(script().spec)), Breaking(error=error), Bytes())
        video = await w.track(await ask(w))
        assert video.phase is VideoPhase.READY
        assert (w.provider.calls.count("read"), w.provider.calls.count("submit")) == (2, 1)
        assert (await w.phases(video))[:4] == ["held", "submitting", "held", "submitting"]

    @pytest.mark.parametrize("answer", [FileNotFoundError("file-1"), Breaking(error=FileNotFoundError("file-1"))])
    async def test_an_input_that_is_gone_ends_the_video(self, world: Make, answer: Any) -> None:
        w = with_shelf(world(Reads(script().spec)), answer)
        video = await w.track(await ask(w))
        assert (video.phase, (video.failure or {})["code"]) == (VideoPhase.FAILED, "input_gone")


class TestOnTheWire:
    """Through the bodies that the adapters send, to a server that has to see that the request is not whole."""

    @pytest.fixture
    async def server(self) -> AsyncIterator[tuple[ProviderHttp, list[int]]]:
        whole: list[int] = []

        async def take(request: web.Request) -> web.Response:
            whole.append(len(await request.read()))
            return web.json_response({"id": "job-1"})

        app = web.Application()
        app.router.add_post("/videos", take)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]

        async def no_headers() -> Mapping[str, str]:
            return {}

        http = ProviderHttp("Fake", f"http://127.0.0.1:{port}", no_headers)
        yield http, whole
        await http.close()
        await end(runner)

    async def image(self, w: World, error: Exception) -> MediaInput:
        with_shelf(w, Breaking(error=error))
        request = await w.track_video.make_request.run(await ask(w))
        assert request.image is not None
        return request.image

    @pytest.mark.parametrize("form", [True, False])
    @pytest.mark.parametrize(
        ("error", "raised"), [*((error, ProviderBusy) for error in BROKEN), (FileNotFoundError("x"), InputLost)]
    )
    async def test_a_broken_reading_shows_as_what_it_is(
        self,
        world: Make,
        server: tuple[ProviderHttp, list[int]],
        error: Exception,
        raised: type[Exception],
        form: bool,
    ) -> None:
        http, whole = server
        image = await self.image(world(script()), error)
        if form:
            body: FormBody | JsonBody = FormBody({"prompt": "x"}, file_field="input_reference", media=image)
        else:
            body = JsonBody()
            body.tree = {"prompt": "x", "image": body.data_uri(image)}
        with pytest.raises(raised):
            await submitting(body.send(http, "/videos"))
        assert whole == []
