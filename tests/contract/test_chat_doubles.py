"""The doubles of Anthropic's messages and batches and of Bedrock's models, read by the official clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import anthropic
import pytest
from botocore.config import Config
from botocore.exceptions import EventStreamError
from botocore.session import Session

from tests.doubles.anthropic_batches import answered
from tests.doubles.anthropic_chat import AnthropicApiOfAll
from tests.doubles.bedrock_batches import ACCESS_KEY, REGION, ROLE, SECRET_KEY, BedrockJobs
from tests.doubles.bedrock_chat import BedrockModels

MODEL = "claude-sonnet-5"
HELLO: Any = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]


@pytest.fixture
def claude() -> Iterator[tuple[AnthropicApiOfAll, anthropic.Anthropic]]:
    with (
        AnthropicApiOfAll().running() as api,
        anthropic.Anthropic(base_url=api.url, api_key=api.key, max_retries=0) as client,
    ):
        yield api, client


def bedrock(url: str, service: str) -> Any:
    session = Session()
    session.set_credentials(ACCESS_KEY, SECRET_KEY)
    config = Config(retries={"total_max_attempts": 1})
    return session.create_client(service, region_name=REGION, endpoint_url=url, config=config)


def test_anthropics_client_reads_a_stream(claude: tuple[AnthropicApiOfAll, anthropic.Anthropic]) -> None:
    _, client = claude
    with client.messages.stream(model=MODEL, max_tokens=5, messages=HELLO) as stream:
        message = stream.get_final_message()
    assert message.content[0].type == "text"
    assert message.content[0].text.strip() == "You said: Hello (0 files)"
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 4)
    tools: Any = [{"name": "weather", "input_schema": {"type": "object"}}]
    asked: Any = [{"role": "user", "content": [{"type": "text", "text": "call it"}]}]
    with client.messages.stream(model=MODEL, max_tokens=5, messages=asked, tools=tools) as stream:
        block = stream.get_final_message().content[0]
    assert block.type == "tool_use"
    assert block.input == {"city": "Oslo"}


def test_anthropics_client_works_with_batches(claude: tuple[AnthropicApiOfAll, anthropic.Anthropic]) -> None:
    api, client = claude
    request: Any = {"custom_id": "a", "params": {"model": MODEL, "max_tokens": 5, "messages": HELLO}}
    made = client.messages.batches.create(requests=[request])
    assert client.messages.batches.retrieve(made.id).processing_status == "in_progress"
    assert [batch.id for batch in client.messages.batches.list()] == [made.id]
    api.end(api.batches[made.id], lambda _: answered("A"))
    (line,) = list(client.messages.batches.results(made.id))
    assert line.result.type == "succeeded"
    client.messages.batches.delete(made.id)
    assert api.batches == {}


def test_amazons_client_reads_answers_and_streams(s3_client: Any) -> None:
    with BedrockModels(s3_client).running() as api:
        client = bedrock(api.url, "bedrock-runtime")
        messages = [{"role": "user", "content": [{"text": "Hello"}]}]
        answer = client.converse(modelId="amazon.nova-pro-v1:0", messages=messages)
        assert answer["output"]["message"]["content"] == [{"text": "You said: Hello (0 files)"}]
        with closing(client.converse_stream(modelId="amazon.nova-pro-v1:0", messages=messages)["stream"]) as stream:
            events = list(stream)
        words = [event["contentBlockDelta"]["delta"]["text"] for event in events if "contentBlockDelta" in event]
        assert "".join(words).strip() == "You said: Hello (0 files)"
        assert events[-1]["metadata"]["usage"]["outputTokens"] == 4
        failing = [{"role": "user", "content": [{"text": "fail now"}]}]
        stream = client.converse_stream(modelId="amazon.nova-pro-v1:0", messages=failing)["stream"]
        with closing(stream), pytest.raises(EventStreamError, match="modelStreamErrorException"):
            list(stream)
        client.close()


def test_amazons_client_works_with_jobs(s3_client: Any, s3_bucket: str) -> None:
    with BedrockJobs(s3_client).running() as api:
        client = bedrock(api.url, "bedrock")
        line = {"recordId": "r0000000000", "modelInput": {"messages": [{"role": "user", "content": [{"text": "x"}]}]}}
        s3_client.put_object(Bucket=s3_bucket, Key="in/a.jsonl", Body=json.dumps(line).encode())
        arn = client.create_model_invocation_job(
            jobName="a",
            roleArn=ROLE,
            modelId="amazon.nova-pro-v1:0",
            clientRequestToken="a",
            modelInvocationType="Converse",
            timeoutDurationInHours=24,
            inputDataConfig={"s3InputDataConfig": {"s3Uri": f"s3://{s3_bucket}/in/a.jsonl"}},
            outputDataConfig={"s3OutputDataConfig": {"s3Uri": f"s3://{s3_bucket}/out/"}},
        )["jobArn"]
        assert client.get_model_invocation_job(jobIdentifier=arn)["status"] == "Submitted"
        client.stop_model_invocation_job(jobIdentifier=arn)
        assert client.get_model_invocation_job(jobIdentifier=arn)["status"] == "Stopping"
        client.close()
