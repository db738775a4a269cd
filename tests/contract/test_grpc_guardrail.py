"""A guardrail of a user's own, over the wire: what it is told, what its answers mean."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from mediagate._gen.mediagate.v1 import guardrails_pb2 as pb
from mediagate._gen.mediagate.v1 import guardrails_pb2_grpc
from mediagate.core.guardrails import CannotJudge, NoAnswer, Picture, Stage, Subject
from mediagate.providers.guardrails.grpc_service import GrpcGuardrail, GrpcPlace
from mediagate.telemetry.requests import CURRENT, RequestRecord
from tests.doubles.tls import certified

SUBJECT = Subject(Stage.PROMPT, "sora-2", "key", "user", "team", "end", "video_1")
ALLOW = pb.CheckResponse(verdict=pb.VERDICT_ALLOW)


class Service(guardrails_pb2_grpc.GuardrailServiceServicer):
    """Answers what a test wants."""

    def __init__(self) -> None:
        self.answer: pb.CheckResponse | grpc.StatusCode = ALLOW
        self.asked: list[tuple[pb.CheckRequest, dict[str, Any]]] = []

    async def Check(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        self.asked.append((request, dict(context.invocation_metadata())))
        if isinstance(self.answer, grpc.StatusCode):
            await context.abort(self.answer, "said nothing")
        assert isinstance(self.answer, pb.CheckResponse)
        return self.answer


@asynccontextmanager
async def serving(pem: bytes | None = None) -> AsyncIterator[tuple[Service, str]]:
    service, server = Service(), grpc.aio.server()
    guardrails_pb2_grpc.add_GuardrailServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call]
    if pem is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(pem, pem)]))
    await server.start()
    try:
        yield service, f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def guardrail(address: str, **place: Any) -> AsyncIterator[GrpcGuardrail]:
    made = GrpcGuardrail("names", GrpcPlace(address, **place), timeout_s=5)
    try:
        yield made
    finally:
        await made.close()


async def test_what_it_is_told() -> None:
    async with serving() as (service, address), guardrail(address, token="t-1") as judge:
        token = CURRENT.set(RequestRecord("CreateVideo", request_id="req-1"))
        try:
            assert not (await judge.judge_text(SUBJECT, "a boat \ud83d")).blocked
        finally:
            CURRENT.reset(token)
        await judge.judge_picture(Subject(Stage.THUMBNAIL), Picture(b"bytes", "image/webp"))
    (first, headers), (second, _) = service.asked
    assert first == pb.CheckRequest(
        guardrail="names",
        stage=pb.STAGE_PROMPT,
        text="a boat ?",
        model="sora-2",
        key_id="key",
        user_id="user",
        team_id="team",
        end_user="end",
        object_id="video_1",
        request_id="req-1",
    )
    assert headers["authorization"] == "Bearer t-1"
    assert (second.stage, second.image.data, second.image.content_type) == (pb.STAGE_THUMBNAIL, b"bytes", "image/webp")


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (pb.CheckResponse(), NoAnswer, "no_verdict"),
        (pb.CheckResponse(verdict=7), NoAnswer, "no_verdict"),  # type: ignore[arg-type]
        (grpc.StatusCode.INVALID_ARGUMENT, CannotJudge, "invalid_argument"),
        (grpc.StatusCode.PERMISSION_DENIED, NoAnswer, "permission_denied"),
        (grpc.StatusCode.INTERNAL, NoAnswer, "internal"),
        (grpc.StatusCode.UNIMPLEMENTED, NoAnswer, "unimplemented"),
    ],
)
async def test_what_is_no_verdict(answer: Any, error: type[Exception], says: str) -> None:
    async with serving() as (service, address), guardrail(address) as judge:
        service.answer = answer
        with pytest.raises(error, match=says):
            await judge.judge_text(SUBJECT, "a boat")


async def test_one_that_is_away_is_asked_again_and_found_when_it_is_back() -> None:
    async with serving() as (service, address), guardrail(address) as judge:
        service.answer = grpc.StatusCode.UNAVAILABLE
        with pytest.raises(NoAnswer, match="unavailable"):
            await judge.judge_text(SUBJECT, "a boat")
        assert len(service.asked) == 3
        service.answer = pb.CheckResponse(verdict=pb.VERDICT_BLOCK, reason=" No. ", category="x", findings=["y"] * 99)
        verdict = await judge.judge_text(SUBJECT, "a boat")
        assert (verdict.blocked, verdict.reason, verdict.category, len(verdict.findings)) == (True, "No.", "x", 16)


async def test_tls_trusts_whom_it_is_told_to(tmp_path: Path) -> None:
    authority, _ = certified("127.0.0.1", tmp_path)
    async with serving((tmp_path / "server.pem").read_bytes()) as (_, address):
        async with guardrail(address, tls=True, ca_file=authority) as judge:
            assert not (await judge.judge_text(SUBJECT, "a boat")).blocked
        for place in ({"tls": True}, {"tls": False}):
            async with guardrail(address, **place) as judge:
                with pytest.raises(NoAnswer):
                    await judge.judge_text(SUBJECT, "a boat")
