"""Batches at Mistral: jobs over files of `{custom_id, body}`.

https://docs.mistral.ai/api/endpoint/batch
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from typing import Any, Final

import orjson

from mediagate.core.errors import InvalidField
from mediagate.providers.account import Account
from mediagate.providers.answers import at_rfc3339, at_unix, matched, reading
from mediagate.providers.base import Failure, FailureStage, SubmitRefused
from mediagate.providers.batch_calls import answered, count_of, faults_of, json_lines, not_answered
from mediagate.providers.batches import CHAT, BatchOrder, BatchState, BatchStatus, LineResult
from mediagate.providers.form_files import REF
from mediagate.providers.http import ProviderHttp
from mediagate.providers.http_failures import error_of
from mediagate.providers.mistral.chat import in_own_words
from mediagate.providers.mistral.spec import BATCHES
from mediagate.providers.openai.batches import SKEW, TOKEN
from mediagate.providers.settings import key_of, root_of, silence_of
from mediagate.providers.video_calls import asking, submitting

STATES: Final[Mapping[str, BatchState]] = {
    "QUEUED": BatchState.QUEUED,
    "RUNNING": BatchState.RUNNING,
    "SUCCESS": BatchState.SUCCEEDED,
    "FAILED": BatchState.FAILED,
    "TIMEOUT_EXCEEDED": BatchState.EXPIRED,
    "CANCELLATION_REQUESTED": BatchState.CANCELLING,
    "CANCELLED": BatchState.CANCELLED,
}
PAGE: Final = 100
PAGES_MAX: Final = 50


class MistralBatches:
    """The batch jobs of one workspace."""

    spec = BATCHES

    def __init__(self, http: ProviderHttp) -> None:
        self._http = http

    def raw_line(self, key: str, endpoint: str, model: str, body: dict[str, Any]) -> bytes:
        """The job names endpoint and model."""
        if endpoint == CHAT:
            body = in_own_words(body)
        else:
            # Its name of the same thing.
            body = {"output_dimension" if name == "dimensions" else name: value for name, value in body.items()}
            body.pop("user", None)
        body.pop("model", None)
        body.pop("stream", None)
        if body.get("encoding_format") == "base64":
            raise InvalidField(
                "Mistral gives embeddings as numbers. Leave 'encoding_format' out.",
                param="encoding_format",
                code="unsupported_parameter",
            )
        body.pop("encoding_format", None)
        return orjson.dumps({"custom_id": key, "body": body}, option=orjson.OPT_APPEND_NEWLINE)

    async def submit(self, order: BatchOrder) -> str:
        """`POST /v1/batch/jobs`, once."""
        if order.input_ref is None:
            raise SubmitRefused(
                Failure(FailureStage.GATEWAY, "input_lost", "Mistral does not have the lines.", retryable=False)
            )
        body = {
            "input_files": [order.input_ref],
            "endpoint": order.endpoint,
            "model": order.model,
            "timeout_hours": max(1, order.completion_window_s // 3600),
            "metadata": {TOKEN: order.token},
        }
        tree = await submitting(self._http.json("POST", "/v1/batch/jobs", repeatable=False, json=body))
        return await asking(_id(tree))

    async def find(self, order: BatchOrder) -> str | None:
        """By our id in the metadata, or by the file, of which no other job is made."""
        return await asking(self._find(order))

    async def _find(self, order: BatchOrder) -> str | None:
        for number in range(PAGES_MAX):
            params = {"page": number, "page_size": PAGE, "order_by": "-created"}
            tree = await self._http.json("GET", "/v1/batch/jobs", params=params)
            with reading(self.spec.title):
                page = list(tree.get("data") or [])
                for job in page:
                    named = (job.get("metadata") or {}).get(TOKEN) == order.token
                    if named or (order.input_ref in (job.get("input_files") or [])):
                        return matched(REF, job["id"])
                if len(page) < PAGE:
                    return None
                made = page[-1].get("created_at")
                made_at = at_rfc3339(made) if isinstance(made, str) else at_unix(made)
            if made_at is not None and made_at < order.since - SKEW:
                return None
        return None

    async def poll(self, ref: str) -> BatchStatus:
        """`GET /v1/batch/jobs/{id}`."""
        return await asking(self._poll(ref))

    async def _poll(self, ref: str) -> BatchStatus:
        tree = await self._get(ref)
        with reading(self.spec.title):
            return BatchStatus(
                STATES[tree["status"]],
                completed=count_of(tree.get("succeeded_requests")),
                failed=count_of(tree.get("failed_requests")),
                faults=faults_of(tree.get("errors")),
            )

    async def _get(self, ref: str) -> dict[str, Any]:
        return await self._http.json("GET", f"/v1/batch/jobs/{_checked(ref)}")

    async def cancel(self, ref: str) -> None:
        """`POST /v1/batch/jobs/{id}/cancel`."""
        await asking(self._cancel(ref))

    async def _cancel(self, ref: str) -> None:
        await self._http.call("POST", f"/v1/batch/jobs/{_checked(ref)}/cancel")

    async def outputs(self, ref: str) -> AsyncGenerator[bytes]:
        """The output file, and the error file behind it."""
        for file_id in _files_of(await self._get(ref)):
            async with aclosing(json_lines(self._http, f"/v1/files/{_checked(file_id)}/content")) as chunks:
                async for chunk in chunks:
                    yield chunk

    def read(self, line: bytes) -> LineResult:
        """`{"custom_id", "response": {"status_code", "body"}, "error"}`."""
        tree = orjson.loads(line)
        key = tree["custom_id"]
        response = tree.get("response")
        if response is None:
            return not_answered(key, tree["error"])
        status_code = int(response.get("status_code") or 200)
        body = response["body"]
        if isinstance(body, str):
            body = orjson.loads(body)
        if status_code >= 400:
            return not_answered(key, body.get("error", body), status_code=status_code)
        return answered(key, orjson.dumps(body), status_code, tree.get("id"))

    async def delete(self, ref: str) -> None:
        """Both files; the record of a job cannot be removed."""
        with suppress(FileNotFoundError):
            for file_id in _files_of(await self._get(ref)):
                with suppress(FileNotFoundError):
                    await self._http.call("DELETE", f"/v1/files/{_checked(file_id)}")

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()


def _files_of(tree: Mapping[str, Any]) -> list[str]:
    return [tree[name] for name in ("output_file", "error_file") if isinstance(tree.get(name), str) and tree[name]]


def _checked(ref: str) -> str:
    if not REF.fullmatch(ref):
        raise FileNotFoundError("not an id of Mistral's")
    return ref


async def _id(tree: Mapping[str, Any]) -> str:
    with reading(BATCHES.title):
        return matched(REF, tree["id"])


def build(account: Account) -> MistralBatches:
    """The account's batches. Raises `ValueError` for an account without a key."""
    key = key_of(account, "MISTRAL_API_KEY")

    async def headers() -> Mapping[str, str]:
        return {"authorization": f"Bearer {key}"}

    root = root_of(account, "MISTRAL_BASE_URL", "https://api.mistral.ai")
    return MistralBatches(ProviderHttp(BATCHES.title, root, headers, silence_s=silence_of(account), explain=error_of))
