"""Objects of every kind and fate, and every way to ask for them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import httpx
import openai
from google.api import annotations_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from mediagate.core import ids
from tests.api.wire import sql, stored
from tests.conftest import MEDIA_PORT, Gateway
from tests.tenancy.roles import OF_THE_OWNER, SOMEBODY, Role
from tests.tenancy.rows import Row, as_form

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
RANDOM = "01jd0000000000000000000000"
PREFIXES = {"character": "char_", "endpoint": "we_", "event": "evt_", "token": "tok_", "batch": "batch_"}
KINDS = {"file": "file-", "image": "file-", "film": "file-", "upload": "upload_", "part": "part_", "video": "video_"}
VOLATILE = {"date", "x-request-id", "openai-processing-ms"}
SMALL = {"prompt": "A boat", "model": "local-video", "seconds": "1", "size": "320x180"}


class World:
    """One object of every kind and fate, and every way to ask for it."""

    def __init__(self, gateway: Gateway, role: Role, *, every_path: bool) -> None:
        self.gateway = gateway
        self._every_path = every_path
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
            return {
                "character": "char_",
                "endpoint": "we_",
                "event": "evt_",
                "token": "tok_",
                "batch": "batch_",
                **KINDS,
            }[kind] + RANDOM
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
        if kind == "batch":
            # Of a file that is no batch's, so that nobody is asked.
            file_id, endpoint = self._make("file"), "/v1/embeddings"
            made = self.sdk.batches.create(input_file_id=file_id, endpoint=endpoint, completion_window="24h")
            return made.id
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
        elif kind == "batch":
            sql(self.gateway, "DELETE FROM batch WHERE id = %s", object_id)
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
        self._put_away(answer, object_id)
        return "OK", b""

    def _put_away(self, answer: Any, object_id: str) -> None:
        """Delete a video that was made of an object: nobody looks at it, and those that come later wait in line."""
        made = getattr(answer, "id", "")
        if made.startswith("video_") and made != object_id:
            self.sdk.videos.delete(made)

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
        """Status, headers and body of the answer on the RPC's path, or on each of its paths."""
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        answers = []
        bindings = [rule, *rule.additional_bindings] if self._every_path else [rule]
        for binding in bindings:
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
