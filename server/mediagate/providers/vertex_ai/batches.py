"""Batches of Vertex AI: `batchPredictionJobs` from a bucket into a bucket.

https://cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-from-cloud-storage

Answers come in any order and beside their requests, which have no id: a label of the request carries the line's key. A
ref is the job's name, and behind a `#` the token below which its outputs lie in the account's bucket.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

import orjson

from mediagate.core.chat import ChatRequest
from mediagate.core.errors import InvalidField, MediagateError
from mediagate.providers import google_errors
from mediagate.providers.account import Account
from mediagate.providers.answers import matched, reading
from mediagate.providers.base import SubmitRefused
from mediagate.providers.batches import ENDED, BatchOrder, BatchState, BatchStatus, LineResult
from mediagate.providers.google_chat.batch_lines import (
    count,
    ended,
    error_in_words,
    input_lost,
    job_failure,
    line_of,
    result_of,
)
from mediagate.providers.google_chat.body import body_of
from mediagate.providers.http import ProviderHttp
from mediagate.providers.settings import silence_of
from mediagate.providers.vertex_ai import files as storage
from mediagate.providers.vertex_ai.chat import VERSION, model_path
from mediagate.providers.vertex_ai.credentials import GoogleToken, NoToken
from mediagate.providers.vertex_ai.endpoint import GLOBAL, Place, place_of, token_of_account
from mediagate.providers.vertex_ai.files import VertexFiles
from mediagate.providers.vertex_ai.spec import BATCHES, WORDS
from mediagate.providers.vertex_ai.video_bucket import TOKEN, token_of
from mediagate.providers.video_calls import asking, submitting

STATES: Final[Mapping[str, BatchState]] = {
    "JOB_STATE_QUEUED": BatchState.QUEUED,
    "JOB_STATE_PENDING": BatchState.QUEUED,
    "JOB_STATE_RUNNING": BatchState.RUNNING,
    "JOB_STATE_PAUSED": BatchState.RUNNING,
    "JOB_STATE_UPDATING": BatchState.RUNNING,
    "JOB_STATE_CANCELLING": BatchState.CANCELLING,
    "JOB_STATE_SUCCEEDED": BatchState.SUCCEEDED,
    # What failed in part is told line by line.
    "JOB_STATE_PARTIALLY_SUCCEEDED": BatchState.SUCCEEDED,
    "JOB_STATE_FAILED": BatchState.FAILED,
    "JOB_STATE_CANCELLED": BatchState.CANCELLED,
    "JOB_STATE_EXPIRED": BatchState.EXPIRED,
}
KEY_LABEL: Final = "mediagate_line"
TOKEN_LABEL: Final = "mediagate_batch"  # noqa: S105 (a label's name)
FOLDER: Final = "batches"
PAGES_MAX: Final = 20
_JOB: Final = re.compile(r"projects/[^/#]+/locations/[^/#]+/batchPredictionJobs/[A-Za-z0-9_-]+")
_PUBLISHED: Final = "publishers/google/"


class VertexBatches:
    """One project's batches in one location."""

    spec = BATCHES

    def __init__(self, http: ProviderHttp, token: GoogleToken | NoToken, place: Place, files: VertexFiles) -> None:
        self._http = http
        self._token = token
        self._files = files
        self._path = f"/{VERSION}/{place.parent}/batchPredictionJobs"

    def chat_line(self, key: str, request: ChatRequest) -> bytes:
        """`{"request"}`, with the key among its labels."""
        _published(request.model)
        body = body_of(request, WORDS)
        labels = body.get("labels")
        return line_of(
            {"request": {**body, "labels": {**(labels if isinstance(labels, dict) else {}), KEY_LABEL: key}}}
        )

    async def submit(self, order: BatchOrder) -> str:
        """`POST …/batchPredictionJobs`, once."""
        return await asking(_ref(await submitting(self._create(order)), token_of(order.token)))

    async def _create(self, order: BatchOrder) -> dict[str, Any]:
        if order.input_ref is None:
            raise SubmitRefused(input_lost(self.spec.title))
        token = token_of(order.token)
        body = {
            "displayName": order.token,
            "model": _published(order.model),
            "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": [order.input_ref]}},
            "outputConfig": {
                "predictionsFormat": "jsonl",
                "gcsDestination": {"outputUriPrefix": self._files.folder_of(_folder(token))},
            },
            "labels": {TOKEN_LABEL: _label(token)},
        }
        return await self._http.json("POST", self._path, json=body, repeatable=False)

    async def find(self, order: BatchOrder) -> str | None:
        """By our id, which is a label of the job's."""
        return await asking(self._find(order))

    async def _find(self, order: BatchOrder) -> str | None:
        token = token_of(order.token)
        params: dict[str, Any] = {"filter": f'labels.{TOKEN_LABEL}="{_label(token)}"', "pageSize": 100}
        for _ in range(PAGES_MAX):
            tree = await self._http.json("GET", self._path, params=params)
            with reading(self.spec.title):
                for job in tree.get("batchPredictionJobs") or ():
                    if (job.get("labels") or {}).get(TOKEN_LABEL) == _label(token):
                        return await _ref(job, token)
            if not tree.get("nextPageToken"):
                return None
            params["pageToken"] = tree["nextPageToken"]
        return None

    async def poll(self, ref: str) -> BatchStatus:
        """`GET …/batchPredictionJobs/ID`."""
        return await asking(self._poll(ref))

    async def _poll(self, ref: str) -> BatchStatus:
        tree = await self._http.json("GET", f"/{VERSION}/{_parsed(ref)[0]}")
        with reading(self.spec.title):
            stats = tree.get("completionStats") or {}
            return BatchStatus(
                STATES[tree["state"]],
                completed=count(stats.get("successfulCount")),
                failed=count(stats.get("failedCount")),
                failure=job_failure(tree.get("error"), self.spec.title),
            )

    async def cancel(self, ref: str) -> None:
        """`POST …/batchPredictionJobs/ID:cancel`."""
        await asking(self._cancel(ref))

    async def _cancel(self, ref: str) -> None:
        try:
            await self._http.call("POST", f"/{VERSION}/{_parsed(ref)[0]}:cancel", json={})
        except MediagateError:
            # A job that has ended cannot be stopped any more.
            if (await self._poll(ref)).state not in ENDED:
                raise

    async def outputs(self, ref: str) -> AsyncGenerator[bytes]:
        """Every file of JSON lines below the token."""
        _, token = _parsed(ref)
        async for file in self._files.resources_of(_folder(token)):
            if not file.ref.endswith(".jsonl") or not file.size_bytes:
                continue
            content = await self._files.open(file.ref)
            async with aclosing(ended(content.read(0, content.size_bytes))) as chunks:
                async for chunk in chunks:
                    yield chunk

    def read(self, line: bytes) -> LineResult:
        """`{"status", "processed_time", "request", "response"}`: `status` is empty where there is an answer."""
        tree = orjson.loads(line)
        key = tree["request"]["labels"][KEY_LABEL]
        if not isinstance(key, str):
            raise ValueError("no key")
        status, error = tree.get("status"), tree.get("error")
        if status:
            return result_of(key, None, error_in_words(status), self.spec.title)
        return result_of(key, tree.get("response"), error, self.spec.title)

    async def delete(self, ref: str) -> None:
        """What it has written, and the job's record."""
        try:
            job, token = _parsed(ref)
        except FileNotFoundError:
            return
        await self._files.discard(_folder(token))
        with suppress(FileNotFoundError):
            await self._http.call("DELETE", f"/{VERSION}/{job}")

    async def close(self) -> None:
        """Close connections, and end the threads that get tokens."""
        await self._http.close()
        self._token.close()
        await self._files.close()


def _published(model: str) -> str:
    """The model's name for a job. Raises `InvalidField` for a tuned one, whose endpoint takes no batches."""
    path = model_path(model)
    if not path.startswith(_PUBLISHED):
        raise InvalidField(
            f"{BATCHES.title} takes batches for models of Google's alone, not for an endpoint.",
            param="model",
            code="model_not_found",
        )
    return path


def _folder(token: str) -> str:
    return f"{FOLDER}/{token}"


def _label(token: str) -> str:
    return token.lower()


def _parsed(ref: str) -> tuple[str, str]:
    job, _, token = ref.partition("#")
    if not _JOB.fullmatch(job) or not TOKEN.fullmatch(token):
        raise FileNotFoundError(f"{BATCHES.title} does not have it")
    return job, token


async def _ref(tree: Mapping[str, Any], token: str) -> str:
    with reading(BATCHES.title):
        return f"{matched(_JOB, tree['name'])}#{token}"


def build(account: Account) -> VertexBatches:
    """Raises `ValueError` for an account without a bucket or a project."""
    files = storage.build(account)
    place = place_of(account, GLOBAL)
    token = token_of_account(account, BATCHES.title)
    http = ProviderHttp(
        BATCHES.title, place.url, token.headers, silence_s=silence_of(account), explain=google_errors.explain
    )
    return VertexBatches(http, token, place, files)
