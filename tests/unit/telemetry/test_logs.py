"""Lines as they are written: whole, in order, without what exceptions say."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from mediagate.telemetry import logs
from mediagate.telemetry.logs import configure_logs, described
from mediagate.telemetry.requests import CURRENT, RequestLog, RequestRecord
from mediagate.telemetry.writer import LineWriter


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The lines that are written; the configuration of before comes back."""
    kept, handlers, before = [], logging.getLogger().handlers[:], structlog.get_config()

    class Kept:
        def write(self, line: str, *, urgent: bool = False) -> None:
            kept.append(line)

    monkeypatch.delenv("MEDIAGATE_LOG_LEVEL", raising=False)
    monkeypatch.setattr(logs, "WRITER", Kept())
    monkeypatch.setattr("sys.excepthook", None)
    yield kept
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()
    logging.getLogger().handlers[:] = handlers
    logging.captureWarnings(False)


def failed() -> Exception:
    try:
        try:
            raise ValueError("the prompt of a person")
        except ValueError as error:
            raise RuntimeError("Bearer abcdefghijkl and a body") from error
    except RuntimeError as error:
        return error


def test_an_event_is_one_line_of_json(written: list[str]) -> None:
    configure_logs("api")
    token = CURRENT.set(RequestRecord("FileService/GetFile", "req-1", "f" * 32))
    try:
        structlog.get_logger().info("something", note="sk-abcdefghij\nand more", n=1)
        structlog.get_logger().debug("too_fine")
    finally:
        CURRENT.reset(token)
    (line,) = written
    assert "\n" not in line
    event = json.loads(line)
    assert event.pop("ts")
    assert event == {
        "event": "something",
        "level": "info",
        "n": 1,
        "note": "[redacted]\nand more",
        "process": "api",
        "request_id": "req-1",
        "trace_id": "f" * 32,
    }


def test_an_exception_leaves_where_and_not_what(written: list[str]) -> None:
    configure_logs("api")
    structlog.get_logger().error("it_failed", exc_info=failed())
    logging.getLogger("some.library").error("it failed with %s", "Bearer abcdefghijkl", exc_info=failed())
    for line in written:
        event: dict[str, Any] = json.loads(line)
        assert event["level"] == "error"
        assert "RuntimeError" in event["exception"]
        assert "caused by ValueError" in event["exception"]
        assert "test_logs.py" in event["exception"]
        assert "prompt of a person" not in line
        assert "abcdefghijkl" not in line
        assert "a body" not in line
    assert json.loads(written[1])["logger"] == "some.library"
    configure_logs("api", exception_texts=True)
    structlog.get_logger().error("it_failed", exc_info=failed())
    assert "the prompt of a person" in written[2]
    assert "abcdefghijkl" not in written[2]


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError(), TypeError()
    one.__cause__, other.__cause__ = other, one
    assert len(list(described(one))) < 20


def test_the_environment_beats_the_configuration(written: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDIAGATE_LOG_LEVEL", "error")
    configure_logs("api", level="debug", format="console")
    structlog.get_logger().warning("quiet")
    structlog.get_logger().error("loud", why="because")
    (line,) = written
    assert "[error" in line
    assert "why=because" in line


class Pipe:
    """A pipe, and everything that came out of it."""

    def __init__(self) -> None:
        self.out, self.into = os.pipe()

    def read(self, size: int = 1 << 20) -> bytes:
        return os.read(self.out, size)


def test_lines_are_whole_and_in_order_in_a_pipe_that_others_share() -> None:
    pipe = Pipe()
    writers = [LineWriter(pipe.into) for _ in range(3)]
    said = b""

    def listen() -> None:
        nonlocal said
        while data := pipe.read(4096):
            said += data

    listener = threading.Thread(target=listen)
    listener.start()
    for writer in writers:
        writer.start()
    for number in range(500):
        for name, writer in enumerate(writers):
            writer.write(f'{{"w":{name},"n":{number},"pad":"{"x" * 200}"}}')
    for writer in writers:
        writer.flush(within_s=60)
    os.close(pipe.into)
    listener.join(20)
    os.close(pipe.out)
    found = [json.loads(line) for line in said.splitlines()]
    for name in range(3):
        assert [line["n"] for line in found if line["w"] == name] == list(range(500))


def test_a_reader_who_stands_still_costs_lines_and_no_time() -> None:
    pipe = Pipe()
    writer = LineWriter(pipe.into, lines_max=200)
    writer.start()
    for number in range(20_000):
        # Nobody reads, and a pipe holds some hundred of these: each of these returns all the same.
        writer.write(f"{number} {'x' * 500}")
    writer.flush(within_s=0.05)
    said = b""

    def listen() -> None:
        nonlocal said
        while data := pipe.read():
            said += data

    listener = threading.Thread(target=listen)
    listener.start()
    writer.flush(within_s=60)
    writer.write("the last")
    writer.flush(within_s=60)
    os.close(pipe.into)
    listener.join(20)
    os.close(pipe.out)
    lines = said.decode().splitlines()
    dropped = sum(json.loads(line)["lines"] for line in lines if "lines_dropped" in line)
    numbers = [int(line.split()[0]) for line in lines if "xxx" in line]
    assert numbers == sorted(numbers)
    assert lines[-1] == "the last"
    assert dropped > 0
    assert dropped + len(numbers) == 20_000


def test_a_line_of_a_request_is_json_whatever_its_members_hold(written: list[str]) -> None:
    record = RequestRecord("FileService/GetFile", 'a"b\n\\', None, 7)
    record.backend, record.model = "acc\u2028ount", 'm"odel'
    kept: list[str] = []
    writer: Any = type("W", (), {"write": lambda _self, line, urgent=False: kept.append(line)})()
    log = RequestLog(writer, now=lambda: 1_790_000_000.5, also=kept.append)
    log.write(record, "OK", 200, 0.0123)
    assert kept[0] == kept[1]
    assert json.loads(kept[0]) == {
        "ts": "2026-09-21T14:13:20.500Z",
        "level": "info",
        "event": "request",
        "request_id": 'a"b\n\\',
        "trace_id": None,
        "project_id": None,
        "key_id": None,
        "rpc": "FileService/GetFile",
        "code": "OK",
        "http_status": 200,
        "duration_ms": 12.3,
        "bytes_in": 7,
        "bytes_out": 0,
        "backend": "acc\u2028ount",
        "model": 'm"odel',
        "process": "api",
    }
