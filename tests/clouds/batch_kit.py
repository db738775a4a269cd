"""Batches over one gateway with an account at each provider that takes them."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import openai
from openai.types import Batch

from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.doubles.mistral_batches import MistralBatchesApi
from tests.doubles.openai_batches import OpenAIBatchesServer, openai_batches
from tests.doubles.openai_files import KEY

CHAT = "/v1/chat/completions"
WAIT_S = 120.0
OVER = ("completed", "failed", "expired", "cancelled")


@dataclass
class Desk:
    """The gateway, and where its providers really are."""

    gateway: Gateway
    openai: OpenAIBatchesServer
    azure: OpenAIBatchesServer
    mistral: MistralBatchesApi


def config_of(openai_url: str, azure_url: str, mistral: MistralBatchesApi) -> dict[str, Any]:
    """A model at each."""
    return {
        **TEST_CONFIG,
        "model_list": [
            *TEST_CONFIG["model_list"],
            _model("gpt", "openai/gpt-upstream", api_base=f"{openai_url}/v1", api_key=KEY),
            _model("azure-gpt", "azure/my-batch", api_base=azure_url, api_key=KEY, api_version="2024-10-21"),
            _model("azure-v1", "azure/my-v1-batch", api_base=azure_url, api_key=KEY, account="azure-v1"),
            _model("mistral", "mistral/mistral-small", api_base=mistral.url, api_key=mistral.key),
            _model("compatible", "openai_compatible/own", api_base=f"{openai_url}/v1", api_key=KEY),
            {
                **_model("priced", "openai/gpt-priced", api_base=f"{openai_url}/v1", api_key=KEY),
                "model_info": {"input_cost_per_token": 0.001, "output_cost_per_token": 0.01},
            },
        ],
        "guardrails": [
            _guardrail("asks", on=["prompt"], words=["forbiddenword"]),
            _guardrail("answers", on=["answer"], words=["secretword"]),
        ],
        "batches": {"poll_interval_s": 0.2, "lost_submit_s": 3},
    }


def _model(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}}


def _guardrail(name: str, **params: Any) -> dict[str, Any]:
    return {"guardrail_name": name, "litellm_params": {"guardrail": "patterns", **params}}


@contextmanager
def desk(**sections: Any) -> Iterator[Desk]:
    """All of it; `sections` are of the configuration."""
    with (
        openai_batches() as first,
        openai_batches() as azure,
        MistralBatchesApi().running() as mistral,
        data_folder() as folder,
        start_gateway(folder, {**config_of(first.url, azure.url, mistral), **sections}) as gateway,
    ):
        yield Desk(gateway, first, azure, mistral)


def chat_line(custom_id: str, text: str = "Hello", *, model: str = "gpt", **more: Any) -> dict[str, Any]:
    """One line."""
    body = {"model": model, "messages": [{"role": "user", "content": text}], **more}
    return {"custom_id": custom_id, "method": "POST", "url": CHAT, "body": body}


def jsonl(lines: Sequence[Mapping[str, Any]]) -> bytes:
    """A file of lines."""
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def put(client: openai.OpenAI, data: bytes, **more: Any) -> str:
    """A file for a batch."""
    return client.files.create(file=("requests.jsonl", io.BytesIO(data)), purpose="batch", **more).id


def begin(client: openai.OpenAI, data: bytes, endpoint: Any = CHAT, **more: Any) -> Batch:
    """A batch over these lines."""
    return client.batches.create(input_file_id=put(client, data), endpoint=endpoint, completion_window="24h", **more)


def until(client: openai.OpenAI, batch_id: str, *states: str, wait_s: float = WAIT_S) -> Batch:
    """Wait for one of these states."""
    deadline = time.monotonic() + wait_s
    while time.monotonic() < deadline:
        batch = client.batches.retrieve(batch_id)
        if batch.status in (states or OVER):
            return batch
        time.sleep(0.05)
    raise AssertionError(f"{batch.status}: {batch}")


def lines_of(client: openai.OpenAI, file_id: str | None) -> dict[str, dict[str, Any]]:
    """The lines of an output or error file, by `custom_id`."""
    if file_id is None:
        return {}
    lines = [json.loads(line) for line in client.files.content(file_id).content.splitlines()]
    found = {line["custom_id"]: line for line in lines}
    assert len(found) == len(lines)
    return found


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it does."""
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
