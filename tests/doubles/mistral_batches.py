"""Mistral's batch jobs, over its Files API.

Members are those of the official client (mistralai 3.7, generated from the provider's specification) and of its
documentation: https://docs.mistral.ai/capabilities/batch and https://docs.mistral.ai/api/endpoint/batch.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from aiohttp import web

from tests.doubles.batch_work import Habits
from tests.doubles.mistral import MistralApi, Stored
from tests.doubles.recorder import ASKED

_ENDS = {"completed": "SUCCESS", "failed": "FAILED", "expired": "TIMEOUT_EXCEEDED", "cancelled": "CANCELLED"}


class MistralBatchesApi(MistralApi):
    """A workspace with jobs."""

    def __init__(self, key: str = "test-key") -> None:
        super().__init__(key)
        self.habits = Habits()
        self.jobs: dict[str, dict[str, Any]] = {}

    def routes(self) -> list[web.RouteDef]:
        """Create, list, get, cancel."""
        return [
            *super().routes(),
            web.post("/v1/batch/jobs", self._submit),
            web.get("/v1/batch/jobs", self._list_jobs),
            web.get("/v1/batch/jobs/{id}", self._poll),
            web.post("/v1/batch/jobs/{id}/cancel", self._stop),
        ]

    async def _submit(self, request: web.Request) -> web.Response:
        asked = request[ASKED].json = await request.json()
        [file_id] = asked["input_files"]
        if file_id not in self.files or self.files[file_id].purpose != "batch":
            return self.error(422, "input file does not exist")
        if asked.get("endpoint") not in ("/v1/chat/completions", "/v1/embeddings"):
            return self.error(422, "Input should be '/v1/chat/completions'")
        name = str(uuid.uuid4())
        self.jobs[name] = {
            "id": name,
            "object": "batch",
            "input_files": [file_id],
            "metadata": asked.get("metadata") or {},
            "endpoint": asked["endpoint"],
            "model": asked["model"],
            "output_file": None,
            "error_file": None,
            "errors": [],
            "status": "QUEUED",
            "created_at": int(time.time()),
            "total_requests": 0,
            "completed_requests": 0,
            "succeeded_requests": 0,
            "failed_requests": 0,
            "started_at": None,
            "completed_at": None,
        }
        return web.json_response(self.jobs[name])

    async def _list_jobs(self, request: web.Request) -> web.Response:
        number, size = int(request.query.get("page", 0)), int(request.query.get("page_size", 100))
        jobs = list(reversed(self.jobs.values()))
        return web.json_response(
            {"data": jobs[number * size : (number + 1) * size], "object": "list", "total": len(jobs)}
        )

    async def _poll(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return self.error(404, "Job not found")
        if job["status"] == "QUEUED":
            job["status"] = "RUNNING"
        elif job["status"] == "CANCELLATION_REQUESTED":
            self._work(job, "cancelled")
        elif job["status"] == "RUNNING" and not self.habits.hold:
            self._work(job, self.habits.end)
        return web.json_response(job)

    async def _stop(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return self.error(404, "Job not found")
        job["status"] = "CANCELLATION_REQUESTED"
        return web.json_response(job)

    def _work(self, job: dict[str, Any], end: str) -> None:
        good, bad = [], []
        lines = [json.loads(line) for line in self.files[job["input_files"][0]].data.splitlines()]
        for place, line in enumerate(lines):
            if place in self.habits.loses or (end != "completed" and place in self.habits.undone):
                continue
            status, body = self.habits.reply({**line["body"], "model": job["model"]})
            response = {"status_code": status, "body": body}
            told = {"id": f"batch-{uuid.uuid4()}", "custom_id": line["custom_id"], "response": response, "error": None}
            (good if status == 200 else bad).append(told)
        job |= {
            "status": _ENDS[end],
            "total_requests": len(lines),
            "completed_requests": len(good) + len(bad),
            "succeeded_requests": len(good),
            "failed_requests": len(bad),
        }
        for name, found in (("output_file", good), ("error_file", bad)):
            if found:
                data = "\n".join(json.dumps(line) for line in found).encode()
                file_id = str(uuid.uuid4())
                filename = f"{name}.jsonl"
                now = int(time.time())
                self.files[file_id] = Stored(
                    file_id, filename, "application/jsonl", "batch", data, now, None, "workspace"
                )
                job[name] = file_id
