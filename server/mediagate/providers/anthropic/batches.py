"""Message batches at Anthropic: all lines are sent with the request that makes the batch.

https://platform.claude.com/docs/en/build-with-claude/batch-processing
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Any, Final

from mediagate.core.chat import ChatRequest
from mediagate.core.errors import InvalidRequest, MediagateError
from mediagate.providers import http
from mediagate.providers.account import Account
from mediagate.providers.answers import Tree, at_rfc3339, matched, reading, text_in
from mediagate.providers.anthropic.account import headers_of, root_of_account
from mediagate.providers.anthropic.chat_answer import error_in, events_of
from mediagate.providers.anthropic.chat_body import body_of
from mediagate.providers.anthropic.spec import BATCHES
from mediagate.providers.base import FateUnknown
from mediagate.providers.batches import Answered, BatchOrder, BatchState, BatchStatus, LineResult, NotAnswered
from mediagate.providers.encoding import encoded
from mediagate.providers.settings import CHAT_SILENCE_S, silence_of
from mediagate.providers.video_calls import asking, submitting

PATH: Final = "v1/messages/batches"
PAGE: Final = 100
PAGES_MAX: Final = 50
FIRST_BYTES_MAX: Final = 1 << 20
# How far clocks may be apart, and how long a submit may take.
SKEW: Final = timedelta(minutes=5)
SUBMIT: Final = timedelta(hours=1)
STATES: Final[Mapping[str, BatchState]] = {
    "in_progress": BatchState.RUNNING,
    "canceling": BatchState.CANCELLING,
    "ended": BatchState.SUCCEEDED,
}
COUNTS: Final = ("processing", "succeeded", "errored", "canceled", "expired")
_REF: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_HEAD: Final = b'{"custom_id":"'
_BEGIN: Final = b'{"requests":['
_END: Final = b"]}"
_NOT_ASKED: Final = {
    "canceled": ("batch_cancelled", "The batch was cancelled before this request was executed."),
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
}


class AnthropicBatches:
    """One workspace's batches."""

    spec = BATCHES

    def __init__(self, account: http.ProviderHttp) -> None:
        self._http = account

    def chat_line(self, key: str, request: ChatRequest) -> bytes:
        """`{"custom_id", "params"}`. Raises `InvalidField` for what Claude cannot be given."""
        return b'%b%b","params":%b}\n' % (_HEAD, key.encode(), encoded(body_of(request)))

    async def submit(self, order: BatchOrder) -> str:
        """Make the batch, once; its body streams."""
        headers = {"content-type": "application/json", "content-length": str(_body_bytes(order))}
        call = self._http.json("POST", PATH, repeatable=False, content=_body(order), headers=headers)
        tree = await submitting(call)
        return await asking(_id_of(tree))

    async def find(self, order: BatchOrder) -> str | None:
        """The batch that an earlier submit made. A batch has no name of ours: only its answers, at its end, have."""
        return await asking(self._find(order))

    async def _find(self, order: BatchOrder) -> str | None:
        still_open = False
        async for batch in self._since(order):
            if sum(int(batch["request_counts"][name]) for name in COUNTS) != order.lines:
                continue
            ref = matched(_REF, batch["id"])
            if batch["processing_status"] != "ended":
                still_open = True
            elif await self._is_of(ref, order):
                return ref
        if still_open:
            raise FateUnknown(f"{self.spec.title} has a batch that may be this one, and does not tell before its end")
        return None

    async def _since(self, order: BatchOrder) -> AsyncIterator[Tree]:
        """Those that can be of this attempt, the newest first."""
        params: dict[str, Any] = {"limit": PAGE}
        for _ in range(PAGES_MAX):
            page = await self._http.json("GET", PATH, params=params)
            with reading(self.spec.title):
                for batch in page["data"]:
                    made_at = at_rfc3339(batch["created_at"])
                    assert made_at is not None
                    if made_at < order.since - SKEW:
                        return
                    # Later ones are others' for sure, and would be waited for in vain.
                    if made_at <= order.since + SUBMIT + SKEW:
                        yield batch
                if not page.get("has_more") or not page.get("last_id"):
                    return
                params = {"limit": PAGE, "after_id": page["last_id"]}
        raise FateUnknown(f"{self.spec.title} lists too many batches")

    async def _is_of(self, ref: str, order: BatchOrder) -> bool:
        """Whether the first of its answers has the order's mark."""
        begin = bytearray()
        with suppress(FileNotFoundError):
            async with aclosing(self.outputs(ref)) as chunks:
                async for chunk in chunks:
                    begin += chunk
                    if b"\n" in chunk or len(begin) > FIRST_BYTES_MAX:
                        break
        return b'"' + _mark_of(order) in begin.partition(b"\n")[0]

    async def poll(self, ref: str) -> BatchStatus:
        """Ask once."""
        return await asking(self._poll(ref))

    async def _poll(self, ref: str) -> BatchStatus:
        tree = await self._http.json("GET", _path_of(ref))
        with reading(self.spec.title):
            state = STATES[tree["processing_status"]]
            if state is not BatchState.SUCCEEDED:
                # Until the end everything counts as being processed.
                return BatchStatus(state)
            counts = {name: int(tree["request_counts"][name]) for name in COUNTS}
        if counts["canceled"] and tree.get("cancel_initiated_at"):
            state = BatchState.CANCELLED
        elif counts["expired"]:
            state = BatchState.EXPIRED
        return BatchStatus(state, completed=counts["succeeded"], failed=counts["errored"])

    async def cancel(self, ref: str) -> None:
        """Ask Anthropic to stop. What has ended is left as it is."""
        await asking(self._cancel(ref))

    async def _cancel(self, ref: str) -> None:
        with suppress(InvalidRequest):
            await self._http.json("POST", f"{_path_of(ref)}/cancel")

    async def outputs(self, ref: str) -> AsyncGenerator[bytes]:
        """The results, which are there for 29 days. Raises `FileNotFoundError` where they are not."""
        # `results_url` says the same; the key goes to the account's own address alone.
        async with self._http.stream("GET", f"{_path_of(ref)}/results") as response:
            async for chunk in response.aiter_bytes():
                yield chunk

    def read(self, line: bytes) -> LineResult:
        """`{"custom_id", "result": {"type", ...}}`."""
        tree = json.loads(line)
        key, result = text_in(tree["custom_id"]).rpartition("-")[2], tree["result"]
        kind = result["type"]
        if kind in _NOT_ASKED:
            code, message = _NOT_ASKED[kind]
            return NotAnswered(key, code, message)
        try:
            if kind == "errored":
                error, request_id = error_in(result["error"]), result["error"].get("request_id")
                return NotAnswered(key, error.code, error.message, error.http_status, request_id)
            if kind != "succeeded":
                raise ValueError(kind)
            message = result["message"]
            return Answered(key, events_of(message), request_id=message.get("id"))
        except MediagateError as error:
            return NotAnswered(key, error.code, error.message, error.http_status)

    async def delete(self, ref: str) -> None:
        """Remove the batch and its results; one that still runs is stopped first, and goes by itself in 29 days."""
        with suppress(FileNotFoundError, InvalidRequest):
            await self._http.call("DELETE", _path_of(ref))

    async def close(self) -> None:
        """Close connections."""
        await self._http.close()


def _path_of(ref: str) -> str:
    if not _REF.fullmatch(ref):
        raise FileNotFoundError("not the id of a batch")
    return f"{PATH}/{ref}"


async def _id_of(tree: Mapping[str, Any]) -> str:
    with reading(BATCHES.title):
        return matched(_REF, tree["id"])


def _mark_of(order: BatchOrder) -> bytes:
    """What the ids of this order's requests begin with: by it the batch is known again."""
    return hashlib.sha256(order.token.encode()).hexdigest()[:16].encode() + b"-"


def _body_bytes(order: BatchOrder) -> int:
    # Each line loses its line break, and all but the first have a comma before them.
    commas = max(0, order.lines - 1)
    return len(_BEGIN) + order.size_bytes - order.lines + commas + order.lines * len(_mark_of(order)) + len(_END)


async def _body(order: BatchOrder) -> AsyncIterator[bytes]:
    """The lines as one JSON object, as they come: each with the order's mark before its id."""
    head = _HEAD + _mark_of(order)
    at_start, first, skip = True, True, 0
    yield _BEGIN
    async for chunk in order.open():
        out = bytearray()
        for number, piece in enumerate(bytes(chunk).split(b"\n")):
            at_start = at_start or number > 0
            if at_start and piece:
                out += head if first else b"," + head
                at_start, first, skip = False, False, len(_HEAD)
            dropped = min(skip, len(piece))
            skip -= dropped
            out += piece[dropped:]
        if out:
            yield bytes(out)
    yield _END


def build(account: Account) -> AnthropicBatches:
    """The account's batches. Raises `ValueError` for an account without a key."""
    root, headers = root_of_account(account), headers_of(account)
    return AnthropicBatches(
        http.ProviderHttp(BATCHES.title, root, headers, silence_s=silence_of(account, CHAT_SILENCE_S))
    )
