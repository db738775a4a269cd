"""Anthropic's Message Batches API, beside its Files API.

Shapes as in https://platform.claude.com/docs/en/api/messages/batches and in the official client (anthropic 2.11), whose
types are held against what is answered; every request's `params` are held against the types of the Messages API.
Counts are zero until the end, as the client's documentation says.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web
from anthropic.types.messages import MessageBatch, MessageBatchIndividualResponse

from tests.doubles.anthropic import AnthropicApi
from tests.doubles.recorder import ASKED
from tests.unit.chat.anthropic_oracle import require_body

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
Result = Mapping[str, Any]


def answered(text: str, *, input_tokens: int = 3, output_tokens: int = 2) -> Result:
    """A request that was answered."""
    message = {
        "id": f"msg_{secrets.token_hex(8)}",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": input_tokens, "output_tokens": output_tokens},
    }
    return {"type": "succeeded", "message": message}


def errored(kind: str, said: str) -> Result:
    """A request that was refused."""
    error = {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_1"}
    return {"type": "errored", "error": error}


CANCELED: Result = {"type": "canceled"}
EXPIRED: Result = {"type": "expired"}


@dataclass
class Batch:
    """A batch there; `results` are in when it has ended."""

    id: str
    requests: list[dict[str, Any]]
    created_at: datetime
    cancelled_at: datetime | None = None
    ended_at: datetime | None = None
    results: list[tuple[str, Result]] = field(default_factory=list)

    def tree(self, url: str) -> dict[str, Any]:
        """As the API shows it."""
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        if self.ended_at is None:
            counts["processing"] = len(self.requests)
        for _, result in self.results:
            counts[result["type"]] += 1
        status = "ended" if self.ended_at else "canceling" if self.cancelled_at else "in_progress"
        tree = {
            "id": self.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": counts,
            "created_at": _time(self.created_at),
            "expires_at": _time(self.created_at + timedelta(hours=24)),
            "ended_at": self.ended_at and _time(self.ended_at),
            "cancel_initiated_at": self.cancelled_at and _time(self.cancelled_at),
            "archived_at": None,
            "results_url": f"{url}/v1/messages/batches/{self.id}/results" if self.ended_at else None,
        }
        MessageBatch.model_validate(tree)
        return tree


class AnthropicBatchesApi(AnthropicApi):
    """A workspace with batches. `page_max` bounds a page of them too. `answers` makes the result of a request: where it
    is set, a batch ends as soon as it is there."""

    def __init__(self, key: str = "test-key", *, page_max: int = 1000) -> None:
        super().__init__(key, page_max=page_max)
        self.batches: dict[str, Batch] = {}
        self.answers: Callable[[Mapping[str, Any]], Result] | None = None

    def routes(self) -> list[web.RouteDef]:
        """Those of files, and of batches."""
        path = "/v1/messages/batches"
        return [
            *super().routes(),
            web.post(path, self._create),
            web.get(path, self._page),
            web.get(f"{path}/{{id}}", self._batch),
            web.post(f"{path}/{{id}}/cancel", self._cancel),
            web.get(f"{path}/{{id}}/results", self._results),
            web.delete(f"{path}/{{id}}", self._remove),
        ]

    def end(self, batch: Batch, answer: Callable[[Mapping[str, Any]], Result]) -> None:
        """End a batch, with the results in another order than the requests."""
        batch.results = [(request["custom_id"], answer(request)) for request in reversed(batch.requests)]
        batch.ended_at = datetime.now(UTC)

    async def _create(self, request: web.Request) -> web.Response:
        tree = await request.json()
        request[ASKED].json = tree
        for problem in problems(tree):
            return self.error(400, problem)
        batch = Batch(f"msgbatch_{secrets.token_hex(12)}", tree["requests"], datetime.now(UTC))
        self.batches[batch.id] = batch
        shown = web.json_response(batch.tree(self.url))
        if self.answers is not None:
            self.end(batch, self.answers)
        return shown

    async def _page(self, request: web.Request) -> web.Response:
        limit = min(int(request.query.get("limit", 20)), self.page_max)
        batches = list(reversed(self.batches.values()))
        after = request.query.get("after_id")
        begin = next((at + 1 for at, batch in enumerate(batches) if batch.id == after), 0)
        page = batches[begin : begin + limit]
        ends = {"first_id": page[0].id if page else None, "last_id": page[-1].id if page else None}
        more = begin + len(page) < len(batches)
        return web.json_response({"data": [batch.tree(self.url) for batch in page], "has_more": more, **ends})

    async def _batch(self, request: web.Request) -> web.Response:
        batch = self.batches.get(request.match_info["id"])
        return self._absent(request) if batch is None else web.json_response(batch.tree(self.url))

    async def _cancel(self, request: web.Request) -> web.Response:
        batch = self.batches.get(request.match_info["id"])
        if batch is None:
            return self._absent(request)
        if batch.ended_at is not None:
            return self.error(400, "Batch has already ended.")
        batch.cancelled_at = batch.cancelled_at or datetime.now(UTC)
        return web.json_response(batch.tree(self.url))

    async def _results(self, request: web.Request) -> web.StreamResponse:
        batch = self.batches.get(request.match_info["id"])
        if batch is None:
            return self._absent(request)
        if batch.ended_at is None:
            return self.error(400, "Batch has no available results.")
        response = web.StreamResponse(headers={"content-type": "application/x-jsonl"})
        await response.prepare(request)
        for custom_id, result in batch.results:
            line = {"custom_id": custom_id, "result": dict(result)}
            MessageBatchIndividualResponse.model_validate(line)
            await response.write(json.dumps(line).encode() + b"\n")
        return response

    async def _remove(self, request: web.Request) -> web.Response:
        batch = self.batches.get(request.match_info["id"])
        if batch is None:
            return self._absent(request)
        if batch.ended_at is None:
            return self.error(400, "Batch is still in progress.")
        del self.batches[batch.id]
        return web.json_response({"id": batch.id, "type": "message_batch_deleted"})


def problems(tree: Mapping[str, Any]) -> Iterable[str]:
    """What is wrong with a create."""
    requests = tree.get("requests")
    if set(tree) != {"requests"} or not isinstance(requests, list) or not 1 <= len(requests) <= 100_000:
        yield "requests: must be a list of 1 to 100,000"
        return
    ids = [request["custom_id"] for request in requests]
    if len(set(ids)) != len(ids) or not all(CUSTOM_ID.fullmatch(name) for name in ids):
        yield "requests: custom_id must be unique, and match ^[a-zA-Z0-9_-]{1,64}$"
    for number, request in enumerate(requests):
        if set(request) != {"custom_id", "params"} or "stream" in request["params"]:
            yield f"requests.{number}: extra inputs are not permitted"
        try:
            require_body(request["params"])
        except AssertionError as error:
            yield f"requests.{number}.params: {error}"


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
