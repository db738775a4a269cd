"""A batch of 200 MB there and back, in constant memory; and two workers at once."""

from __future__ import annotations

import io
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.clouds.batch_kit import CHAT, Desk, begin, chat_line, desk, jsonl, lines_of, until
from tests.doubles.batch_work import Habits
from tests.faults.test_memory import growth_of

LINES = 50_000
LINE_BYTES = 3_900
MIB = 1 << 20


@pytest.mark.soak
def test_two_hundred_megabytes_in_constant_memory() -> None:
    with desk() as stand, stand.gateway.openai() as client:
        until(client, begin(client, jsonl([chat_line("warm")])).id)
        words = "word " * ((LINE_BYTES - len(json.dumps(chat_line("0" * 7)))) // 5)
        data = jsonl([chat_line(f"{number:07d}", words) for number in range(LINES)])
        assert 180_000_000 < len(data) < 200_000_000
        file = client.files.create(file=("large.jsonl", io.BytesIO(data)), purpose="batch")
        worker = stand.gateway.child("worker")
        with growth_of(worker) as grown:
            made = client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
            done = until(client, made.id, "completed", "failed", wait_s=600)
        assert done.status == "completed", done
        assert done.request_counts is not None
        assert done.request_counts.completed == LINES
        print(f"worker +{grown.mib:.0f} MiB")
        assert grown.mib < 64
        lines = lines_of(client, done.output_file_id)
        assert len(lines) == LINES
        assert lines["0000007"]["response"]["body"]["choices"][0]["message"]["content"] == f"You said: {words}"


@contextmanager
def second_worker(stand: Desk) -> Iterator[None]:
    """Another process like the first."""
    folder = Path(f"/proc/{stand.gateway.child('worker')}")
    command = (folder / "cmdline").read_bytes().split(b"\0")[:-1]
    environment = dict(pair.split(b"=", 1) for pair in (folder / "environ").read_bytes().split(b"\0") if b"=" in pair)
    process = subprocess.Popen(command, env=environment, cwd=os.readlink(folder / "cwd"))
    try:
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.soak
def test_two_workers_ask_as_often_as_one() -> None:
    with desk() as stand, stand.gateway.openai() as client, second_worker(stand):
        time.sleep(3)
        habits = stand.openai.habits = Habits(hold=True)
        made = [begin(client, jsonl([chat_line("x")])).id for _ in range(8)]
        for batch_id in made:
            until(client, batch_id, "in_progress")
        before, began = stand.openai.polls, time.monotonic()
        time.sleep(3)
        polls, passed_s = stand.openai.polls - before, time.monotonic() - began
        assert 8 <= polls <= 8 * (passed_s / 0.2 + 1)
        habits.hold = False
        assert {until(client, batch_id).status for batch_id in made} == {"completed"}
        assert stand.openai.submits == 8
