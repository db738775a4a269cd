"""Downloads whose bytes never enter the server: the same replies as those that do, from origins that behave."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from decision_kit import AUTH, World, running_world
from edge_harness import ORIGIN, Edge, Reply, envoy_program
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc

from mediagate.core.errors import Unsupported
from mediagate.core.lifecycle import FileState, ReplicaState
from mediagate.envoy.render import ROUTES, EdgeSettings, render_config
from tests.doubles.origin import running_origin

PROTOCOLS = ["--http1.1", "--http2-prior-knowledge"]
DATA = bytes(range(256)) * 4
VOLATILE = {"date", "x-request-id", "openai-processing-ms"}
PREFIXES = ["/v1", "", "/openai", "/openai/v1"]
RANGES = [
    "bytes=0-0",
    "bytes=100-199",
    "bytes=1000-",
    "bytes=-24",
    "bytes=-5000",
    "bytes=0-99999999999999999999",
    "BYTES=0-9",
    "bytes=0-",
    "bytes=0-1,5-6",
    "bytes=5-1",
    "lines=0-1",
    "bytes=abc",
    "bytes=1024-",
    "bytes=-0",
]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running_origin() as a, running_origin() as b, running_world({"a": a, "b": b}) as running:
        yield running


def content(world: World, file_id: str, *arguments: str, prefix: str = "/v1", **headers: str) -> Reply:
    sent = {**AUTH, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return world.edge.curl(f"{prefix}/files/{file_id}/content", *arguments, headers=sent)


def steady(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name not in VOLATILE}


class TestTheSameReply:
    """Whether the bytes pass the server is nobody's business but the server's."""

    def both(self, world: World, *arguments: str, data: bytes = DATA, **headers: str) -> Reply:
        """The reply by decision, which is the one through the server."""
        direct, through = world.add(data, "a"), world.add(data, "here")
        found, expected = (content(world, file_id, *arguments, **headers) for file_id in (direct, through))
        assert (found.exit_code, found.status, found.body) == (expected.exit_code, expected.status, expected.body)
        assert steady(found) == steady(expected)
        assert set(found.headers) == set(expected.headers)
        assert int(found.headers["openai-processing-ms"]) >= 0
        assert found.headers["x-request-id"] != expected.headers["x-request-id"]
        assert not world.served_by_python(direct)
        return found

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_of_the_whole(self, world: World, protocol: str) -> None:
        reply = self.both(world, protocol)
        assert (reply.status, reply.body) == (200, DATA)
        assert reply.headers["content-type"] == "video/mp4"
        assert "transfer-encoding" not in reply.headers

    def test_of_nothing(self, world: World) -> None:
        assert self.both(world, data=b"").headers["content-length"] == "0"
        assert self.both(world, data=b"", range="bytes=0-").headers["content-range"] == "bytes */0"

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize("wanted", RANGES)
    def test_of_a_part(self, world: World, wanted: str, protocol: str) -> None:
        assert self.both(world, protocol, range=wanted).status in (200, 206, 416)

    @pytest.mark.parametrize("form", ["{}", "W/{}", '"x", {}', "*", '"x"', "x"])
    def test_to_one_who_may_have_it(self, world: World, form: str) -> None:
        etag = self.both(world).headers["etag"]
        reply = self.both(world, if_none_match=form.format(etag), range="bytes=0-1")
        assert reply.status in (304, 206)

    @pytest.mark.parametrize("form", ["{}", '"x"', "W/{}", "*", "Sat, 21 Nov 2026 09:32:36 GMT"])
    def test_to_one_who_has_a_part(self, world: World, form: str) -> None:
        etag = self.both(world).headers["etag"]
        assert self.both(world, range="bytes=0-9", if_range=form.format(etag)).status in (200, 206)

    @pytest.mark.parametrize("validator", ["if-match", "if-unmodified-since", "if-modified-since"])
    def test_to_one_who_asks_what_we_do_not_answer(self, world: World, validator: str) -> None:
        assert self.both(world, **{validator: "Sat, 21 Nov 2015 09:32:36 GMT"}).status == 200

    def test_of_what_no_browser_shall_run(self, world: World) -> None:
        page = world.add(b"<script>", "a", content_type="text/html")
        reply = content(world, page)
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers["x-content-type-options"] == "nosniff"

    def test_without_a_known_checksum_there_is_no_tag(self, world: World) -> None:
        file_id = world.add(DATA, "a", sha256="")
        assert "etag" not in content(world, file_id).headers
        assert content(world, file_id, if_none_match="*").status == 200
        assert content(world, file_id, range="bytes=0-9", if_range='""').status == 200
        assert content(world, file_id, range="bytes=0-9").status == 206

    def test_head_is_answered_from_what_is_known(self, world: World) -> None:
        file_id = world.add(DATA, "a")
        get, head = content(world, file_id), content(world, file_id, "--head")
        assert (head.status, head.body) == (200, b"")
        assert steady(head) == steady(get)

    @pytest.mark.parametrize("prefix", [*PREFIXES, "/bedrock/v1"])
    def test_on_every_path(self, world: World, prefix: str) -> None:
        file_id = world.add(DATA, "a")
        assert content(world, file_id, prefix=prefix).body == DATA
        assert content(world, file_id.replace("-", "%2D"), prefix=prefix + "/").body == DATA
        assert not world.served_by_python(file_id)

    def test_on_the_same_connection(self, world: World) -> None:
        file_id = world.add(DATA, "a")
        with world.edge.client(headers=AUTH) as client:
            for _ in range(3):
                assert client.get(f"/v1/files/{file_id}/content").content == DATA
            assert client.get(f"/v1/files/{file_id}/content", headers={"range": "bytes=-1"}).content == DATA[-1:]

    def test_to_a_page_of_another_site(self, world: World) -> None:
        for places in (("a",), ("here",)):
            reply = content(world, world.add(DATA, *places), origin=ORIGIN)
            assert reply.headers["access-control-allow-origin"] == ORIGIN
            assert "etag" in reply.headers["access-control-expose-headers"]


class TestRefusals:
    """What the server refuses is refused as everywhere."""

    REFUSED: tuple[tuple[str, dict[str, Any], dict[str, str]], ...] = (
        ("no key", {}, {"authorization": ""}),
        ("a wrong key", {}, {"authorization": "Bearer nobody"}),
        ("another owner's", {"owner_id": "somebody"}, {}),
        ("expired", {"expires_at": datetime.now(UTC) - timedelta(seconds=1)}, {}),
        ("still copied", {"state": FileState.COPYING}, {}),
        ("never copied", {"state": FileState.FAILED, "failure": "it is gone"}, {}),
        ("a range outside", {}, {"range": "bytes=5000-"}),
    )

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize(("members", "headers"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
    def test_read_as_those_of_the_method(
        self, world: World, members: dict[str, Any], headers: dict[str, str], protocol: str
    ) -> None:
        file_id = world.add(DATA, "a", **members)
        path = f"/v1/files/{file_id}/content"
        sent = {**AUTH, **headers}
        refused, expected = (edge.curl(path, protocol, headers=sent) for edge in (world.edge, world.plain))
        assert refused.status >= 400
        assert (refused.exit_code, refused.status, refused.body) == (0, expected.status, expected.body)
        assert steady(refused) == steady(expected)
        assert set(refused.headers) == set(expected.headers)
        assert not world.asked("a", file_id)

    @pytest.mark.parametrize("file_id", ["file-01jd0000000000000000000000", "file-x", "%ff", "a%2Fb", "'"])
    def test_unknown_and_malformed_ids(self, world: World, file_id: str) -> None:
        assert content(world, file_id).status in (400, 404)

    def test_head_of_what_is_not_there(self, world: World) -> None:
        reply = content(world, "file-01jd0000000000000000000000", "--head", "--http2-prior-knowledge")
        assert (reply.exit_code, reply.status) == (0, 404)

    def test_other_methods_are_not_decided_about(self, world: World) -> None:
        reply = world.edge.curl("/v1/files/file-1/content", "--request", "PUT", headers=AUTH)
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")

    def test_odd_bytes_in_headers_are_no_failure(self, world: World) -> None:
        file_id = world.add(DATA, "a")
        reply = world.edge.raw(
            f"GET /v1/files/{file_id}/content HTTP/1.1\r\nHost: x\r\n".encode()
            + f"authorization: {AUTH['authorization']}\r\n".encode()
            + b"x-odd: \xff\xfe\r\ncookie: \x80\r\n\r\n"
        )
        assert (reply.status, reply.body) == (200, DATA)


class TestWhatAnOriginSees:
    def test_is_what_the_provider_gave_and_the_range(self, world: World) -> None:
        file_id = world.add(DATA, "a")
        hostile = {
            "cookie": "session=1",
            "api-key": "sk-client",
            "if-match": '"x"',
            "if-none-match": '"x"',
            "if-unmodified-since": "Sat, 21 Nov 2015 09:32:36 GMT",
            "x-forwarded-for": "10.0.0.1",
            "x-amz-security-token": "client",
            "x-goog-user-project": "client",
            "accept-encoding": "gzip",
            "te": "trailers",
            "referer": "https://app.example/secret",
            "x-anything": "1",
        }
        reply = content(world, file_id, range="bytes=-24", **hostile)
        assert (reply.status, reply.body) == (206, DATA[-24:])
        (asked,) = world.asked("a", file_id)
        assert asked.raw_path == f"/objects/{file_id}?sig=a%2Fb"
        assert asked.headers.pop("x-request-id") == reply.headers["x-request-id"]
        assert (asked.method, asked.body) == ("GET", b"")
        assert asked.headers == {
            "host": f"127.0.0.1:{world.origins['a'].port}",
            "authorization": "Bearer origin-secret",
            "api-key": "origin-key",
            "range": "bytes=1000-1023",
            "accept": "*/*",
            "accept-encoding": "identity",
            "user-agent": "mediagate",
            "x-forwarded-proto": "http",
        }

    def test_is_no_request_with_a_body(self, world: World) -> None:
        file_id = world.add(DATA, "a", "here")
        for body in (["--data", "abc"], ["--data", "abc", "--header", "transfer-encoding: chunked"]):
            reply = content(world, file_id, "--request", "GET", *body)
            assert (reply.exit_code, reply.status) == (0, 400)
        assert not world.asked("a", file_id)

    def test_is_never_chosen_by_a_client(self, world: World) -> None:
        chosen = {
            "x-edge-cluster": "origins-http",
            "x-edge-origin": "1",
            "x-envoy-original-path": "/objects/x",
            "x-envoy-decorator-operation": "x",
            "host": f"127.0.0.1:{world.origins['b'].port}",
        }
        before = len(world.origins["b"].asked)
        for path in (
            "/objects/x",
            "/v1/files",
            "/livez",
            "/readyz",
            "/nowhere",
            "/v1/files/x/content",
            "/objects/a/content",
        ):
            for method in ("GET", "HEAD", "POST"):
                extra = ["--head"] if method == "HEAD" else ["--request", method]
                world.edge.curl(path, *extra, headers={**AUTH, **chosen})
        file_id = world.add(DATA, "a")
        assert content(world, file_id, **chosen).body == DATA
        assert len(world.asked("a", file_id)) == 1
        assert len(world.origins["b"].asked) == before

    def test_is_never_decided_by_what_a_client_remembers(self, world: World) -> None:
        """The headers in which a decision comes back to the server are the server's alone."""
        file_id = world.add(DATA, "a", "b")
        told = {"headers": AUTH, "tried": ["a"], "since": time.time()}
        import base64

        forged = {"x-edge-again": base64.b64encode(json.dumps(told).encode()).decode(), "x-edge-failure": "500;"}
        assert content(world, file_id, **forged).body == DATA
        assert (len(world.asked("a", file_id)), len(world.asked("b", file_id))) == (1, 0)
        stranger = world.edge.curl(f"/v1/files/{file_id}/content", headers=forged)
        assert stranger.status == 401

    def test_cannot_be_asked_of_the_server_through_the_edge(self, world: World) -> None:
        """The answer would hold the credentials."""
        request = external_auth_pb2.CheckRequest()
        request.attributes.request.http.method = "GET"
        with world.edge.channel() as channel, pytest.raises(grpc.RpcError) as refused:
            external_auth_pb2_grpc.AuthorizationStub(channel).Check(request, timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
        path = "/envoy.service.auth.v3.Authorization/Check"
        assert world.edge.curl(path, "--data", "{}", headers=AUTH).status == 404


class TestAProvidersOwnFile:
    """Raw ids of the provider, for a caller that may use them."""

    @pytest.fixture
    def raw_id(self, world: World) -> str:
        world.origins["a"].hold("/objects/theirs", DATA)
        return "%2Fobjects%2Ftheirs"

    @pytest.mark.parametrize("named", ["/a/v1/files/{}/content", "/v1/files/{}/content?custom_llm_provider=a"])
    def test_is_streamed_too(self, world: World, raw_id: str, named: str) -> None:
        before = len(world.asked("a", "theirs"))
        reply = world.edge.curl(named.format(raw_id), headers={**AUTH, "range": "bytes=-24"})
        assert (reply.status, reply.body) == (206, DATA[-24:])
        assert reply.headers["content-disposition"] == 'attachment; filename="theirs.bin"'
        assert reply.headers["content-type"] == "application/octet-stream"
        assert "etag" not in reply.headers
        assert len(world.asked("a", "theirs")) == before + 1

    def test_is_named_by_a_header_as_well(self, world: World, raw_id: str) -> None:
        assert content(world, raw_id, custom_llm_provider="a").body == DATA
        assert not world.served_by_python("/objects/theirs")

    def test_is_not_found_where_nobody_names_the_provider(self, world: World, raw_id: str) -> None:
        assert content(world, raw_id).status == 404

    @pytest.mark.parametrize(("account", "status"), [("a", 404), ("nobody", 400)])
    def test_says_what_is_missing(self, world: World, account: str, status: int) -> None:
        reply = content(world, "%2Fobjects%2Fnone", custom_llm_provider=account)
        assert (reply.status, reply.error()["type"]) == (status, "invalid_request_error")

    def test_takes_a_key(self, world: World, raw_id: str) -> None:
        assert content(world, raw_id, custom_llm_provider="a", authorization="Bearer nobody").status == 401


class TestWhatAnOriginSays:
    def test_stays_behind_the_edge(self, world: World) -> None:
        plain, talkative = world.add(DATA, "a"), world.add(DATA, "a")
        world.held("a", talkative).headers = {
            "server": "AmazonS3",
            "x-amz-id-2": "secret",
            "x-goog-hash": "secret",
            "set-cookie": "a=b",
            "etag": '"theirs"',
            "last-modified": "Sat, 21 Nov 2015 09:32:36 GMT",
            "content-type": "application/grpc",
            "content-disposition": "inline",
            "cache-control": "public, max-age=31536000",
            "expires": "Sat, 21 Nov 2036 09:32:36 GMT",
            "accept-ranges": "none",
            "x-openai-error": '{"error":{}}',
            "x-http-status": "418",
            "x-content-length": "3",
            "x-edge-again": "x",
            "x-edge-failure": "500",
            "x-edge-head": "1",
            "x-edge": "1 - GET x",
            "x-request-id": "theirs",
            "openai-processing-ms": "99999",
            "access-control-allow-origin": "*",
            "grpc-status": "5",
            "location": "https://bucket.example",
            "link": "<https://bucket.example>",
            "trailer": "x",
        }
        for wanted in ({}, {"range": "bytes=0-9"}):
            clean, said = content(world, plain, **wanted), content(world, talkative, **wanted)
            assert (said.exit_code, said.status, said.body) == (0, clean.status, clean.body)
            expected = steady(clean) | {"content-disposition": said.headers["content-disposition"]}
            assert steady(said) == expected
            assert int(said.headers["openai-processing-ms"]) < 5000

    def test_no_range_where_none_was_asked_for(self, world: World) -> None:
        file_id = world.add(DATA, "a")
        world.held("a", file_id).headers = {"content-range": "bytes 0-1023/1024"}
        assert "content-range" not in content(world, file_id).headers

    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_a_length_that_it_does_not_tell_is_told(self, world: World, protocol: str) -> None:
        file_id = world.add(DATA * 1000, "a")
        world.held("a", file_id).chunked = True
        for wanted, size in (({}, len(DATA) * 1000), ({"range": "bytes=7-90006"}, 90_000)):
            reply = content(world, file_id, protocol, **wanted)
            assert (reply.exit_code, len(reply.body)) == (0, size)
            assert reply.headers["content-length"] == str(size)
            assert "transfer-encoding" not in reply.headers
        assert not world.served_by_python(file_id)


class TestChoice:
    def test_an_origin_is_better_than_the_servers_own_disk(self, world: World) -> None:
        file_id = world.add(DATA, "here", "b")
        assert content(world, file_id).body == DATA
        assert (world.served_by_python(file_id), len(world.asked("b", file_id))) == (0, 1)

    @pytest.mark.parametrize("state", [state for state in ReplicaState if state is not ReplicaState.READY])
    def test_only_copies_that_are_ready_count(self, world: World, state: ReplicaState) -> None:
        file_id = world.add(DATA, "a", "b")
        file = world.server.files.rows[file_id]
        first = replace(file.replicas[0], state=state)
        world.server.files.rows[file_id] = replace(file, replicas=(first, file.replicas[1]))
        assert content(world, file_id).body == DATA
        assert (len(world.asked("a", file_id)), len(world.asked("b", file_id))) == (0, 1)

    def test_a_copy_whose_time_is_over_does_not_count(self, world: World) -> None:
        file_id = world.add(DATA, "a", "b")
        file = world.server.files.rows[file_id]
        first = replace(file.replicas[0], expires_at=datetime.now(UTC) - timedelta(seconds=1))
        world.server.files.rows[file_id] = replace(file, replicas=(first, file.replicas[1]))
        assert content(world, file_id).body == DATA
        assert not world.asked("a", file_id)

    def test_an_account_that_is_no_longer_configured_does_not_count(self, world: World) -> None:
        file_id = world.add(DATA, "gone", "b")
        assert content(world, file_id).body == DATA

    def test_what_the_provider_does_not_hand_out_comes_through_the_server(self, world: World) -> None:
        file_id = world.add(DATA, "a")
        world.accounts["a"].refuses = Unsupported("This one is not for the edge.")
        try:
            assert content(world, file_id).body == DATA
        finally:
            world.accounts["a"].refuses = None
        assert world.served_by_python(file_id) == 1

    def test_an_origin_without_ranges_is_read_through_the_server(self, world: World) -> None:
        file_id = world.add(DATA, "a")
        world.held("a", file_id).ignores_range = True
        try:
            for _ in range(2):
                reply = content(world, file_id, range="bytes=5-9")
                assert (reply.status, reply.body, reply.headers["content-range"]) == (206, DATA[5:10], "bytes 5-9/1024")
            assert world.served_by_python(file_id) == 2
            assert content(world, file_id).body == DATA
            assert world.served_by_python(file_id) == 2
        finally:
            world.heal()


def test_many_at_once(world: World) -> None:
    files = [world.add(bytes([number]) * (number * 9_973), "a" if number % 2 else "b") for number in range(60)]

    def download(number: int) -> tuple[int, int]:
        reply = content(world, files[number], PROTOCOLS[number % 2])
        return reply.exit_code, len(reply.body)

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(download, range(60))) == [(0, number * 9_973) for number in range(60)]


def test_a_client_that_does_not_read_costs_a_window(world: World) -> None:
    file_id = world.add(bytes(64 << 20), "a")
    before, idle = world.edge.rss_mib(), []
    try:
        for _ in range(4):
            connection = socket.create_connection(("127.0.0.1", world.edge.port))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = (
                f"GET /v1/files/{file_id}/content HTTP/1.1\r\nHost: x\r\nauthorization: {AUTH['authorization']}\r\n\r\n"
            )
            connection.sendall(head.encode())
            idle.append(connection)
        time.sleep(1)
        assert world.edge.rss_mib() < before + 40
        assert content(world, world.add(DATA, "a")).body == DATA
    finally:
        for connection in idle:
            connection.close()


class TestConfiguration:
    def test_envoy_takes_it_without_a_warning(self, tmp_path: Path) -> None:
        config = tmp_path / "envoy.yaml"
        settings = EdgeSettings("127.0.0.1", 4000, ["unix:/run/a.sock"], "/tmp/admin.sock", content_by_decision=True)
        config.write_text(render_config(settings))
        command = [envoy_program(), "--mode", "validate", "--log-level", "warning", "--config-path", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")

    def test_all_content_is_decided_about_and_nothing_else(self) -> None:
        settings = EdgeSettings("127.0.0.1", 4000, ["unix:/run/a.sock"], "/tmp/admin.sock", content_by_decision=True)
        config = yaml.safe_load(render_config(settings))
        manager = config["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        (host,) = manager["route_config"]["virtual_hosts"]
        decided = {
            (regex, method["string_match"]["exact"])
            for route in host["routes"]
            if "envoy.filters.http.ext_authz" in route.get("typed_per_filter_config", {})
            for method in route["match"]["headers"]
            for regex in route["match"]["safe_regex"]["regex"].split("|")
        }
        paths = {path["regex"]: path["methods"] for path in json.loads(ROUTES.read_text())["paths"]}
        expected = {
            (path, method)
            for path in paths
            if path.endswith(("/files/[^/]+/content", "/videos/[^/]+/content"))
            for method in paths[path]
        }
        assert decided == expected
        assert expected

    def test_without_a_server_nothing_is_decided(self) -> None:
        edge = Edge(servers=0, options={"content_by_decision": True})
        edge.settings.api_targets.append(f"unix:{edge.folder}/nobody.sock")
        edge.start_envoy()
        try:
            reply = edge.curl("/v1/files/file-1/content", headers=AUTH)
            assert (reply.status, reply.error()["code"]) == (503, "unavailable")
            assert reply.headers["retry-after"] == "1"
        finally:
            edge.stop()
