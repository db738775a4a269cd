"""Guardrails, through the whole gateway: what is blocked leaves nothing, whoever asks and however."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2

from mediagate._gen.mediagate.v1 import videos_pb2
from mediagate.core.access import Policy
from tests.api.access_kit import Issued, add_holder, issue_key
from tests.api.guardrails_kit import NAME, WORD, logs
from tests.api.videos_kit import SMALL, Json, completed, create, data_url, finished, mp4, noise_png, png, stub
from tests.api.wire import assert_failure, eventually, field, file_part, post_form, sql
from tests.conftest import Gateway
from tests.doubles.moderations import HARMFUL_WORD, Moderations

QUICK = "[mediagate:refuse-input]"
"""A prompt that costs no render."""
RED, GREEN = png(), png(color=(30, 200, 30))


@pytest.fixture
def http(guarded: Gateway) -> Iterator[httpx.Client]:
    with guarded.http() as plain:
        yield plain


@pytest.fixture(scope="module")
def source(guarded: Gateway) -> Json:
    """A video that others are made from."""
    with guarded.http() as http:
        return completed(http, "a boat", model="plain")


def ask(
    http: httpx.Client, prompt: str, model: str = "plain", key: Issued | None = None, **more: Any
) -> httpx.Response:
    return http.post(
        "/v1/videos", json={**SMALL, "prompt": prompt, "model": model, **more}, headers=key.headers if key else {}
    )


@contextmanager
def leaving_nothing(gateway: Gateway) -> Iterator[None]:
    """Whatever is refused in this block leaves no video, no tracking job and no file."""
    made = "SELECT count(*) FROM video"
    jobs = "SELECT coalesce(max(id), 0) FROM procrastinate_jobs WHERE task_name = 'videos.track'"
    newer = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'videos.track' AND id > %s"
    files = "SELECT count(*) FROM file"
    before, kept, ((newest,),) = sql(gateway, made), sql(gateway, files), sql(gateway, jobs)
    yield
    assert sql(gateway, made) == before
    assert sql(gateway, newer, newest) == [(0,)]
    eventually(lambda: sql(gateway, files) == kept, "no file is left")


def blocked(response: httpx.Response, guardrail: str, param: str = "prompt") -> str:
    message = assert_failure(response, 400, code="content_policy_violation", param=param)
    assert f"'{guardrail}'" in message
    return message


@pytest.mark.parametrize("prompt", [f"the sword {WORD}", "EXCAL\u200bIBUR", "Ｅｘcalibur!", "call 123-45-6789"])
def test_a_prompt_is_blocked_before_anything_is_made(guarded: Gateway, http: httpx.Client, prompt: str) -> None:
    with leaving_nothing(guarded):
        message = blocked(ask(http, prompt), "words")
        parts = [field(name, value) for name, value in {**SMALL, "prompt": prompt, "model": "plain"}.items()]
        blocked(post_form(http, *parts, file_part(GREEN, "a.png", "input_reference"), path="/v1/videos"), "words")
    assert "123" not in message
    assert "sword" not in message


def test_natively_the_error_names_the_guardrail(guarded: Gateway) -> None:
    request = videos_pb2.CreateVideoRequest(prompt=WORD, model="plain", seconds="1", size="320x180")
    with leaving_nothing(guarded), guarded.channel() as channel, pytest.raises(grpc.RpcError) as raised:
        stub(guarded, channel).CreateVideo(request, metadata=guarded.metadata)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    trailing = dict(raised.value.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert (info.reason, info.metadata["guardrail"]) == ("CONTENT_POLICY_VIOLATION", "words")


def test_remix_edit_and_extend_are_looked_at_too(guarded: Gateway, http: httpx.Client, source: Json) -> None:
    video = {"id": source["id"]}
    with leaving_nothing(guarded):
        blocked(http.post(f"/v1/videos/{source['id']}/remix", json={"prompt": WORD}), "words")
        blocked(http.post("/v1/videos/edits", json={"prompt": WORD, "video": video}), "words")
        blocked(http.post("/v1/videos/extensions", json={"prompt": WORD, "video": video, "seconds": "1"}), "words")
        fields = [field("prompt", WORD), file_part(mp4(1), "a.mp4", "video")]
        blocked(post_form(http, *fields, path="/v1/videos/edits"), "words")


@pytest.mark.parametrize(
    "more",
    [
        {"negative_prompt": WORD},
        {"extra_body": {"promptText": WORD}},
        {"style": {"words": ["a", [{"b": WORD}]]}},
    ],
)
def test_every_text_for_the_provider_is_looked_at(guarded: Gateway, http: httpx.Client, more: Json) -> None:
    with leaving_nothing(guarded):
        blocked(ask(http, "a boat", **more), "words")


def test_the_moderation_endpoint_judges_prompts(guarded: Gateway, http: httpx.Client) -> None:
    with leaving_nothing(guarded):
        assert "violence" in blocked(ask(http, f"a {HARMFUL_WORD} boat", "moderated"), "moderation")
    assert ask(http, f"a {HARMFUL_WORD} boat {QUICK}", "plain").status_code == 200
    assert ask(http, f"a boat {QUICK}", "moderated").status_code == 200


def test_pictures_are_judged_whichever_way_they_come(
    guarded: Gateway, http: httpx.Client, moderations: Moderations
) -> None:
    own = post_form(http, field("purpose", "vision"), file_part(RED, "a.png")).json()["id"]
    parts = [field(name, value) for name, value in {**SMALL, "prompt": "a", "model": "moderated"}.items()]
    with leaving_nothing(guarded):
        by_url = ask(http, "a", "moderated", input_reference={"image_url": data_url(RED)})
        assert "violence/graphic" in blocked(by_url, "moderation", "input_reference")
        blocked(ask(http, "a", "moderated", input_reference={"file_id": own}), "moderation", "input_reference")
        by_form = post_form(http, *parts, file_part(RED, "a.png", "input_reference"), path="/v1/videos")
        blocked(by_form, "moderation", "input_reference")
    assert http.get(f"/v1/files/{own}").status_code == 200, "a file of the caller's own stays"
    moderations.inputs.clear()
    assert ask(http, QUICK, "moderated", input_reference={"image_url": data_url(GREEN)}).status_code == 200
    assert moderations.inputs[-1][0]["image_url"]["url"] == data_url(GREEN)
    assert ask(http, QUICK, "plain", input_reference={"image_url": data_url(RED)}).status_code == 200


def test_a_large_picture_is_made_smaller_for_who_looks(
    guarded: Gateway, http: httpx.Client, moderations: Moderations
) -> None:
    large = noise_png(1200, 1000)
    assert len(large) > 3 << 20
    assert ask(http, QUICK, "moderated", input_reference={"image_url": data_url(large)}).status_code == 200
    seen = moderations.inputs[-1][0]["image_url"]["url"]
    assert seen.startswith("data:image/jpeg;base64,")
    assert len(seen) < 4 << 20


def test_a_picture_that_nobody_can_show_is_blocked(guarded: Gateway, http: httpx.Client) -> None:
    broken = b"II*\0" + b"\xff" * 200
    with leaving_nothing(guarded):
        response = ask(http, "a", "moderated", input_reference={"image_url": data_url(broken, "image/tiff")})
        assert "cannot judge" in blocked(response, "moderation", "input_reference")


@pytest.mark.parametrize("value", ["https://example.com/a.png", "data:image/png;base64,AAAA", "A" * 600])
def test_no_picture_comes_past_who_looks(guarded: Gateway, http: httpx.Client, value: str) -> None:
    with leaving_nothing(guarded):
        response = ask(http, "a", "moderated", extra_body={"first_frame": {"url": value}})
        assert_failure(response, 400, code="invalid_field", param="url")
    assert ask(http, QUICK, "plain", extra_body={"first_frame": {"url": value}}).status_code == 200


def test_a_guardrail_of_ones_own(guarded: Gateway, http: httpx.Client) -> None:
    with leaving_nothing(guarded):
        message = blocked(ask(http, f"{NAME} waves", "named"), "names")
    assert "Names from our films are not for use." in message
    assert ask(http, f"a boat {QUICK}", "named").status_code == 200
    assert ask(http, f"{NAME} waves {QUICK}", "plain").status_code == 200


def test_keys_users_and_teams_add_guardrails(guarded: Gateway, http: httpx.Client) -> None:
    prompt = f"{NAME} {QUICK}"
    add_holder(guarded, "team", "guarded-team", Policy(guardrails=("names",)))
    add_holder(guarded, "access_user", "guarded-user", Policy(guardrails=("names",)))
    with leaving_nothing(guarded):
        for key in (
            issue_key(guarded, team_id="guarded-team"),
            issue_key(guarded, user_id="guarded-user"),
            issue_key(guarded, guardrails=("names",)),
        ):
            blocked(ask(http, prompt, key=key), "names")
            blocked(ask(http, WORD, key=key), "words")
    assert ask(http, prompt, key=issue_key(guarded)).status_code == 200


def test_a_request_can_add_and_not_take_away(guarded: Gateway, http: httpx.Client) -> None:
    with leaving_nothing(guarded):
        blocked(ask(http, NAME, guardrails=["names"]), "names")
        blocked(ask(http, NAME, extra_body={"guardrails": "names"}), "names")
        parts = [field(name, value) for name, value in {**SMALL, "prompt": NAME, "model": "plain"}.items()]
        blocked(post_form(http, *parts, field("guardrails[]", "names"), path="/v1/videos"), "names")
        blocked(ask(http, WORD, guardrails=[]), "words")
        blocked(ask(http, WORD, disable_global_guardrails=True), "words")
        unknown = ask(http, "a", guardrails=["nothing"])
        assert "'nothing'" in assert_failure(unknown, 400, code="invalid_field", param="guardrails")
        wrong = ask(http, "a", guardrails=[1])
        assert_failure(wrong, 400, code="invalid_type", param="guardrails")


def test_a_policy_with_an_unknown_guardrail_lets_nothing_pass(guarded: Gateway, http: httpx.Client) -> None:
    key = issue_key(guarded, guardrails=("gone",))
    with leaving_nothing(guarded):
        message = assert_failure(ask(http, "a", key=key), 502, code="guardrail_unknown", kind="server_error")
        assert "'gone'" in message
        response = post_form(http, field("purpose", "user_data"), file_part(b"a"), headers=key.headers)
        assert_failure(response, 502, code="guardrail_unknown", kind="server_error")


@pytest.mark.parametrize(("model", "guardrail"), [("closed", "dead-closed"), ("slow", "stalling")])
def test_a_guardrail_without_an_answer_closes(guarded: Gateway, http: httpx.Client, model: str, guardrail: str) -> None:
    with leaving_nothing(guarded):
        response = ask(http, "a", model)
        message = assert_failure(
            response, 503, code="guardrail_unavailable", param="prompt", kind="server_error", retry="true"
        )
        assert f"'{guardrail}'" in message
        # A verdict counts before a missing one.
        blocked(ask(http, WORD, model), "words")


def test_a_guardrail_without_an_answer_may_open(guarded: Gateway, http: httpx.Client) -> None:
    assert ask(http, QUICK, "open").status_code == 200
    blocked(ask(http, WORD, "open"), "words")


def test_an_estimate_asks_nobody(guarded: Gateway, http: httpx.Client) -> None:
    response = http.post("/v1/videos/estimate", json={**SMALL, "model": "closed", "prompt": WORD})
    assert response.status_code == 200


def test_a_blocked_video_is_not_delivered(guarded: Gateway, http: httpx.Client, moderations: Moderations) -> None:
    moderations.flags_pictures = True
    try:
        video = finished(http, create(http, "a boat", model="watched"))
    finally:
        moderations.flags_pictures = False
    assert video["status"] == "failed"
    assert video["error"]["code"] == "content_policy_violation"
    failure = video["mediagate"]["failure"]
    assert (failure["stage"], failure["charged"], failure.get("retryable", False)) == ("output", True, False)
    assert "'film'" in failure["message"]
    for variant in ("video", "thumbnail", "spritesheet"):
        response = http.get(f"/v1/videos/{video['id']}/content", params={"variant": variant})
        assert 400 <= response.status_code < 500
    assert http.post(f"/v1/videos/{video['id']}/remix", json={"prompt": "a"}).status_code == 400
    assert completed(http, "a boat", model="watched")


def test_a_keys_guardrail_looks_at_its_finished_videos(
    guarded: Gateway, http: httpx.Client, moderations: Moderations
) -> None:
    key = issue_key(guarded, guardrails=("film-of-some",))
    moderations.flags_pictures = True
    try:
        with guarded.http() as theirs:
            theirs.headers.update(key.headers)
            video = finished(theirs, create(theirs, "a boat", model="plain"))
            assert (video["status"], video["error"]["code"]) == ("failed", "content_policy_violation")
        assert completed(http, "a boat", model="plain")
        asked = finished(http, create(http, "a boat", model="plain", guardrails=["film-of-some"]))
        assert asked["status"] == "failed"
    finally:
        moderations.flags_pictures = False


def test_a_video_waits_for_who_looks_at_it(guarded: Gateway, http: httpx.Client, moderations: Moderations) -> None:
    moderations.status = 500
    try:
        video = create(http, "a boat", model="watched")
        seen = len(moderations.inputs)
        eventually(lambda: len(moderations.inputs) > seen, "the endpoint is asked")
        assert http.get(f"/v1/videos/{video['id']}").json()["status"] == "in_progress"
    finally:
        moderations.status = 200
    assert finished(http, video)["status"] == "completed"


def test_no_log_has_what_was_said(guarded: Gateway, http: httpx.Client) -> None:
    canary = "cormorant7391"
    blocked(ask(http, f"{canary} {WORD}"), "words")
    blocked(ask(http, f"{canary} {HARMFUL_WORD}", "moderated"), "moderation")
    blocked(ask(http, f"{canary} {NAME}", "named"), "names")
    assert ask(http, canary, "closed").status_code == 503
    blocked(post_form(http, field("purpose", "user_data"), file_part(f"{canary} {WORD}".encode())), "words", "file")
    assert ask(http, f"{canary} {QUICK}", "open").status_code == 200
    written = logs(guarded)
    found = [json.loads(line) for line in written.splitlines() if '"guardrail_checked"' in line]
    assert {(line["guardrail"], line["verdict"]) for line in found} >= {
        ("words", "blocked"),
        ("moderation", "blocked"),
        ("names", "blocked"),
        ("dead-closed", "failed"),
        ("dead-open", "failed"),
    }
    assert all({"stage", "category", "model", "key_id", "duration_ms", "passes"} <= set(line) for line in found)
    for secret in (canary, WORD, NAME, HARMFUL_WORD):
        assert secret not in written
