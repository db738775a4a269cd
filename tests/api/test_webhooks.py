"""Webhook endpoints as OpenAI's client manages them, and what they are sent, verified by that client."""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc
import httpx
import openai
import pytest

from mediagate._gen.mediagate.v1 import webhooks_pb2, webhooks_pb2_grpc
from tests.api.videos_kit import SMALL, create, finished, png
from tests.api.webhooks_kit import (
    CONFIG,
    FORBIDDEN_PORT,
    RECEIVER_PORT,
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

NOBODYS = "we_01jd0000000000000000000000"
EMITTED = [
    *("video.completed", "video.failed", "video.progress"),
    *("file.created", "file.processed", "file.failed", "file.deleted", "file.expired"),
    *("batch.completed", "batch.failed", "batch.expired", "batch.cancelled"),
    "budget.soft_limit_reached",
]


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


class TestManagement:
    def test_an_endpoint_is_made_read_changed_listed_and_deleted(self, sdk: openai.OpenAI, receiver: Receiver) -> None:
        before = int(time.time())
        made = subscribe(sdk, receiver.new_url(), "video.completed", "video.failed", "video.completed")
        assert made.id.startswith("we_")
        assert (made.object, made.name, made.event_types) == (
            "webhook_endpoint",
            "test",
            ["video.completed", "video.failed"],
        )
        assert before <= made.created_at == made.updated_at
        assert made.signing_secret.startswith("whsec_")
        assert made.signing_secret_hint == "whsec_…" + made.signing_secret[-4:]

        found = sdk.webhooks.retrieve(made.id)
        assert found.to_dict() == {k: v for k, v in made.to_dict().items() if k != "signing_secret"}

        changed = sdk.webhooks.update(made.id, name="other", event_types=["batch.completed"])
        assert (changed.name, changed.event_types, changed.url) == ("other", ["batch.completed"], made.url)
        assert "signing_secret" not in changed.to_dict()
        assert sdk.webhooks.update(made.id, name="third").event_types == ["batch.completed"]

        assert [one.id for one in sdk.webhooks.list()] == [made.id]
        gone = sdk.webhooks.delete(made.id)
        assert (gone.id, gone.object, gone.deleted) == (made.id, "webhook_endpoint.deleted", True)
        with pytest.raises(openai.NotFoundError):
            sdk.webhooks.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            sdk.webhooks.delete(made.id)

    def test_a_list_has_the_newest_first_and_goes_on_behind_the_last(
        self, sdk: openai.OpenAI, receiver: Receiver
    ) -> None:
        made = [subscribe(sdk, receiver.new_url(), "video.failed").id for _ in range(5)]
        page = sdk.webhooks.list(limit=2)
        assert ([one.id for one in page.data], page.has_more) == ([made[4], made[3]], True)
        assert [one.id for one in sdk.webhooks.list(limit=2)] == made[::-1]

    def test_the_types_are_those_that_are_emitted(self, sdk: openai.OpenAI) -> None:
        listed = sdk.webhooks.event_types.list()
        assert (listed.object, listed.data) == ("list", EMITTED)

    @pytest.mark.parametrize("prefix", ["", "/v1", "/openai", "/openai/v1"])
    def test_every_prefix_leads_to_the_same_endpoints(
        self, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver, prefix: str
    ) -> None:
        body = {"name": "a", "url": receiver.new_url(), "event_types": ["video.failed"]}
        made = plain.post(f"{prefix}/webhook_endpoints", json=body).json()
        path = f"{prefix}/webhook_endpoints/{made['id']}"
        assert plain.get(path).json()["name"] == "a"
        assert plain.post(path, json={"name": "b"}).json()["name"] == "b"
        assert plain.post(f"{path}/rotate_secret", json={}).json()["signing_secret"] != made["signing_secret"]
        assert plain.post(f"{path}/test", json={"event_type": "video.failed"}).json()["status_code"] == 200
        assert plain.get(f"{path}/deliveries").json()["data"] == []
        assert plain.get(f"{prefix}/webhook_event_types").json()["data"] == EMITTED
        assert plain.delete(path).json()["deleted"] is True

    def test_the_generated_client_manages_the_same_endpoints(
        self, hooks: Gateway, sdk: openai.OpenAI, receiver: Receiver
    ) -> None:
        made = subscribe(sdk, receiver.new_url(), "video.failed")
        with hooks.channel() as channel:
            stub = webhooks_pb2_grpc.WebhookServiceStub(channel)
            found = stub.GetWebhookEndpoint(
                webhooks_pb2.GetWebhookEndpointRequest(webhook_endpoint_id=made.id), metadata=hooks.metadata
            )
            assert (found.id, found.signing_secret, found.mediagate.enabled) == (made.id, "", True)
            with pytest.raises(grpc.RpcError) as refused:
                stub.GetWebhookEndpoint(
                    webhooks_pb2.GetWebhookEndpointRequest(webhook_endpoint_id=NOBODYS), metadata=hooks.metadata
                )
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND

    @pytest.mark.parametrize(
        ("change", "param", "code"),
        [
            ({"event_types": ["video.completed", "response.completed"]}, "event_types", "invalid_field"),
            ({"event_types": []}, "event_types", "invalid_field"),
            ({"name": ""}, "name", "invalid_field"),
            ({"name": "a\0b"}, "name", "invalid_field"),
            ({"name": "a" * 257}, "name", "invalid_field"),
            ({"url": "https://10.0.0.1/hook"}, "url", "url_not_allowed"),
            ({"url": "https://169.254.169.254/latest/meta-data"}, "url", "url_not_allowed"),
            ({"url": "https://localhost/hook"}, "url", "url_not_allowed"),
            ({"url": "https://[::1]/hook"}, "url", "url_not_allowed"),
            ({"url": "https://2130706433/hook"}, "url", "url_not_allowed"),
            ({"url": "https://user:pass@example.com/"}, "url", "url_not_allowed"),
            ({"url": f"http://127.0.0.1:{FORBIDDEN_PORT}/hook"}, "url", "url_not_allowed"),
            ({"url": "ftp://127.0.0.1/hook"}, "url", "url_not_allowed"),
            ({"url": "nothing"}, "url", "url_not_allowed"),
            ({"progress_interval_s": 0.5}, "progress_interval_s", "invalid_field"),
        ],
    )
    def test_what_cannot_be_is_refused_by_name_when_it_is_made_and_when_it_is_changed(
        self,
        plain: httpx.Client,
        sdk: openai.OpenAI,
        receiver: Receiver,
        change: dict[str, object],
        param: str,
        code: str,
    ) -> None:
        good = {"name": "a", "url": receiver.new_url(), "event_types": ["video.failed"]}
        made = plain.post("/v1/webhook_endpoints", json=good).json()
        answers = [plain.post("/v1/webhook_endpoints", json={**good, **change})]
        if change != {"event_types": []}:
            answers.append(plain.post(f"/v1/webhook_endpoints/{made['id']}", json=change))
        for answer in answers:
            assert answer.status_code == 400, answer.text
            error = answer.json()["error"]
            assert (error["param"].partition("[")[0], error["code"]) == (param, code)
        assert plain.get(f"/v1/webhook_endpoints/{made['id']}").json()["url"] == good["url"]

    def test_an_owner_may_have_so_many(self, sdk: openai.OpenAI, receiver: Receiver) -> None:
        for _ in range(CONFIG["webhooks"]["endpoints_max"]):
            subscribe(sdk, receiver.new_url(), "video.failed")
        with pytest.raises(openai.BadRequestError) as refused:
            subscribe(sdk, receiver.new_url(), "video.failed")
        assert refused.value.code == "too_many_webhook_endpoints"

    def test_a_repeated_creation_with_a_key_makes_one_endpoint(self, plain: httpx.Client, receiver: Receiver) -> None:
        body = {"name": "a", "url": receiver.new_url(), "event_types": ["video.failed"]}
        first, second = (
            plain.post("/v1/webhook_endpoints", json=body, headers={"idempotency-key": "one-endpoint"})
            for _ in range(2)
        )
        assert second.headers["idempotent-replayed"] == "true"
        assert first.json() == second.json()
        assert first.json()["signing_secret"].startswith("whsec_")
        listed = plain.get("/v1/webhook_endpoints").json()["data"]
        assert [one["id"] for one in listed] == [first.json()["id"]]
        assert plain.delete(f"/v1/webhook_endpoints/{first.json()['id']}").status_code == 200

    def test_what_a_lost_creation_made_is_found_with_its_secret(
        self, hooks: Gateway, plain: httpx.Client, receiver: Receiver
    ) -> None:
        body = {"name": "a", "url": receiver.new_url(), "event_types": ["video.failed"]}
        key = {"idempotency-key": "a-lost-endpoint"}
        first = plain.post("/v1/webhook_endpoints", json=body, headers=key).json()
        lost = (
            "UPDATE idempotency SET state = 'running', reply = NULL, reply_headers = NULL, lease_expires_at = now()"
            " WHERE key = %s"
        )
        sql(hooks, lost, "a-lost-endpoint")
        again = plain.post("/v1/webhook_endpoints", json=body, headers=key)
        assert again.json() == first
        path = f"/v1/webhook_endpoints/{first['id']}"
        key = {"idempotency-key": "a-lost-deletion"}
        gone = plain.delete(path, headers=key).json()
        sql(hooks, lost, "a-lost-deletion")
        assert plain.delete(path, headers=key).json() == gone
        assert plain.delete(path).status_code == 404


class TestEvents:
    def test_a_completed_video_is_told_signed_and_verified(self, sdk: openai.OpenAI, receiver: Receiver) -> None:
        url = receiver.new_url()
        endpoint = subscribe(sdk, url, "video.completed", "video.failed")
        video = sdk.videos.create_and_poll(**SMALL, prompt="a boat", poll_interval_ms=50)
        (request,) = receiver.wait_for(url)
        event = verified(sdk, request, endpoint.signing_secret)
        assert (event.type, event.object, event.data.id) == ("video.completed", "event", video.id)
        assert request.event == {
            "id": request.headers["webhook-id"],
            "object": "event",
            "created_at": request.event["created_at"],
            "type": "video.completed",
            "data": {"id": video.id},
        }
        assert request.event["id"].startswith("evt_")
        assert request.headers["content-type"] == "application/json"
        # Who is told can read it already.
        assert sdk.videos.retrieve(request.event["data"]["id"]).status == "completed"
        with pytest.raises(openai.InvalidWebhookSignatureError):
            sdk.webhooks.verify_signature(request.body + b" ", request.headers, secret=endpoint.signing_secret)

    @pytest.mark.parametrize("cancels", [False, True])
    def test_a_video_that_fails_or_is_cancelled_is_told_as_failed(
        self, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver, cancels: bool
    ) -> None:
        url = receiver.new_url()
        endpoint = subscribe(sdk, url, "video.completed", "video.failed")
        video = create(plain, "[mediagate:stuck]" if cancels else "[mediagate:reject]")
        if cancels:
            assert plain.post(f"/v1/videos/{video['id']}/cancel", json={}).status_code == 200
        (request,) = receiver.wait_for(url, timeout_s=30)
        assert verified(sdk, request, endpoint.signing_secret).type == "video.failed"
        assert request.event["data"] == {"id": video["id"]}

    def test_a_files_life_is_told(self, hooks: Gateway, sdk: openai.OpenAI, receiver: Receiver) -> None:
        url = receiver.new_url()
        endpoint = subscribe(sdk, url, *(name for name in EMITTED if name.startswith("file.")))
        deleted, expired = upload(sdk), upload(sdk)
        sdk.files.delete(deleted)
        sql(hooks, "UPDATE file SET expires_at = now() - interval '1 s' WHERE id = %s", expired)
        lives = {
            deleted: ["file.created", "file.processed", "file.deleted"],
            expired: ["file.created", "file.processed", "file.expired"],
        }
        for file_id, life in lives.items():
            told = receiver.wait_for(url, 3, file_id, timeout_s=25)
            assert sorted(one.event["type"] for one in told) == sorted(life)
            # Ids sort as things happened, whatever the order in which they arrive.
            assert [one.event["type"] for one in sorted(told, key=lambda one: one.event["id"])] == life
            for one in told:
                verified(sdk, one, endpoint.signing_secret)

    def test_a_promised_copy_that_cannot_be_made_is_told(
        self, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
    ) -> None:
        url = receiver.new_url()
        subscribe(sdk, url, "file.created", "file.failed")
        body = {"source": f"http://127.0.0.1:{RECEIVER_PORT}/cut", "purpose": "user_data"}
        promised = plain.post("/v1/files", json=body, headers={"prefer": "respond-async"})
        assert promised.status_code == 202, promised.text
        (told,) = receiver.wait_for(url, timeout_s=30)
        assert (told.event["type"], told.event["data"]["id"]) == ("file.failed", promised.json()["id"])

    def test_an_endpoint_hears_of_what_it_asked_for_and_of_no_input_of_a_video(
        self, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
    ) -> None:
        files, videos = receiver.new_url(), receiver.new_url()
        subscribe(sdk, files, "file.created", "file.deleted")
        subscribe(sdk, videos, "video.completed")
        sdk.videos.create_and_poll(
            **SMALL, prompt="a boat", input_reference=("a.png", png(320, 180)), poll_interval_ms=50
        )
        file_id = upload(sdk)
        sdk.files.delete(file_id)
        receiver.wait_for(files, 2)
        receiver.wait_for(videos, 1)
        assert {(one.event["type"], one.event["data"]["id"]) for one in receiver.to(files)} == {
            ("file.created", file_id),
            ("file.deleted", file_id),
        }
        assert [one.event["type"] for one in receiver.to(videos)] == ["video.completed"]

    def test_progress_is_told_at_the_endpoints_pace(
        self, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
    ) -> None:
        often, seldom = receiver.new_url(), receiver.new_url()
        subscribe(sdk, often, "video.progress", progress_interval_s=1)
        subscribe(sdk, seldom, "video.progress", progress_interval_s=3)
        time.sleep(5.1)  # who wants progress is remembered for so long
        video = finished(plain, create(plain, "[mediagate:slow=8]"))
        told, seldom_told = receiver.to(often), receiver.to(seldom)
        assert 4 <= len(told) <= 10
        assert 1 <= len(seldom_told) <= 4
        assert len(seldom_told) < len(told)
        for one in told:
            data = one.event["data"]
            assert (one.event["type"], data["id"]) == ("video.progress", video["id"])
            assert 0 <= data["progress"] <= 100
        percents = [one.event["data"]["progress"] for one in sorted(told, key=lambda one: one.event["id"])]
        assert percents == sorted(percents)

    def test_nobody_hears_of_what_is_somebody_elses(
        self, hooks: Gateway, sdk: openai.OpenAI, receiver: Receiver
    ) -> None:
        own, foreign = receiver.new_url(), receiver.new_url()
        subscribe(sdk, own, "file.created")
        other = subscribe(sdk, foreign, "file.created")
        sql(hooks, "UPDATE webhook_endpoint SET owner_id = 'somebody-else' WHERE id = %s", other.id)
        file_id = upload(sdk)
        receiver.wait_for(own, 1, file_id)
        time.sleep(0.5)
        assert receiver.to(foreign) == []
        assert other.id not in [one.id for one in sdk.webhooks.list()]
        with pytest.raises(openai.NotFoundError):
            sdk.webhooks.test(other.id, event_type="video.failed")
        sql(hooks, "DELETE FROM webhook_endpoint WHERE id = %s", other.id)

    def test_what_is_rolled_back_is_not_told(self, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver) -> None:
        url = receiver.new_url()
        subscribe(sdk, url, "file.created", "file.deleted", "file.failed")
        with pytest.raises(openai.BadRequestError):
            sdk.files.create(file=("a.txt", b"x"), purpose="no such purpose")  # type: ignore[arg-type]
        assert plain.delete("/v1/files/file-01jd0000000000000000000000").status_code == 404
        file_id = upload(sdk)
        receiver.wait_for(url, 1, file_id)
        assert len(receiver.to(url)) == 1

    def test_old_events_are_forgotten_with_their_deliveries(
        self, hooks: Gateway, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver
    ) -> None:
        url = receiver.new_url()
        endpoint = subscribe(sdk, url, "file.created")
        upload(sdk)
        kept = delivery(plain, endpoint.id, "delivered")
        upload(sdk)
        wait_until(lambda: len(deliveries(plain, endpoint.id, state="delivered")) == 2, 15, "two deliveries")
        new = deliveries(plain, endpoint.id)[0]["id"]
        # Its id says when it was.
        old = "evt_01jd" + kept["id"][8:]
        sql(hooks, "ALTER TABLE webhook_delivery DROP CONSTRAINT webhook_delivery_event_id_fkey")
        sql(hooks, "UPDATE webhook_event SET id = %s WHERE id = %s", old, kept["id"])
        sql(hooks, "UPDATE webhook_delivery SET event_id = %s WHERE event_id = %s", old, kept["id"])
        sql(
            hooks,
            "ALTER TABLE webhook_delivery ADD CONSTRAINT webhook_delivery_event_id_fkey"
            " FOREIGN KEY (event_id) REFERENCES webhook_event (id) ON DELETE CASCADE",
        )
        wait_until(lambda: len(deliveries(plain, endpoint.id)) == 1, 25, "the sweep")
        assert deliveries(plain, endpoint.id)[0]["id"] == new
        assert sql(hooks, "SELECT count(*) FROM webhook_event WHERE id = %s", old) == [(0,)]

    def test_a_log_is_read_page_by_page(self, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver) -> None:
        endpoint = subscribe(sdk, receiver.new_url(), "file.created")
        file_ids = [upload(sdk) for _ in range(5)]
        wait_until(lambda: len(deliveries(plain, endpoint.id, state="delivered")) == 5, 15, "all deliveries")
        path, seen, after = f"/v1/webhook_endpoints/{endpoint.id}/deliveries", [], None
        while True:
            page = plain.get(path, params={"limit": 2, **({"after": after} if after else {})}).json()
            seen += [one["data_id"] for one in page["data"]]
            assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
            after = page["last_id"]
            if not page["has_more"]:
                break
        assert seen == file_ids[::-1]
        assert plain.get(path, params={"after": "evt_x"}).status_code == 404


class TestSecrets:
    def test_two_secrets_are_valid_while_one_is_replaced(self, sdk: openai.OpenAI, receiver: Receiver) -> None:
        url = receiver.new_url()
        first = subscribe(sdk, url, "file.created").signing_secret
        (endpoint,) = sdk.webhooks.list()
        second = sdk.webhooks.rotate_secret(endpoint.id, keep_old_secret_active_for_24_hours=True).signing_secret
        assert second != first
        upload(sdk)
        (request,) = receiver.wait_for(url)
        assert len(request.headers["webhook-signature"].split(" ")) == 2
        for secret in (first, second):
            verified(sdk, request, secret)

        third = sdk.webhooks.rotate_secret(endpoint.id)
        assert third.signing_secret_hint == "whsec_…" + third.signing_secret[-4:]
        file_id = upload(sdk)
        (request,) = receiver.wait_for(url, data_id=file_id)
        verified(sdk, request, third.signing_secret)
        for secret in (first, second):
            with pytest.raises(openai.InvalidWebhookSignatureError):
                verified(sdk, request, secret)

    def test_an_old_secret_ends_after_its_day(self, hooks: Gateway, sdk: openai.OpenAI, receiver: Receiver) -> None:
        url = receiver.new_url()
        first = subscribe(sdk, url, "file.created")
        sdk.webhooks.rotate_secret(first.id, keep_old_secret_active_for_24_hours=True)
        sql(
            hooks,
            "UPDATE webhook_endpoint SET old_secrets = jsonb_set(old_secrets, '{0,expires_at}',"
            " to_jsonb('2026-01-01T00:00:00+00:00'::text)) WHERE id = %s",
            first.id,
        )
        upload(sdk)
        (request,) = receiver.wait_for(url)
        assert len(request.headers["webhook-signature"].split(" ")) == 1
        with pytest.raises(openai.InvalidWebhookSignatureError):
            verified(sdk, request, first.signing_secret)

    def test_no_answer_shows_a_secret_again(self, plain: httpx.Client, sdk: openai.OpenAI, receiver: Receiver) -> None:
        made = subscribe(sdk, receiver.new_url(), "file.created")
        upload(sdk)
        delivery(plain, made.id, "delivered")
        for path in ("", f"/{made.id}", f"/{made.id}/deliveries"):
            assert made.signing_secret[6:] not in plain.get(f"/v1/webhook_endpoints{path}").text
