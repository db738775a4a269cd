"""OpenAI's Batch API as it is documented, over its Files API, and Azure's: jobs that take their time, fail, expire, are
stopped, and lose answers.

Sources: https://platform.openai.com/docs/api-reference/batch, the specification at
https://github.com/openai/openai-openapi, and https://learn.microsoft.com/azure/ai-foundry/openai/how-to/batch.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.doubles.batch_work import Habits
from tests.doubles.openai_files import PREFIXES, SEEN, OpenAIFilesServer, Refusal
from tests.doubles.serving import serving

ENDPOINTS = ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/chat/completions")


@dataclass
class OpenAIBatchesServer(OpenAIFilesServer):
    """The state. `submits` counts the jobs that were asked for, refused ones left out."""

    habits: Habits = field(default_factory=Habits)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    submits: int = 0
    polls: int = 0
    lists: int = 0

    def app(self) -> web.Application:
        """The routes of files, and those of batches."""
        app = web.Application(client_max_size=600 << 20)
        for prefix in PREFIXES:
            app.router.add_post(f"{prefix}/batches", self._guarded(self._submit))
            app.router.add_get(f"{prefix}/batches", self._guarded(self._list_batches))
            app.router.add_get(f"{prefix}/batches/{{id}}", self._guarded(self._poll), allow_head=False)
            app.router.add_post(f"{prefix}/batches/{{id}}/cancel", self._guarded(self._stop))
        self._add_routes(app)
        return app

    async def _while_slow(self, what: str) -> None:
        while what in self.habits.slow:
            await asyncio.sleep(0.02)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        answer = await super()._create(request)
        await self._while_slow("files")
        return answer

    async def _content(self, request: web.Request) -> web.StreamResponse:
        await self._while_slow("content")
        return await super()._content(request)

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        asked = request[SEEN].json = await request.json()
        if self.habits.busy:
            self.habits.busy -= 1
            raise Refusal(429, "Rate limit reached.", code="rate_limit_exceeded")
        if self.habits.lose_submits:
            self.habits.lose_submits -= 1
            assert request.transport is not None
            request.transport.abort()
            raise Refusal(500, "Nobody hears this.")
        file_id = asked.get("input_file_id")
        if file_id not in self.files or self.files[file_id]["purpose"] != "batch":
            raise Refusal(400, f"Invalid file: {file_id}", param="input_file_id")
        if asked.get("endpoint") not in ENDPOINTS or asked.get("completion_window") != "24h":
            raise Refusal(400, "Invalid endpoint or window.")
        self.submits += 1
        now = int(time.time())
        name = f"batch_{secrets.token_hex(12)}"
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "errors": None,
            "input_file_id": file_id,
            "completion_window": "24h",
            "status": "validating",
            "output_file_id": None,
            "error_file_id": None,
            "created_at": now,
            "in_progress_at": None,
            "expires_at": now + 86_400,
            "request_counts": {"total": 0, "completed": 0, "failed": 0},
            "metadata": asked.get("metadata"),
            "polls": 0,
            "lag": self.habits.lag,
        }
        if self.habits.drop_submits:
            self.habits.drop_submits -= 1
            assert request.transport is not None
            request.transport.abort()
        await self._while_slow("submit")
        return web.json_response(self._shown_batch(name))

    def _shown_batch(self, name: str) -> dict[str, Any]:
        return {key: value for key, value in self.batches[name].items() if key not in ("polls", "lag")}

    def _batch(self, request: web.Request) -> str:
        name = request.match_info["id"]
        if name not in self.batches:
            raise Refusal(404, f"No batch found with id '{name}'.", param="id")
        return name

    async def _list_batches(self, request: web.Request) -> web.StreamResponse:
        self.lists += 1
        shown = []
        for name in reversed(self.batches):
            if self.batches[name]["lag"]:
                self.batches[name]["lag"] -= 1
                continue
            shown.append(self._shown_batch(name))
        limit = int(request.query.get("limit", 20))
        if not 1 <= limit <= 100:
            raise Refusal(400, "Invalid 'limit'.", param="limit")
        after = request.query.get("after")
        if after is not None:
            names = [one["id"] for one in shown]
            shown = shown[names.index(after) + 1 :] if after in names else []
        return web.json_response({"object": "list", "data": shown[:limit], "has_more": len(shown) > limit})

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        name = self._batch(request)
        self.polls += 1
        if self.habits.poll_errors:
            self.habits.poll_errors -= 1
            raise Refusal(500, "The server had an error.")
        batch = self.batches[name]
        batch["polls"] += 1
        if batch["status"] == "validating":
            batch["status"], batch["in_progress_at"] = "in_progress", int(time.time())
            batch["request_counts"]["total"] = self.contents[batch["input_file_id"]].count(b"\n")
            if self.habits.end == "failed":
                batch["status"] = "failed"
                data = [{"code": "model_not_found", "message": "No such model.", "param": "body.model", "line": 2}]
                batch["errors"] = {"object": "list", "data": data}
        elif batch["status"] == "in_progress" and not self.habits.hold and batch["polls"] >= self.habits.polls:
            self._work(batch, self.habits.end)
        elif batch["status"] == "cancelling":
            self._work(batch, "cancelled")
        return web.json_response(self._shown_batch(name))

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        batch = self.batches[self._batch(request)]
        if batch["status"] not in ("validating", "in_progress", "cancelling"):
            raise Refusal(409, f"Cannot cancel a batch with status '{batch['status']}'.")
        batch["status"] = "cancelling"
        return web.json_response(self._shown_batch(batch["id"]))

    def _work(self, batch: dict[str, Any], end: str) -> None:
        habits, good, bad = self.habits, [], []
        lines = [json.loads(line) for line in self.contents[batch["input_file_id"]].splitlines()]
        # In any order.
        for place, line in sorted(enumerate(lines), key=lambda pair: (pair[0] % 3, pair[0])):
            if place in habits.loses:
                continue
            own = {"id": f"batch_req_{secrets.token_hex(8)}", "custom_id": line["custom_id"]}
            if end in ("expired", "cancelled") and place in habits.undone:
                if end == "expired":
                    bad.append({**own, "response": None, "error": {"code": "batch_expired", "message": "Too late."}})
                continue
            status, body = habits.reply(line["body"])
            response = {"status_code": status, "request_id": secrets.token_hex(8), "body": body}
            (good if status == 200 else bad).append({**own, "response": response, "error": None})
        batch["request_counts"] = {"total": len(lines), "completed": len(good), "failed": len(bad)}
        for name, found in (("output_file_id", good), ("error_file_id", bad)):
            if found:
                data = "\n".join(json.dumps(line) for line in found).encode() + b"\n"
                batch[name] = self._keep(data, f"{batch['id']}_{name}.jsonl")
        batch["status"] = end

    def _keep(self, data: bytes, name: str) -> str:
        made: str = self._add(data, name, "batch", {})["id"]
        self.files[made]["purpose"] = "batch_output"
        return made


@contextmanager
def openai_batches(port: int = 0, **knobs: Any) -> Iterator[OpenAIBatchesServer]:
    """The server, in a thread of its own."""
    server = OpenAIBatchesServer(**knobs)
    with serving(lambda: web.AppRunner(server.app(), shutdown_timeout=0.1), port=port) as serving_port:
        server.url = f"http://127.0.0.1:{serving_port}"
        yield server
