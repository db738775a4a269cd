"""Calls of providers: whoever has the token makes the tracker look at once, and nobody else does anything."""

from __future__ import annotations

import httpx

from mediagate.videos.callbacks import Callbacks
from tests.api.videos_kit import create, finished, get, reached
from tests.api.wire import assert_failure
from tests.conftest import MASTER_KEY, Gateway

CALLBACKS = Callbacks("", MASTER_KEY.encode())


def path_of(video_id: str) -> str:
    path = CALLBACKS.url_of(video_id)
    assert path is not None
    return path


def test_a_call_needs_no_key_and_any_body_will_do(gateway: Gateway, http: httpx.Client) -> None:
    video = reached(http, create(http, "[mediagate:slow=2]"), "rendering")
    before = get(http, video["id"])["mediagate"]["seq"]
    for content, kind in ((b'{"status": "OK"}', "application/json"), (b"", "text/plain"), (b"\xff\0", "image/png")):
        answer = httpx.post(gateway.url + path_of(video["id"]), content=content, headers={"content-type": kind})
        assert answer.status_code == 200, answer.text
        assert answer.json() == {}
    assert get(http, video["id"])["mediagate"]["seq"] >= before
    assert finished(http, video)["status"] == "completed"


def test_a_wrong_token_finds_nothing(gateway: Gateway, http: httpx.Client) -> None:
    video, other = create(http, "a boat"), create(http, "another boat")
    for path in (
        path_of(other["id"]).replace(other["id"], video["id"]),
        path_of(video["id"])[:-1],
        path_of(video["id"]) + "0",
    ):
        assert_failure(httpx.post(gateway.url + path), 404, code="not_found", param="id")


def test_the_token_is_nobody_elses(gateway: Gateway) -> None:
    assert Callbacks("", b"another key").url_of("video_1") != CALLBACKS.url_of("video_1")
    assert Callbacks(None, b"key").url_of("video_1") is None
