"""New videos from old ones: remix, edit and extend in every encoding, the older paths, characters, and the models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
import openai
import pytest

from mediagate._gen.mediagate.v1 import videos_pb2
from tests.api.videos_kit import (
    NOBODYS_VIDEO,
    SMALL,
    Json,
    completed,
    create,
    finished,
    measured,
    mp4,
    png,
    reached,
    stub,
    wrong_field,
)
from tests.api.wire import NOBODYS_FILE, assert_failure, eventually, field, file_part, post_form, sql
from tests.conftest import Gateway

QUICK = "[mediagate:refuse-input]"
Post = Callable[[httpx.Client, Json], httpx.Response]


@pytest.fixture(scope="module")
def source(gateway: Gateway) -> Json:
    """A video that is completed, of two seconds."""
    with gateway.http() as http:
        return completed(http, "a boat", seconds="2", model="sora-2")


@pytest.fixture(scope="module")
def running(gateway: Gateway) -> Iterator[Json]:
    """A video that is not completed."""
    with gateway.http() as http:
        video = reached(http, create(http, "[mediagate:stuck]"), "rendering")
        yield video
        http.delete(f"/v1/videos/{video['id']}")


@pytest.fixture(scope="module")
def clip() -> bytes:
    """A video made elsewhere, of one second."""
    return mp4(1)


def post_json(path: str, body: Any) -> Callable[[httpx.Client], httpx.Response]:
    return lambda http: http.post(path, json=body)


@contextmanager
def keeping_no_input(gateway: Gateway) -> Iterator[None]:
    """Whatever is refused in this block leaves no file behind."""
    query = "SELECT count(*) FROM file WHERE internal"
    before = sql(gateway, query)
    yield
    eventually(lambda: sql(gateway, query) <= before, "no input is kept")


def content(http: httpx.Client, video: Json) -> bytes:
    return http.get(f"/v1/videos/{video['id']}/content").content


class TestRemix:
    def test_the_sdk_remixes(self, client: openai.OpenAI, http: httpx.Client, source: Json) -> None:
        video = client.videos.remix(source["id"], prompt="at night")
        assert video.remixed_from_video_id == source["id"]
        assert (video.model, video.size, video.seconds, video.prompt) == ("sora-2", "320x180", "2", "at night")
        over = finished(http, video.id)
        assert (over["status"], over["mediagate"]["kind"]) == ("completed", "remix")
        assert measured(content(http, over)).seconds == 2

    def test_a_form_remixes(self, http: httpx.Client, source: Json) -> None:
        path = f"/v1/videos/{source['id']}/remix"
        video = post_form(http, field("prompt", QUICK), path=path).json()
        assert (video["remixed_from_video_id"], video["prompt"]) == (source["id"], QUICK)

    def test_a_remix_has_its_sources_model(self, http: httpx.Client, source: Json) -> None:
        body = {"prompt": QUICK, "model": "local-video", "foo": 1}
        assert http.post(f"/v1/videos/{source['id']}/remix", json=body).json()["model"] == "sora-2"

    def test_a_generated_client_remixes(self, gateway: Gateway, source: Json) -> None:
        request = videos_pb2.RemixVideoRequest(video_id=source["id"], prompt=QUICK)
        with gateway.channel() as channel:
            video = stub(gateway, channel).RemixVideo(request, metadata=gateway.metadata)
        assert video.remixed_from_video_id.string_value == source["id"]

    @pytest.mark.parametrize(
        ("video_id", "body", "status", "param", "code"),
        [
            ("{source}", {}, 400, "prompt", "missing_required_parameter"),
            ("{source}", {"prompt": " "}, 400, "prompt", "invalid_field"),
            ("{source}", {"prompt": "x" * 32_001}, 400, "prompt", "invalid_field"),
            ("{source}", {"prompt": "x", "input_reference": {"file_id": "a"}}, 400, "input_reference", "invalid_field"),
            ("{running}", {"prompt": "x"}, 400, "video", "state_conflict"),
            (NOBODYS_VIDEO, {"prompt": "x"}, 404, "id", "not_found"),
            ("file-1", {"prompt": "x"}, 404, "id", "not_found"),
        ],
        ids=["none", "blank", "long", "picture", "running", "nobodys", "malformed"],
    )
    def test_a_remix_that_cannot_be_is_refused(
        self,
        http: httpx.Client,
        source: Json,
        running: Json,
        video_id: str,
        body: Json,
        status: int,
        param: str,
        code: str,
    ) -> None:
        path = f"/v1/videos/{video_id.format(source=source['id'], running=running['id'])}/remix"
        assert_failure(http.post(path, json=body), status, code=code, param=param)

    def test_a_picture_has_no_place_in_a_remix(self, gateway: Gateway, http: httpx.Client, source: Json) -> None:
        with keeping_no_input(gateway):
            path = f"/v1/videos/{source['id']}/remix"
            parts = [field("prompt", "x"), file_part(png(), "a.png", "input_reference")]
            response = post_form(http, *parts, path=path)
            assert_failure(response, 400, code="invalid_field", param="input_reference")
            response = post_form(http, *parts, field("video_id", source["id"]), path="/videos/remix")
            assert_failure(response, 400, code="invalid_field", param="input_reference")

    def test_a_failed_video_is_no_source(self, http: httpx.Client) -> None:
        failed = finished(http, create(http, QUICK))
        response = http.post(f"/v1/videos/{failed['id']}/remix", json={"prompt": "x"})
        assert_failure(response, 400, code="state_conflict", param="video")

    def test_a_source_that_is_deleted_too_early_fails_the_remix_with_a_reason(self, http: httpx.Client) -> None:
        source = completed(http)
        remix = http.post(f"/v1/videos/{source['id']}/remix", json={"prompt": "x"}).json()
        http.delete(f"/v1/videos/{source['id']}")
        over = finished(http, remix)
        assert over["status"] == "completed" or over["error"]["code"] == "input_gone"
        assert over["remixed_from_video_id"] == source["id"]


class TestEditAndExtend:
    def test_the_sdk_edits_an_uploaded_video(self, client: openai.OpenAI, http: httpx.Client, clip: bytes) -> None:
        video = client.videos.edit(
            prompt="in snow", video=("clip.mp4", clip, "video/mp4"), extra_body={"seconds": "1", "size": "320x180"}
        )
        assert video.remixed_from_video_id is None
        over = finished(http, video.id)
        assert (over["status"], over["mediagate"]["kind"]) == ("completed", "edit")
        found = measured(content(http, over))
        assert (found.seconds, found.width) == (1, 320)
        red, green, blue = found.first.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        assert green > red
        assert green > blue

    @pytest.mark.parametrize("encoding", ["json", "form", "form_json_part", "sdk"])
    def test_an_edit_by_id(self, http: httpx.Client, client: openai.OpenAI, source: Json, encoding: str) -> None:
        path = "/v1/videos/edits"
        if encoding == "json":
            video = http.post(path, json={"prompt": QUICK, "video": {"id": source["id"]}}).json()
        elif encoding == "form":
            video = post_form(http, field("prompt", QUICK), field("video[id]", source["id"]), path=path).json()
        elif encoding == "form_json_part":
            part = field("video", json.dumps({"id": source["id"]}), "application/json")
            video = post_form(http, field("prompt", QUICK), part, path=path).json()
        else:
            # The SDK insists on a file of its own; the id goes past it.
            body = {"prompt": QUICK, "video": {"id": source["id"]}}
            video = client.post("/videos/edits", body=body, cast_to=object)
        assert video["remixed_from_video_id"] == source["id"]
        assert (video["size"], video["seconds"], video["model"]) == ("320x180", "2", "sora-2")
        assert video["mediagate"]["kind"] == "edit"

    def test_the_sdk_extends_an_uploaded_video(self, client: openai.OpenAI, http: httpx.Client, clip: bytes) -> None:
        video = client.videos.extend(
            prompt="it sinks",
            seconds="2",  # type: ignore[arg-type]
            video=("clip.mp4", clip, "video/mp4"),
            extra_body={"size": "320x180", "model": "sora-2"},
        )
        over = finished(http, video.id)
        assert (over["seconds"], over["model"], over["status"]) == ("3", "sora-2", "completed")
        assert measured(content(http, over)).seconds == 3

    def test_an_extension_by_id_ends_with_the_stitched_length(self, http: httpx.Client, source: Json) -> None:
        body = {"prompt": "it sinks", "seconds": 1, "video": {"id": source["id"]}}
        video = http.post("/v1/videos/extensions", json=body).json()
        assert (video["seconds"], video["remixed_from_video_id"]) == ("1", source["id"])
        over = finished(http, video)
        assert (over["seconds"], over["mediagate"]["output"]["duration_seconds"]) == ("3", 3)
        assert measured(content(http, over)).seconds == 3
        # Its length is none that the model makes, and still it can be remixed.
        remix = http.post(f"/v1/videos/{over['id']}/remix", json={"prompt": QUICK})
        assert remix.json()["seconds"] == "3"

    def test_generated_clients_edit_and_extend(
        self, gateway: Gateway, http: httpx.Client, source: Json, clip: bytes
    ) -> None:
        stored = post_form(http, field("purpose", "user_data"), file_part(clip, "clip.mp4")).json()["id"]
        with gateway.channel() as channel:
            videos = stub(gateway, channel)
            edit = videos_pb2.EditVideoRequest(prompt=QUICK, video={"file_id": stored})
            assert videos.EditVideo(edit, metadata=gateway.metadata).mediagate.kind == "edit"
            extend = videos_pb2.ExtendVideoRequest(prompt=QUICK, seconds="1", video={"video_id": source["id"]})
            assert videos.ExtendVideo(extend, metadata=gateway.metadata).mediagate.kind == "extend"
            for request, name in (
                (videos_pb2.ExtendVideoRequest(prompt="x", video={"video_id": source["id"]}), "seconds"),
                (videos_pb2.ExtendVideoRequest(prompt="x", seconds="1"), "video"),
                (videos_pb2.ExtendVideoRequest(prompt="x", seconds="1", video={}), "video.source"),
            ):
                with pytest.raises(grpc.RpcError) as refused:
                    videos.ExtendVideo(request, metadata=gateway.metadata)
                assert wrong_field(refused.value) == name

    @pytest.mark.parametrize(
        ("path", "body", "status", "param", "code"),
        [
            ("edits", {"prompt": "x"}, 400, "video", "missing_required_parameter"),
            ("edits", {"video": {"id": "{source}"}}, 400, "prompt", "missing_required_parameter"),
            ("edits", {"prompt": "x", "video": "{source}"}, 400, "video", "invalid_type"),
            ("edits", {"prompt": "x", "video": {}}, 400, "video", "invalid_field"),
            ("edits", {"prompt": "x", "video": {"id": 5}}, 400, "video", "invalid_type"),
            ("edits", {"prompt": "x", "video": {"id": ""}}, 404, "id", "not_found"),
            ("edits", {"prompt": "x", "video": {"id": "a", "file_id": "b"}}, 400, "video", "invalid_field"),
            ("edits", {"prompt": "x", "video": {"id": NOBODYS_VIDEO}}, 404, "id", "not_found"),
            ("edits", {"prompt": "x", "video": {"file_id": NOBODYS_FILE}}, 404, "video[file_id]", "not_found"),
            ("edits", {"prompt": "x", "video": {"id": "{running}"}}, 400, "video", "state_conflict"),
            ("edits", {"prompt": "x", "video": {"id": "{source}"}, "model": "no"}, 400, "model", "model_not_found"),
            ("extensions", {"prompt": "x", "video": {"id": "{source}"}}, 400, "seconds", "missing_required_parameter"),
            (
                "extensions",
                {"prompt": "x", "video": {"id": "{source}"}, "seconds": "3"},
                400,
                "seconds",
                "invalid_field",
            ),
        ],
        ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
    )
    def test_what_cannot_be_is_refused(
        self,
        http: httpx.Client,
        source: Json,
        running: Json,
        path: str,
        body: Json,
        status: int,
        param: str,
        code: str,
    ) -> None:
        text = json.dumps(body).replace("{source}", source["id"]).replace("{running}", running["id"])
        response = http.post(f"/v1/videos/{path}", content=text, headers={"content-type": "application/json"})
        assert_failure(response, status, code=code, param=param)

    @pytest.mark.parametrize(
        ("parts", "param"),
        [
            ([file_part(png(), "a.png", "video")], "video"),
            ([file_part(b"", "a.mp4", "video")], "video"),
            ([file_part(mp4(0.2)[:300], "a.mp4", "video")], "video"),
            ([file_part(mp4(0.2), "a.mp4", "video"), field("video[id]", NOBODYS_VIDEO)], "video"),
            ([file_part(mp4(0.2), "a.mp4", "video"), field("size", "1x1")], "size"),
            ([file_part(mp4(0.2), "a.mp4", "video"), field("prompt", "")], "prompt"),
            ([file_part(png(), "a.png", "input_reference")], "input_reference"),
        ],
        ids=["picture", "empty", "broken", "both", "size", "prompt", "field"],
    )
    def test_a_part_that_cannot_be_used_is_refused_and_kept_nowhere(
        self, gateway: Gateway, http: httpx.Client, parts: list[bytes], param: str
    ) -> None:
        with keeping_no_input(gateway):
            response = post_form(http, field("prompt", "x"), *parts, path="/v1/videos/edits")
            assert response.status_code == 400
            assert response.json()["error"]["param"] == param


class TestOlderPaths:
    @pytest.mark.parametrize("prefix", ["", "/v1", "/openai", "/openai/v1"])
    def test_every_step_of_an_older_client(self, http: httpx.Client, source: Json, prefix: str) -> None:
        made = http.post(f"{prefix}/videos/generations", json={**SMALL, "prompt": QUICK}).json()
        assert made["object"] == "video"
        status = http.post(f"{prefix}/videos/status", json={"video_id": source["id"]}).json()
        assert (status["id"], status["status"]) == (source["id"], "completed")
        data = http.post(f"{prefix}/videos/retrieval", json={"video_id": source["id"]})
        assert data.headers["content-type"] == "video/mp4"
        assert measured(data.content).seconds == 2
        body = {"video_id": source["id"], "variant": "thumbnail"}
        assert http.post(f"{prefix}/videos/retrieval", json=body).headers["content-type"] == "image/webp"
        remix = http.post(f"{prefix}/videos/remix", json={"video_id": source["id"], "prompt": QUICK}).json()
        assert remix["remixed_from_video_id"] == source["id"]
        by_form = [field("video_id", source["id"]), field("prompt", QUICK), field("model", "local-video")]
        remix = post_form(http, *by_form, path=f"{prefix}/videos/remix").json()
        assert (remix["remixed_from_video_id"], remix["model"]) == (source["id"], "local-video")

    def test_a_status_waits_too(self, http: httpx.Client, running: Json) -> None:
        body = {"video_id": running["id"], "wait": "1ms"}
        assert http.post("/v1/videos/status", json=body).json()["status"] == "in_progress"

    @pytest.mark.parametrize("path", ["/videos/status", "/v1/videos/retrieval"])
    def test_a_body_without_an_id_is_told_so(self, http: httpx.Client, path: str) -> None:
        for body in ({}, {"video_id": ""}):
            response = http.post(path, json=body)
            assert_failure(response, 400, code="missing_required_parameter", param="video_id")
        assert_failure(http.post(path, json={"video_id": "video_1"}), 404, code="not_found", param="id")

    def test_a_remix_without_a_source_is_a_creation(self, http: httpx.Client) -> None:
        parts = [field(name, value) for name, value in {**SMALL, "prompt": QUICK}.items()]
        response = post_form(http, *parts, file_part(png(), "a.png", "input_reference"), path="/videos/remix")
        video = response.json()
        assert (video["remixed_from_video_id"], video["mediagate"]["kind"]) == (None, "create")
        assert http.post("/v1/videos/remix", json={**SMALL, "prompt": QUICK}).json()["mediagate"]["kind"] == "create"

    @pytest.mark.parametrize("video_id", [5, {"a": 1}, ["x"], True], ids=str)
    def test_an_id_that_is_no_text_is_refused(self, http: httpx.Client, video_id: Any) -> None:
        response = http.post("/videos/remix", json={"prompt": "x", "video_id": video_id})
        assert_failure(response, 400, code="invalid_type", param="video")


class TestCharacters:
    def test_the_sdk_keeps_a_character_and_finds_it(self, client: openai.OpenAI, clip: bytes) -> None:
        made = client.videos.create_character(name="Zoë 水", video=("clip.mp4", clip, "video/mp4"))
        found = client.videos.get_character(made.id)
        assert (found.id, found.name, found.created_at) == (made.id, "Zoë 水", made.created_at)
        assert made.id.startswith("char_")

    def test_golden(self, http: httpx.Client, clip: bytes) -> None:
        stored = post_form(http, field("purpose", "user_data"), file_part(clip, "clip.mp4")).json()["id"]
        made = http.post("/v1/videos/characters", json={"name": "Bo", "video": {"file_id": stored}}).json()
        assert made == {"id": made["id"], "name": "Bo", "created_at": made["created_at"]}
        assert http.get(f"/openai/v1/videos/characters/{made['id']}").json() == made

    @pytest.mark.parametrize(
        ("parts", "param", "code"),
        [
            ([file_part(mp4(0.2), "a.mp4", "video")], "name", "missing_required_parameter"),
            ([field("name", "n" * 81), file_part(mp4(0.2), "a.mp4", "video")], "name", "invalid_field"),
            ([field("name", "n"), file_part(png(), "a.png", "video")], "video", "invalid_field"),
            ([field("name", "n")], "video", "invalid_field"),
            ([field("name", "n"), field("video", "x")], "video", "invalid_field"),
        ],
        ids=["name", "long", "picture", "none", "text"],
    )
    def test_what_is_no_character_is_refused_and_kept_nowhere(
        self, gateway: Gateway, http: httpx.Client, parts: list[bytes], param: str, code: str
    ) -> None:
        with keeping_no_input(gateway):
            response = post_form(http, *parts, path="/v1/videos/characters")
            assert_failure(response, 400, code=code, param=param)

    def test_a_create_with_a_character_says_that_no_model_here_takes_one(self, http: httpx.Client, clip: bytes) -> None:
        form = post_form(http, field("name", "Bo"), file_part(clip, "a.mp4", "video"), path="/v1/videos/characters")
        made = form.json()["id"]
        asked = {**SMALL, "prompt": QUICK, "characters": [{"id": made}]}
        assert_failure(http.post("/v1/videos", json=asked), 501, code="unsupported", param="characters")
        parts = [field("prompt", QUICK), field("characters[0][id]", made)]
        assert_failure(post_form(http, *parts, path="/v1/videos"), 501, code="unsupported", param="characters")

    @pytest.mark.parametrize("character_id", ["char_1", "char_01jd0000000000000000000000", "video_1"])
    def test_an_unknown_character_does_not_exist(self, http: httpx.Client, character_id: str) -> None:
        response = http.get(f"/v1/videos/characters/{character_id}")
        assert_failure(response, 404, code="not_found", param="id")


def test_the_models_say_what_they_can(http: httpx.Client) -> None:
    found = http.get("/v1/videos/models").json()
    assert found["object"] == "list"
    assert [model["id"] for model in found["data"]] == ["local-video", "sora-2", "team/a:video"]
    first = found["data"][0]
    assert first == {
        "id": "local-video",
        "object": "video.model",
        "provider": "local",
        "sizes": ["720x1280", "1280x720", "1024x1792", "1792x1024", "320x180", "180x320", "480x270", "270x480"],
        "seconds": ["1", "2", "4", "8", "12", "16", "20"],
        "default_size": "720x1280",
        "default_seconds": "4",
        "inputs": ["text", "image", "video"],
        "operations": ["create", "remix", "edit", "extend"],
        "prompt_chars_max": 32000,
        "usd_per_second": 0,
        "description": first["description"],
        "audio": "never",
        "extend_seconds": [],
    }
    for prefix in ("", "/openai", "/openai/v1"):
        assert http.get(f"{prefix}/videos/models").json() == found
