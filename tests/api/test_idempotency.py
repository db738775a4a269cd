"""`Idempotency-Key` on everything that changes something: repeated calls have one effect and one answer."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
import httpx
import openai
import pytest

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc, uploads_pb2, uploads_pb2_grpc, videos_pb2
from mediagate.access.idempotency import LEASE
from mediagate.core import ids
from tests.api.videos_kit import SMALL, completed, create, png, stub
from tests.api.wire import (
    FORM_TYPE,
    assert_failure,
    connected,
    eventually,
    exchange,
    field,
    file_part,
    form,
    leaving_nothing,
    request_head,
    sql,
    stored,
    sweep,
)
from tests.conftest import Gateway

REPLAYED = "idempotent-replayed"
Options = dict[str, Any]


def new_key() -> str:
    return str(uuid.uuid4())


@dataclass
class Kept:
    """Objects that calls start from."""

    http: httpx.Client
    sdk: openai.OpenAI
    video_id: str
    film: bytes

    def file(self) -> str:
        return self.sdk.files.create(file=("a.txt", b"abc"), purpose="user_data").id

    def upload(self) -> str:
        return self.sdk.uploads.create(bytes=3, filename="a.txt", mime_type="text/plain", purpose="user_data").id

    def upload_with_part(self) -> tuple[str, str]:
        upload_id = self.upload()
        return upload_id, self.sdk.uploads.parts.create(upload_id, data=b"abc").id

    def film_file(self) -> str:
        return self.sdk.files.create(file=("film.mp4", self.film), purpose="user_data").id


@pytest.fixture(scope="module")
def kept(gateway: Gateway) -> Iterator[Kept]:
    with gateway.http() as http, gateway.openai() as sdk:
        video_id = str(completed(http)["id"])
        yield Kept(http, sdk, video_id, sdk.videos.download_content(video_id).content)


@dataclass(frozen=True)
class Post:
    """One POST: where it goes, and with what. `given` makes what it needs, `changed` alters one parameter."""

    path: str
    body: Callable[[Any], Options]
    given: Callable[[Kept], Any] = lambda kept: None
    changed: Callable[[Options], Options] | None = None
    lives: bool = False
    """Whether the object changes by itself, so that what is found later is not what was answered."""

    def send(self, http: httpx.Client, key: str | None, given: Any, *, change: bool = False) -> httpx.Response:
        options = self.body(given)
        if change:
            assert self.changed is not None
            options = self.changed(options)
        headers = {"idempotency-key": key} if key else {}
        path = self.path.replace("ID", given[0] if isinstance(given, tuple) else str(given))
        return http.post(path, headers=headers, **options)


def member(name: str, value: Any) -> Callable[[Options], Options]:
    """Another value for one member, of JSON or of a form."""

    def change(options: Options) -> Options:
        kind = "json" if "json" in options else "data"
        return {**options, kind: {**options[kind], name: value}}

    return change


def other_bytes(options: Options) -> Options:
    ((name, (filename, data)),) = options["files"].items()
    return {**options, "files": {name: (filename, data[:-1] + b"!")}}


PROMPT = {"prompt": "a boat"}
POSTS = {
    "file": Post(
        "/v1/files",
        lambda _: {"data": {"purpose": "user_data"}, "files": {"file": ("a.txt", b"abc")}},
        changed=other_bytes,
    ),
    "copy": Post(
        "/v1/files",
        lambda given: {"json": {"source": given, "purpose": "user_data"}},
        Kept.file,
        changed=member("purpose", "evals"),
    ),
    "file deleted": Post("/v1/files/ID/delete", lambda _: {}, Kept.file),
    "upload": Post(
        "/v1/uploads",
        lambda _: {"json": {"bytes": 3, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data"}},
        changed=member("bytes", 4),
    ),
    "part": Post(
        "/v1/uploads/ID/parts", lambda _: {"files": {"data": ("data", b"abc")}}, Kept.upload, changed=other_bytes
    ),
    "upload completed": Post(
        "/v1/uploads/ID/complete",
        lambda given: {"json": {"part_ids": [given[1]]}},
        Kept.upload_with_part,
        changed=member("part_ids", []),
    ),
    "upload cancelled": Post("/v1/uploads/ID/cancel", lambda _: {"json": {}}, Kept.upload),
    "video": Post(
        "/v1/videos", lambda _: {"json": {**SMALL, **PROMPT}}, changed=member("prompt", "a ship"), lives=True
    ),
    "video by form": Post(
        "/v1/videos",
        lambda _: {"data": {**SMALL, **PROMPT}, "files": {"input_reference": ("a.png", png(320, 180))}},
        changed=member("prompt", "a ship"),
        lives=True,
    ),
    "video cancelled": Post("/v1/videos/ID/cancel", lambda _: {"json": {}}, lambda kept: create(kept.http)["id"]),
    "remix": Post(
        "/v1/videos/ID/remix",
        lambda _: {"json": PROMPT},
        lambda kept: kept.video_id,
        changed=member("prompt", "a ship"),
        lives=True,
    ),
    "edit": Post(
        "/v1/videos/edits",
        lambda given: {"json": {**PROMPT, "video": {"id": given}}},
        lambda kept: kept.video_id,
        changed=member("prompt", "a ship"),
        lives=True,
    ),
    "extension": Post(
        "/v1/videos/extensions",
        lambda given: {"json": {**PROMPT, "seconds": "1", "video": {"id": given}}},
        lambda kept: kept.video_id,
        changed=member("prompt", "a ship"),
        lives=True,
    ),
    "character": Post(
        "/v1/videos/characters",
        lambda given: {"data": {"name": "Ada"}, "files": {"video": ("film.mp4", given)}},
        lambda kept: kept.film,
        changed=member("name", "Eve"),
    ),
}
EVERY = pytest.mark.parametrize("post", POSTS.values(), ids=POSTS)
CHANGED = {name: post for name, post in POSTS.items() if post.changed}


@EVERY
def test_the_same_call_again_has_the_same_answer(gateway: Gateway, kept: Kept, post: Post) -> None:
    key, given = new_key(), post.given(kept)
    first = post.send(kept.http, key, given)
    assert first.status_code == 200, first.text
    assert REPLAYED not in first.headers
    again = post.send(kept.http, key, given)
    assert (again.status_code, again.headers[REPLAYED]) == (200, "true")
    assert again.content == first.content
    for name in ("content-type", "openai-poll-after-ms"):
        assert again.headers.get(name) == first.headers.get(name)
    assert sql(gateway, "SELECT attempt, state FROM idempotency WHERE key = %s", key) == [(1, "done")]


@pytest.mark.parametrize("post", CHANGED.values(), ids=CHANGED)
def test_the_same_key_with_other_parameters_is_refused(kept: Kept, post: Post) -> None:
    key, given = new_key(), post.given(kept)
    first = post.send(kept.http, key, given)
    assert first.status_code == 200, first.text
    refused = post.send(kept.http, key, given, change=True)
    assert_failure(refused, 422, code="idempotency_key_reused", param="Idempotency-Key")
    assert post.send(kept.http, key, given).content == first.content


def lose(gateway: Gateway, key: str) -> None:
    """As if the process had died behind its commit, and before it could note and send the answer."""
    sql(
        gateway,
        "UPDATE idempotency SET state = 'running', reply = NULL, reply_headers = NULL, lease_expires_at = now() "
        "WHERE key = %s",
        key,
    )


@EVERY
def test_a_call_whose_process_died_is_found_or_finished(gateway: Gateway, kept: Kept, post: Post) -> None:
    key, given = new_key(), post.given(kept)
    first = post.send(kept.http, key, given)
    lose(gateway, key)
    again = post.send(kept.http, key, given)
    assert again.status_code == 200, again.text
    assert again.json()["id"] == first.json()["id"]
    if not post.lives:
        assert again.json() == first.json()
    assert post.send(kept.http, key, given).content == again.content
    assert sql(gateway, "SELECT attempt, state FROM idempotency WHERE key = %s", key) == [(2, "done")]


@pytest.mark.parametrize("name", ["file", "copy", "part", "upload", "video", "character"])
def test_a_call_whose_process_died_early_is_run_by_the_next_attempt(gateway: Gateway, kept: Kept, name: str) -> None:
    post, key = POSTS[name], new_key()
    given = post.given(kept)
    first = post.send(kept.http, key, given)
    lose(gateway, key)
    kind = {
        "file": ids.FILE,
        "copy": ids.FILE,
        "part": ids.PART,
        "upload": ids.UPLOAD,
        "video": ids.VIDEO,
        "character": ids.CHARACTER,
    }
    sql(gateway, "UPDATE idempotency SET object_id = %s WHERE key = %s", kind[name].new(), key)
    again = post.send(kept.http, key, given)
    assert again.status_code == 200, again.text
    assert REPLAYED not in again.headers
    assert again.json()["id"] != first.json()["id"]
    assert post.send(kept.http, key, given).content == again.content


@pytest.mark.parametrize("name", ["file", "upload", "video"])
def test_what_a_lost_call_was_for_still_counts(gateway: Gateway, kept: Kept, name: str) -> None:
    post, key = POSTS[name], new_key()
    first = post.send(kept.http, key, None)
    lose(gateway, key)
    refused = post.send(kept.http, key, None, change=True)
    assert_failure(refused, 422, code="idempotency_key_reused", param="Idempotency-Key")
    assert post.send(kept.http, key, None).json()["id"] == first.json()["id"]


def test_what_a_dead_receiver_had_begun_goes_with_the_next_attempt(gateway: Gateway, kept: Kept) -> None:
    post, key, half = POSTS["file"], new_key(), ids.FILE.new()
    post.send(kept.http, key, None)
    lose(gateway, key)
    sql(
        gateway,
        "INSERT INTO file (id, owner_id, filename, purpose, size_bytes, sha256, content_type, state, internal, "
        "created_at, lease_expires_at) VALUES (%s, 'master', '', '', 0, '', '', 'receiving', false, now(), "
        "now() + interval '5 minutes')",
        half,
    )
    sql(gateway, "UPDATE idempotency SET object_id = %s, fingerprint = NULL WHERE key = %s", half, key)
    again = post.send(kept.http, key, None)
    assert again.status_code == 200, again.text
    assert again.json()["id"] != half
    eventually(lambda: not sql(gateway, "SELECT 1 FROM file WHERE id = %s", half), "the half file goes")


def test_a_key_is_for_one_method(kept: Kept) -> None:
    key = new_key()
    assert POSTS["file"].send(kept.http, key, None).status_code == 200
    refused = POSTS["upload"].send(kept.http, key, None)
    assert_failure(refused, 422, code="idempotency_key_reused", param="Idempotency-Key")


def test_a_key_is_for_one_place(kept: Kept) -> None:
    post, key = POSTS["upload"], new_key()
    assert post.send(kept.http, key, None).status_code == 200
    options = post.body(None)
    headers = {"idempotency-key": key, "custom-llm-provider": "local"}
    elsewhere = kept.http.post(post.path, headers=headers, **options)
    assert_failure(elsewhere, 422, code="idempotency_key_reused", param="Idempotency-Key")


def test_another_key_is_another_call_and_none_is_no_key(gateway: Gateway, kept: Kept) -> None:
    post = POSTS["file"]
    keyed = sql(gateway, "SELECT count(*) FROM idempotency")
    made = {post.send(kept.http, key, None).json()["id"] for key in (new_key(), new_key(), None, None)}
    assert len(made) == 4
    assert sql(gateway, "SELECT count(*) FROM idempotency") == [(keyed[0][0] + 2,)]


def test_a_key_is_forgotten_after_a_day(gateway: Gateway, kept: Kept) -> None:
    post, key = POSTS["file"], new_key()
    first = post.send(kept.http, key, None)
    ((kept_for,),) = sql(gateway, "SELECT expires_at - created_at FROM idempotency WHERE key = %s", key)
    assert kept_for == timedelta(hours=24)
    sql(gateway, "UPDATE idempotency SET expires_at = now() WHERE key = %s", key)
    again = post.send(kept.http, key, None)
    assert REPLAYED not in again.headers
    assert again.json()["id"] != first.json()["id"]
    sql(gateway, "UPDATE idempotency SET expires_at = now() WHERE key = %s", key)
    sweep(gateway)
    eventually(lambda: not sql(gateway, "SELECT 1 FROM idempotency WHERE key = %s", key), "the key is swept")


@pytest.mark.parametrize(
    ("path", "options", "status", "code"),
    [
        ("/v1/files", {"data": {"purpose": "nonsense"}, "files": {"file": ("a.txt", b"abc")}}, 400, "invalid_field"),
        ("/v1/uploads/upload_01jd0000000000000000000000/cancel", {"json": {}}, 404, "not_found"),
    ],
)
def test_a_call_that_failed_does_not_keep_its_key(
    gateway: Gateway, kept: Kept, path: str, options: Options, status: int, code: str
) -> None:
    key = new_key()
    for _ in range(2):
        refused = kept.http.post(path, headers={"idempotency-key": key}, **options)
        assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
        assert REPLAYED not in refused.headers
    assert sql(gateway, "SELECT 1 FROM idempotency WHERE key = %s", key) == []
    assert POSTS["file"].send(kept.http, key, None).status_code == 200


@pytest.mark.parametrize("key", [b"x" * 256, b"a b", b"\xc3\xa4", b"a\tb"])
def test_what_is_no_key_is_refused(gateway: Gateway, key: bytes) -> None:
    body = json.dumps({"bytes": 3, "filename": "a.txt", "mime_type": "text/plain", "purpose": "user_data"}).encode()
    head = request_head(
        gateway,
        "POST",
        "/v1/uploads",
        [("content-type", "application/json"), ("content-length", str(len(body))), ("idempotency-key", "KEY")],
    )
    reply = exchange(gateway, head.replace(b"KEY", key) + body)
    assert reply is not None
    assert_failure(reply, 400, code="invalid_idempotency_key", param="Idempotency-Key")


def test_a_key_that_comes_twice_is_refused(kept: Kept) -> None:
    headers = [("idempotency-key", "a"), ("idempotency-key", "b")]
    refused = kept.http.post("/v1/uploads", headers=headers, json=POSTS["upload"].body(None)["json"])
    assert_failure(refused, 400, code="invalid_idempotency_key", param="Idempotency-Key")


def test_reading_needs_no_key(gateway: Gateway, kept: Kept) -> None:
    key = new_key()
    for _ in range(2):
        found = kept.http.get(f"/v1/videos/{kept.video_id}", headers={"idempotency-key": key})
        assert REPLAYED not in found.headers
        found = kept.http.post("/v1/videos/status", json={"video_id": kept.video_id}, headers={"idempotency-key": key})
        assert (found.status_code, REPLAYED in found.headers) == (200, False)
    assert sql(gateway, "SELECT 1 FROM idempotency WHERE key = %s", key) == []


def test_the_official_client_makes_one_of_each(client: openai.OpenAI) -> None:
    headers = {"Idempotency-Key": new_key()}
    files = [client.files.create(file=("a.txt", b"abc"), purpose="evals", extra_headers=headers) for _ in range(3)]
    assert len({file.id for file in files}) == 1
    headers = {"Idempotency-Key": new_key()}
    videos = [client.videos.create(**SMALL, **PROMPT, extra_headers=headers) for _ in range(3)]  # type: ignore[arg-type]
    assert len({video.id for video in videos}) == 1
    raw = client.videos.with_raw_response.create(**SMALL, **PROMPT, extra_headers=headers)  # type: ignore[arg-type]
    assert raw.headers[REPLAYED] == "true"


async def test_a_hundred_calls_at_once_make_one_file(gateway: Gateway) -> None:
    """Each with a boundary of its own, as clients do."""
    key, filename, data = new_key(), f"{new_key()}.bin", bytes(range(256)) * 1024
    before = stored(gateway)
    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(
        base_url=gateway.url, headers={**gateway.auth, "idempotency-key": key}, timeout=120, limits=limits, verify=False
    ) as http:
        posts = (
            http.post("/v1/files", data={"purpose": "user_data"}, files={"file": (filename, data)}) for _ in range(100)
        )
        replies = await asyncio.gather(*posts)
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.content for reply in replies}) == 1
    assert sum(REPLAYED not in reply.headers for reply in replies) == 1
    file_id = replies[0].json()["id"]
    assert sql(gateway, "SELECT id, size_bytes FROM file WHERE filename = %s", filename) == [(file_id, len(data))]
    assert [path.name for path in stored(gateway) - before] == [file_id]


def test_a_replay_of_an_upload_stores_nothing(gateway: Gateway, kept: Kept) -> None:
    key, post = new_key(), POSTS["file"]
    post.send(kept.http, key, None)
    with leaving_nothing(gateway):
        assert post.send(kept.http, key, None).headers[REPLAYED] == "true"
        assert post.send(kept.http, key, None, change=True).status_code == 422


def test_a_client_that_goes_away_may_come_back_at_once(gateway: Gateway, kept: Kept) -> None:
    key = new_key()
    body = form(field("purpose", "user_data"), file_part(b"abc"))
    head = [("idempotency-key", key), ("content-type", FORM_TYPE)]
    with connected(gateway) as connection:
        connection.sendall(request_head(gateway, "POST", "/v1/files", [*head, ("content-length", str(len(body)))]))
        connection.sendall(body[:-20])
        eventually(lambda: sql(gateway, "SELECT 1 FROM idempotency WHERE key = %s", key), "the key is claimed")
    eventually(
        lambda: (
            sql(gateway, "SELECT 1 FROM idempotency WHERE key = %s AND lease_expires_at <= now()", key)
            or not sql(gateway, "SELECT 1 FROM idempotency WHERE key = %s", key)
        ),
        "the call is let go",
        timeout_s=LEASE.total_seconds() * 0.9,
    )
    with connected(gateway) as connection:
        connection.sendall(request_head(gateway, "POST", "/v1/files", [*head, ("content-length", str(len(body)))]))
        connection.sendall(body)
        assert b"200 OK" in connection.recv(65536)


def upload_messages(data: bytes, size: int) -> list[files_pb2.UploadFileRequest]:
    request = files_pb2.UploadFileRequest
    metadata = files_pb2.UploadFileMetadata(filename="a.bin", purpose="user_data", size_bytes=len(data))
    chunks = [data[start : start + size] for start in range(0, len(data), size)]
    return [request(metadata=metadata), *(request(chunk=chunk) for chunk in chunks)]


def part_messages(upload_id: str) -> list[uploads_pb2.AddUploadPartRequest]:
    request = uploads_pb2.AddUploadPartRequest
    metadata = uploads_pb2.UploadPartMetadata(upload_id=upload_id, size_bytes=3)
    return [request(metadata=metadata), request(chunk=b"abc")]


def test_generated_clients_send_the_key_as_metadata(gateway: Gateway, kept: Kept) -> None:
    with gateway.channel() as channel:
        files = files_pb2_grpc.FileServiceStub(channel)  # type: ignore[no-untyped-call]
        uploads = uploads_pb2_grpc.UploadServiceStub(channel)  # type: ignore[no-untyped-call]
        videos = stub(gateway, channel)
        announced = uploads_pb2.CreateUploadRequest(bytes=3, filename="a", mime_type="b", purpose="user_data")
        film, deleted = kept.film_file(), kept.file()
        upload_id, (whole, part) = kept.upload(), kept.upload_with_part()
        source = videos_pb2.VideoReference(video_id=kept.video_id)
        sizes = itertools.cycle([1000, 4096])
        calls: list[tuple[Any, Callable[[], Any]]] = [
            (files.UploadFile, lambda: iter(upload_messages(b"abc" * 10_000, next(sizes)))),
            (files.DeleteFile, lambda: files_pb2.DeleteFileRequest(file_id=deleted)),
            (uploads.CreateUpload, lambda: announced),
            (uploads.AddUploadPart, lambda: iter(part_messages(upload_id))),
            (uploads.CompleteUpload, lambda: uploads_pb2.CompleteUploadRequest(upload_id=whole, part_ids=[part])),
            (uploads.CancelUpload, lambda: uploads_pb2.CancelUploadRequest(upload_id=upload_id)),
            (videos.CreateVideo, lambda: videos_pb2.CreateVideoRequest(**SMALL, **PROMPT)),
            (videos.RemixVideo, lambda: videos_pb2.RemixVideoRequest(video_id=kept.video_id, **PROMPT)),
            (videos.EditVideo, lambda: videos_pb2.EditVideoRequest(video=source, **PROMPT)),
            (videos.ExtendVideo, lambda: videos_pb2.ExtendVideoRequest(video=source, seconds="1", **PROMPT)),
            (videos.CreateCharacter, lambda: videos_pb2.CreateCharacterRequest(name="Ada", file_id=film)),
        ]
        for method, request in calls:
            metadata = (*gateway.metadata, ("idempotency-key", new_key()))
            first, call = method.with_call(request(), metadata=metadata, timeout=60)
            assert REPLAYED not in dict(call.initial_metadata())
            again, call = method.with_call(request(), metadata=metadata, timeout=60)
            assert dict(call.initial_metadata())[REPLAYED] == "true"
            assert again == first
        metadata = (*gateway.metadata, ("idempotency-key", new_key()))
        uploads.CreateUpload(announced, metadata=metadata)
        announced.bytes = 4
        with pytest.raises(grpc.RpcError) as caught:
            uploads.CreateUpload(announced, metadata=metadata)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
