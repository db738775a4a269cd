"""A guardrail that a user has written: `mediagate.v1.GuardrailService` at an address of the operator's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import grpc

from mediagate._gen.mediagate.v1 import guardrails_pb2, guardrails_pb2_grpc
from mediagate.core.guardrails import CannotJudge, NoAnswer, Picture, Stage, Subject, Verdict
from mediagate.telemetry.requests import CURRENT

STAGES: Final = {
    Stage.PROMPT: guardrails_pb2.STAGE_PROMPT,
    Stage.IMAGE: guardrails_pb2.STAGE_IMAGE,
    Stage.THUMBNAIL: guardrails_pb2.STAGE_THUMBNAIL,
    Stage.TEXT_FILE: guardrails_pb2.STAGE_TEXT_FILE,
    Stage.ANSWER: guardrails_pb2.STAGE_ANSWER,
}
FINDINGS_MAX: Final = 16
_OPTIONS: Final = (
    # One that was away for long is found soon after it is back.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.enable_http_proxy", 0),
    (
        "grpc.service_config",
        json.dumps(
            {
                "methodConfig": [
                    {
                        "name": [{"service": "mediagate.v1.GuardrailService"}],
                        "retryPolicy": {
                            "maxAttempts": 3,
                            "initialBackoff": "0.2s",
                            "maxBackoff": "1s",
                            "backoffMultiplier": 2,
                            "retryableStatusCodes": ["UNAVAILABLE"],
                        },
                    }
                ]
            }
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class GrpcPlace:
    """Where it is. `ca_file` is a PEM file with the authorities to trust in place of the machine's; `token` goes along
    as `authorization: Bearer`, over TLS or inside a machine."""

    address: str
    tls: bool = False
    ca_file: Path | None = None
    token: str | None = None


class GrpcGuardrail:
    """One service, through one channel, under the name that the configuration gives it."""

    def __init__(self, name: str, place: GrpcPlace, *, timeout_s: float) -> None:
        self._name = name
        self._place = place
        self._timeout_s = timeout_s
        self._channel: grpc.aio.Channel | None = None

    def _stub(self) -> guardrails_pb2_grpc.GuardrailServiceStub:
        # Not in the constructor: the channel wants the event loop it will run on.
        if self._channel is None:
            place = self._place
            if place.tls:
                trusted = place.ca_file.read_bytes() if place.ca_file else None
                self._channel = grpc.aio.secure_channel(
                    place.address, grpc.ssl_channel_credentials(trusted), options=_OPTIONS
                )
            else:
                self._channel = grpc.aio.insecure_channel(place.address, options=_OPTIONS)
        return guardrails_pb2_grpc.GuardrailServiceStub(self._channel)  # type: ignore[no-untyped-call]

    async def judge_text(self, subject: Subject, text: str) -> Verdict:
        """Raises `CannotJudge`, `NoAnswer`."""
        # A lone half of a pair is no UTF-8, and a message cannot hold it.
        return await self._judged(self._request(subject, text=text.encode("utf-8", "replace").decode()))

    async def judge_picture(self, subject: Subject, picture: Picture) -> Verdict:
        """Raises `CannotJudge`, `NoAnswer`."""
        image = guardrails_pb2.GuardedImage(data=picture.data, content_type=picture.content_type)
        return await self._judged(self._request(subject, image=image))

    def _request(
        self, subject: Subject, *, text: str | None = None, image: guardrails_pb2.GuardedImage | None = None
    ) -> guardrails_pb2.CheckRequest:
        record = CURRENT.get()
        return guardrails_pb2.CheckRequest(
            guardrail=self._name,
            stage=STAGES[subject.stage],
            text=text,
            image=image,
            model=subject.model,
            key_id=subject.key_id,
            user_id=subject.user_id,
            team_id=subject.team_id,
            end_user=subject.end_user,
            object_id=subject.object_id,
            request_id=(record.request_id or "") if record is not None else "",
        )

    async def _judged(self, request: guardrails_pb2.CheckRequest) -> Verdict:
        token = self._place.token
        try:
            answer = await self._stub().Check(
                request,
                timeout=self._timeout_s,
                metadata=(("authorization", f"Bearer {token}"),) if token else None,
            )
        except grpc.aio.AioRpcError as error:
            code = error.code()
            if code is grpc.StatusCode.INVALID_ARGUMENT:
                raise CannotJudge("invalid_argument") from None
            raise NoAnswer(code.name.lower()) from None
        except (OSError, ValueError) as error:
            raise NoAnswer(type(error).__name__) from None
        if answer.verdict not in (guardrails_pb2.VERDICT_ALLOW, guardrails_pb2.VERDICT_BLOCK):
            raise NoAnswer("no_verdict")
        return Verdict(
            answer.verdict == guardrails_pb2.VERDICT_BLOCK,
            category=answer.category,
            reason=answer.reason.strip(),
            findings=tuple(answer.findings[:FINDINGS_MAX]),
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._channel is not None:
            await self._channel.close()
