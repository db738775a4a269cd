"""Whose objects are whose: every RPC that the server describes, with an own, a foreign, a deleted and a random id.

For every way to an object, natively and on every REST path, the answer for somebody else's id is byte for byte the
answer for an id that never was, but for the id itself, the request id and times. A new RPC without a row fails.

All of it is asked in several roles: who calls, who made what is the caller's own, and whose the rest is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx
import openai
import pytest

from tests.api.wire import FORM_TYPE, field, file_part, form, sql
from tests.conftest import Gateway
from tests.tenancy.roles import ROLES, SOMEBODY
from tests.tenancy.rows import Row, as_form, as_json, by_id, sent
from tests.tenancy.world import SMALL, World

SMALL_FIELDS = tuple(SMALL.items())
NO_OBJECT = "names no object"
LISTS = "lists the caller's own: see the tests below"
ADMINS = "belongs to the admins alone: see tests/api/test_admin.py"
OWN_SPEND = "shows the caller's own: see tests/tenancy/test_spend.py"
CHATS = "names files, of a model that the gateway of these tests has not: see tests/chat/test_stored_files.py"
SEALED = "the id itself says whose it is: see tests/chat/test_kept_responses.py"
PART_FORM = (FORM_TYPE, form(file_part(b"abc", name="data")))

MATRIX: Mapping[str, list[Row] | str] = {
    "FileService.CreateFileHttp": NO_OBJECT,
    "FileService.PutFileHttp": NO_OBJECT,
    "FileService.UploadFile": NO_OBJECT,
    "FileService.CopyFile": [by_id("source", "file", purpose="user_data")],
    "FileService.ListFiles": LISTS,
    "FileService.GetFile": [by_id("file_id", "file")],
    "FileService.DeleteFile": [by_id("file_id", "file")],
    "FileService.GetFileContentHttp": [by_id("file_id", "file")],
    "FileService.HeadFileContentHttp": [by_id("file_id", "file")],
    "FileService.DownloadFile": [by_id("file_id", "file")],
    "UsageService.GetStorageUsage": LISTS,
    "UploadService.CreateUpload": NO_OBJECT,
    "UploadService.AddUploadPartHttp": [sent("upload", lambda _: PART_FORM, member="content", upload_id="ID")],
    "UploadService.AddUploadPart": [
        Row("upload", lambda one: [{"metadata": {"upload_id": one, "size_bytes": "0"}}]),
    ],
    "UploadService.CompleteUpload": [
        by_id("upload_id", "upload", part_ids=[]),
        Row("part", lambda one: {"upload_id": "OWN UPLOAD", "part_ids": [one]}),
    ],
    "UploadService.CancelUpload": [by_id("upload_id", "upload")],
    "BatchService.CreateBatch": [
        by_id("input_file_id", "file", endpoint="/v1/embeddings", completion_window="24h"),
    ],
    "BatchService.ListBatches": LISTS,
    "BatchService.GetBatch": [by_id("batch_id", "batch")],
    "BatchService.CancelBatch": [by_id("batch_id", "batch", "OK", "FAILED_PRECONDITION")],
    "VideoService.CreateVideo": [Row("image", lambda one: {**SMALL, "input_reference": {"file_id": one}})],
    "VideoService.CreateVideoHttp": [
        sent("image", as_json(**SMALL, input_reference={"file_id": "ID"})),
        sent("image", as_form(*SMALL_FIELDS, ("input_reference[file_id]", "ID"))),
    ],
    "VideoService.EstimateVideo": [Row("image", lambda one: {**SMALL, "input_reference": {"file_id": one}})],
    "VideoService.EstimateVideoHttp": [sent("image", as_json(**SMALL, input_reference={"file_id": "ID"}))],
    "VideoService.ListVideos": LISTS,
    "VideoService.GetVideo": [by_id("video_id", "video"), by_id("video_id", "video", wait="1s")],
    "VideoService.WatchVideo": [by_id("video_id", "video")],
    "VideoService.WatchVideoHttp": [by_id("video_id", "video")],
    "VideoService.WatchVideos": LISTS,
    "VideoService.WatchVideosHttp": LISTS,
    "VideoService.CancelVideo": [by_id("video_id", "video", "OK", "FAILED_PRECONDITION")],
    "VideoService.DeleteVideo": [Row("video", lambda one: {"video_id": one}, consumes=True)],
    "VideoService.GetVideoContentHttp": [by_id("video_id", "video"), by_id("video_id", "video", variant="thumbnail")],
    "VideoService.HeadVideoContentHttp": [by_id("video_id", "video")],
    "VideoService.DownloadVideo": [by_id("video_id", "video")],
    "VideoService.RemixVideo": [by_id("video_id", "video", prompt="Another boat")],
    "VideoService.RemixVideoHttp": [
        sent("video", as_json(prompt="Another boat", video_id="ID"), member="content", video_id="ID"),
    ],
    "VideoService.EditVideo": [
        Row("video", lambda one: {"prompt": "A boat", "video": {"video_id": one}}),
        Row("film", lambda one: {"prompt": "A boat", "video": {"file_id": one}}),
    ],
    "VideoService.EditVideoHttp": [
        sent("video", as_json(prompt="A boat", video={"id": "ID"})),
        sent("video", as_form(("prompt", "A boat"), ("video[id]", "ID"))),
        sent("film", as_json(prompt="A boat", video={"file_id": "ID"})),
    ],
    "VideoService.ExtendVideo": [
        Row("video", lambda one: {"prompt": "A boat", "seconds": "1", "video": {"video_id": one}}),
        Row("film", lambda one: {"prompt": "A boat", "seconds": "1", "video": {"file_id": one}}),
    ],
    "VideoService.ExtendVideoHttp": [
        sent("video", as_json(prompt="A boat", seconds="1", video={"id": "ID"})),
        sent("film", as_form(("prompt", "A boat"), ("seconds", "1"), ("video[file_id]", "ID"))),
    ],
    "VideoService.CreateCharacter": [Row("film", lambda one: {"name": "Ada", "file_id": one})],
    "VideoService.CreateCharacterHttp": [
        sent("film", as_form(("name", "Ada"), ("video[file_id]", "ID"))),
    ],
    "VideoService.GetCharacter": [by_id("character_id", "character")],
    "VideoService.ListVideoModels": NO_OBJECT,
    "VideoService.TakeProviderCallback": "has no caller: its token is the video's own",
    "ChatService.CreateChatCompletion": CHATS,
    "ChatService.CreateResponse": CHATS,
    "ChatService.GetResponse": SEALED,
    "ChatService.DeleteResponse": SEALED,
    "ChatService.ListResponseInputItems": SEALED,
    "ChatService.CancelResponse": NO_OBJECT,
    "WebhookService.CreateWebhookEndpoint": NO_OBJECT,
    "WebhookService.ListWebhookEndpoints": LISTS,
    "WebhookService.GetWebhookEndpoint": [by_id("webhook_endpoint_id", "endpoint")],
    "WebhookService.UpdateWebhookEndpoint": [by_id("webhook_endpoint_id", "endpoint", progress_interval_s=5)],
    "WebhookService.DeleteWebhookEndpoint": [by_id("webhook_endpoint_id", "endpoint")],
    "WebhookService.RotateWebhookSecret": [by_id("webhook_endpoint_id", "endpoint")],
    # Nobody listens there, so the owner is told just that.
    "WebhookService.TestWebhookEndpoint": [
        by_id("webhook_endpoint_id", "endpoint", "INVALID_ARGUMENT", event_type="video.failed")
    ],
    "WebhookService.ListWebhookEventTypes": NO_OBJECT,
    "WebhookService.ListWebhookDeliveries": [by_id("webhook_endpoint_id", "endpoint")],
    "WebhookService.RedeliverWebhookEvent": [
        Row("endpoint", lambda one: {"webhook_endpoint_id": one, "event_id": "OWN EVENT"}),
        Row("event", lambda one: {"webhook_endpoint_id": "OWN ENDPOINT", "event_id": one}),
    ],
    "TokenService.CreateToken": [
        Row("video", lambda one: {"video_id": one, "kind": "watch"}),
        Row("video", lambda one: {"video_id": one, "kind": "playback"}),
        Row("file", lambda one: {"file_id": one, "kind": "playback"}),
    ],
    "TokenService.ListTokens": LISTS,
    "TokenService.GetToken": [by_id("token_id", "token")],
    "TokenService.RevokeToken": [by_id("token_id", "token")],
    **{
        f"AdminService.{verb}": ADMINS
        for verb in (
            "CreateKey",
            "UpdateKey",
            "DeleteKeys",
            "RegenerateKey",
            "GetKey",
            "ListKeys",
            "CreateUser",
            "UpdateUser",
            "DeleteUsers",
            "GetUser",
            "ListUsers",
            "CreateTeam",
            "UpdateTeam",
            "DeleteTeams",
            "GetTeam",
            "ListTeams",
            "ListAuditEvents",
        )
    },
    "SpendService.ListSpendLogs": OWN_SPEND,
    "SpendService.ListSpendLogsHttp": OWN_SPEND,
    "SpendService.GetSpend": OWN_SPEND,
    "SpendService.GetSpendHttp": OWN_SPEND,
    "SpendService.GetBudgets": OWN_SPEND,
    "SpendService.ResetBudget": "is for admins, who see every owner's",
    "SpendService.SettleSpend": "is for admins, who see every owner's",
    "ModelService.ListModels": NO_OBJECT,
    "ModelService.GetModel": NO_OBJECT,
    "PagesService.GetConsole": NO_OBJECT,
    "PagesService.GetDocs": NO_OBJECT,
    "PagesService.GetOpenapi": NO_OBJECT,
    "SystemService.GetReadiness": NO_OBJECT,
    "SystemService.GetMetrics": NO_OBJECT,
    "SystemService.GetLiveliness": NO_OBJECT,
    "SystemService.GetHealth": NO_OBJECT,
    "DiagnosticsService.Ping": NO_OBJECT,
    "DiagnosticsService.CountBytes": NO_OBJECT,
    "DiagnosticsService.StreamZeros": NO_OBJECT,
}
WAYS = [(name, number) for name, rows in MATRIX.items() if not isinstance(rows, str) for number in range(len(rows))]


THOROUGH = "another key of the team"
"""Who asks on every path; the others ask on the first one, since the edge leads them to the same RPC."""


@pytest.fixture(
    scope="module",
    params=[
        *((role, role == THOROUGH) for role in ROLES),
        *(pytest.param((role, True), marks=pytest.mark.soak) for role in ROLES if role != THOROUGH),
    ],
    ids=lambda param: f"{param[0]}, every path" if param[1] else param[0],
)
def world(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[World]:
    """The objects of this module; most are made when they are first asked for."""
    role, every_path = request.param
    made = World(gateway, ROLES[role](gateway), every_path=every_path)
    yield made
    made.close()


def test_every_rpc_has_a_row(world: World) -> None:
    assert set(world.methods) == set(MATRIX)


@pytest.mark.parametrize(("name", "number"), WAYS, ids=[f"{name}-{number}" for name, number in WAYS])
def test_a_foreign_object_is_no_object(world: World, name: str, number: int) -> None:
    rows, method = MATRIX[name], world.methods[name]
    assert not isinstance(rows, str)
    row = rows[number]
    answers = {}
    for fate in ("random", "foreign", "deleted"):
        object_id = world.id_of(row.kind, fate)
        answers[fate] = (world.natively(method, row, object_id), world.over_rest(method, row, object_id))
    native, rest = answers["random"]
    if world.role.refuses(name, row.kind):
        own = world.id_of(row.kind, "own")
        assert native[0] == world.natively(method, row, own)[0] == "PERMISSION_DENIED"
        assert {status for status, _, _ in rest} == {403}
        return
    assert native[0] in ("NOT_FOUND", "INVALID_ARGUMENT"), native
    assert all(400 <= status < 500 for status, _, _ in rest), rest
    assert answers["foreign"] == answers["random"]
    assert answers["deleted"] == answers["random"]
    code, said = world.natively(method, row, world.id_of(row.kind, "own", consumed=row.consumes))
    assert code in row.own, said


@pytest.mark.parametrize("kind", ["file", "video"])
def test_no_list_shows_what_is_not_ones_own(world: World, kind: str) -> None:
    foreign, deleted = world.id_of(kind, "foreign"), world.id_of(kind, "deleted")
    for query in ("", "?order=asc", "?limit=100"):
        listed = world.http.get(f"/v1/{kind}s{query}").text
        assert foreign not in listed
        assert deleted not in listed


@pytest.mark.parametrize("kind", ["file", "video"])
def test_a_foreign_cursor_tells_no_more_than_a_random_one(world: World, kind: str) -> None:
    foreign = world.id_of(kind, "foreign")
    neighbour = foreign[:-1] + ("0" if foreign[-1] != "0" else "1")
    pages = [world.http.get(f"/v1/{kind}s?limit=3&after={cursor}") for cursor in (foreign, neighbour)]
    assert [page.status_code for page in pages] == [200, 200]
    assert pages[0].json() == pages[1].json()


def test_the_same_key_of_two_owners_is_two_keys(world: World, gateway: Gateway) -> None:
    key = {"idempotency-key": "the-same-for-both"}

    def upload() -> httpx.Response:
        parts = form(field("purpose", "user_data"), file_part(b"secret"))
        return world.http.post("/v1/files", content=parts, headers={"content-type": FORM_TYPE, **key})

    sql(gateway, "DELETE FROM idempotency WHERE key = 'the-same-for-both'")

    theirs = upload()
    sql(gateway, "UPDATE idempotency SET owner_id = %s WHERE key = 'the-same-for-both'", SOMEBODY)
    own = upload()
    assert (own.status_code, "idempotent-replayed" in own.headers) == (200, False)
    assert own.json()["id"] != theirs.json()["id"]
    assert sql(gateway, "SELECT count(*) FROM idempotency WHERE key = 'the-same-for-both'") == [(2,)]


def test_what_was_asked_of_foreign_objects_changed_nothing(world: World, gateway: Gateway) -> None:
    """Runs behind all the rest: deletions and cancellations of somebody else's objects did not happen."""
    foreign = world.role.foreign.replace("= NULL", "IS NULL")
    for kind, table in (("file", "file"), ("image", "file"), ("film", "file")):
        rows = sql(gateway, f"SELECT {foreign}, state FROM {table} WHERE id = %s", world.id_of(kind, "foreign"))
        assert rows == [(True, "processed")]
    upload = world.id_of("upload", "foreign")
    assert sql(gateway, f"SELECT {foreign}, state FROM upload WHERE id = %s", upload) == [(True, "pending")]
    video = world.id_of("video", "foreign")
    query = f"SELECT {foreign}, phase, deleted_at FROM video WHERE id = %s"
    assert sql(gateway, query, video) == [(True, "ready", None)]


def test_an_owner_gets_his_object_back(world: World, gateway: Gateway) -> None:
    """It was the owner alone that hid it."""
    foreign = world.id_of("file", "foreign")
    with pytest.raises(openai.NotFoundError):
        world.sdk.files.retrieve(foreign)
    own = world.id_of("file", "own")
    (before,) = sql(gateway, "SELECT owner_id, end_user FROM file WHERE id = %s", foreign)
    (mine,) = sql(gateway, "SELECT owner_id, end_user FROM file WHERE id = %s", own)
    sql(gateway, "UPDATE file SET owner_id = %s, end_user = %s WHERE id = %s", *mine, foreign)
    assert world.sdk.files.content(foreign).content == b"secret"
    sql(gateway, "UPDATE file SET owner_id = %s, end_user = %s WHERE id = %s", *before, foreign)
    assert isinstance(world.http, httpx.Client)
