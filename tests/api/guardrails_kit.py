"""A gateway with guardrails of every kind, for tests that are refused."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import TEST_CONFIG, Gateway, free_port
from tests.doubles.moderations import KEY, Moderations

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "clients" / "examples" / "guardrail_server.py"
NAME = "merlin"
"""What the example blocks."""
WORD = "excalibur"
"""What the built-in list blocks."""
DEAD = "http://127.0.0.1:9/v1"


@contextmanager
def example_server(*blocked: str) -> Iterator[str]:
    """The example, with nothing but the stubs that its first lines tell to make; yields its address."""
    address = f"127.0.0.1:{free_port()}"
    with tempfile.TemporaryDirectory() as folder:
        protos = [str(path.relative_to(ROOT)) for path in (ROOT / "proto").rglob("*.proto")]
        command = ["-m", "grpc_tools.protoc", "-Iproto/third_party", "-Iproto"]
        subprocess.run(
            [sys.executable, *command, f"--python_out={folder}", f"--grpc_python_out={folder}", *protos],
            cwd=ROOT,
            check=True,
        )
        # The installed packages without the product itself, which is linked from there by a file that -S leaves unread.
        process = subprocess.Popen(
            [sys.executable, "-S", str(EXAMPLE), address, *blocked],
            env={"PYTHONPATH": f"{folder}:{sysconfig.get_path('purelib')}"},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            assert "listening" in process.stdout.readline()
            yield address
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def entry(name: str, kind: str, **params: Any) -> dict[str, Any]:
    """One guardrail of a configuration."""
    return {"guardrail_name": name, "litellm_params": {"guardrail": kind, **params}}


def guarded_config(moderations: Moderations, slow: Moderations, example: str) -> dict[str, Any]:
    """Models are named by what looks at them; `plain` has what every request has."""
    endpoint = {"api_base": moderations.url, "api_key": KEY}
    models = ("plain", "moderated", "closed", "open", "slow", "watched")
    return {
        **TEST_CONFIG,
        "model_list": [
            *({"model_name": name, "litellm_params": {"model": "local/local-video"}} for name in models),
            {"model_name": "named", "litellm_params": {"model": "local/local-video", "guardrails": ["names"]}},
        ],
        "guardrails": [
            entry(
                "words",
                "patterns",
                default_on=True,
                on=["prompt", "text_file"],
                words=[WORD, "королевский меч"],
                patterns=[r"\b\d{3}-\d{2}-\d{4}\b"],
                file_bytes_max=2 << 20,
            ),
            entry("moderation", "openai_moderation", mode="pre_call", models=["moder*"], **endpoint),
            entry("names", "grpc", address=example),
            entry("dead-closed", "openai_moderation", models=["closed"], api_base=DEAD),
            entry("dead-open", "openai_moderation", models=["open"], api_base=DEAD, on_error="allow"),
            entry("stalling", "openai_moderation", models=["slow"], timeout_s=1, api_base=slow.url, api_key=KEY),
            entry("film", "openai_moderation", mode="post_call", models=["watched"], **endpoint),
            entry("film-of-some", "openai_moderation", mode="post_call", **endpoint),
            entry("moderated-files", "openai_moderation", on=["text_file"], on_oversize="allow", **endpoint),
            entry("dead-files", "grpc", on=["text_file"], address="127.0.0.1:9", timeout_s=2),
            entry("open-files", "grpc", on=["text_file"], address="127.0.0.1:9", timeout_s=2, on_error="allow"),
        ],
    }


def logs(gateway: Gateway) -> str:
    """Everything that its processes have written."""
    return "".join(
        path.read_text(errors="replace") for path in (gateway.data_dir / "logs").rglob("*") if path.is_file()
    )
