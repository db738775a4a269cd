"""Bedrock's models: Converse and ConverseStream. Bodies are held against botocore's model, and an object that they name
has to be in S3."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

from aiohttp import web
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from tests.doubles.bedrock_batches import ACCESS_KEY, CONVERSE, uris_in
from tests.doubles.event_stream import event, exception
from tests.doubles.recorder import ASKED, Recorder

USAGE = {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}


class BedrockModels(Recorder):
    """The runtime. A question that begins with `call` has the first tool called, one with `cut` breaks off, one with
    `fail` has an exception in the stream."""

    def __init__(self, s3: Any) -> None:
        super().__init__(ACCESS_KEY)
        self.s3 = s3

    def credentials(self, request: web.Request) -> str | None:
        """The key that signed a request."""
        match = re.search(
            r"Credential=([A-Z0-9]+)/\d{8}/us-west-2/bedrock/aws4_request", request.headers.get("authorization", "")
        )
        return match[1] if match else None

    def error(self, status: int, message: str) -> web.Response:
        """An error of Bedrock's."""
        kind = "AccessDeniedException" if status == 401 else "ValidationException"
        return web.json_response(
            {"message": message}, status=403 if status == 401 else status, headers={"x-amzn-errortype": f"{kind}:http:"}
        )

    def routes(self) -> list[web.RouteDef]:
        """Both operations."""
        return [
            web.post("/model/{model}/converse", self._whole),
            web.post("/model/{model}/converse-stream", self._stream),
        ]

    async def _checked(self, request: web.Request) -> Mapping[str, Any] | web.Response:
        tree: Mapping[str, Any] = await request.json()
        request[ASKED].json = tree
        report = ParamValidator().validate({"modelId": request.match_info["model"], **tree}, CONVERSE.input_shape)
        if report.has_errors():
            return self.error(400, report.generate_report())
        for uri in uris_in(tree["messages"]):
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            try:
                await asyncio.to_thread(self.s3.head_object, Bucket=bucket, Key=key)
            except ClientError:
                return self.error(400, "The provided S3 URI cannot be read.")
        return tree

    async def _whole(self, request: web.Request) -> web.Response:
        tree = await self._checked(request)
        if isinstance(tree, web.Response):
            return tree
        content: dict[str, Any] = {"text": saying(tree)}
        if said_last(tree).startswith("call"):
            content = {"toolUse": {"toolUseId": "tooluse_1", "name": tool(tree), "input": {"city": "Oslo"}}}
        return web.json_response(
            {
                "output": {"message": {"role": "assistant", "content": [content]}},
                "stopReason": "tool_use" if "toolUse" in content else "end_turn",
                "usage": USAGE,
                "metrics": {"latencyMs": 1},
            }
        )

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        tree = await self._checked(request)
        if isinstance(tree, web.Response):
            return tree
        said = said_last(tree)
        response = web.StreamResponse(headers={"content-type": "application/vnd.amazon.eventstream"})
        await response.prepare(request)
        frames = [event("messageStart", {"role": "assistant"})]
        frames += [
            event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": f"{word} "}})
            for word in saying(tree).split()
        ]
        if said.startswith("fail"):
            frames[3:] = [exception("modelStreamErrorException", "The model failed.")]
        if said.startswith("cut"):
            frames = frames[:3]
        else:
            frames.append(event("messageStop", {"stopReason": "end_turn"}))
            frames.append(event("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}}))
        for frame in frames:
            await response.write(frame)
        return response


def said_last(tree: Mapping[str, Any]) -> str:
    """The words of the last message."""
    return " ".join(block["text"] for block in tree["messages"][-1]["content"] if "text" in block)


def saying(tree: Mapping[str, Any]) -> str:
    """What is answered to a body."""
    text = json.dumps(tree["messages"])
    files = text.count('"s3Location"') + text.count('"bytes"')
    return f"You said: {said_last(tree)} ({files} files)"


def tool(tree: Mapping[str, Any]) -> str:
    """The first tool."""
    return str(tree["toolConfig"]["tools"][0]["toolSpec"]["name"])
