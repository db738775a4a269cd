"""Bedrock's asynchronous invocations, in front of an S3 that keeps what they make.

What is sent is held against botocore's model of StartAsyncInvoke, its patterns included, and `modelInput` against
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-luma.html. Two starts with one
`clientRequestToken` are one invocation, as the model says of the token; with other parameters they are a conflict. The
output lies at `{s3Uri}{invocation}/output.mp4`, as that page says.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from aiohttp import web
from botocore.model import Shape, StructureShape
from botocore.session import get_session
from botocore.validate import ParamValidator

from mediagate.providers.account import Account
from tests.doubles.recorder import ASKED, Recorder
from tests.doubles.s3 import drained

ACCESS_KEY = "AKIDVIDEOS"
SECRET_KEY = "wJalrXUtnFEMIvideos"
REGION = "us-west-2"
MODEL = "luma.ray-v2:0"
MEMBERS = {"prompt", "aspect_ratio", "loop", "duration", "resolution", "keyframes"}
VALUES = {
    "aspect_ratio": {"1:1", "16:9", "9:16", "4:3", "3:4", "21:9", "9:21"},
    "duration": {"5s", "9s"},
    "resolution": {"540p", "720p"},
    "loop": {True, False},
}
START = get_session().get_service_model("bedrock-runtime").operation_model("StartAsyncInvoke")
_DROPPED = ("host", "expect", "content-length", "transfer-encoding")


def account(runtime: str, s3: str, bucket: str, **options: Any) -> Account:
    """An account whose models are at one address and whose bucket at another."""
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "aws_region_name": REGION}
    places = {"aws_bedrock_runtime_endpoint": runtime, "s3_endpoint_url": s3}
    return Account("b-1", "bedrock", bucket_name=bucket, options={**keys, **places, **options})


class BedrockApi(Recorder):
    """Bedrock at `/async-invoke`; everything else is S3, and goes to the server at `s3_url`. `cuts` breaks objects off
    after so many bytes, by key."""

    def __init__(self, s3_url: str) -> None:
        super().__init__(ACCESS_KEY)
        self.s3_url = s3_url
        self.jobs: dict[str, dict[str, Any]] = {}
        self.states: dict[str, dict[str, Any]] = {}
        self.cuts: dict[str, int] = {}
        self.submits = 0

    def credentials(self, request: web.Request) -> str | None:
        """The key that signed a request, by its header or in its URL."""
        signed = request.headers.get("authorization", "") + "Credential=" + request.query.get("X-Amz-Credential", "")
        match = re.search(r"Credential=([A-Z0-9]+)/\d{8}/us-west-2/(bedrock|s3)/aws4_request", signed)
        return match[1] if match else None

    def error(self, status: int, message: str) -> web.Response:
        """An error of Bedrock's."""
        codes = {400: "ValidationException", 401: "AccessDeniedException", 404: "ResourceNotFoundException"}
        return self.refusal(403 if status == 401 else status, codes[status], message)

    def refusal(self, status: int, code: str, message: str) -> web.Response:
        """An error with its type in the header."""
        return web.json_response({"message": message}, status=status, headers={"x-amzn-errortype": f"{code}:http://x"})

    def routes(self) -> list[web.RouteDef]:
        """Start, ask, and the bucket."""
        return [
            web.post("/async-invoke", self._start),
            web.get("/async-invoke/{arn:.+}", self._get),
            web.route("*", "/{path:.*}", self._s3),
        ]

    async def _start(self, request: web.Request) -> web.Response:
        self.submits += 1
        tree = await request.json()
        request[ASKED].json = tree
        wrong = next(problems(tree), None)
        if wrong:
            return self.error(400, wrong)
        known = next((arn for arn, job in self.jobs.items() if _token(job) == _token(tree)), None)
        if known is not None and self.jobs[known] != tree:
            return self.refusal(400, "ConflictException", "The token is in use with other parameters.")
        if "forbidden" in tree["modelInput"]["prompt"]:
            return self.error(400, "This request has been blocked by our content filters.")
        invocation = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12))
        arn = known or f"arn:aws:bedrock:{REGION}:123456789012:async-invoke/{invocation}"
        self.jobs[arn] = tree
        self.states.setdefault(arn, {"status": "InProgress"})
        return web.json_response({"invocationArn": arn})

    async def _get(self, request: web.Request) -> web.Response:
        arn = request.match_info["arn"]
        if arn not in self.jobs:
            return self.error(400, "The invocation does not exist.")
        return web.json_response(
            {
                "invocationArn": arn,
                "modelArn": f"arn:aws:bedrock:{REGION}::foundation-model/{MODEL}",
                "clientRequestToken": _token(self.jobs[arn]),
                "submitTime": "2026-11-21T10:00:00Z",
                "outputDataConfig": self.jobs[arn]["outputDataConfig"],
                **self.states[arn],
            }
        )

    async def _s3(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED}
        async with httpx.AsyncClient() as http:
            answer = await http.request(
                request.method, f"{self.s3_url}{request.raw_path}", content=await drained(request), headers=headers
            )
        kept = {name: value for name, value in answer.headers.items() if name not in ("date", "server", "connection")}
        cut = next((at for key, at in self.cuts.items() if request.path.endswith(key)), None)
        if cut is None or request.method != "GET":
            body = None if request.method == "HEAD" else answer.content
            return web.Response(status=answer.status_code, body=body, headers=kept)
        response = web.StreamResponse(status=answer.status_code, headers=kept)
        await response.prepare(request)
        await response.write(answer.content[:cut])
        assert request.transport is not None
        request.transport.abort()
        return response


def problems(tree: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a StartAsyncInvoke."""
    shape = START.input_shape
    report = ParamValidator().validate(dict(tree), shape)
    if report.has_errors():
        yield report.generate_report()
    yield from unfitting(tree, shape)
    if tree["modelId"] != MODEL:
        yield "The provided model identifier is invalid."
    given = tree["modelInput"]
    for name in sorted(set(given) - MEMBERS):
        yield f"Malformed input request: #: extraneous key [{name}] is not permitted"
    for name, allowed in VALUES.items():
        if name in given and given[name] not in allowed:
            yield f"Malformed input request: #/{name}: {given[name]} is not a valid enum value"
    if not 1 <= len(given.get("prompt", "")) <= 5000:
        yield "Malformed input request: #/prompt: wrong length"
    for frame in given.get("keyframes", {}).values():
        if frame["type"] != "image" or set(frame["source"]) != {"type", "media_type", "data"}:
            yield "Malformed input request: #/keyframes"


def unfitting(value: Any, shape: Shape) -> Iterator[str]:
    """Texts that do not fit the patterns of the model, which the SDK does not check itself."""
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        yield f"{shape.name} failed to satisfy constraint: {pattern}"
    if isinstance(shape, StructureShape) and not shape.metadata.get("document"):
        for name in sorted(set(value) - set(shape.members)):
            yield f"unknown member {name}"
        for name, member in shape.members.items():
            if name in value:
                yield from unfitting(value[name], member)


def _token(tree: Mapping[str, Any]) -> str:
    return str(tree["clientRequestToken"])
