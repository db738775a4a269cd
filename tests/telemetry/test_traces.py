"""One trace from the caller through Envoy and gRPC to the provider, and on in the job; nothing secret in it."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import boto3
import pytest

from tests.api.wire import eventually, field, file_part, post_form
from tests.clouds.conftest import CREDENTIALS
from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.contract.conftest import moto_url
from tests.doubles.openai_files import KEY, openai_files
from tests.telemetry.collector import Collector, Seen, collector
from tests.telemetry.kit import line_of

__all__ = ["moto_url"]
BUCKET = "traced"
CALLERS_SPAN = "00f067aa0ba902b7"


@dataclass
class Traced:
    """A gateway, and what it told the collector."""

    gateway: Gateway
    collector: Collector


@pytest.fixture(scope="module")
def traced(moto_url: str) -> Iterator[Traced]:
    with ExitStack() as stack:
        spans = stack.enter_context(collector())
        server = stack.enter_context(openai_files())
        s3 = boto3.client(
            "s3", endpoint_url=moto_url, aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1"
        )
        stack.callback(s3.close)
        s3.create_bucket(Bucket=BUCKET)
        config = {
            **TEST_CONFIG,
            "files_settings": [
                {"custom_llm_provider": "openai", "api_base": f"{server.url}/v1", "api_key": KEY},
                {
                    "custom_llm_provider": "bedrock",
                    "bucket_name": BUCKET,
                    "s3_endpoint_url": moto_url,
                    "timeout": 5,
                    **CREDENTIALS,
                },
            ],
            "telemetry": {
                "otlp_endpoint": f"http://127.0.0.1:{spans.port}",
                "otlp_headers": {"x-collector-token": "canary-collector-token"},
            },
        }
        gateway = stack.enter_context(start_gateway(stack.enter_context(data_folder()), config))
        yield Traced(gateway, spans)


def by_name(spans: list[Seen], name: str) -> Seen:
    (found,) = [span for span in spans if span.name == name]
    return found


def trace() -> tuple[str, dict[str, str]]:
    """A new trace, and the header by which a caller begins it."""
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-{CALLERS_SPAN}-01"}


@pytest.mark.parametrize(("provider", "op"), [("openai", "POST"), ("bedrock", "PutObject")])
def test_an_upload_is_one_trace_from_the_caller_to_the_provider(traced: Traced, provider: str, op: str) -> None:
    trace_id, header = trace()
    with traced.gateway.http() as http:
        made = post_form(
            http,
            field("purpose", "user_data"),
            field("custom_llm_provider", provider),
            file_part(b"canary-content", "canary-name.txt"),
            path="/v1/files?canary=canary-token",
            headers={**header, "x-custom": "canary-header"},
        )
        assert made.status_code == 200, made.text
    wanted = {"FileService/CreateFileHttp", f"{provider} {op}"}
    eventually(lambda: wanted <= {span.name for span in traced.collector.of(trace_id)}, "the spans of the server")
    eventually(
        lambda: "mediagate-edge" in {span.service for span in traced.collector.of(trace_id)}, "the span of the edge"
    )
    spans = traced.collector.of(trace_id)
    (edge,) = [span for span in spans if span.service == "mediagate-edge"]
    call, request = by_name(spans, "FileService/CreateFileHttp"), by_name(spans, f"{provider} {op}")
    assert edge.parent_id == CALLERS_SPAN
    assert call.parent_id == edge.span_id
    assert request.parent_id == call.span_id
    assert call.attributes["mediagate.outcome"] == "OK"
    assert call.attributes["mediagate.backend"] == provider
    assert request.attributes["mediagate.outcome"] == "ok"
    assert line_of(traced.gateway, made)["trace_id"] == trace_id
    assert call.attributes["mediagate.request_id"] == made.headers["x-request-id"]


def test_the_job_of_a_video_goes_on_in_the_trace_of_its_create(traced: Traced) -> None:
    trace_id, header = trace()
    with traced.gateway.http() as http:
        made = http.post(
            "/v1/videos",
            json={"prompt": "canary-prompt", "model": "local-video", "size": "320x180", "seconds": "1"},
            headers=header,
        )
        assert made.status_code == 200, made.text
        # By another process.
        eventually(
            lambda: "videos.track" in {span.name for span in traced.collector.of(trace_id)}, "the looks of the job"
        )
        eventually(
            lambda: "VideoService/CreateVideoHttp" in {span.name for span in traced.collector.of(trace_id)}, "the call"
        )
    spans = traced.collector.of(trace_id)
    call = by_name(spans, "VideoService/CreateVideoHttp")
    assert {span.parent_id for span in spans if span.name == "videos.track"} == {call.span_id}


def test_a_decision_about_content_and_a_failure_are_spans_too(traced: Traced) -> None:
    trace_id, header = trace()
    with traced.gateway.http() as http:
        made = post_form(
            http, field("purpose", "user_data"), field("custom_llm_provider", "bedrock"), file_part(b"abc")
        )
        assert http.get(f"/v1/files/{made.json()['id']}/content", headers=header).content == b"abc"
        line = line_of(traced.gateway, http.get(f"/v1/files/{made.json()['id']}/content"), "content_decision")
        assert (line["code"], line["http_status"], line["backend"], line["bytes_out"]) == ("OK", 200, "bedrock", 3)
        http.get("/v1/files/file-nobodys", headers=header)
    wanted = {"Authorization/Check", "FileService/GetFile"}
    eventually(lambda: wanted <= {span.name for span in traced.collector.of(trace_id)}, "both")
    spans = traced.collector.of(trace_id)
    decision, failure = by_name(spans, "Authorization/Check"), by_name(spans, "FileService/GetFile")
    assert decision.attributes["mediagate.backend"] == "bedrock"
    assert failure.attributes["mediagate.outcome"] == "NOT_FOUND"
    assert not failure.is_error, "it is the caller's"
    eventually(
        lambda: (
            {decision.parent_id, failure.parent_id}
            <= {span.span_id for span in traced.collector.of(trace_id) if span.service == "mediagate-edge"}
        ),
        "their parents at the edge",
    )


def test_what_the_caller_does_not_want_traced_is_not(traced: Traced) -> None:
    trace_id = secrets.token_hex(16)
    with traced.gateway.http() as http:
        http.get("/v1/models", headers={"traceparent": f"00-{trace_id}-{CALLERS_SPAN}-00"})
        later, header = trace()
        http.get("/v1/models", headers=header)
    eventually(lambda: len(traced.collector.of(later)) >= 2, "the later one")
    assert traced.collector.of(trace_id) == []


def test_no_secret_and_nothing_that_was_sent_is_in_a_span(traced: Traced) -> None:
    trace_id, header = trace()
    with traced.gateway.http() as http:
        http.post(
            "/v1/videos/video_1/callback/canary-token-in-path?token=canary", json={"a": "canary-body"}, headers=header
        )
        http.get("/v1/nothing/canary-path?sig=canary", headers={**header, "idempotency-key": "canary-key"})
    eventually(lambda: traced.collector.of(trace_id), "the spans")
    eventually(lambda: any("callback" in raw.lower() for raw in traced.collector.raw), "the callback")
    told = "\n".join(traced.collector.raw)
    assert "canary" not in told
    assert traced.gateway.key not in told
    assert KEY not in told
    # The token goes with the exports, of which it is the credential, and is in no log.
    assert {"canary-collector-token"} == {sent.get("x-collector-token") for sent in traced.collector.metadata}
    logs = "".join(path.read_text(errors="replace") for path in (traced.gateway.data_dir / "logs").iterdir())
    assert "canary" not in logs


def test_a_process_that_stops_sends_what_it_has(traced: Traced) -> None:
    trace_id, header = trace()
    with traced.gateway.http() as http:
        http.get("/v1/models", headers=header)
    assert traced.gateway.stop() == 0
    assert "ModelService/ListModels" in {span.name for span in traced.collector.of(trace_id)}


def test_nothing_of_it_is_loaded_where_nobody_asked() -> None:
    program = (
        "import sys, mediagate.app, mediagate.services, mediagate.composition, mediagate.jobs.tasks\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"
