"""Batches at Bedrock: model invocation jobs of the kind `Converse`, whose lines and answers are objects in S3.

https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference.html
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from mediagate.core.chat import ChatRequest
from mediagate.core.errors import InvalidRequest, MediagateError, ProviderFailed
from mediagate.providers.account import Account
from mediagate.providers.answers import reading, text_in
from mediagate.providers.base import Failure, FailureStage, FateUnknown, SubmitRefused
from mediagate.providers.batches import Answered, BatchOrder, BatchState, BatchStatus, LineResult, NotAnswered
from mediagate.providers.bedrock.batch_input import placed_input
from mediagate.providers.bedrock.chat_answer import events_of
from mediagate.providers.bedrock.chat_body import body_of
from mediagate.providers.bedrock.chat_failures import exception_of
from mediagate.providers.bedrock.chat_models import model_id
from mediagate.providers.bedrock.client import S3Client
from mediagate.providers.bedrock.files import BedrockFiles
from mediagate.providers.bedrock.names import Place, place_of
from mediagate.providers.bedrock.runtime import CONTROL, BedrockRuntime, RuntimePlace, control_of
from mediagate.providers.bedrock.settings import Settings, settings_of
from mediagate.providers.bedrock.spec import BATCHES
from mediagate.providers.bedrock.uploads import objects_under
from mediagate.providers.encoding import encoded
from mediagate.providers.safe_words import safe_words
from mediagate.providers.video_calls import asking, submitting

STATES: Final[Mapping[str, BatchState]] = {
    "Submitted": BatchState.QUEUED,
    "Validating": BatchState.QUEUED,
    "Scheduled": BatchState.QUEUED,
    "InProgress": BatchState.RUNNING,
    "Stopping": BatchState.CANCELLING,
    "Stopped": BatchState.CANCELLED,
    "Completed": BatchState.SUCCEEDED,
    "PartiallyCompleted": BatchState.SUCCEEDED,
    "Failed": BatchState.FAILED,
    "Expired": BatchState.EXPIRED,
}
FOLDER: Final = "batches"
HOURS: Final = (24, 168)
_ARN: Final = re.compile(r"arn:aws(?:-[^:,]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:model-invocation-job/[a-z0-9]{1,64}")
_ROLE: Final = re.compile(r"arn:aws(?:-[^:]+)?:iam::[0-9]{12}:role/.+")
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9]+")
_NAME_CHARS_MAX: Final = 63
_ANSWERS: Final = ".jsonl.out"


@dataclass(frozen=True, slots=True)
class _Job:
    """A `ref` taken apart: the job's ARN and the folder of everything that belongs to it, with a comma between."""

    arn: str
    s3_uri: str

    @property
    def ref(self) -> str:
        return f"{self.arn},{self.s3_uri}"

    @property
    def folder(self) -> Place:
        return place_of(self.s3_uri)


class BedrockBatches:
    """One account's jobs, below `prefix/batches/` of its bucket."""

    spec = BATCHES

    def __init__(self, settings: Settings, place: RuntimePlace, role: str) -> None:
        self._settings = settings
        self._role = role
        self._jobs = BedrockRuntime(settings, place, CONTROL)
        self._s3 = S3Client(settings)
        self._files = BedrockFiles(settings, s3=self._s3)

    def chat_line(self, key: str, request: ChatRequest) -> bytes:
        """`{"recordId", "modelInput"}` with a body of Converse. Raises `InvalidField` for what the model cannot be
        given."""
        return encoded({"recordId": key, "modelInput": body_of(request)}) + b"\n"

    async def submit(self, order: BatchOrder) -> str:
        """Start the job; two with one token are one."""
        return await submitting(self._started(order))

    async def _started(self, order: BatchOrder) -> str:
        name, folder = _name_of(order.token), self._folder_of(order.token)
        try:
            source = await placed_input(self._s3, order, Place(folder.bucket, f"{folder.key}in/"))
        except FileNotFoundError:
            lost = "The lines of the batch, or a file that they mention, are not in the account's bucket any more."
            raise SubmitRefused(Failure(FailureStage.INPUT, "input_lost", lost, retryable=False)) from None
        key = {"s3EncryptionKeyId": self._settings.kms_key_id} if self._settings.kms_key_id else {}
        answer = await self._jobs.call(
            "create_model_invocation_job",
            jobName=f"mediagate-{name}"[:_NAME_CHARS_MAX],
            clientRequestToken=hashlib.sha256(order.token.encode()).hexdigest(),
            roleArn=self._role,
            modelId=model_id(order.model),
            modelInvocationType="Converse",
            inputDataConfig={"s3InputDataConfig": {"s3InputFormat": "JSONL", "s3Uri": source.ref}},
            outputDataConfig={"s3OutputDataConfig": {"s3Uri": f"{folder.ref}out/", **key}},
            timeoutDurationInHours=min(HOURS[1], max(HOURS[0], order.completion_window_s // 3600)),
        )
        with reading(self.spec.title):
            return _job(f"{answer['jobArn']},{folder.ref}").ref

    async def poll(self, ref: str) -> BatchStatus:
        """Ask once."""
        return await asking(self._poll(ref))

    async def _poll(self, ref: str) -> BatchStatus:
        answer = await self._jobs.call("get_model_invocation_job", jobIdentifier=_job(ref).arn)
        state = STATES.get(answer.get("status", ""))
        if state is None:
            raise FateUnknown(f"{self.spec.title} gives a state that is not known")
        failure = None
        if state is BatchState.FAILED:
            said = safe_words(str(answer.get("message") or ""))
            because = f": {said}" if said else "."
            message = f"{self.spec.title} could not work through the batch{because}"
            failure = Failure(FailureStage.PROVIDER, "provider_failed", message, retryable=False)
        return BatchStatus(
            state,
            completed=answer.get("successRecordCount"),
            failed=answer.get("errorRecordCount"),
            failure=failure,
        )

    async def cancel(self, ref: str) -> None:
        """Ask Bedrock to stop. What has ended is left as it is."""
        await asking(self._cancel(ref))

    async def _cancel(self, ref: str) -> None:
        try:
            await self._jobs.call("stop_model_invocation_job", jobIdentifier=_job(ref).arn)
        except InvalidRequest:
            pass
        except ProviderFailed as error:
            # A conflict: it is not at work any more.
            if error.code != "provider_conflict":
                raise

    async def outputs(self, ref: str) -> AsyncGenerator[bytes]:
        """The objects with answers that the job has written."""
        folder = _job(ref).folder
        async for record in objects_under(self._s3, folder.bucket, f"{folder.key}out/"):
            if not record["Key"].endswith(_ANSWERS):
                # The summary, beside them.
                continue
            content = await self._files.open(Place(folder.bucket, record["Key"]).ref)
            chunks = content.read(0, content.size_bytes)
            async for chunk in chunks:
                yield chunk

    def read(self, line: bytes) -> LineResult:
        """`{"recordId", "modelInput", "modelOutput"}`, or with `error` in the place of the last."""
        tree = json.loads(line)
        key, error = text_in(tree["recordId"]), tree.get("error")
        if error is not None:
            # A status, or the name of an exception.
            code = str(error["errorCode"])
            status = int(code) if code.isdecimal() else 500
            meant: Exception = exception_of(code, str(error.get("errorMessage") or ""), status=status)
        else:
            try:
                return Answered(key, events_of(tree["modelOutput"]))
            except MediagateError as unreadable:
                meant = unreadable
        assert isinstance(meant, MediagateError)
        return NotAnswered(key, meant.code, meant.message, meant.http_status)

    async def delete(self, ref: str) -> None:
        """Remove what lies in the job's folder. The job's own record cannot be removed."""
        with suppress(FileNotFoundError):
            await self._emptied(_job(ref).folder)

    async def forget(self, token: str) -> None:
        """Remove the copies that were made for a job which there is not."""
        await self._emptied(self._folder_of(token))

    async def _emptied(self, folder: Place) -> None:
        async for record in objects_under(self._s3, folder.bucket, folder.key):
            await self._s3.call("delete_object", **Place(folder.bucket, record["Key"]).params)

    def _folder_of(self, token: str) -> Place:
        return Place(self._settings.bucket, f"{self._settings.prefix}/{FOLDER}/{_name_of(token)}/")

    async def close(self) -> None:
        """Wait for the calls that run, then close connections."""
        await self._jobs.close()
        await self._s3.close()


def _name_of(token: str) -> str:
    return _NOT_IN_NAMES.sub("-", token).strip("-")


def _job(ref: str) -> _Job:
    arn, _, s3_uri = ref.partition(",")
    if not _ARN.fullmatch(arn) or not s3_uri.startswith("s3://") or not s3_uri.endswith("/"):
        raise FileNotFoundError("not a job of Bedrock")
    return _Job(arn, s3_uri)


def build(account: Account) -> BedrockBatches:
    """The account's jobs. Raises `ValueError` with a sentence for an account that lacks what it needs."""
    role = account.option("aws_batch_role_arn")
    if role is None or not _ROLE.fullmatch(role):
        raise ValueError("aws_batch_role_arn must be the ARN of a role that Bedrock may assume to read and write S3")
    return BedrockBatches(settings_of(account), control_of(account), role)
