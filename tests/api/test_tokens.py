"""Tokens for browsers: what each opens, where it may stand, and that nothing opens once it is over."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc, videos_pb2, videos_pb2_grpc
from tests.api.access_kit import Issued, issue_key
from tests.api.token_kit import bearer, make
from tests.api.wire import assert_failure, eventually, sql, sweep
from tests.conftest import Gateway

SMALL = {"prompt": "A boat", "model": "local-video", "seconds": "1", "size": "320x180"}
NOBODYS_TOKEN = "mgt_" + "A" * 43
REFUSED = {"kind": "permission_error", "code": "token_kind"}


@pytest.fixture(scope="module")
def key(gateway: Gateway) -> Issued:
    return issue_key(gateway, uses_providers=True)


@pytest.fixture(scope="module")
def owner(gateway: Gateway, key: Issued) -> Iterator[httpx.Client]:
    """The server that has the key."""
    with httpx.Client(base_url=gateway.url, headers=key.headers, timeout=120, verify=False) as http:
        yield http


@pytest.fixture(scope="module")
def browser(gateway: Gateway) -> Iterator[httpx.Client]:
    """What has no key."""
    with httpx.Client(base_url=gateway.url, timeout=120, verify=False) as http:
        yield http


@pytest.fixture(scope="module")
def video(owner: httpx.Client) -> str:
    made = owner.post("/v1/videos", json=SMALL).json()
    done = owner.get(f"/v1/videos/{made['id']}?wait=60s&after_seq=1000").json()
    assert done["status"] == "completed", done
    return str(made["id"])


@pytest.fixture(scope="module")
def file(owner: httpx.Client) -> str:
    made = owner.post("/v1/files", files={"file": ("a.bin", bytes(range(256)))}, data={"purpose": "user_data"})
    return str(made.json()["id"])


def events_of(lines: Iterator[str]) -> list[dict[str, Any]]:
    return [json.loads(line[5:]) for line in lines if line.startswith("data:")]


def test_a_token_is_shown_once(gateway: Gateway, owner: httpx.Client, key: Issued, video: str) -> None:
    made = make(owner, "watch", video_id=video)
    assert made["token"].startswith("mgt_")
    assert len(base64.urlsafe_b64decode(made["token"][4:] + "=")) == 32
    assert (made["object"], made["status"], made["key_id"], made["video_id"]) == ("token", "active", key.id, video)
    assert made["expires_at"] - made["created_at"] == 3600
    shown = owner.get(f"/v1/tokens/{made['id']}").json()
    listed = next(one for one in owner.get("/v1/tokens?limit=100").json()["data"] if one["id"] == made["id"])
    expected = {name: value for name, value in made.items() if name not in ("token", "url")}
    assert shown == listed == expected
    assert made["token"] not in json.dumps(sql(gateway, "SELECT to_jsonb(t) FROM access_token t"), default=str)


def test_a_watch_token_watches_one_video(owner: httpx.Client, browser: httpx.Client, video: str, file: str) -> None:
    made = make(owner, "watch", f"/v1/videos/{video}/tokens")
    assert made["url"] == f"/v1/videos/{video}/events?token={made['token']}"
    with browser.stream("GET", made["url"]) as stream:
        assert stream.status_code == 200
        assert stream.headers["referrer-policy"] == "no-referrer"
        assert [event["type"] for event in events_of(stream.iter_lines())] == ["snapshot", "end"]
    for way in ({"headers": bearer(made["token"])}, {"params": {"token": made["token"]}}):
        answer = browser.get(f"/v1/videos/{video}", **way)  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["id"]) == (200, video)
        assert answer.headers["cache-control"] == "private, no-store"
    other = owner.post("/v1/videos", json=SMALL).json()["id"]
    unknown = browser.get("/v1/videos/video_01jd0000000000000000000000", headers=bearer(made["token"]))
    foreign = browser.get(f"/v1/videos/{other}", headers=bearer(made["token"]))
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert foreign.text.replace(other, "ID") == unknown.text.replace("video_01jd0000000000000000000000", "ID")
    for verb, path in (
        ("GET", f"/v1/videos/{video}/content"),
        ("HEAD", f"/v1/videos/{video}/content"),
        ("DELETE", f"/v1/videos/{video}"),
        ("POST", f"/v1/videos/{video}/cancel"),
        ("GET", "/v1/videos"),
        ("GET", "/v1/videos/events"),
        ("GET", "/v1/files"),
        ("GET", f"/v1/files/{file}/content"),
        ("GET", "/v1/models"),
        ("GET", "/v1/tokens"),
        ("POST", "/v1/tokens"),
        ("GET", "/v1/webhook_endpoints"),
    ):
        for way in ({"headers": bearer(made["token"])}, {"params": {"token": made["token"]}}):
            answer = browser.request(verb, path, **way)  # type: ignore[arg-type]
            assert answer.status_code == 403, (verb, path, answer.text)
            if verb != "HEAD":
                assert answer.json()["error"]["code"] == "token_kind"
    owner.delete(f"/v1/videos/{other}")


def test_a_playback_token_plays_one_video(owner: httpx.Client, browser: httpx.Client, video: str, file: str) -> None:
    made = make(owner, "playback", video_id=video, expires_in="7d")
    whole = browser.get(made["url"])
    assert whole.status_code == 200
    assert whole.headers["referrer-policy"] == "no-referrer"
    assert whole.headers["cache-control"].startswith("private")
    part = browser.get(made["url"], headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole.content[100:200])
    head = browser.head(made["url"])
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole.content)))
    assert browser.get(f"{made['url']}&variant=thumbnail").headers["content-type"].startswith("image/")
    assert browser.get(f"/v1/videos/{video}/content", headers=bearer(made["token"])).content == whole.content
    refused = browser.get(f"/v1/videos/{video}", params={"token": made["token"]})
    assert_failure(refused, 403, **REFUSED)
    foreign = browser.get(f"/v1/files/{file}/content", params={"token": made["token"]})
    assert_failure(foreign, 404, code="not_found", param="id")
    revoked = owner.delete(f"/v1/tokens/{made['id']}").json()
    assert (revoked["status"], owner.post(f"/v1/tokens/{made['id']}/revoke", json={}).json()) == ("revoked", revoked)

    def is_over() -> bool:
        return browser.get(made["url"], headers={"range": "bytes=0-0"}).status_code == 401

    eventually(is_over, "the next seek is refused", timeout_s=10)
    assert_failure(browser.get(made["url"]), 401, code="token_revoked", kind="authentication_error")
    assert browser.head(made["url"]).status_code == 401


def test_a_playback_token_of_a_file(owner: httpx.Client, browser: httpx.Client, file: str) -> None:
    made = make(owner, "playback", f"/v1/files/{file}/tokens")
    assert browser.get(made["url"]).content == bytes(range(256))
    assert browser.get(made["url"], headers={"range": "bytes=-6"}).content == bytes(range(250, 256))
    assert_failure(browser.get(f"/v1/files/{file}", headers=bearer(made["token"])), 403, **REFUSED)


def test_natively_the_same_holds(gateway: Gateway, owner: httpx.Client, video: str, file: str) -> None:
    watch, play = make(owner, "watch", video_id=video)["token"], make(owner, "playback", file_id=file)["token"]
    with gateway.channel() as channel:
        videos = videos_pb2_grpc.VideoServiceStub(channel)  # type: ignore[no-untyped-call]
        files = files_pb2_grpc.FileServiceStub(channel)  # type: ignore[no-untyped-call]
        request = videos_pb2.GetVideoRequest(video_id=video)
        assert videos.GetVideo(request, metadata=tuple(bearer(watch).items())).id == video
        download = files_pb2.DownloadFileRequest(file_id=file)
        parts = list(files.DownloadFile(download, metadata=tuple(bearer(play).items())))
        assert b"".join(part.chunk for part in parts) == bytes(range(256))
        with pytest.raises(grpc.RpcError) as caught:
            videos.GetVideo(request, metadata=tuple(bearer(play).items()))
        assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_an_end_users_token_acts_for_him(owner: httpx.Client, browser: httpx.Client) -> None:
    made = make(owner, "end_user", user="erin")
    assert "url" not in made
    hers = browser.post(
        "/v1/files",
        files={"file": ("a.txt", b"abc")},
        data={"purpose": "user_data"},
        headers=bearer(made["token"]),
    ).json()
    assert hers["mediagate"]["user"] == "erin"
    assert [one["id"] for one in owner.get("/v1/files?user=erin").json()["data"]] == [hers["id"]]
    assert browser.get("/v1/models", headers=bearer(made["token"])).status_code == 200
    # From a URL it only reads what elements of a page fetch.
    in_url = {"token": made["token"]}
    assert browser.get(f"/v1/files/{hers['id']}/content", params=in_url).content == b"abc"
    for verb, path in (("GET", "/v1/files"), ("DELETE", f"/v1/files/{hers['id']}"), ("POST", "/v1/files")):
        assert_failure(browser.request(verb, path, params=in_url), 403, **REFUSED)
    other = browser.get("/v1/files", headers={**bearer(made["token"]), "x-mediagate-user": "mallory"})
    assert_failure(other, 403, code="other_end_user", kind="permission_error")
    provider = browser.get("/v1/files/x?custom_llm_provider=local", headers=bearer(made["token"]))
    assert provider.status_code == 403
    source = browser.post("/v1/files", json={"source": "s3://bucket/key"}, headers=bearer(made["token"]))
    assert source.status_code == 403
    for path in ("/v1/tokens", "/v1/webhook_endpoints"):
        assert_failure(browser.get(path, headers=bearer(made["token"])), 403, **REFUSED)


HOSTILE = {
    "empty": "",
    "the prefix alone": "mgt_",
    "unknown": NOBODYS_TOKEN,
    "one bit off": "OFF",
    "long": "mgt_" + "A" * 50_000,
    "spaces": "mgt_ a b",
    "markup": "mgt_<script>",
    "quotes": "mgt_' OR '1'='1",
    "unicode": "mgt_🎬",
    "its id": "ID",
}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("place", ["query", "bearer", "api-key"])
def test_what_is_no_token_opens_nothing(
    owner: httpx.Client, browser: httpx.Client, video: str, hostile: str, place: str
) -> None:
    made = make(owner, "watch", video_id=video)
    token = {"OFF": made["token"][:-1] + ("A" if made["token"][-1] != "A" else "B"), "ID": made["id"]}.get(
        HOSTILE[hostile], HOSTILE[hostile]
    )
    path = f"/v1/videos/{video}"
    if place == "query":
        answer = browser.get(path, params={"token": token})
    else:
        header = {"bearer": ("authorization", f"Bearer {token}"), "api-key": ("api-key", token)}
        name, value = header[place]
        answer = browser.get(path, headers={name: value.strip().encode()})
    assert answer.status_code in (401, 414, 431), answer.text
    assert "script" not in answer.text


def test_other_schemes_nul_and_two_at_once_open_nothing(owner: httpx.Client, browser: httpx.Client, video: str) -> None:
    token = make(owner, "watch", video_id=video)["token"]
    path = f"/v1/videos/{video}"
    basic = base64.b64encode(f":{token}".encode()).decode()
    for value in (f"Basic {basic}", f"Token {token}", token, f"Bearer {token}x"):
        assert browser.get(path, headers={"authorization": value}).status_code == 401
    assert browser.get(f"{path}?token={token}%00").status_code in (400, 401)
    assert_failure(browser.get(f"{path}?token={token}&token={token}"), 400, code="invalid_request", param="token")
    both = browser.get(f"{path}?token={token}", headers=bearer(token))
    assert_failure(both, 400, code="two_credentials")
    many = "&".join(f"a{number}=1" for number in range(100))
    assert browser.get(f"{path}?{many}&token={token}").status_code == 400


def test_an_api_key_is_refused_in_a_url(gateway: Gateway, browser: httpx.Client, key: Issued, video: str) -> None:
    for secret in (key.key, gateway.key):
        answer = browser.get(f"/v1/videos/{video}", params={"token": secret})
        said = assert_failure(answer, 401, code="invalid_token", kind="authentication_error")
        assert "Authorization" in said
        assert secret not in answer.text


@pytest.mark.parametrize(
    ("change", "status", "code", "kind"),
    [
        ("expires_at = now() - interval '1 s'", 401, "token_expired", "authentication_error"),
        ("revoked_at = now()", 401, "token_revoked", "authentication_error"),
        ("owner_id = 'team:another'", 401, "token_revoked", "authentication_error"),
    ],
)
def test_a_token_that_is_over(
    gateway: Gateway,
    owner: httpx.Client,
    browser: httpx.Client,
    video: str,
    change: str,
    status: int,
    code: str,
    kind: str,
) -> None:
    made = make(owner, "watch", video_id=video)
    sql(gateway, f"UPDATE access_token SET {change} WHERE id = %s", made["id"])
    assert_failure(browser.get(f"/v1/videos/{video}", headers=bearer(made["token"])), status, code=code, kind=kind)
    assert browser.get(made["url"]).status_code == status


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ("UPDATE api_key SET is_blocked = true WHERE id = %s", 403, "key_blocked"),
        ("UPDATE api_key SET expires_at = now() - interval '1 s' WHERE id = %s", 401, "token_expired"),
        ("DELETE FROM api_key WHERE id = %s", 401, "invalid_token"),
    ],
)
def test_a_token_ends_with_its_key(
    gateway: Gateway, browser: httpx.Client, change: str, status: int, code: str
) -> None:
    mortal = issue_key(gateway)
    with httpx.Client(base_url=gateway.url, headers=mortal.headers, timeout=60, verify=False) as http:
        token = make(http, "end_user", user="frank")["token"]
    assert browser.get("/v1/files", headers=bearer(token)).status_code == 200
    sql(gateway, change, mortal.id)
    sql(gateway, "SELECT pg_notify('mediagate_access', %s)", f"key {mortal.id}")

    def heard() -> bool:
        return browser.get("/v1/files", headers=bearer(token)).status_code == status

    eventually(heard, "the key is gone", timeout_s=10)
    assert browser.get("/v1/files", headers=bearer(token)).json()["error"]["code"] == code


def test_a_token_of_the_master_key_ends_with_that_one(
    gateway: Gateway, http: httpx.Client, browser: httpx.Client
) -> None:
    made = make(http, "end_user", user="grace")
    assert "key_id" not in made
    sql(gateway, "UPDATE access_token SET master_mark = 'another' WHERE id = %s", made["id"])
    refused = browser.get("/v1/files", headers=bearer(made["token"]))
    assert_failure(refused, 401, code="invalid_token", kind="authentication_error")


def test_a_watch_ends_where_its_token_does(gateway: Gateway, owner: httpx.Client, browser: httpx.Client) -> None:
    made = owner.post("/v1/videos", json={**SMALL, "seconds": "1"}).json()["id"]
    owner.get(f"/v1/videos/{made}?wait=60s&after_seq=1000")
    token = make(owner, "end_user", user="heidi")
    with browser.stream("GET", f"/v1/videos/events?token={token['token']}") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith(":")
        owner.delete(f"/v1/tokens/{token['id']}")
        with pytest.raises(httpx.RemoteProtocolError):
            for _ in lines:
                pass
    assert browser.get("/v1/videos/events", params={"token": token["token"]}).status_code == 401


def test_what_cannot_be_made_is_refused(owner: httpx.Client, video: str, file: str) -> None:
    for wish, param in (
        ({"kind": "watch"}, "video_id"),
        ({"kind": "watch", "file_id": file}, "file_id"),
        ({"kind": "playback", "file_id": file, "video_id": video}, "video_id"),
        ({"kind": "upload", "video_id": video}, "video_id"),
        ({"kind": "end_user"}, "user"),
        ({"kind": "end_user", "user": "a\u0000b"}, "user"),
        ({"kind": "watch", "video_id": video, "user": "somebody"}, "user"),
        ({"kind": "admin"}, "kind"),
        ({"kind": "watch", "video_id": video, "upload": {}}, "upload"),
        ({"kind": "upload", "upload": {"purpose": "spying"}}, "purpose"),
        ({"kind": "upload", "upload": {"bytes_max": 1.5}}, "upload.bytes_max"),
        ({"kind": "upload", "upload": {"bytes_max": 1e15}}, "upload.bytes_max"),
        ({"kind": "upload", "upload": {"bytes_max": -1}}, "upload.bytes_max"),
        ({"kind": "upload", "upload": {"custom_llm_provider": "nobody"}}, "custom_llm_provider"),
        ({"kind": "upload", "upload": {"purpose": "batch", "filename": "a.txt"}}, "file"),
        *(
            ({"kind": "watch", "video_id": video, "expires_in": text}, "expires_in")
            for text in ("0s", "-1h", "31d", "soon", "1e9s", "99999mo", "NaN")
        ),
    ):
        answer = owner.post("/v1/tokens", json=wish)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), (wish, answer.text)
    keyed = owner.post("/v1/tokens", json={"kind": "upload"}, headers={"idempotency-key": "t"})
    assert_failure(keyed, 400, code="idempotency_not_supported", param="Idempotency-Key")


def test_lists_are_pages_of_the_callers_own(gateway: Gateway, browser: httpx.Client) -> None:
    lister = issue_key(gateway)
    with httpx.Client(base_url=gateway.url, headers=lister.headers, timeout=60, verify=False) as http:
        made = [make(http, "end_user", user=f"user {number % 2}")["id"] for number in range(5)]
        upload = make(http, "upload", user="user 0")["id"]
        first = http.get("/v1/tokens?limit=4").json()
        second = http.get(f"/v1/tokens?limit=4&after={first['last_id']}").json()
        assert [one["id"] for one in first["data"] + second["data"]] == [*reversed([*made, upload])]
        assert (first["has_more"], second["has_more"]) == (True, False)
        assert [one["id"] for one in http.get("/v1/tokens?kind=upload").json()["data"]] == [upload]
        ones = http.get("/v1/tokens?user=user%201").json()["data"]
        hers = http.get("/v1/tokens", headers={"x-mediagate-user": "user 1"}).json()["data"]
        assert [one["id"] for one in ones] == [one["id"] for one in hers] == [made[3], made[1]]


def test_tokens_that_are_over_for_a_day_are_forgotten(gateway: Gateway, owner: httpx.Client) -> None:
    made = make(owner, "upload")["id"]
    sql(gateway, "UPDATE access_token SET expires_at = now() - interval '25 h' WHERE id = %s", made)
    sweep(gateway)
    eventually(lambda: owner.get(f"/v1/tokens/{made}").status_code == 404, "the token is forgotten")


def test_no_log_has_a_token(gateway: Gateway, owner: httpx.Client, browser: httpx.Client, video: str) -> None:
    token = make(owner, "playback", video_id=video)["token"]
    for path in (f"/v1/videos/{video}/content", "/v1/nothing", f"/v1/videos/{video}", f"/v1/files/{'x' * 99}/content"):
        browser.get(path, params={"token": token})
    time.sleep(0.6)
    logs = [path for path in gateway.data_dir.parent.rglob("*") if path.suffix in (".log", ".out")]
    assert logs
    assert not [path for path in logs if token.encode() in path.read_bytes()]
