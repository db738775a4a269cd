"""One file, three models of three providers, by OpenAI's own client: each is asked about it, one of them as a stream,
two of them in batches; then it is deleted, and gone from all three.

OpenAI is aimock, Google Cloud Storage its emulator, S3 moto; the models of Vertex AI and Bedrock are doubles that hold
their documented wire.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.clouds.batch_kit import begin, chat_line, eventually, jsonl, lines_of, until
from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.docs.session import run_page
from tests.doubles.aimock.server import KEY as AIMOCK_KEY
from tests.doubles.aimock.server import aimock_server
from tests.doubles.bedrock_batches import ACCESS_KEY, REGION, ROLE, SECRET_KEY, BedrockJobs, answered
from tests.doubles.bedrock_chat import BedrockModels
from tests.doubles.gcs import BUCKET as GCS_BUCKET
from tests.doubles.google_chat import PROJECT, TOKEN, GoogleChatApi
from tests.doubles.s3 import sdk

ROOT = Path(__file__).parent.parent.parent
S3_BUCKET = "one-file-many-models"
PDF = b"%PDF-1.4 one file\n%%EOF\n"
SAID = "It says one file."
GPT, GEMINI, NOVA = MODELS = ("gpt", "vertex_ai/gemini-3-flash", "bedrock/amazon.nova-pro-v1:0")
LINES = 100
PIECE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": SAID}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
}


@dataclass
class Stand:
    """The gateway, and what lies behind it."""

    gateway: Gateway
    aimock_url: str
    gcs_url: str
    s3: Any
    vertex: GoogleChatApi
    models: BedrockModels
    jobs: BedrockJobs

    def end_bedrocks_job(self) -> None:
        """Let its one job answer every line."""
        eventually(lambda: bool(self.jobs.jobs))
        (job,) = self.jobs.jobs.values()
        self.jobs.end(job, lambda _line: answered(SAID))

    def asked_openai(self) -> list[Any]:
        """The bodies of chats that came to OpenAI."""
        headers = {"authorization": f"Bearer {AIMOCK_KEY}"}
        entries = httpx.get(f"{self.aimock_url}/__aimock/journal", headers=headers).json()
        return [entry["body"] for entry in entries if entry["path"].endswith("/chat/completions")]

    def at_openai(self, name: str) -> list[str]:
        """The ids of the files there that have this name of ours in theirs."""
        headers = {"authorization": f"Bearer {AIMOCK_KEY}"}
        found = httpx.get(f"{self.aimock_url}/v1/files", headers=headers).json()["data"]
        return [file["id"] for file in found if name in file["filename"]]

    def in_gcs(self, file_id: str) -> list[str]:
        """The names of the objects of a file."""
        reply = httpx.get(f"{self.gcs_url}/storage/v1/b/{GCS_BUCKET}/o", params={"prefix": f"mediagate/{file_id}"})
        return [item["name"] for item in reply.json().get("items", [])]

    def in_s3(self, file_id: str) -> list[str]:
        """The same in S3."""
        found = self.s3.list_objects_v2(Bucket=S3_BUCKET, Prefix=f"mediagate/{file_id}").get("Contents", [])
        return [item["Key"] for item in found]


@pytest.fixture(scope="module")
def stand(moto_url: str, gcs_url: str) -> Iterator[Stand]:
    s3 = sdk(moto_url)
    s3.create_bucket(Bucket=S3_BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    with ExitStack() as stack:
        aimock_url = stack.enter_context(aimock_server([{"match": {}, "response": {"content": SAID}}]))
        vertex = stack.enter_context(GoogleChatApi(is_vertex=True).running())
        vertex.pieces = [PIECE]
        models = stack.enter_context(BedrockModels(s3).running())
        jobs = stack.enter_context(BedrockJobs(s3, lines_min=LINES).running())
        bedrock = {
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "aws_region_name": REGION,
            "s3_bucket_name": S3_BUCKET,
            "s3_endpoint_url": moto_url,
            "aws_bedrock_runtime_endpoint": models.url,
            "aws_bedrock_endpoint": jobs.url,
            "aws_batch_role_arn": ROLE,
        }
        google = {"api_base": gcs_url, "api_key": TOKEN, "bucket_name": GCS_BUCKET}
        asked = {"vertex_project": PROJECT, "vertex_api_base": vertex.url}
        gpt = {"api_base": f"{aimock_url}/v1", "api_key": AIMOCK_KEY}
        config = {
            **TEST_CONFIG,
            "model_list": [
                *TEST_CONFIG["model_list"],
                {"model_name": "vertex_ai/*", "litellm_params": {"model": "vertex_ai/*", **google, **asked}},
                {"model_name": "bedrock/*", "litellm_params": {"model": "bedrock/*", **bedrock}},
                {"model_name": "gpt", "litellm_params": {"model": "openai/gpt-5", **gpt}},
            ],
            "files_settings": [
                {"custom_llm_provider": "openai", **gpt},
                {"custom_llm_provider": "bedrock", "bucket_name": S3_BUCKET, **bedrock},
                {"custom_llm_provider": "vertex_ai", **google},
            ],
            "batches": {"poll_interval_s": 0.2},
        }
        folder = stack.enter_context(data_folder())
        gateway = stack.enter_context(start_gateway(folder, config))
        yield Stand(gateway, aimock_url, gcs_url, s3, vertex, models, jobs)


@pytest.fixture
def client(stand: Stand) -> Iterator[openai.OpenAI]:
    with stand.gateway.openai() as official:
        yield official


def question(file_id: str) -> Any:
    return [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What does it say?"},
                {"type": "file", "file": {"file_id": file_id}},
            ],
        }
    ]


def test_the_whole_way(client: openai.OpenAI, stand: Stand) -> None:
    file = client.files.create(
        file=("report.pdf", PDF), purpose="user_data", extra_body={"target_model_names": ", ".join(MODELS)}
    )
    (there,) = stand.at_openai(file.id)
    (in_gcs,) = stand.in_gcs(file.id)
    (in_s3,) = stand.in_s3(file.id)

    for model in MODELS:
        answer = client.chat.completions.create(model=model, messages=question(file.id))
        assert answer.choices[0].message.content
    assert stand.asked_openai()[-1]["messages"][0]["content"][1]["file"]["file_id"] == there
    told = stand.vertex.asked[-1].json["contents"][0]["parts"]
    assert {"fileData": {"fileUri": f"gs://{GCS_BUCKET}/{in_gcs}", "mimeType": "application/pdf"}} in told
    document = stand.models.asked[-1].json["messages"][0]["content"][1]["document"]
    assert document["source"]["s3Location"]["uri"] == f"s3://{S3_BUCKET}/{in_s3}"

    stream = client.chat.completions.create(model=GEMINI, messages=question(file.id), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == SAID
    assert stand.vertex.asked[-1].json["contents"][0]["parts"] == told

    for model in (GPT, NOVA):
        lines = [chat_line(f"line {number}", model=model) for number in range(LINES)]
        for line in lines:
            line["body"]["messages"] = question(file.id)
        batch = begin(client, jsonl(lines))
        if model == NOVA:
            stand.end_bedrocks_job()
        done = until(client, batch.id)
        assert done.status == "completed", done.errors
        answers = lines_of(client, done.output_file_id)
        assert answers.keys() == {f"line {number}" for number in range(LINES)}
        assert answers["line 7"]["response"]["body"]["choices"][0]["message"]["content"]

    client.files.delete(file.id)
    eventually(lambda: not (stand.at_openai(file.id) or stand.in_gcs(file.id) or stand.in_s3(file.id)))
    for model in MODELS:
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model=model, messages=question(file.id))


@pytest.mark.parametrize("page", ["docs/chat.md", "docs/responses.md", "docs/batches.md"])
def test_what_a_page_tells_to_run_runs(page: str, stand: Stand, tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_bytes(jsonl([chat_line("review-17", model=GPT)]))
    said = run_page(page, stand.gateway, tmp_path)
    assert ("review-17" if page == "docs/batches.md" else SAID) in said


def test_the_readme_says_how(stand: Stand, tmp_path: Path) -> None:
    section = (ROOT / "README.md").read_text().partition("## Ask a model about a file")[2].partition("\n## ")[0]
    # The second shows a batch.
    snippet = "".join(re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL))
    (tmp_path / "report.pdf").write_bytes(PDF)
    text = f"KEY = {stand.gateway.key!r}\n" + snippet.replace("127.0.0.1:4000", f"127.0.0.1:{stand.gateway.port}")
    done = subprocess.run([sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert [line.split(" ", 1)[0] for line in done.stdout.splitlines()[:3]] == list(MODELS)
    assert done.stdout.splitlines()[3] == SAID
    assert done.stdout.splitlines()[4].startswith(f"completed {LINES} question-")
