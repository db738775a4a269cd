"""Asking for a video: every encoding and every field of it, defaults, and each refusal with its reason."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import openai
import pytest

from mediagate._gen.mediagate.v1 import videos_pb2
from tests.api.videos_kit import (
    SMALL,
    Json,
    MediaSite,
    completed,
    create,
    data_url,
    finished,
    measured,
    noise_png,
    png,
    stub,
    wrong_field,
)
from tests.api.wire import (
    FORM_TYPE,
    NOBODYS_FILE,
    assert_failure,
    eventually,
    field,
    file_part,
    post_form,
    sql,
)
from tests.conftest import Gateway

SIZES = "'720x1280', '1280x720', '1024x1792', '1792x1024', '320x180', '180x320', '480x270', '270x480'"
SECONDS = "'1', '2', '4', '8', '12', '16', '20'"
QUICK = "[mediagate:refuse-input]"
"""A prompt that costs no render."""


def ask(http: httpx.Client, **fields: Any) -> httpx.Response:
    """Ask by JSON. What is accepted is refused by the provider at once."""
    # httpx refuses what JSON can say and UTF-8 cannot.
    body = json.dumps({**SMALL, "prompt": QUICK, **fields}).encode()
    return http.post("/v1/videos", content=body, headers={"content-type": "application/json"})


def small_fields(**more: str) -> list[bytes]:
    """The fields of a small video as parts of a form."""
    return [field(name, value) for name, value in {**SMALL, "prompt": QUICK, **more}.items()]


@pytest.fixture
def media() -> Iterator[MediaSite]:
    """A site on the one private address that the gateway may fetch from."""
    with MediaSite.serving() as site:
        yield site


@contextmanager
def keeping_no_input(gateway: Gateway) -> Iterator[None]:
    """Whatever is refused in this block leaves no file behind."""
    query = "SELECT count(*) FROM file WHERE internal"
    before = sql(gateway, query)
    yield
    eventually(lambda: sql(gateway, query) <= before, "no input is kept")


def curl(gateway: Gateway, *arguments: str) -> Json:
    """Ask as the documentation says."""
    command = ["curl", "-sS", "-f", f"{gateway.url}/v1/videos", "-H", f"Authorization: Bearer {gateway.key}"]
    done = subprocess.run([*command, *arguments], capture_output=True, check=True, timeout=30)
    video: Json = json.loads(done.stdout)
    return video


@pytest.fixture(scope="module")
def picture_id(gateway: Gateway) -> str:
    """A stored picture."""
    return gateway.openai().files.create(file=("red.png", png()), purpose="vision").id


class TestEncodings:
    def test_the_sdk_asks_by_form(self, client: openai.OpenAI) -> None:
        video = client.videos.create(prompt=QUICK, model="sora-2", seconds="4", size="720x1280")
        assert (video.object, video.model, video.seconds, video.size) == ("video", "sora-2", "4", "720x1280")
        assert (video.status, video.progress, video.prompt) == ("queued", 0, QUICK)

    def test_curl_asks_by_json(self, gateway: Gateway) -> None:
        body = json.dumps({**SMALL, "prompt": QUICK, "seconds": 2, "user": "u-1"})
        video = curl(gateway, "-H", "Content-Type: application/json", "-d", body)
        assert (video["seconds"], video["size"], video["mediagate"]["user"]) == ("2", "320x180", "u-1")

    def test_curl_asks_by_form_with_a_picture(self, gateway: Gateway, tmp_path: Path) -> None:
        (tmp_path / "red.png").write_bytes(png())
        fields = [f"prompt={QUICK}", f"input_reference=@{tmp_path}/red.png", "size=320x180"]
        video = curl(gateway, *[part for field in fields for part in ("-F", field)])
        assert (video["size"], video["status"]) == ("320x180", "queued")

    def test_a_generated_client_asks_by_message(self, gateway: Gateway) -> None:
        request = videos_pb2.CreateVideoRequest(
            prompt=QUICK, model="team/a:video", seconds="2", size="320x180", user="u-2"
        )
        request.input_reference.image = png()
        with gateway.channel() as channel:
            video = stub(gateway, channel).CreateVideo(request, metadata=gateway.metadata)
        assert (video.model, video.seconds, video.mediagate.user) == ("team/a:video", "2", "u-2")
        assert video.completed_at.WhichOneof("kind") == "null_value"

    @pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "text/json"])
    def test_json_by_its_other_names(self, http: httpx.Client, content_type: str) -> None:
        body = json.dumps({**SMALL, "prompt": QUICK})
        assert http.post("/v1/videos", content=body, headers={"content-type": content_type}).status_code == 200

    @pytest.mark.parametrize(
        "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/octet-stream", ""]
    )
    def test_another_encoding_is_refused_and_told_which_are_taken(self, http: httpx.Client, content_type: str) -> None:
        response = http.post("/v1/videos", content=b'{"prompt": "x"}', headers={"content-type": content_type})
        message = assert_failure(response, 415, code="unsupported_media_type")
        assert "multipart/form-data or application/json" in message

    @pytest.mark.parametrize(
        "body",
        [b'{"prompt":', b"[]", b'"a"', b"null", b"[" * 100_000, b'{"prompt":"\xff"}', b"{'prompt': 'x'}"],
        ids=["cut", "array", "string", "null", "deep", "utf-8", "quotes"],
    )
    def test_a_body_that_is_no_json_object_is_refused(self, http: httpx.Client, body: bytes) -> None:
        response = http.post("/v1/videos", content=body, headers={"content-type": "application/json"})
        assert_failure(response, 400, code="invalid_json")

    def test_an_empty_body_lacks_a_prompt(self, http: httpx.Client) -> None:
        response = http.post("/v1/videos", content=b"", headers={"content-type": "application/json"})
        assert_failure(response, 400, code="missing_required_parameter", param="prompt")

    def test_a_json_body_beyond_the_limit_is_refused(self, http: httpx.Client) -> None:
        assert_failure(ask(http, prompt="x" * 35_000_000), 413, code="payload_too_large")

    @pytest.mark.parametrize("path", ["/videos", "/openai/videos", "/openai/v1/videos", "/openai/videos/"])
    def test_the_other_prefixes(self, http: httpx.Client, path: str) -> None:
        response = http.post(f"{path}?api-version=2025-04-01", json={**SMALL, "prompt": QUICK})
        assert response.status_code == (404 if path.endswith("/") else 200)


class TestFields:
    def test_defaults(self, http: httpx.Client) -> None:
        video = http.post("/v1/videos", json={"prompt": QUICK}).json()
        assert (video["model"], video["seconds"], video["size"]) == ("local-video", "4", "720x1280")

    @pytest.mark.parametrize("seconds", [4, "4"])
    def test_seconds_as_a_number_and_as_text(self, http: httpx.Client, seconds: int | str) -> None:
        assert ask(http, seconds=seconds).json()["seconds"] == "4"

    @pytest.mark.parametrize("model", ["local-video", "sora-2", "team/a:video"])
    def test_the_model_is_called_as_it_was_asked_for(self, http: httpx.Client, model: str) -> None:
        assert ask(http, model=model).json()["model"] == model

    def test_members_that_nobody_knows_are_ignored(self, client: openai.OpenAI, http: httpx.Client) -> None:
        video = client.videos.create(prompt=QUICK, extra_body={"quality": "hd", "n": 1, "meta": {"a": [1]}})
        assert video.status == "queued"
        assert ask(http, foo={"a": [{}]}, quality=None).status_code == 200

    def test_null_is_the_same_as_absence(self, http: httpx.Client) -> None:
        response = ask(http, model=None, seconds=None, size=None, user=None, input_reference=None)
        assert response.json()["seconds"] == "4"

    def test_a_prompt_as_long_and_as_odd_as_it_may_be(self, http: httpx.Client) -> None:
        prompt = QUICK + "\u2028\t\r\n\"'\\<é水\U0001f600" + "水" * 31_960
        prompt += "x" * (32_000 - len(prompt))
        assert ask(http, prompt=prompt).json()["prompt"] == prompt
        response = post_form(http, *small_fields(prompt=prompt), path="/v1/videos")
        assert response.json()["prompt"] == prompt

    @pytest.mark.parametrize(
        ("fields", "param", "code", "says"),
        [
            ({"prompt": ""}, "prompt", "missing_required_parameter", "Missing required parameter: 'prompt'."),
            ({"prompt": None}, "prompt", "missing_required_parameter", "Missing required parameter: 'prompt'."),
            ({"prompt": " \n\t"}, "prompt", "invalid_field", "blank"),
            ({"prompt": "x" * 32_001}, "prompt", "invalid_field", "at most 32000 characters"),
            ({"prompt": ["x"]}, "prompt", "invalid_type", "expected a string"),
            ({"prompt": True}, "prompt", "invalid_type", "expected a string"),
            ({"prompt": "a\0b"}, "prompt", "invalid_field", "NUL"),
            ({"prompt": "\ud83d"}, "prompt", "invalid_field", "surrogate"),
            ({"size": "321x180"}, "size", "invalid_field", SIZES),
            ({"size": "320X180"}, "size", "invalid_field", SIZES),
            ({"size": 320}, "size", "invalid_field", SIZES),
            ({"size": {"width": 1}}, "size", "invalid_type", "expected a string"),
            ({"seconds": "3"}, "seconds", "invalid_field", SECONDS),
            ({"seconds": "04"}, "seconds", "invalid_field", SECONDS),
            ({"seconds": 0}, "seconds", "invalid_field", SECONDS),
            ({"seconds": -4}, "seconds", "invalid_field", SECONDS),
            ({"seconds": 10**4000}, "seconds", "invalid_field", SECONDS),
            ({"seconds": 4.0}, "seconds", "invalid_type", "expected a string"),
            ({"model": "sora-9"}, "model", "model_not_found", "Video models: local-video, sora-2, team/a:video."),
            ({"model": "LOCAL-VIDEO"}, "model", "model_not_found", "does not exist"),
            ({"model": "m" * 300}, "model", "invalid_field", "at most 256 characters"),
            ({"user": "u" * 257}, "user", "invalid_field", "at most 256 characters"),
            ({"user": "\0"}, "user", "invalid_field", "NUL"),
            ({"user": []}, "user", "invalid_type", "expected a string"),
        ],
        ids=lambda value: str(value)[:24] if isinstance(value, dict) else "",
    )
    def test_a_wrong_field_is_named_with_what_would_be_right(
        self, http: httpx.Client, fields: Json, param: str, code: str, says: str
    ) -> None:
        assert says in assert_failure(ask(http, **fields), 400, code=code, param=param)

    def test_a_form_is_held_to_the_same_rules(self, http: httpx.Client) -> None:
        for name, value in {"size": "1x1", "seconds": "3"}.items():
            response = post_form(http, *small_fields(**{name: value}), path="/v1/videos")
            assert "Supported values are" in assert_failure(response, 400, code="invalid_field", param=name)
        response = post_form(http, *[part for part in small_fields() if b'"prompt"' not in part], path="/v1/videos")
        assert_failure(response, 400, code="missing_required_parameter", param="prompt")

    @pytest.mark.parametrize(
        ("fields", "field_name"),
        [
            ({"prompt": ""}, "prompt"),
            ({"prompt": "x" * 32_001}, "prompt"),
            ({"prompt": "a\0b"}, "prompt"),
            ({"prompt": "x", "seconds": "4.0"}, "seconds"),
            ({"prompt": "x", "seconds": "3"}, "seconds"),
            ({"prompt": "x", "size": "big"}, "size"),
            ({"prompt": "x", "size": "22x22"}, "size"),
            ({"prompt": "x", "model": "nope"}, "model"),
            ({"prompt": "x", "user": "u" * 257}, "user"),
        ],
        ids=str,
    )
    def test_a_message_is_held_to_the_same_rules(
        self, gateway: Gateway, fields: dict[str, str], field_name: str
    ) -> None:
        with gateway.channel() as channel, pytest.raises(grpc.RpcError) as refused:
            stub(gateway, channel).CreateVideo(videos_pb2.CreateVideoRequest(**fields), metadata=gateway.metadata)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert wrong_field(refused.value) == field_name


class TestPicture:
    """`input_reference`, in every way that it can come."""

    def test_a_picture_becomes_the_background(self, client: openai.OpenAI, http: httpx.Client) -> None:
        video = client.videos.create_and_poll(
            prompt="boat",
            model="local-video",
            seconds="1",  # type: ignore[arg-type]
            size="320x180",  # type: ignore[arg-type]
            input_reference=("red.png", png(color=(220, 30, 30)), "image/png"),
        )
        assert video.status == "completed"
        first = measured(http.get(f"/v1/videos/{video.id}/content").content).first
        red, green, blue = first.resize((1, 1)).getpixel((0, 0))  # type: ignore[misc]
        assert red > 2 * max(green, blue)

    @pytest.mark.parametrize("way", ["form_id", "json_id", "sdk_id", "json_url", "form_url", "json_part"])
    def test_a_picture_by_reference(self, http: httpx.Client, client: openai.OpenAI, picture_id: str, way: str) -> None:
        url = data_url(png())
        if way == "form_id":
            response = post_form(
                http, *small_fields(), field("input_reference[file_id]", picture_id), path="/v1/videos"
            )
        elif way == "json_id":
            response = ask(http, input_reference={"file_id": picture_id})
        elif way == "sdk_id":
            body = {"input_reference": {"file_id": picture_id}, "size": "320x180"}
            assert client.videos.create(prompt=QUICK, extra_body=body).status == "queued"
            return
        elif way == "json_url":
            response = ask(http, input_reference={"image_url": url})
        elif way == "form_url":
            response = post_form(http, *small_fields(), field("input_reference[image_url]", url), path="/v1/videos")
        else:
            # How strict OpenAPI clients put an object into a form.
            part = field("input_reference", json.dumps({"file_id": picture_id}), "application/json")
            response = post_form(http, *small_fields(), part, path="/v1/videos")
        assert response.status_code == 200, response.text

    def test_a_data_url_of_five_megabytes_is_rendered(self, http: httpx.Client) -> None:
        url = data_url(noise_png(1000, 1750))
        assert len(url) > 5_000_000
        assert completed(http, input_reference={"image_url": url})["status"] == "completed"

    @pytest.mark.parametrize("redirects", [0, 3])
    def test_a_picture_is_fetched_from_its_url(self, http: httpx.Client, media: MediaSite, redirects: int) -> None:
        media.content = noise_png(500, 700)
        video = completed(http, input_reference={"image_url": media.url("red.png", redirects=redirects)})
        assert video["status"] == "completed"
        assert media.asked == redirects + 1

    @pytest.mark.parametrize(
        ("path", "options", "status", "code"),
        [
            ("missing.png", {}, 400, "url_not_reachable"),
            ("cut.png", {}, 400, "url_not_reachable"),
            ("large.png", {}, 413, "url_too_large"),
            ("text.png", {}, 400, "invalid_field"),
            ("red.png", {"redirects": 4}, 400, "url_not_reachable"),
            ("private.png", {}, 400, "url_not_allowed"),
        ],
    )
    def test_a_picture_that_cannot_be_fetched_is_refused_and_kept_nowhere(
        self, gateway: Gateway, http: httpx.Client, media: MediaSite, path: str, options: Json, status: int, code: str
    ) -> None:
        with keeping_no_input(gateway):
            response = ask(http, input_reference={"image_url": media.url(path, **options)})
            assert_failure(response, status, code=code, param="input_reference[image_url]")

    def test_the_part_may_come_before_the_fields(self, http: httpx.Client) -> None:
        response = post_form(http, file_part(png(), "red.png", "input_reference"), *small_fields(), path="/v1/videos")
        assert response.status_code == 200

    def test_a_plain_string_is_answered_in_openais_words(self, http: httpx.Client) -> None:
        opening = "Invalid type for 'input_reference': expected an object, but got a string instead."
        by_form = post_form(http, *small_fields(), field("input_reference", "red.png"), path="/v1/videos")
        for response in (ask(http, input_reference="file-1"), by_form):
            message = assert_failure(response, 400, code="invalid_type", param="input_reference")
            assert message.startswith(opening)

    @pytest.mark.parametrize(
        ("reference", "status", "param", "code"),
        [
            ([], 400, "input_reference", "invalid_type"),
            (5, 400, "input_reference", "invalid_type"),
            (True, 400, "input_reference", "invalid_type"),
            ({}, 400, "input_reference", "invalid_field"),
            ({"url": "x"}, 400, "input_reference", "invalid_field"),
            ({"image": "abc"}, 400, "input_reference", "invalid_field"),
            ({"image": {"a": 1}}, 400, "input_reference", "invalid_field"),
            ({"file_id": "a", "image_url": "b"}, 400, "input_reference", "invalid_field"),
            ({"file_id": 5}, 400, "input_reference[file_id]", "invalid_type"),
            ({"image_url": {"url": "x"}}, 400, "input_reference[image_url]", "invalid_type"),
            ({"file_id": NOBODYS_FILE}, 404, "input_reference[file_id]", "not_found"),
            ({"file_id": "../../etc/passwd"}, 404, "input_reference[file_id]", "not_found"),
            ({"file_id": "x\0\ud800"}, 404, "input_reference[file_id]", "not_found"),
            ({"image_url": "https://127.0.0.1/a.png"}, 400, "input_reference[image_url]", "url_not_allowed"),
            ({"image_url": "http://169.254.169.254/"}, 400, "input_reference[image_url]", "url_not_allowed"),
            ({"image_url": "https://u:p@example.com/"}, 400, "input_reference[image_url]", "url_not_allowed"),
            ({"image_url": "https://nobody.invalid/"}, 400, "input_reference[image_url]", "url_not_reachable"),
            ({"image_url": "file:///etc/passwd"}, 400, "input_reference[image_url]", "invalid_field"),
            ({"image_url": "data:image/png,abc"}, 400, "input_reference[image_url]", "invalid_field"),
            ({"image_url": "data:image/png;base64,"}, 400, "input_reference[image_url]", "invalid_field"),
            ({"image_url": "data:image/png;base64,AAA"}, 400, "input_reference[image_url]", "invalid_field"),
            ({"image_url": "data:image/png;base64,A A="}, 400, "input_reference[image_url]", "invalid_field"),
            ({"image_url": "data:image/png;base64,é水"}, 400, "input_reference[image_url]", "invalid_field"),
            ({"image_url": data_url(b"just text")}, 400, "input_reference[image_url]", "invalid_field"),
        ],
        ids=lambda value: str(value)[:40] if not isinstance(value, int) else "",
    )
    def test_a_reference_that_is_none_is_refused_and_kept_nowhere(
        self, gateway: Gateway, http: httpx.Client, reference: Any, status: int, param: str, code: str
    ) -> None:
        with keeping_no_input(gateway):
            assert_failure(ask(http, input_reference=reference), status, code=code, param=param)

    @pytest.mark.parametrize(
        ("parts", "status", "param", "code"),
        [
            ([file_part(b"hello", "a.png", "input_reference")], 400, "input_reference", "invalid_field"),
            ([file_part(b"", "a.png", "input_reference")], 400, "input_reference", "invalid_field"),
            ([file_part(png(), "a.png", "picture")], 400, "picture", "invalid_field"),
            ([file_part(png(), "a.png", "input_reference")] * 2, 400, "input_reference", "invalid_field"),
            (
                [file_part(png(), "a.png", "input_reference"), field("input_reference[file_id]", NOBODYS_FILE)],
                *(400, "input_reference", "invalid_field"),
            ),
            ([file_part(png(), "a.png", "input_reference"), field("a[", "x")], 400, "a[", "invalid_field"),
            ([file_part(png(), "a.png", "input_reference"), field("size", "1x1")], 400, "size", "invalid_field"),
            ([file_part(png(), "a.png", "input_reference"), field("model", "no")], 400, "model", "model_not_found"),
            (
                [file_part(png() + b"\0" * 20_971_520, "a.png", "input_reference")],
                *(413, "input_reference", "payload_too_large"),
            ),
        ],
        ids=["text", "empty", "name", "two", "both", "garbled", "size", "model", "large"],
    )
    def test_a_part_that_cannot_be_used_is_refused_and_kept_nowhere(
        self, gateway: Gateway, http: httpx.Client, parts: list[bytes], status: int, param: str, code: str
    ) -> None:
        with keeping_no_input(gateway):
            response = post_form(http, *small_fields(), *parts, path="/v1/videos")
            assert_failure(response, status, code=code, param=param)

    @pytest.mark.parametrize("refusal", [{"size": "1x1"}, {"prompt": ""}, {"model": "nope"}, {"user": []}], ids=str)
    def test_a_data_url_is_kept_nowhere_when_another_field_is_wrong(
        self, gateway: Gateway, http: httpx.Client, refusal: Json
    ) -> None:
        with keeping_no_input(gateway):
            assert ask(http, input_reference={"image_url": data_url(png())}, **refusal).status_code == 400

    def test_a_form_that_ends_early_is_refused_and_kept_nowhere(self, gateway: Gateway, http: httpx.Client) -> None:
        body = b"".join([*small_fields(), file_part(png(), "a.png", "input_reference")])
        with keeping_no_input(gateway):
            response = http.post("/v1/videos", content=body, headers={"content-type": FORM_TYPE})
            assert_failure(response, 400, code="upload_truncated")

    def test_a_message_with_a_broken_picture_is_refused_and_kept_nowhere(self, gateway: Gateway) -> None:
        refused: list[Callable[[videos_pb2.ImageReference], None]] = [
            lambda reference: setattr(reference, "image", b"text"),
            lambda reference: setattr(reference, "image", b""),
            lambda reference: setattr(reference, "image_url", "http://x/"),
        ]
        with gateway.channel() as channel, keeping_no_input(gateway):
            for change in refused:
                request = videos_pb2.CreateVideoRequest(prompt=QUICK)
                change(request.input_reference)
                with pytest.raises(grpc.RpcError) as error:
                    stub(gateway, channel).CreateVideo(request, metadata=gateway.metadata)
                assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT

    def test_a_file_that_is_no_picture_is_refused(self, http: httpx.Client) -> None:
        text = post_form(http, field("purpose", "user_data"), file_part(b"text", "a.txt")).json()
        response = ask(http, input_reference={"file_id": text["id"]})
        message = assert_failure(response, 400, code="invalid_field", param="input_reference")
        assert "must be an image" in message

    def test_somebody_elses_picture_does_not_exist(self, gateway: Gateway, http: httpx.Client) -> None:
        theirs = post_form(http, field("purpose", "vision"), file_part(png(), "a.png")).json()["id"]
        sql(gateway, "UPDATE file SET owner_id = 'somebody else' WHERE id = %s", theirs)
        assert_failure(
            ask(http, input_reference={"file_id": theirs}), 404, code="not_found", param="input_reference[file_id]"
        )

    def test_a_picture_that_only_a_decoder_finds_broken_fails_the_video(self, http: httpx.Client) -> None:
        cut = base64.b64encode(noise_png(64, 64)[:2000]).decode()
        video = finished(http, create(http, input_reference={"image_url": f"data:image/png;base64,{cut}"}))
        failure = video["mediagate"]["failure"]
        assert (video["status"], failure["stage"], failure["field"]) == ("failed", "input", "input_reference")

    def test_a_picture_that_its_owner_deletes_in_time_fails_the_video_or_is_drawn(
        self, http: httpx.Client, client: openai.OpenAI
    ) -> None:
        picture = client.files.create(file=("red.png", png()), purpose="vision")
        video = create(http, input_reference={"file_id": picture.id})
        client.files.delete(picture.id)
        over = finished(http, video)
        assert over["status"] == "completed" or over["error"]["code"] == "input_gone"

    def test_the_input_goes_with_the_video(self, gateway: Gateway, http: httpx.Client) -> None:
        video = post_form(http, *small_fields(), file_part(png(), "a.png", "input_reference"), path="/v1/videos").json()
        ((file_id,),) = sql(gateway, "SELECT image_file_id FROM video WHERE id = %s", video["id"])
        assert http.delete(f"/v1/videos/{video['id']}").status_code == 200
        eventually(lambda: not sql(gateway, "SELECT 1 FROM file WHERE id = %s", file_id), "the input is gone")
        assert not list((gateway.data_dir / "files").rglob(f"*{file_id}*"))

    def test_an_input_is_in_no_list(self, http: httpx.Client, client: openai.OpenAI) -> None:
        before = [file.id for file in client.files.list(limit=5)]
        assert ask(http, input_reference={"image_url": data_url(png())}).status_code == 200
        assert [file.id for file in client.files.list(limit=5)] == before
