"""Whose objects are whose: every RPC that the server describes, with an own, a foreign, a deleted and a random id.

For every way to an object, natively and on every REST path, the answer for somebody else's id is byte for byte the
answer for an id that never was, but for the id itself, the request id and times. A new RPC without a row fails.

All of it is asked in several roles: who calls, who made what is the caller's own, and whose the rest is.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import openai
import pytest
from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from mediagate.core import ids
from tests.api.access_kit import add_holder, issue_key
from tests.api.wire import FORM_TYPE, field, file_part, form, sql, stored
from tests.conftest import MASTER_KEY, MEDIA_PORT, Gateway

SOMEBODY = "somebody-else"
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
RANDOM = "01jd0000000000000000000000"
KINDS = {"file": "file-", "image": "file-", "film": "file-", "upload": "upload_", "part": "part_", "video": "video_"}
VOLATILE = {"date", "x-request-id", "openai-processing-ms"}


@dataclass(frozen=True)
class Row:
    """One way in which an RPC names an object.

    `message` is the request natively, for streamed requests the list of messages; `body` what a REST call sends where
    it is no JSON of `message`. `own` are the codes that the owner may get: mostly it just works.
    """

    kind: str
    message: Callable[[str], Any]
    body: Callable[[str], tuple[str, bytes]] | None = None
    own: tuple[str, ...] = ("OK",)
    consumes: bool = False
    """Whether the owner's call takes the object away."""


def http_body(content_type: str, data: bytes) -> dict[str, str]:
    return {"content_type": content_type, "data": base64.b64encode(data).decode()}


def sent(kind: str, body: Callable[[str], tuple[str, bytes]], member: str = "", **first: str) -> Row:
    """A row of a method whose request is a stream of bodies, maybe in a member beside others."""

    def message(object_id: str) -> list[Any]:
        whole = http_body(*body(object_id))
        named = dict.fromkeys(first, object_id)
        return [{member: whole, **named} if member else whole]

    return Row(kind, message, body)


def by_id(name: str, kind: str, *own: str, **more: Any) -> Row:
    """A row of a method that takes an id and little else."""
    return Row(kind, lambda object_id: {name: object_id, **more}, own=own or ("OK",))


def as_json(**members: Any) -> Callable[[str], tuple[str, bytes]]:
    """A JSON body with `ID` replaced."""
    return lambda object_id: ("application/json", json.dumps(members).replace("ID", object_id).encode())


def as_form(*fields: tuple[str, str]) -> Callable[[str], tuple[str, bytes]]:
    """A form with `ID` replaced."""
    return lambda object_id: (
        FORM_TYPE,
        form(*[field(name, value.replace("ID", object_id)) for name, value in fields]),
    )


SMALL = {"prompt": "A boat", "model": "local-video", "seconds": "1", "size": "320x180"}
SMALL_FIELDS = tuple(SMALL.items())
NO_OBJECT = "names no object"
LISTS = "lists the caller's own: see the tests below"
ADMINS = "belongs to the admins alone: see tests/api/test_admin.py"
OWN_SPEND = "shows the caller's own: see tests/tenancy/test_spend.py"
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
    "SystemService.GetReadiness": NO_OBJECT,
    "SystemService.GetMetrics": NO_OBJECT,
    "SystemService.GetLiveliness": NO_OBJECT,
    "SystemService.GetHealth": NO_OBJECT,
    "DiagnosticsService.Ping": NO_OBJECT,
    "DiagnosticsService.CountBytes": NO_OBJECT,
    "DiagnosticsService.StreamZeros": NO_OBJECT,
}
WAYS = [(name, number) for name, rows in MATRIX.items() if not isinstance(rows, str) for number in range(len(rows))]


@dataclass(frozen=True)
class Role:
    """`caller` are the headers of every question, `maker` of what makes the caller's own objects, and `owner` of what
    an end user may not make. `foreign` is how the row of somebody else's object differs."""

    caller: Mapping[str, str]
    maker: Mapping[str, str]
    owner_id: str
    foreign: str
    owner: Mapping[str, str] | None = None
    is_token: bool = False

    def refuses(self, name: str, kind: str) -> bool:
        """Whether the role opens no way to what is asked for, whose ever it is."""
        is_end_user = self.owner is not None
        return (is_end_user and kind in OF_THE_OWNER) or (self.is_token and name.startswith("TokenService."))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def _master(_: Gateway) -> Role:
    auth = bearer(MASTER_KEY)
    return Role(auth, auth, "master", f"owner_id = '{SOMEBODY}'")


def _key_of_a_team(gateway: Gateway) -> Role:
    team, other = (add_holder(gateway, "team", f"matrix-{name}") for name in ("team", "other-team"))
    first, second = issue_key(gateway, team_id=team), issue_key(gateway, team_id=team)
    return Role(second.headers, first.headers, f"team:{team}", f"owner_id = 'team:{other}'")


def _key_of_nobody(gateway: Gateway) -> Role:
    key = issue_key(gateway)
    return Role(key.headers, key.headers, f"key:{key.id}", "owner_id = 'master'")


def _token_of_an_end_user(gateway: Gateway) -> Role:
    key = issue_key(gateway, uses_providers=True)
    made = httpx.post(
        f"{gateway.url}/v1/tokens", json={"kind": "end_user", "user": "carol"}, headers=key.headers, timeout=60
    ).json()
    hers = {**key.headers, "x-litellm-end-user-id": "carol"}
    return Role(bearer(made["token"]), hers, f"key:{key.id}", "end_user = NULL", key.headers, is_token=True)


def _end_user(gateway: Gateway) -> Role:
    key = issue_key(gateway, uses_providers=True)
    hers = {**key.headers, "x-mediagate-user": "alice"}
    return Role(hers, hers, f"key:{key.id}", "end_user = 'bob'", key.headers)


ROLES = {
    "the master key": _master,
    "another key of the team": _key_of_a_team,
    "a key of nobody": _key_of_nobody,
    "an end user": _end_user,
    "a token of an end user": _token_of_an_end_user,
}
OF_THE_OWNER = ("endpoint", "event")
"""Kinds of objects that no end user has."""


class World:
    """One object of every kind and fate, and every way to ask for it."""

    def __init__(self, gateway: Gateway, role: Role) -> None:
        self.gateway = gateway
        self.role = role
        self.sdk = self._sdk(role.maker)
        self.owner = self._sdk(role.owner or role.maker)
        self.http = httpx.Client(base_url=gateway.url, headers=dict(role.caller), timeout=120, verify=False)
        self.channel = gateway.channel()
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))
        self.methods = dict(self._described(pool))
        self._clip = self._video()
        self._film = self.sdk.videos.download_content(self._clip).content
        self._made: dict[tuple[str, str], str] = {}
        self._pending = self._upload(3)
        self._whole_parts: dict[str, str] = {}

    def _sdk(self, headers: Mapping[str, str]) -> openai.OpenAI:
        more = {name: value for name, value in headers.items() if name != "authorization"}
        key = headers["authorization"].partition(" ")[2]
        return openai.OpenAI(base_url=f"{self.gateway.url}/v1", api_key=key, max_retries=0, default_headers=more)

    def _described(self, pool: DescriptorPool) -> Iterator[tuple[str, MethodDescriptor]]:
        database = ProtoReflectionDescriptorDatabase(self.channel)
        for service in database.get_services():
            if service.startswith("mediagate."):
                described = pool.FindServiceByName(service)
                for method in described.methods:
                    yield f"{described.name}.{method.name}", method

    def close(self) -> None:
        self.sdk.close()
        self.owner.close()
        self.http.close()
        self.channel.close()

    def id_of(self, kind: str, fate: str, *, consumed: bool = False) -> str:
        """An object's id: for its owner a new one, unless it is a video that is not consumed; for others always one."""
        if fate == "random":
            return {"character": "char_", "endpoint": "we_", "event": "evt_", "token": "tok_", **KINDS}[kind] + RANDOM
        if fate == "own":
            return self._clip if kind == "video" and not consumed else self._make(kind)
        key = (kind, fate)
        if key not in self._made:
            self._made[key] = self._make(kind)
            (self._give_away if fate == "foreign" else self._delete)(kind, self._made[key])
        return self._made[key]

    def _make(self, kind: str) -> str:
        if kind in ("file", "image", "film"):
            data = {"file": b"secret", "image": PNG, "film": self._film}[kind]
            return self.sdk.files.create(file=(kind, data), purpose="user_data").id
        if kind == "upload":
            return self._upload(0)
        if kind == "part":
            upload = self._upload(3)
            part = self.sdk.uploads.parts.create(upload, data=b"abc").id
            self._whole_parts[part] = upload
            return part
        if kind == "video":
            return self._video()
        if kind == "endpoint":
            url = f"http://127.0.0.1:{MEDIA_PORT}/hook"
            return self.owner.webhooks.create(name="a", url=url, event_types=["batch.failed"]).id
        if kind == "event":
            return self._event()
        if kind == "token":
            wish = {"kind": "upload"}
            return str(self.http.post("/v1/tokens", json=wish, headers=dict(self.role.maker)).json()["id"])
        content_type, body = as_form(("name", "Ada"), ("video[file_id]", self._make("film")))("")
        response = self.http.post(
            "/v1/videos/characters", content=body, headers={"content-type": content_type, **self.role.maker}
        )
        return str(response.json()["id"])

    def _upload(self, size: int) -> str:
        return self.sdk.uploads.create(bytes=size, filename="a", mime_type="b", purpose="user_data").id

    def _video(self) -> str:
        video = self.sdk.videos.create_and_poll(**SMALL, poll_interval_ms=50)  # type: ignore[arg-type]
        assert video.status == "completed", video.error
        return video.id

    def _event(self) -> str:
        """An event that no endpoint gets, so that nothing is sent while others look."""
        event_id = ids.EVENT.new()
        sql(
            self.gateway,
            "INSERT INTO webhook_event (id, owner_id, type, data_id, body, created_at)"
            " VALUES (%s, %s, 'batch.failed', 'batch_1', '{}', now())",
            event_id,
            self.role.owner_id,
        )
        return event_id

    def _give_away(self, kind: str, object_id: str) -> None:
        if kind == "part":
            upload = self._whole_parts.pop(object_id)
            sql(self.gateway, f"UPDATE upload SET {self.role.foreign} WHERE id = %s", upload)
            return
        table = {
            "image": "file",
            "film": "file",
            "endpoint": "webhook_endpoint",
            "event": "webhook_event",
            "token": "access_token",
        }.get(kind, kind)
        change = f"owner_id = '{SOMEBODY}'" if kind in OF_THE_OWNER else self.role.foreign
        sql(self.gateway, f"UPDATE {table} SET {change} WHERE id = %s", object_id)

    def _delete(self, kind: str, object_id: str) -> None:
        if kind in ("file", "image", "film"):
            self.sdk.files.delete(object_id)
        elif kind == "video":
            self.sdk.videos.delete(object_id)
        elif kind == "endpoint":
            self.owner.webhooks.delete(object_id)
        elif kind == "event":
            sql(self.gateway, "DELETE FROM webhook_event WHERE id = %s", object_id)
        elif kind == "upload":
            sql(self.gateway, "DELETE FROM upload WHERE id = %s", object_id)
        elif kind == "token":
            sql(self.gateway, "DELETE FROM access_token WHERE id = %s", object_id)
        elif kind == "part":
            self._whole_parts.pop(object_id)
            sql(self.gateway, "DELETE FROM upload_part WHERE id = %s", object_id)
            next(path for path in stored(self.gateway) if path.name == object_id).unlink()
        else:
            sql(self.gateway, "DELETE FROM character WHERE id = %s", object_id)

    def natively(self, method: MethodDescriptor, row: Row, object_id: str) -> tuple[str, bytes]:
        """The code and everything else that a gRPC caller is told."""
        request = GetMessageClass(method.input_type)
        response = GetMessageClass(method.output_type)
        given = row.message(object_id)
        trees = given if isinstance(given, list) else [given]
        messages: list[Message] = [json_format.ParseDict(self._filled(tree, object_id), request()) for tree in trees]
        path = f"/{method.containing_service.full_name}/{method.name}"
        one, many = request.SerializeToString, response.FromString
        streams = (method.client_streaming, method.server_streaming)
        kind = {(False, False): "unary_unary", (False, True): "unary_stream", (True, False): "stream_unary"}[streams]
        call = getattr(self.channel, kind)(path, one, many)
        try:
            answer = call(
                iter(messages) if streams[0] else messages[0], metadata=tuple(self.role.caller.items()), timeout=80
            )
            if streams[1]:
                next(iter(answer))
                answer.cancel()
        except grpc.RpcError as error:
            trailing = {k: v for k, v in error.trailing_metadata() or () if k not in VOLATILE}
            said = repr((error.details(), sorted(trailing.items()))).encode()
            return error.code().name, said.replace(object_id.encode(), b"ID")
        return "OK", b""

    def _filled(self, tree: Any, object_id: str) -> Any:
        """With a part's own upload, where it is the caller's, and otherwise always the same one."""
        text = json.dumps(tree).replace("OWN UPLOAD", self._whole_parts.get(object_id, self._pending))
        if "OWN E" in text:
            text = text.replace("OWN EVENT", self._own("event")).replace("OWN ENDPOINT", self._own("endpoint"))
        return json.loads(text)

    def _own(self, kind: str) -> str:
        """One object of the caller's, always the same."""
        if (kind, "own") not in self._made:
            self._made[kind, "own"] = self._make(kind)
        return self._made[kind, "own"]

    def over_rest(self, method: MethodDescriptor, row: Row, object_id: str) -> list[tuple[int, Any, bytes]]:
        """Status, headers and body of the answer on each of the RPC's paths."""
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        answers = []
        for binding in (rule, *rule.additional_bindings):
            kind = binding.WhichOneof("pattern")
            if kind is None:
                continue
            verb, path = (
                (binding.custom.kind, binding.custom.path)
                if kind == "custom"
                else (kind.upper(), getattr(binding, kind))
            )
            content: bytes | None = None
            content_type = "application/json"
            given = row.message(object_id)
            query: dict[str, Any] = {}
            if row.body is not None:
                content_type, content = row.body(object_id)
            else:
                members = self._filled(given, object_id)
                members = {name: value for name, value in members.items() if f"{{{name}}}" not in path}
                if binding.body:
                    content = json.dumps(members).encode()
                else:
                    query = members
            for name, value in (given if isinstance(given, dict) else {}).items():
                path = path.replace(f"{{{name}}}", str(self._filled(value, object_id)))
            path = path[: path.index("{")] + object_id + path[path.index("}") + 1 :] if "{" in path else path
            response = self.http.request(
                verb, path, content=content, params=query, headers={"content-type": content_type} if content else {}
            )
            headers = {name: value for name, value in response.headers.items() if name not in VOLATILE}
            answers.append((response.status_code, headers, response.content.replace(object_id.encode(), b"ID")))
        return answers


@pytest.fixture(scope="module", params=list(ROLES))
def world(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[World]:
    """The objects of this module; most are made when they are first asked for."""
    made = World(gateway, ROLES[request.param](gateway))
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
