"""Batches at OpenAI, and at every server that speaks the same API.

https://platform.openai.com/docs/api-reference/batch
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from mediagate.providers.account import Account
from mediagate.providers.answers import at_unix, reading
from mediagate.providers.base import Failure, FailureStage, SubmitRefused
from mediagate.providers.batch_calls import answered, count_of, faults_of, json_lines, not_answered
from mediagate.providers.batches import BatchOrder, BatchSpec, BatchState, BatchStatus, LineResult
from mediagate.providers.http import ProviderHttp
from mediagate.providers.http_failures import error_of
from mediagate.providers.openai.files import connect
from mediagate.providers.openai.spec import BATCHES
from mediagate.providers.openai.wire import checked_ref, id_of
from mediagate.providers.video_calls import asking, submitting

TOKEN: Final = "mediagate_batch"  # noqa: S105 (a name, no secret)
"""The member of a batch's metadata that has our id of it."""
STATES: Final[Mapping[str, BatchState]] = {
    "validating": BatchState.QUEUED,
    "in_progress": BatchState.RUNNING,
    "finalizing": BatchState.RUNNING,
    "completed": BatchState.SUCCEEDED,
    "failed": BatchState.FAILED,
    "expired": BatchState.EXPIRED,
    "cancelling": BatchState.CANCELLING,
    "cancelled": BatchState.CANCELLED,
}
PAGE: Final = 100
PAGES_MAX: Final = 50
# How far the provider's clock and ours may be apart.
SKEW: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class BatchesApi:
    """A server, and in what it differs from OpenAI's own. `query` goes with every call, `endpoint` says how the server
    calls one of OpenAI's endpoints."""

    spec: BatchSpec
    http: ProviderHttp
    query: Mapping[str, str] = field(default_factory=dict)
    endpoint: Callable[[str], str] = lambda endpoint: endpoint

    def path(self, *segments: str) -> str:
        """The path of a call. Raises `FileNotFoundError` for a segment that could name another path."""
        query = f"?{urlencode(self.query)}" if self.query else ""
        return "/".join(checked_ref(segment) for segment in segments) + query


class OpenAIBatches:
    """The batches of one account."""

    def __init__(self, api: BatchesApi) -> None:
        self.spec = api.spec
        self._api = api

    def raw_line(self, key: str, endpoint: str, model: str, body: dict[str, Any]) -> bytes:
        """OpenAI's own line, with our key and the account's name of the model."""
        body["model"] = model
        line = {"custom_id": key, "method": "POST", "url": self._api.endpoint(endpoint), "body": body}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    async def submit(self, order: BatchOrder) -> str:
        """`POST /batches`, once."""
        if order.input_ref is None:
            raise SubmitRefused(_no_input(self.spec.title))
        body = {
            "input_file_id": order.input_ref,
            "endpoint": self._api.endpoint(order.endpoint),
            "completion_window": f"{order.completion_window_s // 3600}h",
            "metadata": {TOKEN: order.token},
        }
        call = self._api.http.json("POST", self._api.path("batches"), repeatable=False, json=body)
        tree = await submitting(call)
        return await asking(_id(tree, self.spec.title))

    async def find(self, order: BatchOrder) -> str | None:
        """By our id in the metadata, or by the file, of which no other batch is made."""
        return await asking(self._find(order))

    async def _find(self, order: BatchOrder) -> str | None:
        after: dict[str, str] = {}
        for _ in range(PAGES_MAX):
            params = {"limit": str(PAGE), **self._api.query, **after}
            tree = await self._api.http.json("GET", "batches", params=params)
            with reading(self.spec.title):
                page = list(tree["data"])
                for batch in page:
                    named = (batch.get("metadata") or {}).get(TOKEN) == order.token
                    if named or (order.input_ref and batch.get("input_file_id") == order.input_ref):
                        return id_of(batch, self.spec.title)
                if not page or tree.get("has_more") is not True:
                    return None
                made_at = at_unix(page[-1].get("created_at"))
            if made_at is not None and made_at < order.since - SKEW:
                return None
            after = {"after": id_of(page[-1], self.spec.title)}
        return None

    async def poll(self, ref: str) -> BatchStatus:
        """`GET /batches/{id}`."""
        return await asking(self._poll(ref))

    async def _poll(self, ref: str) -> BatchStatus:
        tree = await self._get(ref)
        with reading(self.spec.title):
            counts = tree.get("request_counts") or {}
            faults = faults_of(tree.get("errors"))
            return BatchStatus(
                STATES[tree["status"]],
                completed=count_of(counts.get("completed")),
                failed=count_of(counts.get("failed")),
                faults=faults,
            )

    async def _get(self, ref: str) -> dict[str, Any]:
        return await self._api.http.json("GET", self._api.path("batches", ref))

    async def cancel(self, ref: str) -> None:
        """`POST /batches/{id}/cancel`; a refusal means that there is nothing to stop any more."""
        await asking(self._cancel(ref))

    async def _cancel(self, ref: str) -> None:
        await self._api.http.call("POST", self._api.path("batches", ref, "cancel"))

    async def outputs(self, ref: str) -> AsyncGenerator[bytes]:
        """The output file, and the error file behind it."""
        tree = await self._get(ref)
        for name in ("output_file_id", "error_file_id"):
            if isinstance(tree.get(name), str) and tree[name]:
                path = self._api.path("files", tree[name], "content")
                async with aclosing(json_lines(self._api.http, path)) as chunks:
                    async for chunk in chunks:
                        yield chunk

    def read(self, line: bytes) -> LineResult:
        """OpenAI's own line, of either file."""
        tree = orjson.loads(line)
        key = tree["custom_id"]
        response = tree.get("response")
        if response is None:
            return not_answered(key, tree["error"])
        return answered(
            key, orjson.dumps(response["body"]), int(response.get("status_code") or 200), response.get("request_id")
        )

    async def delete(self, ref: str) -> None:
        """Both files; the record of a batch cannot be removed."""
        with suppress(FileNotFoundError):
            tree = await self._get(ref)
            for name in ("output_file_id", "error_file_id"):
                if isinstance(tree.get(name), str) and tree[name]:
                    with suppress(FileNotFoundError):
                        await self._api.http.call("DELETE", self._api.path("files", tree[name]))

    async def close(self) -> None:
        """Close connections."""
        await self._api.http.close()


async def _id(tree: Any, title: str) -> str:
    return id_of(tree, title)


def _no_input(title: str) -> Failure:
    return Failure(FailureStage.GATEWAY, "input_lost", f"{title} does not have the lines.", retryable=False)


def build(account: Account) -> OpenAIBatches:
    """OpenAI itself, or what `api_base` names in its place. Raises `ValueError` where there is no key."""
    return OpenAIBatches(BatchesApi(BATCHES, connect(account, BATCHES.title, error_of)))
