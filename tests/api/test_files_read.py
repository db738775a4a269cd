"""Listing, describing, reading and deleting files over REST, in every way that HTTP has for it."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence

import httpx
import openai
import pytest

from tests.api.wire import (
    NOBODYS_FILE,
    assert_failure,
    eventually,
    field,
    file_part,
    post_form,
    sql,
    stored,
)
from tests.conftest import Gateway

DATA = bytes(range(256)) * 4
PREFIXES = ["/v1", "", "/openai", "/openai/v1"]


def make(http: httpx.Client, data: bytes = b"x", purpose: str = "user_data", name: str = "a.bin") -> str:
    return str(post_form(http, field("purpose", purpose), file_part(data, name)).json()["id"])


@pytest.fixture(scope="module")
def file_id(gateway: Gateway) -> str:
    """A file of 1,024 bytes that tests only read."""
    with gateway.http() as http:
        return make(http, DATA, name="naïve.bin")


@pytest.fixture(scope="module")
def made(gateway: Gateway) -> list[str]:
    """Seven files, oldest first."""
    with gateway.http() as http:
        return [make(http, name=f"{number}.jsonl", purpose="evals") for number in range(7)]


class TestContent:
    """GET and HEAD of /v1/files/{id}/content."""

    def test_the_headers_say_everything(self, http: httpx.Client, file_id: str) -> None:
        response = http.get(f"/v1/files/{file_id}/content")
        described = http.get(f"/v1/files/{file_id}").json()
        assert response.content == DATA
        assert response.headers["content-length"] == "1024"
        assert "transfer-encoding" not in response.headers
        assert response.headers["content-type"] == "application/octet-stream"
        assert response.headers["etag"] == f'"{described["mediagate"]["sha256"]}"'
        assert response.headers["accept-ranges"] == "bytes"
        assert (
            response.headers["content-disposition"]
            == "attachment; filename=\"naive.bin\"; filename*=UTF-8''na%C3%AFve.bin"
        )
        assert response.headers["cache-control"] == "private, no-cache"
        assert response.headers["x-request-id"]
        assert int(response.headers["openai-processing-ms"]) >= 0
        assert not [name for name in response.headers if name.startswith(("grpc-", "x-http-", "x-content-length"))]

    @pytest.mark.parametrize("accept", ["application/binary", "application/json", "*/*", "text/html"])
    def test_it_is_the_same_whatever_is_accepted(self, http: httpx.Client, file_id: str, accept: str) -> None:
        assert http.get(f"/v1/files/{file_id}/content", headers={"accept": accept}).content == DATA

    @pytest.mark.parametrize(
        ("sent", "start", "end"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=0-99", 0, 100),
            ("bytes=100-199", 100, 200),
            ("bytes=1000-", 1000, 1024),
            ("bytes=1023-", 1023, 1024),
            ("bytes=-24", 1000, 1024),
            ("bytes=-5000", 0, 1024),
            ("bytes=0-99999999999999999999", 0, 1024),
            ("BYTES=0-9", 0, 10),
        ],
    )
    def test_one_range_is_a_part(self, http: httpx.Client, file_id: str, sent: str, start: int, end: int) -> None:
        response = http.get(f"/v1/files/{file_id}/content", headers={"range": sent})
        assert response.status_code == 206
        assert response.content == DATA[start:end]
        assert response.headers["content-range"] == f"bytes {start}-{end - 1}/1024"
        assert response.headers["content-length"] == str(end - start)
        assert response.headers["etag"]

    @pytest.mark.parametrize(
        "sent",
        ["bytes=0-9,20-29", "bytes=9-0", "bytes=a-b", "bytes=-", "bytes", "items=0-9", "", "bytes=0-9-", "bytes=0x1-2"],
    )
    def test_what_is_no_single_range_is_the_whole(self, http: httpx.Client, file_id: str, sent: str) -> None:
        response = http.get(f"/v1/files/{file_id}/content", headers={"range": sent})
        assert (response.status_code, response.content) == (200, DATA)

    @pytest.mark.parametrize("sent", ["bytes=1024-", "bytes=1024-2000", "bytes=99999999999999999999-", "bytes=-0"])
    def test_a_range_outside_is_unsatisfiable(self, http: httpx.Client, file_id: str, sent: str) -> None:
        response = http.get(f"/v1/files/{file_id}/content", headers={"range": sent})
        assert_failure(response, 416, code="range_not_satisfiable")
        assert response.headers["content-range"] == "bytes */1024"

    def test_an_empty_file_has_no_range(self, http: httpx.Client) -> None:
        empty = make(http, b"")
        whole = http.get(f"/v1/files/{empty}/content")
        assert (whole.status_code, whole.content, whole.headers["content-length"]) == (200, b"", "0")
        response = http.get(f"/v1/files/{empty}/content", headers={"range": "bytes=0-"})
        assert_failure(response, 416, code="range_not_satisfiable")
        assert response.headers["content-range"] == "bytes */0"
        assert http.get(f"/v1/files/{empty}/content", headers={"range": "bytes=-5"}).status_code == 200

    @pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*", '"x",W/{} , "y"'])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    def test_a_known_content_is_not_sent_again(self, http: httpx.Client, file_id: str, form: str, method: str) -> None:
        etag = http.head(f"/v1/files/{file_id}/content").headers["etag"]
        url = f"/v1/files/{file_id}/content"
        response = http.request(method, url, headers={"if-none-match": form.format(etag), "range": "bytes=0-1"})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == etag
        assert int(response.headers.get("content-length", "0")) in (0, 1024)
        assert http.get(url).content == DATA, "the connection is in order"

    @pytest.mark.parametrize("sent", ['"x"', "x", "", 'W/"x"'])
    def test_another_content_is_sent(self, http: httpx.Client, file_id: str, sent: str) -> None:
        response = http.get(f"/v1/files/{file_id}/content", headers={"if-none-match": sent})
        assert (response.status_code, response.content) == (200, DATA)

    @pytest.mark.parametrize(
        ("sent", "status"),
        [("{}", 206), ('"x"', 200), ("W/{}", 200), ("*", 200), ("Sat, 21 Nov 2026 09:32:36 GMT", 200)],
    )
    def test_a_range_of_a_certain_content(self, http: httpx.Client, file_id: str, sent: str, status: int) -> None:
        etag = http.head(f"/v1/files/{file_id}/content").headers["etag"]
        headers = {"range": "bytes=0-9", "if-range": sent.format(etag)}
        response = http.get(f"/v1/files/{file_id}/content", headers=headers)
        assert (response.status_code, len(response.content)) == (status, 10 if status == 206 else 1024)

    def test_head_says_what_get_says(self, http: httpx.Client, file_id: str) -> None:
        get, head = (http.request(method, f"/v1/files/{file_id}/content") for method in ("GET", "HEAD"))
        assert head.status_code == 200
        assert head.content == b""
        volatile = {"date", "x-request-id", "openai-processing-ms"}
        assert {k: v for k, v in head.headers.items() if k not in volatile} == {
            k: v for k, v in get.headers.items() if k not in volatile
        }

    def test_a_large_file_in_ranges_is_the_file(self, http: httpx.Client) -> None:
        data = bytes(range(251)) * 20_000
        large = make(http, data)
        size = len(data)
        cuts = [0, 1, 65_535, 65_536, 1 << 20, (1 << 20) + 1, 3_000_000, size]
        got = b""
        for start, end in itertools.pairwise(cuts):
            response = http.get(f"/v1/files/{large}/content", headers={"range": f"bytes={start}-{end - 1}"})
            assert response.status_code == 206
            got += response.content
        assert got == data


class TestList:
    """GET /v1/files. Other tests make files too, so each test tells its own by their purpose or their ids."""

    def page(self, http: httpx.Client, **query: str | int) -> tuple[list[str], bool]:
        body = http.get("/v1/files", params=query).json()
        ids = [file["id"] for file in body["data"]]
        assert body["object"] == "list"
        assert body["first_id"] == (ids[0] if ids else None)
        assert body["last_id"] == (ids[-1] if ids else None)
        return ids, body["has_more"]

    def test_newest_first_unless_asked(self, http: httpx.Client, made: Sequence[str]) -> None:
        own = set(made)
        newest = [one for one in self.page(http, purpose="evals")[0] if one in own]
        assert newest == list(reversed(made))
        assert [one for one in self.page(http, purpose="evals", order="desc")[0] if one in own] == newest
        assert [one for one in self.page(http, purpose="evals", order="asc")[0] if one in own] == made

    def test_times_and_ids_are_in_one_order(self, http: httpx.Client, made: Sequence[str]) -> None:
        times = [file["created_at"] for file in http.get("/v1/files", params={"order": "asc"}).json()["data"]]
        assert times == sorted(times)

    @pytest.mark.parametrize("order", ["asc", "desc"])
    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 100])
    def test_pages_join_without_gap_or_overlap(
        self, http: httpx.Client, made: Sequence[str], order: str, limit: int
    ) -> None:
        whole = self.page(http, purpose="evals", order=order)[0]
        joined: list[str] = []
        query: dict[str, str | int] = {"purpose": "evals", "order": order, "limit": limit}
        while True:
            ids, more = self.page(http, **query)
            assert len(ids) <= limit
            joined += ids
            if not more:
                break
            assert ids
            query["after"] = ids[-1]
        assert joined == whole

    def test_the_end_says_that_it_is_the_end(self, http: httpx.Client, made: Sequence[str]) -> None:
        count = len(self.page(http, purpose="evals")[0])
        assert self.page(http, purpose="evals", limit=count)[1] is False
        assert self.page(http, purpose="evals", limit=count - 1)[1] is True

    def test_behind_the_last_one_is_nothing(self, http: httpx.Client, made: Sequence[str]) -> None:
        oldest = self.page(http, purpose="evals")[0][-1]
        assert self.page(http, purpose="evals", after=oldest) == ([], False)
        assert self.page(http, purpose="evals", after=NOBODYS_FILE, order="asc")[1] is False

    def test_an_unknown_purpose_has_no_files(self, http: httpx.Client) -> None:
        assert self.page(http, purpose="none-such") == ([], False)
        assert self.page(http, purpose="' OR 1=1 --") == ([], False)

    def test_an_empty_member_is_no_member(self, http: httpx.Client, made: Sequence[str]) -> None:
        assert http.get("/v1/files?after=&purpose=").json()["data"]

    def test_a_deleted_cursor_still_stands_where_it_stood(self, http: httpx.Client) -> None:
        files = [make(http, purpose="assistants") for _ in range(5)]
        assert http.delete(f"/v1/files/{files[2]}").status_code == 200
        assert self.page(http, purpose="assistants", after=files[2], limit=2)[0] == [files[1], files[0]]
        assert self.page(http, purpose="assistants", after=files[2], order="asc")[0] == files[3:]

    def test_files_that_come_meanwhile_do_not_disturb_a_walk(self, http: httpx.Client) -> None:
        files = [make(http, purpose="vision") for _ in range(4)]
        first, _ = self.page(http, purpose="vision", limit=2)
        make(http, purpose="vision")
        assert first == [files[3], files[2]]
        assert self.page(http, purpose="vision", limit=2, after=first[-1])[0] == [files[1], files[0]]

    def test_the_sdk_walks_all_pages_by_itself(self, client: openai.OpenAI, made: Sequence[str]) -> None:
        walked = [file.id for file in client.files.list(limit=2, purpose="evals")]
        assert len(walked) == len(set(walked))
        assert set(made) <= set(walked)
        pages = list(client.files.list(limit=3, purpose="evals", order="asc").iter_pages())
        assert [len(page.data) for page in pages][:-1] == [3] * (len(pages) - 1)


class TestPaths:
    """One object, many ways to it."""

    @pytest.mark.parametrize("prefix", PREFIXES)
    def test_every_prefix_serves_everything(self, http: httpx.Client, prefix: str) -> None:
        created = post_form(
            http, field("purpose", "user_data"), file_part(b"abc"), path=f"{prefix}/files?api-version=1"
        )
        one = created.json()["id"]
        assert http.get(f"{prefix}/files/{one}?api-version=2024-10-21").json() == created.json()
        assert http.get(f"{prefix}/files/{one}/content").content == b"abc"
        assert http.head(f"{prefix}/files/{one}/content").headers["content-length"] == "3"
        assert http.get(f"{prefix}/files?limit=1").json()["data"][0]["id"] == one
        assert http.get(f"{prefix}/models/local-video").json()["id"] == "local-video"
        assert http.get(f"{prefix}/models").json()["data"][0]["id"] == "local-video"
        assert http.delete(f"{prefix}/files/{one}").json() == {"id": one, "object": "file", "deleted": True}

    @pytest.mark.parametrize("prefix", PREFIXES)
    @pytest.mark.parametrize("method", ["POST", "DELETE"])
    @pytest.mark.parametrize("body", [None, b"", b"{}"])
    def test_the_old_way_to_delete(self, http: httpx.Client, prefix: str, method: str, body: bytes | None) -> None:
        one = make(http)
        headers = {} if body is None else {"content-type": "application/json"}
        response = http.request(method, f"{prefix}/files/{one}/delete", content=body, headers=headers)
        assert response.json() == {"id": one, "object": "file", "deleted": True}
        assert http.get(f"/v1/files/{one}").status_code == 404

    def test_a_model_may_have_slashes_and_colons(self, http: httpx.Client, client: openai.OpenAI) -> None:
        assert client.models.retrieve("team/a:video").id == "team/a:video"
        for path in ("team/a:video", "team%2Fa:video", "team%2Fa%3Avideo", "team%2fa:video"):
            assert http.get(f"/v1/models/{path}").json()["id"] == "team/a:video"
        assert client.models.list().data[0].owned_by == "mediagate"

    def test_the_path_decides_which_object_is_meant(self, http: httpx.Client) -> None:
        """Neither the query nor the body can put another id in the place of the one in the path."""
        one, other = make(http, b"one"), make(http, b"other")
        for query in (f"file_id={other}", f"fileId={other}", f"file_id={other}&file_id={NOBODYS_FILE}"):
            assert http.get(f"/v1/files/{one}?{query}").json()["id"] == one
            assert http.get(f"/v1/files/{one}/content?{query}").content == b"one"
        response = http.post(f"/v1/files/{one}/delete?file_id={other}", json={"file_id": other})
        assert response.json()["id"] == one
        assert http.get(f"/v1/files/{one}").status_code == 404
        assert http.get(f"/v1/files/{other}").status_code == 200

    def test_an_id_may_be_written_with_escapes(self, http: httpx.Client) -> None:
        one = make(http)
        assert http.get(f"/v1/files/{one.replace('-', '%2D')}").json()["id"] == one
        assert http.get(f"/v1//files/{one}").json()["id"] == one
        assert http.get(f"/v1/models/../files/./{one}").json()["id"] == one

    def test_deleting_twice_finds_nothing(self, gateway: Gateway, http: httpx.Client) -> None:
        one = make(http)
        assert http.delete(f"/v1/files/{one}").json()["deleted"] is True
        for method, path in (
            ("DELETE", f"/v1/files/{one}"),
            ("POST", f"/v1/files/{one}/delete"),
            ("GET", f"/v1/files/{one}"),
            ("GET", f"/v1/files/{one}/content"),
        ):
            assert_failure(http.request(method, path), 404, code="not_found", param="id")
        assert one not in [file["id"] for file in http.get("/v1/files?limit=50").json()["data"]]
        eventually(lambda: not sql(gateway, "SELECT 1 FROM file WHERE id = %s", one), "the row is gone")
        assert not [path for path in stored(gateway) if one in path.name]


class TestExpiry:
    """A file whose time is over does not exist, at once for readers and soon for the disk."""

    def test_an_expired_file_is_not_there_and_its_bytes_go(self, gateway: Gateway, http: httpx.Client) -> None:
        one = make(http, b"secret" * 1000, purpose="batch", name="a.jsonl")
        kept = make(http, b"kept", purpose="batch", name="b.jsonl")
        assert [path for path in stored(gateway) if one in path.name]
        sql(gateway, "UPDATE file SET expires_at = now() - interval '1 second' WHERE id = %s", one)
        for method, path in (
            ("GET", f"/v1/files/{one}"),
            ("GET", f"/v1/files/{one}/content"),
            ("DELETE", f"/v1/files/{one}"),
        ):
            assert_failure(http.request(method, path), 404, code="not_found", param="id")
        assert http.head(f"/v1/files/{one}/content").status_code == 404
        assert one not in [file["id"] for file in http.get("/v1/files?purpose=batch").json()["data"]]
        # Nobody asks for this one: the worker sweeps by itself.
        eventually(lambda: not sql(gateway, "SELECT 1 FROM file WHERE id = %s", one), "the sweep takes it", 25)
        assert not [path for path in stored(gateway) if one in path.name]
        assert http.get(f"/v1/files/{kept}/content").content == b"kept"

    def test_a_reader_reads_on_while_the_file_is_deleted(self, http: httpx.Client) -> None:
        """The bytes that were promised in Content-Length come, or the download is seen to fail."""
        data = uuid.uuid4().bytes * 1_000_000
        one = make(http, data)
        with http.stream("GET", f"/v1/files/{one}/content") as response:
            chunks = response.iter_raw(65536)
            got = next(chunks)
            assert http.delete(f"/v1/files/{one}").status_code == 200
            try:
                for chunk in chunks:
                    got += chunk
            except httpx.TransportError:
                return
        assert got == data
