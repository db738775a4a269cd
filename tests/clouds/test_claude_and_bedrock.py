"""Claude at Anthropic and Nova at Bedrock behind the gateway, asked with OpenAI's client: one file, both models, one by
one, as streams and as batches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from tests.clouds.batch_kit import begin, chat_line, eventually, jsonl, lines_of, until
from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.doubles import bedrock_batches
from tests.doubles.anthropic_batches import answered
from tests.doubles.anthropic_chat import AnthropicApiOfAll, files_in
from tests.doubles.bedrock_batches import ACCESS_KEY, REGION, ROLE, SECRET_KEY, BedrockJobs
from tests.doubles.bedrock_chat import BedrockModels
from tests.doubles.s3 import sdk

NOVA = "us.amazon.nova-2-lite-v1:0"
CLAUDE_THERE = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
BUCKET = "claude-and-bedrock"
PDF = b"%PDF-1.4 one\n%%EOF\n"
TOOLS: Any = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
MODELS = ("claude", "nova")
LINES = 100


@dataclass
class Stand:
    """The gateway, and what is behind it."""

    gateway: Gateway
    anthropic: AnthropicApiOfAll
    models: BedrockModels
    jobs: BedrockJobs
    s3: Any

    def body(self, model: str) -> Any:
        """What a model was sent last."""
        api = self.anthropic if model == "claude" else self.models
        return next(seen.json for seen in reversed(api.asked) if seen.json is not None)

    def stored(self) -> list[str]:
        """What lies in the bucket."""
        return [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@pytest.fixture(scope="module")
def stand(moto_url: str) -> Iterator[Stand]:
    s3 = sdk(moto_url)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with ExitStack() as stack:
        anthropic = stack.enter_context(AnthropicApiOfAll().running())
        models = stack.enter_context(BedrockModels(s3).running())
        jobs = stack.enter_context(BedrockJobs(s3, lines_min=LINES).running())
        bedrock = {
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "aws_region_name": REGION,
            "s3_bucket_name": BUCKET,
            "s3_endpoint_url": moto_url,
            "aws_bedrock_runtime_endpoint": models.url,
            "aws_bedrock_endpoint": jobs.url,
            "aws_batch_role_arn": ROLE,
        }
        claude = {"api_base": anthropic.url, "api_key": anthropic.key}
        config = {
            **TEST_CONFIG,
            "model_list": [
                *TEST_CONFIG["model_list"],
                {"model_name": "claude", "litellm_params": {"model": "anthropic/claude-sonnet-5", **claude}},
                {"model_name": "nova", "litellm_params": {"model": f"bedrock/{NOVA}", **bedrock}},
                {"model_name": "claude-there", "litellm_params": {"model": f"bedrock/{CLAUDE_THERE}", **bedrock}},
            ],
            "files_settings": [
                *TEST_CONFIG.get("files_settings", []),
                {"custom_llm_provider": "anthropic", **claude},
                {"custom_llm_provider": "bedrock", "bucket_name": BUCKET, **bedrock},
            ],
            "batches": {"poll_interval_s": 0.2},
        }
        folder = stack.enter_context(data_folder())
        gateway = stack.enter_context(start_gateway(folder, config))
        yield Stand(gateway, anthropic, models, jobs, s3)


@pytest.fixture
def client(stand: Stand) -> Iterator[openai.OpenAI]:
    with stand.gateway.openai() as official:
        yield official


def ask(client: openai.OpenAI, model: str, *parts: Any, **more: Any) -> Any:
    content = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}], **more)


@pytest.mark.parametrize("model", MODELS)
def test_an_answer_and_a_stream(client: openai.OpenAI, model: str) -> None:
    answer = ask(client, model, "Hello", max_tokens=50)
    assert answer.choices[0].message.content.strip() == "You said: Hello (0 files)"
    assert (answer.model, answer.choices[0].finish_reason) == (model, "stop")
    assert answer.usage.completion_tokens == 4
    chunks = list(ask(client, model, "Hello", stream=True, stream_options={"include_usage": True}))
    words = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert words == ["You ", "said: ", "Hello ", "(0 ", "files) "]
    assert chunks[-1].usage.total_tokens == answer.usage.total_tokens


@pytest.mark.parametrize("model", MODELS)
def test_a_call(client: openai.OpenAI, model: str) -> None:
    choice = ask(client, model, "call it", tools=TOOLS, tool_choice="required").choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    messages: Any = [
        {"role": "user", "content": "call it"},
        choice.message,
        {"role": "tool", "tool_call_id": call.id, "content": "rain"},
        {"role": "user", "content": "And now?"},
    ]
    answer = client.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    assert answer.choices[0].message.content is not None
    assert "And now?" in answer.choices[0].message.content


@pytest.mark.parametrize(("model", "question"), [("claude", "cut"), ("nova", "cut"), ("nova", "fail")])
def test_a_stream_that_breaks_off_says_so(client: openai.OpenAI, model: str, question: str) -> None:
    stream = ask(client, model, f"{question} it", stream=True)
    with pytest.raises(openai.APIError):
        list(stream)


def test_a_busy_provider(client: openai.OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, "claude", "busy")
    assert (caught.value.status_code, caught.value.code) == (503, "provider_unavailable")


@pytest.mark.parametrize("model", MODELS)
def test_what_it_has_no_word_for(client: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, model, "x", logprobs=True)
    assert (caught.value.param, caught.value.code) == ("logprobs", "unsupported_parameter")
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client, model, "x", extra_body={"file_id": "f", "s3Location": {"uri": "s3://other/x"}})
    assert caught.value.param in ("file_id", "s3Location")


def part(file_id: str) -> dict[str, Any]:
    return {"type": "file", "file": {"file_id": file_id}}


def test_one_file_for_both_and_then_it_is_gone(client: openai.OpenAI, stand: Stand) -> None:
    file_id = client.files.create(
        file=("plan.pdf", PDF), purpose="user_data", extra_body={"target_model_names": "claude,nova"}
    ).id
    eventually(lambda: client.files.retrieve(file_id).status == "processed")
    (ref,) = (ref for ref, file in stand.anthropic.files.items() if "plan" in file.filename)
    (key,) = (key for key in stand.stored() if key.endswith("plan.pdf"))
    for model in (*MODELS, "claude-there"):
        answer = ask(client, model, "Sum it up.", part(file_id))
        assert "(1 files)" in answer.choices[0].message.content
        stream = ask(client, model, "Sum it up.", part(file_id), stream=True)
        assert "(1" in [chunk.choices[0].delta.content.strip() for chunk in stream if chunk.choices[0].delta.content]
        if model == "claude":
            assert list(files_in(stand.body(model)["messages"])) == [ref]
            continue
        document = stand.body("nova")["messages"][0]["content"][1]["document"]
        assert (document["name"], document["format"]) == ("plan", "pdf")
        # Claude reads nothing from S3.
        there = document["source"]
        assert there == {"s3Location": {"uri": f"s3://{BUCKET}/{key}"}} if model == "nova" else list(there) == ["bytes"]
    client.files.delete(file_id)
    eventually(lambda: ref not in stand.anthropic.files)
    eventually(lambda: key not in stand.stored())
    with pytest.raises(openai.NotFoundError):
        ask(client, "nova", "Sum it up.", part(file_id))


def test_batches_over_a_file(client: openai.OpenAI, stand: Stand) -> None:
    file_id = client.files.create(
        file=("batch.pdf", PDF), purpose="user_data", extra_body={"target_model_names": "claude,nova"}
    ).id
    eventually(lambda: client.files.retrieve(file_id).status == "processed")
    content = [{"type": "text", "text": "Sum it up."}, part(file_id)]

    def of(model: str) -> Any:
        lines = [chat_line(f"é {number}", f"Word {number}", model=model, max_tokens=50) for number in range(LINES)]
        lines[1]["body"]["messages"][0]["content"] = content
        return begin(client, jsonl(lines))

    stand.anthropic.answers = lambda request: answered(str(len(list(files_in(request["params"])))))
    claude = until(client, of("claude").id)
    nova = of("nova")
    eventually(lambda: bool(stand.jobs.jobs))
    (job,) = stand.jobs.jobs.values()

    def said(line: Any) -> Any:
        return bedrock_batches.answered(str(json.dumps(line).count("s3Location")))

    asyncio.run(asyncio.to_thread(stand.jobs.end, job, said))
    for batch, model in ((claude, "claude"), (until(client, nova.id), "nova")):
        assert batch.status == "completed", batch
        assert batch.request_counts is not None
        assert (batch.request_counts.completed, batch.request_counts.failed) == (LINES, 0)
        assert batch.usage is not None
        assert (batch.usage.input_tokens, batch.usage.output_tokens) == (3 * LINES, 2 * LINES)
        found = lines_of(client, batch.output_file_id)
        assert found.keys() == {f"é {number}" for number in range(LINES)}
        bodies = {name: line["response"]["body"] for name, line in found.items()}
        assert {body["model"] for body in bodies.values()} == {model}
        assert bodies["é 1"]["choices"][0]["message"]["content"] == "1"
        assert bodies["é 2"]["choices"][0]["message"]["content"] == "0"
    # What a job has left is removed when it is done with.
    eventually(lambda: stand.anthropic.batches == {})
    eventually(lambda: not [key for key in stand.stored() if "/batches/" in key])


def test_a_job_that_is_refused_leaves_no_copy_of_a_file(client: openai.OpenAI, stand: Stand) -> None:
    file_id = client.files.create(
        file=("refused.pdf", PDF), purpose="user_data", extra_body={"target_model_names": "nova"}
    ).id
    eventually(lambda: client.files.retrieve(file_id).status == "processed")
    lines = [chat_line(str(number), model="nova") for number in range(LINES)]
    lines[1]["body"]["messages"][0]["content"] = [{"type": "text", "text": "Sum it up."}, part(file_id)]
    stand.jobs.refuses = True
    try:
        failed = until(client, begin(client, jsonl(lines)).id)
    finally:
        stand.jobs.refuses = False
    assert failed.status == "failed"
    eventually(lambda: not [key for key in stand.stored() if "/batches/" in key])
    assert [key for key in stand.stored() if key.endswith("refused.pdf")]
    client.files.delete(file_id)


def test_too_few_lines_for_bedrock(client: openai.OpenAI) -> None:
    failed = until(client, begin(client, jsonl([chat_line("one", model="nova")])).id)
    assert failed.status == "failed"
    assert failed.errors is not None
    assert failed.errors.data is not None
    assert [error.code for error in failed.errors.data] == ["too_few_lines"]


def test_a_batch_of_responses(client: openai.OpenAI, stand: Stand) -> None:
    file_id = client.files.create(file=("responses.pdf", PDF), purpose="user_data").id
    content = [{"type": "input_text", "text": "Sum it up."}, {"type": "input_file", "file_id": file_id}]
    body = {
        "model": "claude",
        "instructions": "Be short.",
        "input": [{"role": "user", "content": content}],
        "max_output_tokens": 50,
    }
    line = {"custom_id": "one", "method": "POST", "url": "/v1/responses", "body": body}
    asked: list[Any] = []

    def said(request: Any) -> Any:
        asked.append(request["params"])
        return answered("Short.")

    stand.anthropic.answers = said
    done = until(client, begin(client, jsonl([line]), "/v1/responses").id)
    assert done.status == "completed", done
    answer = lines_of(client, done.output_file_id)["one"]["response"]["body"]
    assert answer["object"] == "response"
    assert answer["id"].startswith("resp_")
    assert (answer["status"], answer["model"]) == ("completed", "claude")
    assert answer["output"][0]["content"][0]["text"] == "Short."
    assert answer["usage"]["total_tokens"] == 5
    [params] = asked
    assert params["max_tokens"] == 50
    assert len(list(files_in(params))) == 1
    assert "Be short." in json.dumps(params["system"])
    client.files.delete(file_id)
