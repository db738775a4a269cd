"""Log files, warnings, and the questions to running servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mediagate.supervisor import logs, probes
from mediagate.supervisor.logs import LogFile
from mediagate.supervisor.plan import ChildSpec, Plan, PostgresSpec


@pytest.mark.parametrize(
    ("line", "is_warning"),
    [
        ('{"event": "a model retires", "level": "warning"}', True),
        ('{"level":"error","event":"x"}', True),
        ('{"level": "info", "event": "no error"}', False),
        ("2026-11-21 [warning  ] a model retires", True),
        ("2026-11-21 [info     ] no error", False),
        ("WARNING:mediagate:x", True),
        ("[2026-11-21 09:23:22.140][15935][warning][main] [source/server/server.cc:1028] x", True),
        ("[2026-11-21 09:23:22.140][15935][info][main] error", False),
        ("2026-11-21 09:20:16.273 UTC [27244] FATAL:  lock file", True),
        ("2026-11-21 09:20:16.273 UTC [27244] ERROR:  duplicate key", False),
        ("2026-11-21 09:20:16.273 UTC [27244] LOG:  checkpoint complete", False),
    ],
)
def test_warnings_of_every_kind_of_child_are_found(tmp_path: Path, line: str, is_warning: bool) -> None:
    log = LogFile(tmp_path, "child")
    log.path.write_text(f"{line}\n")
    assert log.news() == ([line] if is_warning else [])


def test_news_are_told_once_and_half_a_line_waits(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "child")
    assert log.news() == []
    with log.open() as file:
        file.write(b"WARNING one\nWARNING tw")
        assert log.news() == ["WARNING one"]
        file.write(b"o\n")
        assert log.news() == ["WARNING two"]
    assert log.news() == []


def test_a_flood_is_cut(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "child")
    log.path.write_text("WARNING x\n" * 100)
    told = log.news()
    assert len(told) == logs.LINES_AT_ONCE + 1
    assert told[-1] == f"... and 80 more in {log.path}"


def test_an_earlier_runs_warnings_are_no_news_and_a_big_log_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "child.log").write_text("WARNING old\n")
    assert LogFile(tmp_path, "child").news() == []
    monkeypatch.setattr(logs, "ROTATE_AT_BYTES", 1)
    for number in range(6):
        (tmp_path / "child.log").write_text(str(number))
        LogFile(tmp_path, "child")
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == {"child.log.1": "5", "child.log.2": "4", "child.log.3": "3"}


def test_the_last_words_are_the_grave_ones(tmp_path: Path) -> None:
    log = LogFile(tmp_path, "child")
    assert log.last_line() == ""
    log.path.write_text("x\nValueError: y\n\n")
    assert log.last_line() == "ValueError: y"
    log.path.write_text("UTC [1] FATAL:  no room\nUTC [1] LOG:  database system is shut down\n")
    assert log.last_line() == "UTC [1] FATAL:  no room"


@contextmanager
def server(
    family: socket.AddressFamily, address: object, answer: bytes, keep_open: threading.Event
) -> Iterator[object]:
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.bind(address)  # type: ignore[arg-type]
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)
                keep_open.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()
        keep_open.set()
        thread.join()


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
        (b"HTTP/1.1 200", False),
        (b"nonsense\r\n", False),
    ],
)
def test_readiness_is_the_status_and_needs_no_closed_connection(answer: bytes, ready: bool) -> None:
    keep_open = threading.Event()
    with server(socket.AF_INET, ("127.0.0.1", 0), answer, keep_open) as address:
        assert probes.answers_ready(*address) is ready  # type: ignore[misc]


def test_where_nothing_listens_nothing_is_ready(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert not probes.answers_ready("127.0.0.1", port)
    assert not probes.takes_connections("127.0.0.1", port)
    path = str(tmp_path / "admin.sock")
    assert not probes.carries_anything(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as slow:
        slow.bind(path)
        assert not probes.carries_anything(path), "nobody listens"
        slow.listen()
        assert probes.carries_anything(path), "it has not answered yet"


@pytest.mark.parametrize(
    ("gauges", "busy"),
    [
        ({"admin.downstream_rq_active": 1, "public.downstream_rq_active": 0}, False),
        ({"admin.downstream_rq_active": 1, "public.downstream_rq_active": 3}, True),
        ({"public.downstream_rq_active": 0, "public.downstream_cx_tx_bytes_buffered": 10}, True),
        ({"public.downstream_rq_active": 0, "public.downstream_cx_tx_bytes_buffered": 0}, False),
    ],
)
def test_envoy_is_busy_with_requests_and_unsent_bytes_but_not_with_ours(
    tmp_path: Path, gauges: dict[str, int], busy: bool
) -> None:
    body = "".join(f"http.{name}: {value}\n" for name, value in gauges.items()).encode()
    answer = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    path = str(tmp_path / "admin.sock")
    with server(socket.AF_UNIX, path, answer, threading.Event()):
        assert probes.carries_anything(path) is busy


def test_a_plan_survives_its_way_through_the_environment() -> None:
    plan = Plan(
        data_dir="/d",
        run_dir="/r",
        migrate=ChildSpec("migrate", ["m"], preload=["a"]),
        servers=[ChildSpec("api-0", ["a"], secrets=True)],
        background=[ChildSpec("worker", ["w"])],
        envoy=ChildSpec("envoy", ["e"]),
        postgres=PostgresSpec("/b", "/p", "/s", "pgserver"),
        ready_http=("::1", 4000),
        lock_fds=[3, 4],
        ready_message="ü\n{seconds}",
    )
    assert Plan.from_json(plan.to_json()) == plan
    small = Plan(data_dir="/d", run_dir="/r", migrate=ChildSpec("m", []), servers=[], ready_tcp=("h", 1))
    assert Plan.from_json(small.to_json()) == small
