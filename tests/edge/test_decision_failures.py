"""Origins that fail: before the first byte another copy is sent, behind it the download is broken."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from decision_kit import AUTH, World, running_world
from edge_harness import HTTP2_STREAM_ERROR, ORIGIN, PARTIAL_FILE, Reply, envelope, free_port

from mediagate.core.errors import ProviderRefused, Unavailable
from mediagate.envoy import ORIGINS_MAX
from tests.doubles.origin import Held, running_origin

HTTP2_ERROR = 16
PROTOCOLS = ["--http1.1", "--http2-prior-knowledge"]
# curl's words for a body that ends too early; over HTTP/2 it is a matter of timing which one it finds.
BROKEN = {PARTIAL_FILE, HTTP2_STREAM_ERROR, HTTP2_ERROR}
DATA = bytes(range(256)) * 4
# Larger than any buffer of the edge: a wrong copy must be dropped without being read.
LARGE = bytes(6 << 20)
SILENCE_S = 0.7

BEFORE_THE_FIRST_BYTE: dict[str, dict[str, Any]] = {
    "400": {"status": 400},
    "401": {"status": 401},
    "403": {"status": 403},
    "404": {"status": 404},
    "410": {"status": 410},
    "416": {"status": 416, "headers": {"content-range": "bytes */3"}},
    "429": {"status": 429, "headers": {"retry-after": "7"}},
    "500": {"status": 500},
    "503": {"status": 503},
    "a redirect": {"status": 302, "headers": {"location": "http://127.0.0.1:1/elsewhere"}},
    "no content": {"status": 204},
    "too long": {"data": LARGE},
    "too short": {"data": DATA[:-1]},
    "compressed": {"headers": {"content-encoding": "gzip"}},
    "a reset": {"reset_at": -1},
    "a stall": {"wait_s": 30.0},
}
MEANING = {
    "400": (400, "provider_rejected_file", "false"),
    "401": (502, "provider_credentials_refused", "false"),
    "403": (502, "provider_credentials_refused", "false"),
    "429": (429, "provider_rate_limited", "true"),
    "500": (502, "provider_failed", "true"),
    "503": (503, "provider_unavailable", "true"),
    "a reset": (502, "provider_connection_lost", "true"),
    "a stall": (504, "provider_timeout", "true"),
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, and a certificate of it for `localhost`."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    new = ["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-batch"]
    signed = ["-CA", "ca.pem", "-CAkey", "ca.key"]
    for command in (
        [*new, "-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"],
        [*new, "-subj", "/CN=localhost", "-keyout", "key.pem", "-out", "request"],
        ["openssl", "x509", "-req", "-in", "request", *signed, "-days", "2", "-extfile", "names", "-out", "cert.pem"],
    ):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def names_asked_for() -> list[str | None]:
    """The names that clients of the origin with TLS said they look for."""
    return []


@pytest.fixture(scope="module")
def world(certificates: Path, names_asked_for: list[str | None]) -> Iterator[World]:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.sni_callback = lambda _socket, name, _context: names_asked_for.append(name)
    tls.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    with running_origin() as a, running_origin() as b, running_origin(tls) as secure:
        origins = {"a": a, "b": b, "tls": secure, **{f"a{number}": a for number in range(ORIGINS_MAX + 2)}}
        options = {"origin_silence_s": SILENCE_S, "trusted_ca_file": str(certificates / "ca.pem")}
        with running_world(origins, **options) as running:
            running.accounts["tls"].url = f"https://localhost:{secure.port}"
            yield running


@pytest.fixture(autouse=True)
def healthy(world: World) -> None:
    world.heal()
    world.accounts["a"].url = world.origins["a"].url
    world.accounts["a"].refuses = None


def content(world: World, file_id: str, *arguments: str, **headers: str) -> Reply:
    return world.edge.curl(f"/v1/files/{file_id}/content", *arguments, headers={**AUTH, **headers})


def spoil(world: World, place: str, file_id: str, faults: dict[str, Any]) -> None:
    world.origins[place].objects[f"/objects/{file_id}"] = Held(**{"data": DATA, **faults})


class TestBeforeTheFirstByte:
    @pytest.mark.parametrize("wanted", [{}, {"range": "bytes=10-19"}], ids=["whole", "part"])
    @pytest.mark.parametrize("fault", BEFORE_THE_FIRST_BYTE)
    @pytest.mark.parametrize("second", ["b", "here"])
    def test_the_next_copy_is_sent(self, world: World, second: str, fault: str, wanted: dict[str, str]) -> None:
        file_id, right = world.add(DATA, "a", second), world.add(DATA, second)
        spoil(world, "a", file_id, BEFORE_THE_FIRST_BYTE[fault])
        reply, expected = content(world, file_id, **wanted), content(world, right, **wanted)
        assert (reply.exit_code, reply.status, reply.body) == (0, expected.status, expected.body)
        assert set(reply.headers) == set(expected.headers)
        for name in ("content-length", "content-type", "etag", "content-disposition", "cache-control"):
            assert reply.headers[name] == expected.headers[name]
        assert len(world.asked("a", file_id)) == 1

    @pytest.mark.parametrize("fault", MEANING)
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    def test_the_last_copy_says_why(self, world: World, fault: str, protocol: str) -> None:
        file_id = world.add(DATA, "a")
        spoil(world, "a", file_id, BEFORE_THE_FIRST_BYTE[fault])
        reply = content(world, file_id, protocol)
        status, code, retry = MEANING[fault]
        assert (reply.exit_code, reply.status, reply.error()["code"]) == (0, status, code)
        assert reply.headers["x-should-retry"] == retry
        assert reply.headers.get("retry-after") == {429: "7", 503: "1"}.get(status)
        assert b"Secret" not in reply.body
        # What fails at once may be reached by the server, and what a retry cannot help is the provider's to explain.
        assert world.served_by_python(file_id) == (retry == "false" or fault == "a reset")
        left = {"x-request-id", "openai-processing-ms", "date", "content-type", "content-length", "x-should-retry"}
        assert set(reply.headers) - {"retry-after", "retry-after-ms"} == left

    @pytest.mark.parametrize("fault", ["404", "410"])
    def test_a_file_that_is_nowhere_is_lost(self, world: World, fault: str) -> None:
        file_id = world.add(DATA, "a")
        spoil(world, "a", file_id, BEFORE_THE_FIRST_BYTE[fault])
        reply = content(world, file_id)
        assert (reply.status, reply.error()["code"]) == (404, "content_lost")
        assert [replica.file_id for replica in world.server.losses.lost][-1] == file_id

    @pytest.mark.parametrize("fault", ["too long", "too short"])
    @pytest.mark.parametrize("wanted", [{}, {"range": "bytes=10-19"}], ids=["whole", "part"])
    def test_a_copy_of_another_size_is_never_served(self, world: World, fault: str, wanted: dict[str, str]) -> None:
        file_id = world.add(DATA, "a")
        spoil(world, "a", file_id, BEFORE_THE_FIRST_BYTE[fault])
        reply = content(world, file_id, **wanted)
        assert (reply.status, reply.error()["code"]) == (503, "unavailable")

    def test_a_host_that_refuses_or_has_no_name(self, world: World) -> None:
        for url in (f"http://127.0.0.1:{free_port()}", "http://no.such.host.invalid"):
            world.heal()
            world.accounts["a"].url = url
            alone, both, also_here = (world.add(DATA, *places) for places in (("a",), ("a", "b"), ("a", "here")))
            # The first request for a name is the one that learns that there is none.
            reply = content(world, alone)
            assert (reply.status, reply.error()["code"]) == (503, "provider_unavailable")
            assert (reply.headers["retry-after"], reply.headers["x-should-retry"]) == ("1", "true")
            assert b"no.such.host" not in reply.body
            for file_id in (both, also_here):
                assert content(world, file_id).body == DATA

    def test_the_cors_of_a_fallback(self, world: World) -> None:
        file_id = world.add(DATA, "a", "b")
        spoil(world, "a", file_id, {"status": 500})
        reply = content(world, file_id, origin=ORIGIN)
        assert (reply.status, reply.headers["access-control-allow-origin"]) == (200, ORIGIN)
        (asked,) = world.asked("b", file_id)
        assert "origin" not in asked.headers

    def test_the_next_origin_gets_nothing_of_the_first(self, world: World) -> None:
        file_id, plain = world.add(DATA, "a", "b"), world.add(DATA, "b")
        spoil(world, "a", file_id, {"status": 403})
        for one in (file_id, plain):
            content(world, one, range="bytes=3-4", cookie="a=b")
        (asked,), (expected,) = world.asked("b", file_id), world.asked("b", plain)
        ignored = {"x-request-id": ""}
        assert asked.headers | ignored == expected.headers | ignored

    def test_what_failed_is_asked_last_for_a_while(self, world: World) -> None:
        files = [world.add(DATA, "a", "b") for _ in range(3)]
        spoil(world, "a", files[0], {"status": 503})
        assert [content(world, file_id).status for file_id in files] == [200, 200, 200]
        assert [len(world.asked("a", file_id)) for file_id in files] == [1, 0, 0]
        # What is nowhere else is asked for all the same.
        alone = world.add(DATA, "a")
        assert content(world, alone).status == 200

    def test_a_copy_that_is_gone_says_nothing_of_the_account(self, world: World) -> None:
        files = [world.add(DATA, "a", "b") for _ in range(2)]
        spoil(world, "a", files[0], {"status": 404})
        for _ in range(2):
            assert [content(world, file_id).status for file_id in files] == [200, 200]
        assert [len(world.asked("a", file_id)) for file_id in files] == [1, 2]

    def test_a_connection_that_was_closed_just_then_is_no_failure(self, world: World) -> None:
        """It looks like an origin that breaks off; the same origin has another chance where there is no other."""
        file_id = world.add(DATA, "a")
        spoil(world, "a", file_id, {"reset_at": -1, "resets": 1})
        reply = content(world, file_id)
        assert (reply.status, reply.body) == (200, DATA)
        assert len(world.asked("a", file_id)) == 2

    def test_not_every_origin_there_is_is_asked(self, world: World) -> None:
        file_id = world.add(DATA, *(f"a{number}" for number in range(ORIGINS_MAX + 2)))
        spoil(world, "a", file_id, {"status": 500})
        reply = content(world, file_id)
        assert (reply.exit_code, reply.status, reply.error()["code"]) == (0, 502, "provider_failed")
        assert len(world.asked("a", file_id)) == ORIGINS_MAX

    @pytest.mark.parametrize("raised", [Unavailable("Away."), ProviderRefused("No."), FileNotFoundError("gone")])
    def test_a_provider_that_cannot_say_where_it_is(self, world: World, raised: Exception) -> None:
        world.accounts["a"].refuses = raised
        both, alone = world.add(DATA, "a", "b"), world.add(DATA, "a")
        assert content(world, both).body == DATA
        assert len(world.asked("b", both)) == 1
        # The method asks the provider in its own way.
        assert content(world, alone).body == DATA
        assert world.served_by_python(alone) == 1


class TestBehindTheFirstByte:
    @pytest.mark.parametrize("protocol", PROTOCOLS)
    @pytest.mark.parametrize(
        "faults",
        [
            {"reset_at": 100_000},
            {"declared": 2_000_000, "data": bytes(1_500_000)},
            {"reset_at": 100_000, "chunked": True},
            {"chunked": True, "data": bytes(1_500_000)},
        ],
        ids=["reset", "closed early", "reset without a length", "ended early without a length"],
    )
    def test_a_download_that_breaks_is_seen_to_break(self, world: World, faults: dict[str, Any], protocol: str) -> None:
        file_id = world.add(bytes(2_000_000), "a", "b")
        spoil(world, "a", file_id, {"data": bytes(2_000_000), **faults})
        reply = content(world, file_id, protocol)
        assert (reply.status, reply.headers["content-length"]) == (200, "2000000")
        assert reply.exit_code in BROKEN
        assert len(reply.body) < 2_000_000

    def test_a_part_that_breaks_is_seen_to_break(self, world: World) -> None:
        file_id = world.add(bytes(2_000_000), "a")
        spoil(world, "a", file_id, {"data": bytes(2_000_000), "reset_at": 70_000})
        reply = content(world, file_id, range="bytes=1000-1500000")
        assert (reply.status, reply.exit_code) == (206, PARTIAL_FILE)

    def test_a_stall_ends_the_download(self, world: World) -> None:
        """An origin that is silent in the middle holds a client no longer than the edge's patience."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            world.accounts["a"].url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            file_id = world.add(DATA, "a")

            def serve() -> None:
                connection, _ = silent.accept()
                with connection:
                    connection.recv(1 << 16)
                    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\nabc")
                    connection.settimeout(30)
                    connection.recv(1)

            with ThreadPoolExecutor(1) as pool:
                pool.submit(serve)
                began = time.monotonic()
                reply = content(world, file_id)
                spent_s = time.monotonic() - began
        assert (reply.status, reply.exit_code, reply.body) == (200, PARTIAL_FILE, b"abc")
        assert SILENCE_S <= spent_s < 25

    def test_a_client_that_goes_ends_the_request_to_the_origin(self, world: World) -> None:
        file_id = world.add(bytes(64 << 20), "a")
        with world.edge.client(headers=AUTH) as client, client.stream("GET", f"/v1/files/{file_id}/content") as reply:
            next(reply.iter_raw())
        assert content(world, world.add(DATA, "a")).body == DATA


class TestTls:
    def test_an_origin_proves_who_it_is(self, world: World, names_asked_for: list[str | None]) -> None:
        file_id = world.add(DATA, "tls")
        assert content(world, file_id).body == DATA
        assert content(world, file_id, range="bytes=0-9").body == DATA[:10]
        (asked, _) = world.asked("tls", file_id)
        assert asked.headers["host"] == f"localhost:{world.origins['tls'].port}"
        assert asked.headers["x-forwarded-proto"] == "https"
        assert set(names_asked_for) == {"localhost"}

    def test_a_certificate_for_another_name_is_none(self, world: World) -> None:
        url = world.accounts["tls"].url
        world.accounts["tls"].url = url.replace("localhost", "127.0.0.1")
        try:
            file_id, also = world.add(DATA, "tls"), world.add(DATA, "tls", "b")
            reply = content(world, file_id)
            assert (reply.status, reply.body[:9]) == (503, b'{"error":')
            assert content(world, also).body == DATA
        finally:
            world.accounts["tls"].url = url
        assert not world.asked("tls", file_id)

    def test_a_certificate_of_another_authority_is_none(self, world: World) -> None:
        with running_world({"tls": world.origins["tls"]}) as other:
            other.accounts["tls"].url = world.accounts["tls"].url
            reply = content(other, other.add(DATA, "tls"))
        assert (reply.status, envelope(reply.body)["code"]) == (503, "provider_unavailable")


def test_many_at_once_while_one_origin_fails(world: World) -> None:
    files = [world.add(bytes([number]) * 20_000, "a", "b") for number in range(60)]
    for number, file_id in enumerate(files):
        faults = list(BEFORE_THE_FIRST_BYTE.values())[number % 15]
        if number % 3:
            spoil(world, "a", file_id, {"data": bytes([number]) * 20_000, **faults})

    def download(number: int) -> bool:
        reply = content(world, files[number], PROTOCOLS[number % 2])
        return (reply.exit_code, reply.status, reply.body) == (0, 200, bytes([number]) * 20_000)

    with ThreadPoolExecutor(12) as pool:
        assert all(pool.map(download, range(60)))
