"""What a provider says of its lines, as the lines of OpenAI's output and error files. Pure, so that it can run in
threads.

https://platform.openai.com/docs/api-reference/batch/request-output
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson
import structlog

from mediagate.batches.cost import Meter
from mediagate.batches.cut_lines import TOO_LONG
from mediagate.batches.line_index import LineIndex
from mediagate.batches.translate import ordinal_of
from mediagate.core.chat import ChatEvent
from mediagate.core.errors import InvalidRequest, ProviderFailed, RateLimited
from mediagate.core.write_chat import Stamp, chat_document
from mediagate.core.write_responses import response_document
from mediagate.providers.batches import CHAT, RESPONSES, Answered, LineResult, NotAnswered
from mediagate.providers.encoding import encoded

log = structlog.get_logger(__name__)
WriteAnswer: TypeAlias = Callable[[Stamp, Sequence[ChatEvent]], Mapping[str, Any]]
"""The pieces of a whole answer as the body of an endpoint."""
WRITERS: Final[Mapping[str, WriteAnswer]] = {
    CHAT: chat_document,
    # What was asked is not here any more, so that its settings are not repeated.
    RESPONSES: lambda stamp, events: response_document(stamp, {}, events),
}
_PREFIXES: Final = {CHAT: "chatcmpl-", RESPONSES: "resp_"}
_BAD_ANSWER: Final = "The provider's answer to this request cannot be read."


@dataclass(slots=True)
class Result:
    """What became of a line. `body` is None where it has no answer, but a `code` and a `message`."""

    ordinal: int
    custom_id: bytes
    body: Mapping[str, Any] | None = None
    status_code: int = 200
    request_id: str | None = None
    code: str = ""
    message: str = ""

    def refuse(self, code: str, message: str) -> None:
        """Keep its answer back."""
        self.body, self.code, self.message = None, code, message


@dataclass(slots=True)
class Tokens:
    """What all lines together have used; `meter` is told of each."""

    meter: Meter | None = None
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0

    def add(self, usage: Any) -> None:
        """Add the `usage` of one body, of whatever endpoint."""
        if type(usage) is not dict:
            return
        read = _count(usage, "prompt_tokens", "input_tokens")
        said = _count(usage, "completion_tokens", "output_tokens")
        cached = _detail(usage, "prompt_tokens_details", "input_tokens_details", "cached_tokens")
        thought = _detail(usage, "completion_tokens_details", "output_tokens_details", "reasoning_tokens")
        self.input += read
        self.output += said
        self.cached += cached
        self.reasoning += thought
        if self.meter is not None:
            self.meter.add(read, cached, said, thought)

    def plain(self) -> dict[str, Any]:
        """As OpenAI's batch has it."""
        return {
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
        }


def _count(tree: Mapping[str, Any], *names: str) -> int:
    for name in names:
        value = tree.get(name)
        if type(value) is int and 0 < value < 1 << 48:
            return value
    return 0


def _detail(usage: Mapping[str, Any], first: str, second: str, name: str) -> int:
    found = usage.get(first) or usage.get(second)
    return _count(found, name) if type(found) is dict else 0


def _type_of(status_code: int) -> str:
    if status_code == RateLimited.http_status:
        return RateLimited.openai_type
    return ProviderFailed.openai_type if status_code >= 500 else InvalidRequest.openai_type


class ResultWriter:
    """Writes the lines of one batch. `read` reads a line of the provider's; `stamp` says what stands in answers that
    are written here. What is read twice is written once."""

    def __init__(
        self,
        batch_id: str,
        endpoint: str,
        model: str,
        created_at: int,
        index: LineIndex,
        read: Callable[[bytes], LineResult],
        meter: Meter | None = None,
    ) -> None:
        self._batch = batch_id.partition("_")[2]
        self._model = model
        self._created_at = created_at
        self._write_answer = WRITERS.get(endpoint)
        self._prefix = _PREFIXES.get(endpoint, "")
        self._index = index
        self._read = read
        self._seen = bytearray(-(-len(index) // 8))
        self.tokens = Tokens(meter)
        self.completed = 0
        self.failed = 0
        self.unreadable = 0

    def take(self, lines: Sequence[bytes]) -> tuple[bytes, bytes]:
        """The lines of the output file, and those of the error file, for some lines of the provider's."""
        return self.write(self.read(lines))

    def read(self, lines: Sequence[bytes]) -> list[Result]:
        """What lines of the provider's say, each of which was not said before."""
        found = []
        for line in lines:
            if not line or (line.isspace() and line is not TOO_LONG):
                continue
            try:
                result = self._read(line)
                ordinal = ordinal_of(result.key)
                custom_id = self._index.of(ordinal)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                # Its request is among those that have no answer, in the end.
                self.unreadable += 1
                if self.unreadable == 1:
                    log.warning("batch_answer_unreadable", batch_id=f"batch_{self._batch}", error=type(error).__name__)
                continue
            if self._note(ordinal):
                found.append(self._told(ordinal, custom_id, result))
        return found

    def write(self, results: Sequence[Result]) -> tuple[bytes, bytes]:
        """The lines of the output file, and those of the error file, for what was read."""
        output: list[bytes] = []
        errors: list[bytes] = []
        for one in results:
            if one.body is None:
                self.failed += 1
                errors.append(self._error_line(one.ordinal, one.custom_id, one.code, one.message))
                continue
            line = self._line(one)
            if 200 <= one.status_code < 300:
                self.completed += 1
                output.append(line)
            else:
                self.failed += 1
                errors.append(line)
        return b"".join(output), b"".join(errors)

    def missing(self, start: int, end: int, code: str, message: str) -> bytes:
        """The lines of the error file for those from `start` to `end` that nothing was said of."""
        found = []
        for ordinal in range(start, end):
            if not self._seen[ordinal >> 3] >> (ordinal & 7) & 1:
                self.failed += 1
                found.append(self._error_line(ordinal, self._index.of(ordinal), code, message))
        return b"".join(found)

    def _note(self, ordinal: int) -> bool:
        byte, bit = ordinal >> 3, 1 << (ordinal & 7)
        if self._seen[byte] & bit:
            return False
        self._seen[byte] |= bit
        return True

    def _told(self, ordinal: int, custom_id: bytes, result: LineResult) -> Result:
        if isinstance(result, NotAnswered):
            if result.status_code is None:
                return Result(ordinal, custom_id, code=result.code, message=result.message)
            kind = _type_of(result.status_code)
            error = {"message": result.message, "type": kind, "param": None, "code": result.code}
            return Result(ordinal, custom_id, {"error": error}, result.status_code, result.request_id)
        try:
            body = self._body(ordinal, result)
        except (ValueError, LookupError, TypeError):
            return Result(ordinal, custom_id, code="bad_answer", message=_BAD_ANSWER)
        self.tokens.add(body.get("usage"))
        return Result(ordinal, custom_id, body, result.status_code, result.request_id)

    def _body(self, ordinal: int, result: Answered) -> Mapping[str, Any]:
        if isinstance(result.answer, bytes):
            tree = orjson.loads(result.answer)
            if type(tree) is not dict:
                raise ValueError("an answer is an object")
            if "model" in tree:
                tree["model"] = self._model
            return tree
        if self._write_answer is None:
            raise LookupError("nobody writes such answers")
        stamp = Stamp(f"{self._prefix}{self._batch}-{ordinal:x}", self._model, self._created_at)
        return self._write_answer(stamp, result.answer)

    def _line(self, one: Result) -> bytes:
        own = f"{self._batch}-{one.ordinal:x}"
        response = {"status_code": one.status_code, "request_id": one.request_id or own, "body": one.body}
        return b'{"id":"batch_req_%s","custom_id":%s,"response":%s,"error":null}\n' % (
            own.encode(),
            one.custom_id,
            encoded(response),
        )

    def _error_line(self, ordinal: int, custom_id: bytes, code: str, message: str) -> bytes:
        return b'{"id":"batch_req_%s-%x","custom_id":%s,"response":null,"error":%s}\n' % (
            self._batch.encode(),
            ordinal,
            custom_id,
            encoded({"code": code, "message": message}),
        )
