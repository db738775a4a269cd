"""Batches of the Gemini API: a file of requests by `batchGenerateContent`, a file of answers when it has ended.

https://ai.google.dev/gemini-api/docs/batch-api
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final
from urllib.parse import urljoin

import orjson

from mediagate.core.chat import ChatRequest
from mediagate.core.errors import MediagateError
from mediagate.providers.account import Account
from mediagate.providers.answers import bad_answer, matched, reading
from mediagate.providers.base import SubmitRefused
from mediagate.providers.batches import ENDED, BatchOrder, BatchState, BatchStatus, LineResult
from mediagate.providers.gemini import errors
from mediagate.providers.gemini.chat import model_path
from mediagate.providers.gemini.files import server_of
from mediagate.providers.gemini.session import at_account
from mediagate.providers.gemini.spec import BATCHES, WORDS
from mediagate.providers.google_chat.batch_lines import count, ended, input_lost, job_failure, line_of, result_of
from mediagate.providers.google_chat.body import body_of
from mediagate.providers.http import ProviderHttp
from mediagate.providers.video_calls import asking, submitting

STATES: Final[Mapping[str, BatchState]] = {
    "BATCH_STATE_PENDING": BatchState.QUEUED,
    "BATCH_STATE_RUNNING": BatchState.RUNNING,
    "BATCH_STATE_SUCCEEDED": BatchState.SUCCEEDED,
    "BATCH_STATE_FAILED": BatchState.FAILED,
    "BATCH_STATE_CANCELLED": BatchState.CANCELLED,
    "BATCH_STATE_EXPIRED": BatchState.EXPIRED,
}
PAGE: Final = 100
PAGES_MAX: Final = 100
REDIRECTS_MAX: Final = 3
_REF: Final = re.compile(r"batches/[A-Za-z0-9_-]{1,128}")
_FILE: Final = re.compile(r"files/[A-Za-z0-9_-]{1,128}")


class GeminiBatches:
    """The batches of one project."""

    spec = BATCHES

    def __init__(self, http: ProviderHttp, version: str) -> None:
        self._http = http
        self._version = version

    def chat_line(self, key: str, request: ChatRequest) -> bytes:
        """`{"key", "request"}`; the job names the model."""
        model_path(request.model)
        return line_of({"key": key, "request": body_of(request, WORDS)})

    async def submit(self, order: BatchOrder) -> str:
        """`POST /v1/models/MODEL:batchGenerateContent`, once."""
        return await asking(_named(await submitting(self._create(order))))

    async def _create(self, order: BatchOrder) -> dict[str, Any]:
        if order.input_ref is None:
            raise SubmitRefused(input_lost(self.spec.title))
        body = {"batch": {"displayName": order.token, "inputConfig": {"fileName": order.input_ref}}}
        path = f"/{self._version}/{model_path(order.model)}:batchGenerateContent"
        return await self._http.json("POST", path, json=body, repeatable=False)

    async def find(self, order: BatchOrder) -> str | None:
        """By our id, which is the job's name for people."""
        return await asking(self._find(order))

    async def _find(self, order: BatchOrder) -> str | None:
        async with aclosing(self._jobs()) as jobs:
            async for job in jobs:
                if (job.get("metadata") or {}).get("displayName") == order.token:
                    return await _named(job)
        return None

    async def _jobs(self) -> AsyncGenerator[Mapping[str, Any]]:
        params: dict[str, Any] = {"pageSize": PAGE}
        for _ in range(PAGES_MAX):
            tree = await self._http.json("GET", f"/{self._version}/batches", params=params)
            for job in tree.get("operations") or ():
                yield job
            if not tree.get("nextPageToken"):
                return
            params["pageToken"] = tree["nextPageToken"]

    async def poll(self, ref: str) -> BatchStatus:
        """`GET /v1/batches/ID`."""
        return await asking(self._poll(ref))

    async def _poll(self, ref: str) -> BatchStatus:
        tree = await self._get(ref)
        with reading(self.spec.title):
            told = tree["metadata"]
            stats = told.get("batchStats") or {}
            return BatchStatus(
                STATES[told["state"]],
                completed=count(stats.get("successfulRequestCount")),
                failed=count(stats.get("failedRequestCount")),
                failure=job_failure(tree.get("error"), self.spec.title),
            )

    async def _get(self, ref: str) -> dict[str, Any]:
        return await self._http.json("GET", f"/{self._version}/{_checked(ref)}")

    async def cancel(self, ref: str) -> None:
        """`POST /v1/batches/ID:cancel`."""
        await asking(self._cancel(ref))

    async def _cancel(self, ref: str) -> None:
        try:
            await self._http.call("POST", f"/{self._version}/{_checked(ref)}:cancel")
        except MediagateError:
            # A job that has ended cannot be stopped any more.
            if (await self._poll(ref)).state not in ENDED:
                raise

    async def outputs(self, ref: str) -> AsyncGenerator[bytes]:
        """The file of answers."""
        name = _answers_of(await self._get(ref))
        if name is None:
            return
        async with aclosing(self._content(name)) as content, aclosing(ended(content)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def _content(self, name: str) -> AsyncGenerator[bytes]:
        """The bytes of a file that the API has made, behind its own redirects on the account's host."""
        url = self._http.url(f"/{self._version}/{name}:download?alt=media")
        for _ in range(REDIRECTS_MAX + 1):
            async with self._http.stream("GET", url, headers={"accept-encoding": "identity"}) as response:
                if not response.is_redirect:
                    async for chunk in response.aiter_bytes():
                        yield chunk
                    return
                url = at_account(self._http, urljoin(url, response.headers.get("location", "")))
        raise bad_answer(self.spec.title)

    def read(self, line: bytes) -> LineResult:
        """`{"key", "response"}`, or an `error` or `status` in the place of an answer."""
        tree = orjson.loads(line)
        return result_of(_key(tree), tree.get("response"), tree.get("error") or tree.get("status"), self.spec.title)

    async def delete(self, ref: str) -> None:
        """The file of answers, and the job's record."""
        try:
            name = _answers_of(await self._get(ref))
        except FileNotFoundError:
            return
        for path in (name, _checked(ref)):
            if path is not None:
                with suppress(FileNotFoundError):
                    await self._http.call("DELETE", f"/{self._version}/{path}")

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()


def _answers_of(tree: Mapping[str, Any]) -> str | None:
    """The name of the file of answers; None where there is none."""
    with reading(BATCHES.title):
        output = tree["metadata"].get("output") or tree.get("response") or {}
        name = output.get("responsesFile")
        return None if not name else matched(_FILE, name)


def _key(tree: Any) -> str:
    key = tree["key"]
    if not isinstance(key, str):
        raise ValueError("no key")
    return key


def _checked(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise FileNotFoundError(f"{BATCHES.title} does not have it")
    return ref


async def _named(tree: Mapping[str, Any]) -> str:
    with reading(BATCHES.title):
        return matched(_REF, tree["name"])


def build(account: Account) -> GeminiBatches:
    """Raises `ValueError` for an account without a key."""
    http, version = server_of(account, explain=errors.explain)
    return GeminiBatches(http, version)
