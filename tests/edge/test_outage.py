"""Servers that die, drain, restart or never were: what callers see, and how soon it is over."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from edge_harness import PARTIAL_FILE, Edge, Reply, envoy_program, eventually, script

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc
from mediagate.envoy.render import envoy_arguments

Start = Callable[[Edge], Edge]
file_service: Any = files_pb2_grpc.FileServiceStub


def during(edge: Edge, act: Callable[[], None], path: str, *arguments: str, **members: object) -> Reply:
    """The reply to a request that was running when something happened."""
    eventually(lambda: edge.get("/readyz").status == 200, "ready")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(edge.curl, path, *arguments, headers=script(**members))
        time.sleep(1.2)
        act()
        return waiting.result()


def test_a_server_that_dies_at_work(own_edge: Start) -> None:
    edge = own_edge(Edge())
    stub = edge.stubs[0]

    def die() -> None:
        stub.start()

    reply = during(edge, die, "/v1/uploads", "--data-binary", "{}", wait=5)
    assert (reply.status, reply.error()["type"], reply.error()["code"]) == (502, "server_error", "interrupted")
    assert reply.headers["x-should-retry"] == "false", "a repeated POST may be done twice"
    assert 300 < int(reply.headers["openai-processing-ms"]) < 5000

    reply = during(edge, die, "/v1/files/file-1", wait=5)
    assert (reply.status, reply.error()["code"]) == (502, "interrupted")
    assert "x-should-retry" not in reply.headers

    chunks = [{"zeros": 1000}, {"zeros": 1, "wait": 5}]
    for initial in ({"x-content-length": "2000"}, {"x": "y"}):
        reply = during(edge, die, "/v1/files/file-1/content", initial=initial, chunks=chunks)
        assert (reply.exit_code, reply.status, len(reply.body)) == (PARTIAL_FILE, 200, 1000)

    reply = during(edge, die, "/v1/files", "--data-binary", "abc", wait=5)
    assert (reply.status, reply.headers["x-should-retry"]) == (502, "false")

    reply = during(edge, die, "/v1/files", "--data-binary", "abc", "-H", "idempotency-key: k", wait=5)
    assert (reply.status, "x-should-retry" in reply.headers) == (502, False), "with a key it may be repeated"


def test_no_server_at_all(own_edge: Start) -> None:
    edge = own_edge(Edge())
    edge.stubs[0].stop()
    for wait_s in (0.0, 1.5):  # Refused connections first, then no healthy server.
        time.sleep(wait_s)
        for arguments in ((), ("--data-binary", "{}")):
            reply = edge.curl("/v1/uploads" if arguments else "/readyz", *arguments)
            assert (reply.status, reply.error()["code"], reply.headers["retry-after"]) == (503, "unavailable", "1")
            assert "x-should-retry" not in reply.headers
            assert b"connect" not in reply.body
            assert str(edge.folder).encode() not in reply.body
    assert edge.get("/livez").status == 200
    with edge.channel() as channel, pytest.raises(grpc.RpcError) as failure:
        file_service(channel).GetFile(files_pb2.GetFileRequest(file_id="x"), timeout=20)
    assert failure.value.code() == grpc.StatusCode.UNAVAILABLE
    assert str(edge.folder) not in str(failure.value.details())

    edge.stubs[0].start()
    eventually(lambda: edge.get("/readyz").status == 200, "back")


def test_the_only_server_drains(own_edge: Start) -> None:
    edge = own_edge(Edge())
    stub = edge.stubs[0]
    finished: list[Reply] = []
    running = threading.Thread(target=lambda: finished.append(edge.get("/v1/files/file-1", script(wait=3.0))))
    running.start()
    time.sleep(1)
    stub.drain()
    eventually(lambda: edge.get("/v1/files/file-2").status == 503, "new requests are refused")
    assert edge.get("/v1/files/file-2").headers["retry-after"] == "1"
    running.join()
    assert finished[0].status == 200
    assert stub.process is not None
    assert stub.process.wait(40) == 0


@pytest.mark.soak
def test_a_rolling_restart_of_two_servers_loses_nothing(own_edge: Start) -> None:
    edge = own_edge(Edge(servers=2))
    stop = threading.Event()
    statuses: list[int] = []

    def ask() -> None:
        with edge.client() as client:
            while not stop.is_set():
                statuses.append(client.get("/v1/files/file-1", headers=script(wait=0.03)).status_code)

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    for stub in edge.stubs:
        stub.drain()
        assert stub.process is not None
        assert stub.process.wait(40) == 0
        stub.start()
        time.sleep(0.5)
    stop.set()
    for asker in askers:
        asker.join()
    assert set(statuses) == {200}, edge.log
    assert len(statuses) > 30


def test_a_server_that_is_gone_costs_no_request_that_it_had_not_got(own_edge: Start) -> None:
    edge = own_edge(Edge(servers=2))
    edge.stubs[0].stop()
    # What is sent into a connection before its end is known may have reached the server.
    eventually(lambda: edge.connections(edge.stubs[0]) == 0, "Envoy knows")
    replies = [edge.curl("/v1/uploads", "--data-binary", "{}").status for _ in range(20)]
    assert replies == [200] * 20


def test_calls_are_shared_among_servers(own_edge: Start) -> None:
    """Call by call, on one client connection."""
    edge = own_edge(Edge(servers=2))
    with edge.channel() as channel, ThreadPoolExecutor(8) as pool:
        files = file_service(channel)
        request, metadata = files_pb2.GetFileRequest(file_id="x"), tuple(script(wait=4.0).items())
        calls = [pool.submit(files.GetFile, request, metadata=metadata, timeout=30) for _ in range(8)]
        time.sleep(1.5)
        edge.stubs[0].stop()
        failed = sum(call.exception() is not None for call in calls)
    assert 1 <= failed <= 7


def test_a_second_envoy_on_the_port_does_not_start(edge: Edge) -> None:
    config = edge.folder / "envoy.yaml"
    command = [envoy_program(), *envoy_arguments(edge.settings, str(config))]
    done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    assert done.returncode != 0
    assert b"Address already in use" in done.stderr
    assert edge.get("/livez").status == 200
