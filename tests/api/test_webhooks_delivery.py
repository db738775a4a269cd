"""Deliveries to servers that are down, slow, rude or gone: what is tried again, for how long, and who has to wait."""

from __future__ import annotations

import email.utils
import os
import signal
import time
from collections.abc import Iterator

import httpx
import openai
import pytest

from tests.api.webhooks_kit import (
    FORBIDDEN_PORT,
    LATE_PORT,
    RECEIVER_PORT,
    TIMEOUT_S,
    Answer,
    Receiver,
    deliveries,
    delivery,
    subscribe,
    upload,
    verified,
    wait_until,
)
from tests.api.wire import sql
from tests.conftest import Gateway


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver(RECEIVER_PORT).serving() as running:
        yield running


@pytest.fixture
def sdk(hooks: Gateway) -> Iterator[openai.OpenAI]:
    client = hooks.openai()
    yield client
    for endpoint in client.webhooks.list():
        client.webhooks.delete(endpoint.id)


@pytest.fixture
def plain(hooks: Gateway) -> Iterator[httpx.Client]:
    with hooks.http() as http:
        yield http


def test_a_failed_delivery_is_repeated_with_the_same_id_and_bytes_and_a_new_signature(
    plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    url = receiver.new_url(Answer(500, b"not\nnow"), 503, 204)
    endpoint = subscribe(sdk, url, "file.created")
    upload(sdk)
    done = delivery(plain, endpoint.id, "delivered")
    requests = receiver.to(url)
    assert len(requests) == 3
    assert len({(one.headers["webhook-id"], one.body) for one in requests}) == 1
    for one in requests:
        verified(sdk, one, endpoint.signing_secret)
    stamps = [int(one.headers["webhook-timestamp"]) for one in requests]
    assert stamps[0] < stamps[-1]
    assert requests[0].headers["webhook-signature"] != requests[-1].headers["webhook-signature"]
    assert (done["attempts"], done["next_attempt_at"]) == (3, None)
    assert [(one.get("status_code"), one.get("error")) for one in done["log"]] == [
        (500, "status"),
        (503, "status"),
        (204, None),
    ]
    assert done["log"][0]["response"] == "not?now"
    assert done["id"] == requests[0].headers["webhook-id"]


def test_a_server_that_comes_up_late_gets_what_it_missed(plain: httpx.Client, sdk: openai.OpenAI) -> None:
    late = Receiver(LATE_PORT)
    url = late.new_url()
    endpoint = subscribe(sdk, url, "file.created")
    file_ids = [upload(sdk) for _ in range(5)]
    wait_until(lambda: all(one["attempts"] for one in deliveries(plain, endpoint.id)), 15, "an attempt for each")
    assert {one["log"][0]["error"] for one in deliveries(plain, endpoint.id)} == {"not_reachable"}
    assert sdk.webhooks.retrieve(endpoint.id).to_dict()["mediagate"]["failures"] >= 5  # type: ignore[index]
    with late.serving():
        wait_until(
            lambda: {one["state"] for one in deliveries(plain, endpoint.id)} == {"delivered"}, 15, "all deliveries"
        )
    assert {one.event["data"]["id"] for one in late.to(url)} == set(file_ids)
    assert sdk.webhooks.retrieve(endpoint.id).to_dict()["mediagate"]["failures"] == 0  # type: ignore[index]


@pytest.mark.parametrize("status", [302, *(pytest.param(one, marks=pytest.mark.soak) for one in (301, 307, 308))])
def test_a_redirect_is_not_followed_and_counts_as_a_failure(
    plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver, status: int
) -> None:
    elsewhere = receiver.new_url()
    url = receiver.new_url(Answer(status, headers={"Location": elsewhere}), 200)
    endpoint = subscribe(sdk, url, "file.created")
    upload(sdk)
    done = delivery(plain, endpoint.id, "delivered")
    assert [one.get("error") for one in done["log"]] == ["redirect", None]
    assert done["log"][0]["status_code"] == status
    assert receiver.to(elsewhere) == []


def test_gone_disables_the_endpoint_until_it_is_enabled_again(
    plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    url = receiver.new_url(410, 200)
    endpoint = subscribe(sdk, url, "file.created")
    upload(sdk)
    failed = delivery(plain, endpoint.id, "failed")
    found = plain.get(f"/v1/webhook_endpoints/{endpoint.id}").json()["mediagate"]
    assert (found["enabled"], found["disabled_reason"]) == (False, "gone")
    upload(sdk)
    time.sleep(1.5)
    assert len(receiver.to(url)) == 1
    assert len(deliveries(plain, endpoint.id)) == 1

    redeliver = f"/v1/webhook_endpoints/{endpoint.id}/events/{failed['id']}/redeliver"
    refused = plain.post(redeliver, json={})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "webhook_endpoint_disabled")
    assert plain.post(f"/v1/webhook_endpoints/{endpoint.id}", json={"enabled": True}).json()["mediagate"]["enabled"]
    assert plain.post(redeliver, json={}).json()["state"] == "pending"
    done = delivery(plain, endpoint.id, "delivered")
    assert (done["id"], done["attempts"]) == (failed["id"], 2)


def test_a_server_that_does_not_answer_is_given_up_after_the_timeout(
    plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    url = receiver.new_url(Answer(stalls_s=TIMEOUT_S + 3), 200)
    endpoint = subscribe(sdk, url, "file.created")
    upload(sdk)
    first, second = delivery(plain, endpoint.id, "delivered")["log"]
    assert (first["error"], "status_code" in first) == ("timeout", False)
    assert TIMEOUT_S * 1000 - 50 <= first["duration_ms"] < TIMEOUT_S * 1000 + 1000
    assert second["status_code"] == 200


def test_an_endless_body_is_neither_kept_nor_waited_for(
    plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    url = receiver.new_url(Answer(200, endless=True))
    endpoint = subscribe(sdk, url, "file.created")
    upload(sdk)
    (attempt,) = delivery(plain, endpoint.id, "delivered")["log"]
    assert attempt["response"] == "y" * 1024
    assert attempt["duration_ms"] < 1500


def test_bytes_of_an_answer_that_are_no_text_do_no_harm(
    plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    url = receiver.new_url(Answer(200, bytes(range(256))))
    endpoint = subscribe(sdk, url, "file.created")
    upload(sdk)
    (attempt,) = delivery(plain, endpoint.id, "delivered")["log"]
    assert "ABC" in attempt["response"]
    assert "\0" not in attempt["response"]


@pytest.mark.parametrize("as_date", [False, pytest.param(True, marks=pytest.mark.soak)])
def test_retry_after_is_respected(plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver, as_date: bool) -> None:
    said = email.utils.formatdate(time.time() + 5, usegmt=True) if as_date else "4"
    url = receiver.new_url(Answer(429, headers={"Retry-After": said}), 200)
    subscribe(sdk, url, "file.created")
    upload(sdk)
    first, second = receiver.wait_for(url, 2)
    assert second.at - first.at > 3


def test_after_its_time_an_event_is_given_up_and_can_be_sent_again(
    hooks: Gateway, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    url = receiver.new_url(500, 500, 200)
    endpoint = subscribe(sdk, url, "file.created")
    upload(sdk)
    receiver.wait_for(url, 1)
    sql(
        hooks,
        "UPDATE webhook_delivery SET started_at = started_at - interval '73 hours' WHERE endpoint_id = %s",
        endpoint.id,
    )
    failed = delivery(plain, endpoint.id, "failed")
    assert (failed["attempts"], failed["next_attempt_at"]) == (2, None)
    assert deliveries(plain, endpoint.id, state="delivered") == []
    assert len(deliveries(plain, endpoint.id, state="failed")) == 1

    path = f"/v1/webhook_endpoints/{endpoint.id}/events/{failed['id']}/redeliver"
    assert plain.post(path, json={}).status_code == 200
    again = delivery(plain, endpoint.id, "delivered")
    assert (again["id"], again["attempts"]) == (failed["id"], 3)
    # What was acknowledged can be sent again too.
    assert plain.post(path, json={}).status_code == 200
    requests = receiver.wait_for(url, 4)
    assert len({(one.headers["webhook-id"], one.body) for one in requests}) == 1
    assert plain.post(path.replace(failed["id"], "evt_01jd0000000000000000000000"), json={}).status_code == 404


def test_a_sample_is_sent_once_and_its_answer_is_told(
    plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    url = receiver.new_url(200, 500, Answer(302, headers={"Location": "/x"}), 200)
    endpoint = subscribe(sdk, url, "file.created")
    results = [sdk.webhooks.test(endpoint.id, event_type=type_) for type_ in ("video.completed", "batch.failed")]
    results.append(sdk.webhooks.test(endpoint.id, event_type="video.failed"))
    assert [one.status_code for one in results] == [200, 500, 302]
    assert {(one.object, one.success, one.webhook_endpoint_id) for one in results} == {
        ("webhook_endpoint.test", True, endpoint.id)
    }
    assert [one.event_type for one in results] == ["video.completed", "batch.failed", "video.failed"]
    requests = receiver.to(url)
    assert [one.event["type"] for one in requests] == ["video.completed", "batch.failed", "video.failed"]
    for one in requests:
        verified(sdk, one, endpoint.signing_secret)
    assert deliveries(plain, endpoint.id) == []
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.webhooks.test(endpoint.id, event_type="response.completed")
    assert refused.value.param == "event_type"


def test_a_sample_without_an_answer_is_an_error_that_says_why(
    plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    nobody = subscribe(sdk, f"http://127.0.0.1:{LATE_PORT}/nobody", "file.created")
    stalls = subscribe(sdk, receiver.new_url(Answer(stalls_s=TIMEOUT_S + 3)), "file.created")
    for endpoint, word in ((nobody, "nothing answers"), (stalls, "too long")):
        with pytest.raises(openai.BadRequestError) as refused:
            sdk.webhooks.test(endpoint.id, event_type="video.failed")
        assert refused.value.code == "webhook_not_delivered"
        assert word in refused.value.message


def test_an_address_that_turned_private_is_not_connected_to(
    hooks: Gateway, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    with Receiver(FORBIDDEN_PORT).serving() as forbidden:
        endpoint = subscribe(sdk, receiver.new_url(), "file.created")
        inside = forbidden.new_url()
        sql(hooks, "UPDATE webhook_endpoint SET url = %s WHERE id = %s", inside, endpoint.id)
        upload(sdk)
        wait_until(lambda: [one["attempts"] for one in deliveries(plain, endpoint.id)] > [1], 15, "two attempts")
        assert {one["error"] for one in deliveries(plain, endpoint.id)[0]["log"]} == {"not_allowed"}
        with pytest.raises(openai.BadRequestError):
            sdk.webhooks.test(endpoint.id, event_type="video.failed")
        assert forbidden.requests == []
        # The URL is looked at anew each time.
        good = receiver.new_url()
        sdk.webhooks.update(endpoint.id, url=good)
        receiver.wait_for(good, 1)


def test_a_deleted_endpoint_gets_nothing_any_more(
    hooks: Gateway, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    url = receiver.new_url(500)
    endpoint = subscribe(sdk, url, "file.created")
    for _ in range(5):
        upload(sdk)
    receiver.wait_for(url, 1)
    sdk.webhooks.delete(endpoint.id)
    time.sleep(TIMEOUT_S)
    sent = len(receiver.to(url))
    time.sleep(3)
    assert len(receiver.to(url)) == sent
    assert sql(hooks, "SELECT count(*) FROM webhook_delivery WHERE endpoint_id = %s", endpoint.id) == [(0,)]


def test_a_dead_endpoint_holds_up_nobody_else(
    hooks: Gateway, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    dead = [receiver.new_url(Answer(stalls_s=TIMEOUT_S + 1)) for _ in range(3)]
    for url in dead:
        subscribe(sdk, url, "file.created")
    for _ in range(60):
        upload(sdk)
    alive = receiver.new_url()
    endpoint = subscribe(sdk, alive, "file.deleted")
    waits = []
    for _ in range(20):
        file_id = upload(sdk)
        sdk.files.delete(file_id)
        began = time.monotonic()
        receiver.wait_for(alive, 1, file_id, timeout_s=60)
        waits.append(time.monotonic() - began)
    # What waits for the dead ones takes minutes.
    assert sorted(waits)[len(waits) // 2] < 5
    assert max(waits) < 60
    # 240 events wait for the dead ones, of which each has one attempt at a time now that it is known.
    query = "SELECT endpoint_id, count(*) FROM webhook_delivery WHERE claimed_until > now() GROUP BY endpoint_id"
    assert all(count == 1 for _, count in sql(hooks, query))
    wait_until(lambda: {one["state"] for one in deliveries(plain, endpoint.id)} == {"delivered"}, 10, "the last note")


@pytest.mark.soak
def test_more_dead_endpoints_than_jobs_hold_up_nobody_else(
    plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    dead = [subscribe(sdk, receiver.new_url(Answer(stalls_s=TIMEOUT_S + 1)), "file.created").id for _ in range(70)]
    upload(sdk)
    wait_until(lambda: all(deliveries(plain, one)[0]["attempts"] for one in dead), 30, "an attempt at each")
    for _ in range(3):
        upload(sdk)
    alive = receiver.new_url()
    subscribe(sdk, alive, "file.deleted")
    waits = []
    for _ in range(10):
        file_id = upload(sdk)
        sdk.files.delete(file_id)
        began = time.monotonic()
        receiver.wait_for(alive, 1, file_id, timeout_s=60)
        waits.append(time.monotonic() - began)
    assert sorted(waits)[len(waits) // 2] < 5
    assert max(waits) < 60


@pytest.mark.soak
def test_an_endpoint_that_is_slow_gets_several_at_once_and_not_too_many(
    plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
) -> None:
    url = receiver.new_url(Answer(stalls_s=0.5))
    endpoint = subscribe(sdk, url, "file.created")
    for _ in range(16):
        upload(sdk)
    wait_until(
        lambda: [one["state"] for one in deliveries(plain, endpoint.id, limit=50)] == ["delivered"] * 16, 20, "all"
    )
    assert 2 <= receiver.busiest[url.partition(str(RECEIVER_PORT))[2]] <= 4
    assert len(receiver.to(url)) == 16


@pytest.mark.parametrize(
    ("number", "twice"), [(signal.SIGKILL, 4), pytest.param(signal.SIGTERM, 0, marks=pytest.mark.soak)]
)
def test_a_worker_that_ends_over_its_deliveries_loses_nothing(
    hooks: Gateway, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver, number: int, twice: int
) -> None:
    url = receiver.new_url(*[Answer(stalls_s=1.5)] * 4, 200)
    endpoint = subscribe(sdk, url, "file.created")
    file_ids = [upload(sdk) for _ in range(12)]
    receiver.wait_for(url, 4)
    os.kill(hooks.child("worker"), number)
    file_ids.append(upload(sdk))
    wait_until(
        lambda: [one["state"] for one in deliveries(plain, endpoint.id, limit=50)] == ["delivered"] * 13, 40, "all"
    )
    by_id: dict[str, set[bytes]] = {}
    for one in receiver.to(url):
        by_id.setdefault(one.headers["webhook-id"], set()).add(one.body)
        verified(sdk, one, endpoint.signing_secret)
    assert all(len(bodies) == 1 for bodies in by_id.values())
    assert {one.event["data"]["id"] for one in receiver.to(url)} == set(file_ids)
    # Four were under way: what is killed sends them again, what is asked to stop finishes them.
    assert len(receiver.to(url)) == 13 + twice
