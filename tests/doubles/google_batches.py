"""Batches of the Gemini API and of Vertex AI: jobs that a test moves on, and lines that are answered like a model's.

Gemini's jobs are operations whose metadata holds a state, and counts as texts, as recorded in crmne/ruby_llm
(`batch_with_gemini_gemini-2_5-flash`) and as google-genai 3.4 reads them; Vertex AI's are held against Google's
discovery document. Answers come in another order than the requests.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.aiplatform import require_like
from tests.doubles.gcs import BUCKET, GcsDouble
from tests.doubles.gemini import GeminiApi
from tests.doubles.generate_content import require_answer, require_request
from tests.doubles.google_chat import PROJECT, TOKEN
from tests.doubles.recorder import ASKED, Recorder

Answers = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""What becomes of a request: `{"response": ...}` or an error in the API's own form."""


def said_back(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """An answer that has the last words of the question."""
    text = request["contents"][-1]["parts"][-1]["text"]
    answer = {
        "candidates": [{"content": {"role": "model", "parts": [{"text": f"{text}!"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
        "responseId": f"id of {text}",
    }
    require_answer(answer)
    return {"response": answer}


def lines_of(data: bytes) -> list[dict[str, Any]]:
    """The JSON lines of a file."""
    return [json.loads(line) for line in data.splitlines()]


@dataclass
class Job:
    """One batch."""

    name: str
    body: Mapping[str, Any]
    model: str
    lines: list[dict[str, Any]]
    state: str
    counts: dict[str, str] = field(default_factory=dict)
    output: str = ""
    error: Mapping[str, Any] | None = None


class GeminiBatchesApi(GeminiApi):
    """A project with batches. `page_jobs` bounds a page. Where it `works`, a job goes on by a step with each poll, and
    `answers` says what becomes of its lines; `made` holds those that were removed too."""

    def __init__(self, key: str = "test-key", *, page_jobs: int = 100) -> None:
        super().__init__(key)
        self.jobs: dict[str, Job] = {}
        self.made: list[Job] = []
        self.page_jobs = page_jobs
        self.works = False
        self.answers: Answers = said_back

    def routes(self) -> list[web.RouteDef]:
        """The files', and five of batches."""
        return [
            web.post("/{version}/models/{model}:batchGenerateContent", self._create),
            web.get("/{version}/batches", self._jobs),
            web.get("/{version}/batches/{id}", self._job),
            web.post("/{version}/batches/{id}:cancel", self._cancel),
            web.delete("/{version}/batches/{id}", self._remove),
            *super().routes(),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        asked = request[ASKED]
        asked.json = await request.json()
        batch = asked.json["batch"]
        model = request.match_info["model"]
        if not model.startswith("gemini-"):
            return self.error(404, f"models/{model} is not found for API version v1")
        file = self.files.get(batch["inputConfig"]["fileName"])
        if file is None:
            return self.error(400, "Input file is not found.")
        lines = lines_of(file.data)
        for line in lines:
            assert line.keys() == {"key", "request"}
            require_request(line["request"])
        name = f"batches/{secrets.token_hex(18)}"
        self.jobs[name] = Job(name, batch, f"models/{model}", lines, "BATCH_STATE_PENDING")
        self.made.append(self.jobs[name])
        return web.json_response(self.tree(self.jobs[name]))

    def tree(self, job: Job) -> dict[str, Any]:
        """A job as the API shows it."""
        counts = {"requestCount": str(len(job.lines)), "pendingRequestCount": str(len(job.lines)), **job.counts}
        kind = "type.googleapis.com/google.ai.generativelanguage.v1main.GenerateContentBatch"
        told: dict[str, Any] = {
            "@type": kind,
            "model": job.model,
            "displayName": job.body["displayName"],
            "createTime": "2026-11-22T01:00:00.123456789Z",
            "updateTime": "2026-11-22T01:00:01.123456789Z",
            "batchStats": counts,
            "state": job.state,
            "name": job.name,
        }
        tree: dict[str, Any] = {"name": job.name, "metadata": told}
        if job.output:
            told["output"] = {"responsesFile": job.output}
            tree |= {"done": True, "response": {"@type": f"{kind}Output", "responsesFile": job.output}}
        if job.error is not None:
            tree |= {"done": True, "error": job.error}
        return tree

    def finish(self, name: str, answers: Answers = said_back, state: str = "BATCH_STATE_SUCCEEDED") -> None:
        """Answer every line."""
        job = self.jobs[name]
        told = [{"key": line["key"], **answers(line["request"])} for line in reversed(job.lines)]
        good = sum("response" in line for line in told)
        job.counts = {"successfulRequestCount": str(good), "failedRequestCount": str(len(told) - good)}
        # The names of these are longer than those of uploads, and a last line may have no end.
        data = b"\n".join(json.dumps(line).encode() for line in told)
        job.output = self._store(f"files/batch-{secrets.token_hex(18)}", "", "text/plain", data, "GENERATED").name
        job.state = state

    async def _jobs(self, request: web.Request) -> web.Response:
        jobs = list(self.jobs.values())
        begin = int(request.query.get("pageToken", "0"))
        page = jobs[begin : begin + self.page_jobs]
        tree: dict[str, Any] = {"operations": [self.tree(job) for job in page]} if page else {}
        if begin + len(page) < len(jobs):
            tree["nextPageToken"] = str(begin + len(page))
        return web.json_response(tree)

    def _of(self, request: web.Request) -> Job | None:
        return self.jobs.get(f"batches/{request.match_info['id']}")

    async def _job(self, request: web.Request) -> web.Response:
        job = self._of(request)
        if job is None:
            return self.error(404, "Requested entity was not found.")
        if self.works and job.state == "BATCH_STATE_RUNNING":
            self.finish(job.name, self.answers)
        elif self.works and job.state == "BATCH_STATE_PENDING":
            job.state = "BATCH_STATE_RUNNING"
        return web.json_response(self.tree(job))

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self._of(request)
        if job is None:
            return self.error(404, "Requested entity was not found.")
        if job.output:
            return self.error(400, "The batch is done.")
        job.state = "BATCH_STATE_CANCELLED"
        return web.json_response({})

    async def _remove(self, request: web.Request) -> web.Response:
        job = self._of(request)
        if job is None:
            return self.error(404, "Requested entity was not found.")
        del self.jobs[job.name]
        return web.json_response({})


class VertexBatchesApi(Recorder):
    """A project's batches, from its bucket into its bucket. It `works` as the other does."""

    def __init__(self, bucket: GcsDouble) -> None:
        super().__init__(TOKEN)
        self.bucket = bucket
        self.jobs: dict[str, Job] = {}
        self.made: list[Job] = []
        self.works = False
        self.answers: Answers = said_back

    def routes(self) -> list[web.RouteDef]:
        """Five methods."""
        place = "/v1/projects/{project}/locations/{location}/batchPredictionJobs"
        return [
            web.post(place, self._create),
            web.get(place, self._jobs),
            web.get(f"{place}/{{id}}", self._job),
            web.post(f"{place}/{{id}}:cancel", self._cancel),
            web.delete(f"{place}/{{id}}", self._remove),
        ]

    def credentials(self, request: web.Request) -> str | None:
        """A bearer token."""
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def error(self, status: int, message: str) -> web.Response:
        """Google's form."""
        words = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND"}
        return web.json_response(
            {"error": {"code": status, "message": message, "status": words.get(status, "UNKNOWN")}}, status=status
        )

    def _named(self, uri: str) -> str:
        assert uri.startswith(f"gs://{BUCKET}/")
        return uri.removeprefix(f"gs://{BUCKET}/")

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        request[ASKED].json = body
        require_like(body, "BatchPredictionJob")
        assert all(value == value.lower() and len(value) <= 63 for value in body["labels"].values())
        if not body["model"].startswith("publishers/google/models/gemini-"):
            return self.error(400, f"Model {body['model']} does not support batch prediction.")
        (uri,) = body["inputConfig"]["gcsSource"]["uris"]
        lines = lines_of(self.bucket.objects[self._named(uri)].data)
        for line in lines:
            assert line.keys() == {"request"}
            require_request(line["request"])
            assert all(value == value.lower() and len(value) <= 63 for value in line["request"]["labels"].values())
        place = request.match_info
        assert place["project"] == PROJECT
        number = secrets.randbelow(10**18)
        name = f"projects/{place['project']}/locations/{place['location']}/batchPredictionJobs/{number}"
        self.jobs[name] = Job(name, body, body["model"], lines, "JOB_STATE_PENDING")
        self.made.append(self.jobs[name])
        return web.json_response(self.tree(self.jobs[name]))

    def tree(self, job: Job) -> dict[str, Any]:
        """A job as the API shows it."""
        tree: dict[str, Any] = {**job.body, "name": job.name, "state": job.state}
        if job.counts:
            tree["completionStats"] = job.counts
        if job.output:
            tree["outputInfo"] = {"gcsOutputDirectory": job.output}
        if job.error is not None:
            tree["error"] = job.error
        require_like(tree, "BatchPredictionJob")
        return tree

    def finish(self, name: str, answers: Answers = said_back, state: str = "JOB_STATE_SUCCEEDED") -> None:
        """Answer every line, in two files."""
        job = self.jobs[name]
        told = []
        for line in reversed(job.lines):
            become = answers(line["request"])
            told.append({"status": "", "processed_time": "2026-11-22T01:00:00.000+00:00", **line, **become})
        good = sum("response" in line for line in told)
        job.counts = {"successfulCount": str(good), "failedCount": str(len(told) - good), "incompleteCount": "0"}
        prefix = job.body["outputConfig"]["gcsDestination"]["outputUriPrefix"]
        assert prefix.endswith("/")
        job.output = f"{prefix}prediction-model-2026-11-22T01:00:00.000000Z"
        half = (len(told) + 1) // 2
        for part, lines in enumerate((told[:half], told[half:])):
            data = b"\n".join(json.dumps(line).encode() for line in lines)
            self.bucket.put(f"{self._named(job.output)}/predictions_{part:05d}.jsonl", data)
        self.bucket.put(f"{self._named(job.output)}/README", b"no answer")
        job.state = state

    async def _jobs(self, request: web.Request) -> web.Response:
        # `labels.NAME="VALUE"`, which is all that is asked for here.
        name, _, value = request.query["filter"].removeprefix("labels.").partition("=")
        found = [self.tree(job) for job in self.jobs.values() if job.body["labels"].get(name) == value.strip('"')]
        answer = {"batchPredictionJobs": found} if found else {}
        require_like(answer, "ListBatchPredictionJobsResponse")
        return web.json_response(answer)

    def _of(self, request: web.Request) -> Job | None:
        return self.jobs.get(request.path.removeprefix("/v1/").removesuffix(":cancel"))

    async def _job(self, request: web.Request) -> web.Response:
        job = self._of(request)
        if job is None:
            return self.error(404, "The job does not exist.")
        if self.works and job.state == "JOB_STATE_RUNNING":
            self.finish(job.name, self.answers)
        elif self.works and job.state == "JOB_STATE_CANCELLING":
            job.state = "JOB_STATE_CANCELLED"
        elif self.works and job.state == "JOB_STATE_PENDING":
            job.state = "JOB_STATE_RUNNING"
        return web.json_response(self.tree(job))

    async def _cancel(self, request: web.Request) -> web.Response:
        job = self._of(request)
        if job is None:
            return self.error(404, "The job does not exist.")
        if job.output:
            return self.error(400, "The job is in a terminal state.")
        job.state = "JOB_STATE_CANCELLING"
        return web.json_response({})

    async def _remove(self, request: web.Request) -> web.Response:
        job = self._of(request)
        if job is None:
            return self.error(404, "The job does not exist.")
        del self.jobs[job.name]
        return web.json_response({"name": f"{job.name}/operations/1", "done": True})
