"""Bedrock's model invocation jobs, beside an S3 that holds their lines and answers.

What is sent is held against botocore's model of CreateModelInvocationJob, its patterns included, and every line's
`modelInput` against its model of Converse. Two creates with one `clientRequestToken` are one job; with other parameters
they are a conflict. Where lines mention files in S3, the job reads a folder that holds both, and every `.jsonl` of that
folder is lines: https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-data.html. Answers lie at
`{s3Uri}{job}/{input}.out`, the summary at `{s3Uri}{job}/manifest.json.out`:
https://docs.aws.amazon.com/bedrock/latest/userguide/batch-inference-results.html.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from botocore.session import get_session
from botocore.validate import ParamValidator

from mediagate.providers.account import Account
from tests.doubles.bedrock_videos import unfitting
from tests.doubles.recorder import ASKED, Recorder

ACCESS_KEY = "AKIDBATCHES"
SECRET_KEY = "wJalrXUtnFEMIbatches"
REGION = "us-west-2"
ROLE = "arn:aws:iam::123456789012:role/mediagate-batches"
CREATE = get_session().get_service_model("bedrock").operation_model("CreateModelInvocationJob")
CONVERSE = get_session().get_service_model("bedrock-runtime").operation_model("Converse")
RECORD_ID = re.compile(r"[A-Za-z0-9]{11}")
RUNNING = ("Submitted", "Validating", "Scheduled", "InProgress")
Answer = Mapping[str, Any]


def account(url: str, s3: str, bucket: str, **options: Any) -> Account:
    """An account whose jobs are at one address and whose bucket at another."""
    keys = {"aws_access_key_id": ACCESS_KEY, "aws_secret_access_key": SECRET_KEY, "aws_region_name": REGION}
    places = {"aws_bedrock_endpoint": url, "s3_endpoint_url": s3, "aws_batch_role_arn": ROLE}
    return Account("b-1", "bedrock", bucket_name=bucket, options={**keys, **places, **options})


def answered(text: str, *, input_tokens: int = 3, output_tokens: int = 2) -> Answer:
    """What becomes of a line that is answered."""
    usage = {"inputTokens": input_tokens, "outputTokens": output_tokens, "totalTokens": input_tokens + output_tokens}
    return {
        "modelOutput": {
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}},
            "stopReason": "end_turn",
            "usage": usage,
            "metrics": {"latencyMs": 1},
        }
    }


def refused(code: int | str, said: str) -> Answer:
    """What becomes of a line that is not."""
    return {"error": {"errorCode": code, "errorMessage": said}}


@dataclass
class Job:
    """A job there; its members are those of GetModelInvocationJob."""

    arn: str
    asked: dict[str, Any]
    state: dict[str, Any] = field(default_factory=lambda: {"status": "Submitted"})

    @property
    def id(self) -> str:
        """The last part of its ARN."""
        return self.arn.rpartition("/")[2]


class BedrockJobs(Recorder):
    """The control plane. `s3` is a client of the SDK's, for what a job reads and writes; `lines_min` is the quota, and
    `refuses` is whether it takes no job."""

    def __init__(self, s3: Any, *, lines_min: int = 1) -> None:
        super().__init__(ACCESS_KEY)
        self.s3 = s3
        self.lines_min = lines_min
        self.jobs: dict[str, Job] = {}
        self.refuses = False

    def credentials(self, request: web.Request) -> str | None:
        """The key that signed a request."""
        match = re.search(
            r"Credential=([A-Z0-9]+)/\d{8}/us-west-2/bedrock/aws4_request", request.headers.get("authorization", "")
        )
        return match[1] if match else None

    def error(self, status: int, message: str) -> web.Response:
        """An error of Bedrock's."""
        codes = {400: "ValidationException", 401: "AccessDeniedException", 404: "ResourceNotFoundException"}
        return self.refusal(403 if status == 401 else status, codes[status], message)

    def refusal(self, status: int, code: str, message: str) -> web.Response:
        """An error with its type in the header."""
        return web.json_response({"message": message}, status=status, headers={"x-amzn-errortype": f"{code}:http://x"})

    def routes(self) -> list[web.RouteDef]:
        """Create, stop, ask."""
        return [
            web.post("/model-invocation-job", self._create),
            web.post("/model-invocation-job/{arn:.+}/stop", self._stop),
            web.get("/model-invocation-job/{arn:.+}", self._get),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        tree = await request.json()
        request[ASKED].json = tree
        wrong = "You have too many jobs." if self.refuses else next(_problems(tree), None)
        if wrong:
            return self.error(400, wrong)
        for job in self.jobs.values():
            if job.asked["clientRequestToken"] == tree["clientRequestToken"]:
                if job.asked != tree:
                    return self.refusal(400, "ConflictException", "The token is in use with other parameters.")
                return web.json_response({"jobArn": job.arn})
        name = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(12))
        job = Job(f"arn:aws:bedrock:{REGION}:123456789012:model-invocation-job/{name}", tree)
        self.jobs[job.arn] = job
        return web.json_response({"jobArn": job.arn})

    async def _get(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["arn"])
        if job is None:
            return self.error(404, "The job does not exist.")
        shown = {name: value for name, value in job.asked.items() if name != "tags"}
        return web.json_response({"jobArn": job.arn, "submitTime": "2026-11-21T10:00:00Z", **shown, **job.state})

    async def _stop(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["arn"])
        if job is None:
            return self.error(404, "The job does not exist.")
        if job.state["status"] not in RUNNING:
            return self.refusal(400, "ConflictException", "The job is not running.")
        job.state = {"status": "Stopping"}
        return web.json_response({})

    def lines(self, job: Job) -> dict[str, list[dict[str, Any]]]:
        """The lines that a job reads, by the name of their object. Raises `AssertionError` for what it could not."""
        bucket, _, key = job.asked["inputDataConfig"]["s3InputDataConfig"]["s3Uri"].removeprefix("s3://").partition("/")
        found = [entry["Key"] for entry in self.s3.list_objects_v2(Bucket=bucket, Prefix=key).get("Contents", [])]
        read = {}
        for name in found:
            if name.endswith(".jsonl"):
                data = self.s3.get_object(Bucket=bucket, Key=name)["Body"].read()
                read[name.rpartition("/")[2]] = [json.loads(line) for line in data.splitlines()]
        assert read, f"there are no lines at {key}"
        for line in [line for lines in read.values() for line in lines]:
            assert RECORD_ID.fullmatch(line["recordId"])
            given = {"modelId": job.asked["modelId"], **line["modelInput"]}
            report = ParamValidator().validate(given, CONVERSE.input_shape)
            assert not report.has_errors(), report.generate_report()
            for uri in uris_in(line["modelInput"]):
                assert uri.startswith(f"s3://{bucket}/{key}"), "a file lies outside of the job's folder"
                assert key.endswith("/"), "a job with files reads a folder"
                assert uri.removeprefix(f"s3://{bucket}/") in found, "a file is not there"
        return read

    def end(self, job: Job, answer: Callable[[Mapping[str, Any]], Answer | None], status: str = "Completed") -> None:
        """Work through a job. A line of which nothing becomes has no answer."""
        bucket, _, key = (
            job.asked["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].removeprefix("s3://").partition("/")
        )
        good = bad = 0
        read = self.lines(job)
        if sum(map(len, read.values())) < self.lines_min:
            said = f"Batch job contains less records than the required minimum of: {self.lines_min}"
            job.state = {"status": "Failed", "message": said}
            return
        for name, lines in read.items():
            out = []
            for line in lines:
                found = answer(line)
                if found is not None:
                    out.append(json.dumps({**line, **found}))
                    good, bad = good + ("modelOutput" in found), bad + ("error" in found)
            self.s3.put_object(Bucket=bucket, Key=f"{key}{job.id}/{name}.out", Body="\n".join(out).encode() + b"\n")
        counts = {"totalRecordCount": good + bad, "successRecordCount": good, "errorRecordCount": bad}
        manifest = json.dumps({**counts, "processedRecordCount": good + bad})
        self.s3.put_object(Bucket=bucket, Key=f"{key}{job.id}/manifest.json.out", Body=manifest.encode())
        job.state = {"status": status, **counts}


def _problems(tree: Mapping[str, Any]) -> Iterator[str]:
    shape = CREATE.input_shape
    assert shape is not None
    report = ParamValidator().validate(dict(tree), shape)
    if report.has_errors():
        yield report.generate_report()
    yield from unfitting(tree, shape)
    if not 24 <= tree["timeoutDurationInHours"] <= 168:
        yield "timeoutDurationInHours is out of range"
    if tree["modelInvocationType"] != "Converse" or len(tree["jobName"]) > 63:
        yield "modelInvocationType or jobName is wrong"
    if not tree["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].endswith("/"):
        yield "the output must be a folder"


def uris_in(value: Any) -> Iterator[str]:
    """The URIs of objects in a body."""
    if isinstance(value, dict):
        if "s3Location" in value:
            yield value["s3Location"]["uri"]
        for member in value.values():
            yield from uris_in(member)
    elif isinstance(value, list):
        for member in value:
            yield from uris_in(member)
