"""ChatService: translate, call, translate."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from google.api.httpbody_pb2 import HttpBody

from mediagate._gen.mediagate.v1 import chat_pb2, chat_pb2_grpc
from mediagate.api.bodies import media_type
from mediagate.api.call import Call
from mediagate.api.content import http_body
from mediagate.api.paths import ORIGINAL_PATH
from mediagate.api.served import served_by
from mediagate.chat.create_chat import CreateChat
from mediagate.chat.exchange import EVENT_STREAM, JSON
from mediagate.chat.question import Question
from mediagate.chat.read_response import KeptResponses, Query
from mediagate.core.chat import Dialect
from mediagate.core.errors import InvalidField, PayloadTooLarge, Unsupported, UnsupportedMediaType
from mediagate.core.json_body import json_object
from mediagate.core.limits import echo

INCLUDES_MAX = 16
MESSAGE_BYTES_MAX = 8 << 20
_JSON_TYPES = ("", "application/json", "text/json")


@dataclass(frozen=True, slots=True)
class ChatServicer(chat_pb2_grpc.ChatServiceServicer):
    """Serves `mediagate.v1.ChatService`."""

    create_chat: CreateChat
    kept_responses: KeptResponses
    body_bytes_max: int

    async def CreateChatCompletion(
        self, request: chat_pb2.CreateChatCompletionRequest, call: Call
    ) -> AsyncIterator[bytes]:
        question = Question.of(Dialect.CHAT, self._json(request.body), request.deployment)
        async with aclosing(self._answer(question, call)) as messages:
            async for message in messages:
                yield message

    async def CreateResponse(self, request: chat_pb2.CreateResponseRequest, call: Call) -> AsyncIterator[bytes]:
        question = Question.of(Dialect.RESPONSES, self._json(request.body))
        async with aclosing(self._answer(question, call)) as messages:
            async for message in messages:
                yield message

    async def GetResponse(self, request: chat_pb2.GetResponseRequest, call: Call) -> AsyncIterator[bytes]:
        query = _query(call, include=request.include)
        if _in_path(call).get("stream", ["false"]) != ["false"]:
            raise InvalidField("A kept response is not streamed again. Leave 'stream' out.", param="stream")
        yield _document(call, await self.kept_responses.get(call.principal, request.response_id, query))

    async def DeleteResponse(self, request: chat_pb2.DeleteResponseRequest, call: Call) -> AsyncIterator[bytes]:
        yield _document(call, await self.kept_responses.delete(call.principal, request.response_id))

    async def ListResponseInputItems(
        self, request: chat_pb2.ListResponseInputItemsRequest, call: Call
    ) -> AsyncIterator[bytes]:
        limit = [str(request.limit)] if request.HasField("limit") else []
        given = {"limit": limit, "order": [request.order], "after": [request.after]}
        query = _query(call, include=request.include, **given)
        yield _document(call, await self.kept_responses.input_items(call.principal, request.response_id, query))

    async def CancelResponse(self, request: chat_pb2.CancelResponseRequest, call: Call) -> AsyncIterator[bytes]:
        raise Unsupported(
            "No response is made in the background here, so there is none to cancel. Close the connection of the "
            "request that makes it: that ends it at the provider too.",
            param="response_id",
        )
        yield b""

    async def _answer(self, question: Question, call: Call) -> Any:
        async with self.create_chat.run(call.principal, question, call.admission) as reply:
            call.respond([served_by(reply.deployment.id), ("x-mediagate-chat-id", reply.id), *reply.headers])
            content_type = reply.answer.content_type
            if content_type == EVENT_STREAM:
                call.respond([("cache-control", "no-cache"), ("x-accel-buffering", "no")])
            async for chunk in reply.answer.chunks:
                if content_type == JSON:
                    call.respond([("x-content-length", str(len(chunk)))])
                # An answer may be larger than a message can be.
                for start in range(0, len(chunk), MESSAGE_BYTES_MAX):
                    yield http_body(chunk[start : start + MESSAGE_BYTES_MAX], content_type)
                    content_type = ""

    def _json(self, body: HttpBody) -> dict[str, Any]:
        kind = media_type(body.content_type)
        if kind not in _JSON_TYPES:
            raise UnsupportedMediaType(f"Content-Type must be application/json here, not '{echo(kind)}'.")
        if len(body.data) > self.body_bytes_max:
            raise PayloadTooLarge(
                f"The body may have {self.body_bytes_max} bytes. Upload files and name them by their ids.",
                limit_bytes=self.body_bytes_max,
            )
        return json_object(body.data)


def _document(call: Call, data: bytes) -> bytes:
    call.respond([("x-content-length", str(len(data)))])
    return http_body(data, JSON)


def _in_path(call: Call) -> dict[str, list[str]]:
    return parse_qs((call.header(ORIGINAL_PATH) or "").partition("?")[2])


def _query(call: Call, **given: Sequence[str]) -> Query:
    """The members that are not empty, with `include[]`, which is how OpenAI's clients write a list."""
    included = [*given.pop("include", ()), *_in_path(call).get("include[]", ())]
    members = {**given, "include[]": included[:INCLUDES_MAX]}
    return {name: found for name, values in members.items() if (found := [value for value in values if value])}
