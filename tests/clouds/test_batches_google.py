"""Batches by OpenAI's own client at Gemini and Vertex AI, whose lines are requests of `generateContent`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from tests.clouds.batch_kit import begin, chat_line, jsonl, lines_of, until
from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.doubles.gcs import BUCKET, gcs_running
from tests.doubles.google_batches import GeminiBatchesApi, VertexBatchesApi, said_back
from tests.doubles.google_chat import KEY, PROJECT, TOKEN

MODEL = "gemini-3-flash"
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer\n<< /Root 1 0 R >>\n%%EOF\n"


@dataclass
class Stand:
    """The gateway with one of its two models, and the API behind it."""

    gateway: Gateway
    api: Any
    model: str
    account: str


@pytest.fixture(scope="module")
def stands() -> Iterator[Mapping[str, Stand]]:
    with ExitStack() as stack:
        gemini = stack.enter_context(GeminiBatchesApi(KEY).running())
        bucket = stack.enter_context(gcs_running())
        vertex = stack.enter_context(VertexBatchesApi(bucket).running())
        place = {"vertex_project": PROJECT, "vertex_api_base": vertex.url, "bucket_name": BUCKET}
        models = {
            "gemini": {"model": f"gemini/{MODEL}", "api_base": gemini.url, "api_key": KEY},
            "vertex": {"model": f"vertex_ai/{MODEL}", "api_base": bucket.url, "api_key": TOKEN, **place},
        }
        config = {
            **TEST_CONFIG,
            "model_list": [
                *TEST_CONFIG["model_list"],
                *({"model_name": name, "litellm_params": params} for name, params in models.items()),
            ],
            "batches": {"poll_interval_s": 0.1, "lost_submit_s": 3},
        }
        folder = stack.enter_context(data_folder())
        gateway = stack.enter_context(start_gateway(folder, config))
        yield {
            "gemini": Stand(gateway, gemini, "gemini", "gemini"),
            "vertex": Stand(gateway, vertex, "vertex", "vertex_ai"),
        }


@pytest.fixture(params=["gemini", "vertex"])
def stand(request: pytest.FixtureRequest, stands: Mapping[str, Stand]) -> Stand:
    found = stands[request.param]
    found.api.made.clear()
    found.api.works = True
    return found


@pytest.fixture
def client(stand: Stand) -> Iterator[openai.OpenAI]:
    with stand.gateway.openai() as official:
        yield official


def answers(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """What becomes of a line by its words."""
    text = request["contents"][-1]["parts"][-1]["text"]
    if text == "CALL":
        part = {"functionCall": {"name": "weather", "args": {"place": "Rome"}}, "thoughtSignature": "c2lnbmVk"}
        return {"response": {"candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP"}]}}
    if text == "BLOCKED":
        return {"response": {"promptFeedback": {"blockReason": "SAFETY"}}}
    if text == "REFUSE":
        error = {"code": 400, "message": "Too large.", "status": "INVALID_ARGUMENT"}
        return {"error": error}
    return said_back(request)


def test_every_line_is_answered_under_its_own_id(client: openai.OpenAI, stand: Stand) -> None:
    stand.api.answers = answers
    texts = [f"Wort {number} é" for number in range(20)]
    texts[3], texts[7], texts[11] = "CALL", "BLOCKED", "REFUSE"
    lines = [chat_line(f"line {number}", text, model=stand.model) for number, text in enumerate(texts)]
    lines[1]["body"]["max_tokens"] = 5
    done = until(client, begin(client, jsonl(lines)).id)
    assert done.status == "completed", done
    assert done.request_counts is not None
    assert (done.request_counts.total, done.request_counts.completed, done.request_counts.failed) == (20, 19, 1)
    assert done.usage is not None
    assert (done.usage.input_tokens, done.usage.output_tokens) == (17 * 3, 17 * 2)
    good, bad = lines_of(client, done.output_file_id), lines_of(client, done.error_file_id)
    assert good.keys() | bad.keys() == {line["custom_id"] for line in lines}
    assert bad.keys() == {"line 11"}
    assert bad["line 11"]["response"]["status_code"] == 400
    body = good["line 5"]["response"]["body"]
    assert (body["object"], body["model"]) == ("chat.completion", stand.model)
    assert body["choices"][0]["message"]["content"] == "Wort 5 é!"
    assert body["usage"]["total_tokens"] == 5
    call = good["line 3"]["response"]["body"]["choices"][0]
    assert call["finish_reason"] == "tool_calls"
    assert call["message"]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "c2lnbmVk"}}
    assert good["line 7"]["response"]["body"]["choices"][0]["finish_reason"] == "content_filter"
    (job,) = stand.api.made
    assert job.lines[1]["request"]["generationConfig"] == {"maxOutputTokens": 5}


def test_a_file_in_a_line_is_told_by_its_uri(client: openai.OpenAI, stand: Stand) -> None:
    stand.api.answers = said_back
    file = client.files.create(
        file=("a.pdf", io.BytesIO(PDF)), purpose="user_data", extra_body={"custom_llm_provider": stand.account}
    )
    line = chat_line("one", model=stand.model)
    line["body"]["messages"][0]["content"] = [
        {"type": "file", "file": {"file_id": file.id}},
        {"type": "text", "text": "What is it?"},
    ]
    done = until(client, begin(client, jsonl([line])).id)
    assert done.status == "completed", done.errors
    (job,) = stand.api.made
    told = job.lines[0]["request"]["contents"][0]["parts"][0]["fileData"]
    assert told["mimeType"] == "application/pdf"
    if stand.model == "vertex":
        assert told["fileUri"].startswith(f"gs://{BUCKET}/mediagate/{file.id}/")
    else:
        assert told["fileUri"].rpartition("/files/")[2] == file.id
    client.files.delete(file.id)


def test_a_line_without_words_for_it_fails_the_batch(client: openai.OpenAI, stand: Stand) -> None:
    lines = [chat_line(f"line {number}", model=stand.model) for number in range(3)]
    lines[1]["body"] |= {
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "parallel_tool_calls": False,
    }
    done = until(client, begin(client, jsonl(lines)).id)
    assert done.status == "failed"
    assert done.errors is not None
    assert done.errors.data is not None
    (error,) = done.errors.data
    assert (error.line, error.param, error.code) == (2, "body.parallel_tool_calls", "unsupported_parameter")
    assert not stand.api.made


def test_a_cancel(client: openai.OpenAI, stand: Stand) -> None:
    stand.api.works = False
    made = begin(client, jsonl([chat_line("one", model=stand.model)]))
    until(client, made.id, "in_progress")
    client.batches.cancel(made.id)
    stand.api.works = True
    assert until(client, made.id).status == "cancelled"


def test_a_lost_submit_makes_one_job(client: openai.OpenAI, stand: Stand) -> None:
    stand.api.answers = said_back
    ending = ":batchGenerateContent" if stand.model == "gemini" else "/batchPredictionJobs"
    prefix = f"/v1/models/{MODEL}" if stand.model == "gemini" else f"/v1/projects/{PROJECT}/locations/global"
    stand.api.lose(f"POST {prefix}{ending}")
    done = until(client, begin(client, jsonl([chat_line("one", model=stand.model)])).id)
    assert done.status == "completed"
    assert len(stand.api.made) == 1
