"""How fast one process checks a million lines of a batch and writes them in a provider's words, and reads its answers
back; and in how much memory. `python -m bench.batch openai` runs one part.

Each part is the code that a worker runs, in a process of its own, over a file of a million requests with some words
each. `openai` keeps OpenAI's words; `gemini` and `anthropic` have words of their own.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.harness import report

LINES = 1_000_000
CHUNK = 256 * 1024
MIB = 1 << 20
PROVIDERS = ("openai", "mistral", "gemini", "anthropic")
ANSWERS = "answers"
WORDS = "Say in one word whether this review is a good one. The boat was late, the sea was rough and the crew was kind."


def write_input(path: Path) -> None:
    """A file of requests."""
    body = {
        "model": "m",
        "messages": [{"role": "system", "content": "You are a judge of reviews."}, {"role": "user", "content": WORDS}],
        "max_tokens": 16,
    }
    line = {"custom_id": "ID", "method": "POST", "url": "/v1/chat/completions", "body": body}
    before, after = json.dumps(line).split("ID")
    with path.open("w") as file:
        for number in range(LINES):
            file.write(f"{before}review-{number:07d}{after}\n")


def write_output(path: Path) -> None:
    """OpenAI's answers to them."""
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "upstream",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Good."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 40, "completion_tokens": 2, "total_tokens": 42},
    }
    response = {"status_code": 200, "request_id": "r", "body": body}
    line = {"id": "batch_req_1", "custom_id": "ID", "response": response, "error": None}
    before, after = json.dumps(line).split("ID")
    with path.open("w") as file:
        for number in range(LINES):
            file.write(f"{before}r{number:010d}{after}\n")


def chunks(path: Path) -> Iterator[bytes]:
    """The file, as a store gives it."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def memory_mib(name: str) -> float:
    """`VmRSS` now, or `VmHWM` at its highest."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(name)).split()[1]) / 1024


def translate(provider_name: str, path: Path) -> int:
    """Check and write every line. Returns how many bytes came out."""
    from mediagate.batches.check_line import LineChecker
    from mediagate.batches.cut_lines import LineCutter
    from mediagate.batches.translate import Translator, writer_for
    from mediagate.providers.account import Account
    from mediagate.providers.registry import build_batches

    provider = build_batches(Account("bench", provider_name, api_key="none"))
    endpoint = "/v1/chat/completions"
    write = writer_for(provider, endpoint, "upstream-model")
    translator = Translator(LineChecker(endpoint), write, endpoint, lines_max=None)
    cutter, written = LineCutter(MIB), 0
    for chunk in chunks(path):
        group = translator.read(cutter.feed(chunk))
        written += len(translator.write(group.lines)) + len(group.ids)
    assert (translator.lines, translator.errors) == (LINES, []), translator.errors
    return written


def read_back(path: Path) -> int:
    """Write every answer under its own id."""
    from mediagate.batches.cut_lines import LineCutter
    from mediagate.batches.line_index import LineIndex
    from mediagate.batches.write_results import ResultWriter
    from mediagate.providers.account import Account
    from mediagate.providers.registry import build_batches

    async def ids() -> AsyncIterator[bytes]:
        for start in range(0, LINES, 10_000):
            yield b"".join(b'"review-%07d"\n' % number for number in range(start, start + 10_000))

    provider = build_batches(Account("bench", "openai", api_key="none"))
    index = LineIndex(Path(tempfile.gettempdir()))
    asyncio.run(index.fill(ids()))
    writer = ResultWriter("batch_bench", "/v1/chat/completions", "m", 1, index, provider.read)
    cutter, written = LineCutter(MIB), 0
    for chunk in chunks(path):
        output, errors = writer.take(cutter.feed(chunk))
        written += len(output) + len(errors)
    assert (writer.completed, writer.unreadable) == (LINES, 0)
    return written


def child(what: str, path: Path) -> dict[str, float]:
    """One part, measured."""
    _warm(what)
    # As a worker has it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    Path("/proc/self/clear_refs").write_text("5")
    before, began, used = memory_mib("VmRSS"), time.perf_counter(), time.process_time()
    work(what, path)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - used
    return {
        "seconds": seconds,
        "cpu_s": cpu_s,
        "grown_mib": memory_mib("VmHWM") - before,
        "megabytes": path.stat().st_size / 1e6,
    }


def work(what: str, path: Path) -> int:
    """One part."""
    return read_back(path) if what == ANSWERS else translate(what, path)


def _warm(what: str) -> None:
    """What is imported and built is there whatever a file has."""
    global LINES
    whole, LINES = LINES, 10_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "few.jsonl"
        (write_output if what == ANSWERS else write_input)(path)
        work(what, path)
    LINES = whole


def main(parts: Sequence[str]) -> None:
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="mediagate-bench-") as folder:
        requests, answers = Path(folder) / "requests.jsonl", Path(folder) / "answers.jsonl"
        write_input(requests)
        write_output(answers)
        for what in parts:
            path = answers if what == ANSWERS else requests
            command = [sys.executable, "-m", "bench.batch", "child", what, str(path)]
            told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            figures[what] = {
                "lines": LINES,
                "mb_per_s": round(told["megabytes"] / told["seconds"], 1),
                "mb_per_cpu_s": round(told["megabytes"] / told["cpu_s"], 1),
                "us_per_line": round(told["cpu_s"] / LINES * 1e6, 1),
                "memory_growth_mib": round(told["grown_mib"], 1),
            }
    bars = {}
    for what, found in figures.items():
        bars[f"{what}: MB of lines a second of processor"] = (found["mb_per_cpu_s"], ">=", 20.0)
        bars[f"{what}: memory growth, MiB"] = (found["memory_growth_mib"], "<", 64.0)
    report("batch", figures, bars)


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        print(json.dumps(child(sys.argv[2], Path(sys.argv[3]))))
    else:
        main(sys.argv[1:] or (*PROVIDERS, ANSWERS))
