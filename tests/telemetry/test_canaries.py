"""Secrets and what people send are planted everywhere; none of it is in a log, a metric or somebody's error."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import httpx
import pytest

from mediagate._gen.mediagate.v1 import files_pb2, files_pb2_grpc, videos_pb2, videos_pb2_grpc
from tests.api.access_kit import issue_key
from tests.api.wire import FORM_TYPE, connected, exchange, field, file_part, form, request_head
from tests.conftest import MASTER_KEY, TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.telemetry.provider import indiscreet_provider

# Secrets: nobody may see these.
ENV_KEY = "canary-env-key-4f1d8a"
CONFIG_KEY = "canary-config-key-77ab01"
SINK_KEY = "canary-sink-key-90cc12"
PROVIDER_SAID = "canary-provider-said-33de"
WRONG_KEY = "sk-canary-wrong-key-18ac55"
# What callers send: their own answers may quote it, logs may not.
QUERY = "canary-query-token-5e2b"
PROMPT = "canary prompt of a person 8d11"
FILENAME = "canary-file-name-c0ffee"
HEADER = "canary-header-value-d00d"
LINK = "canary-signed-link-beef"
BASIC = "canary-basic-password-01"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    """One with every secret in place, whose provider cannot keep any."""
    with pytest.MonkeyPatch.context() as patch, data_folder() as folder, indiscreet_provider(PROVIDER_SAID) as url:
        patch.setenv("OPENAI_API_KEY", ENV_KEY)
        patch.setenv("XAI_API_KEY", f"{ENV_KEY}-2")
        config = {
            **TEST_CONFIG,
            "model_list": [
                *TEST_CONFIG["model_list"],
                {
                    "model_name": "studio",
                    "litellm_params": {
                        "model": "openai_compatible/studio",
                        "api_base": url,
                        "api_key": CONFIG_KEY,
                        "timeout": 2,
                    },
                    "model_info": {"mode": "video_generation"},
                },
            ],
            "files_settings": [{"custom_llm_provider": "openai", "api_base": url, "timeout": 2}],
            "telemetry": {
                "level": "debug",
                "request_log": {"url": f"{url}/lines?key={SINK_KEY}", "headers": {"x-key": SINK_KEY}, "wait_s": 0.1},
            },
        }
        with start_gateway(folder, config) as running:
            yield running


def calls(gateway: Gateway, key: str) -> Iterator[httpx.Request]:
    """A few hundred requests, most of which fail."""
    ask = httpx.Client(base_url=gateway.url).build_request
    good = {"authorization": f"Bearer {key}"}
    odd = {**good, "x-custom": HEADER, "user-agent": HEADER, "cookie": f"session={HEADER}", "idempotency-key": HEADER}
    query = f"?token={QUERY}&api_key={QUERY}&X-Amz-Signature={QUERY}"
    wrong: list[dict[str, str]] = [
        {"authorization": f"Bearer {WRONG_KEY}"},
        {"authorization": f"Basic {WRONG_KEY}"},
        {"authorization": WRONG_KEY},
        {"api-key": WRONG_KEY},
        {},
    ]
    paths = ["/v1/files", "/files", "/v1/models", "/v1/videos", "/readyz", "/metrics", "/v1/nothing", "/openai/files"]
    for path, headers in itertools.product(paths, [*wrong, odd]):
        yield ask("GET", path + query, headers=headers)
        yield ask("PATCH", path + query, headers=headers)
    for provider in (None, "openai", "local", "nobody"):
        for _ in range(12):
            parts = [field("purpose", "user_data")]
            parts += [field("custom_llm_provider", provider)] if provider else []
            body = form(*parts, file_part(PROMPT.encode(), FILENAME))
            yield ask("POST", f"/v1/files{query}", content=body, headers={**good, "content-type": FORM_TYPE})
            yield ask("GET", f"/v1/files{query}&custom_llm_provider={provider or ''}", headers=odd)
            yield ask("GET", f"/v1/files/file-{'x' * 20}/content{query}&custom_llm_provider=openai", headers=good)
    videos = [
        {"model": "studio", "prompt": PROMPT},
        {"model": "local-video", "prompt": PROMPT, "size": "320x180", "seconds": "1"},
        {"model": PROMPT, "prompt": PROMPT},
        {"model": "studio", "prompt": f"{PROMPT}\0"},
        {"model": "studio", "prompt": PROMPT, "seconds": PROMPT, "user": PROMPT},
        {"model": "studio", "prompt": [PROMPT]},
        {"model": "studio", "prompt": PROMPT, "input_reference": {"image_url": f"https://127.0.0.1/x?sig={LINK}"}},
        {"model": "studio", "prompt": PROMPT, "input_reference": {"image_url": f"data:image/png;base64,{LINK}"}},
    ]
    for number, video in itertools.product(range(4), videos):
        yield ask("POST", f"/v1/videos{query}", json=video, headers={**odd, "idempotency-key": f"{HEADER}-{number}"})
    yield ask(
        "POST", "/v1/videos", content=f'{{"prompt": "{PROMPT}', headers={**good, "content-type": "application/json"}
    )
    for source in (f"https://nowhere.invalid/a?sig={LINK}", f"https://u:{BASIC}@127.0.0.1/a", f"s3://bucket/{LINK}"):
        yield ask("POST", "/v1/files", json={"source": source, "purpose": "user_data"}, headers=good)
        yield ask("POST", "/v1/webhook_endpoints", json={"name": PROMPT, "url": source}, headers=good)
    for number in range(5):
        yield ask("POST", f"/v1/videos/video_{number}/callback/{QUERY}", json={"prompt": PROMPT})


def told_to(gateway: Gateway, key: str) -> list[str]:
    """Send all of it; what the failures said."""
    with httpx.Client(timeout=120) as client, ThreadPoolExecutor(8) as threads:
        replies = threads.map(client.send, calls(gateway, key))
        said = [reply.text + str(reply.headers) for reply in replies if reply.status_code >= 400]
    # Not UTF-8, and cut off in the middle.
    exchange(gateway, request_head(gateway, "GET", "/v1/models", [("x-odd", f"\xff{HEADER}")]))
    with connected(gateway) as connection:
        connection.sendall(request_head(gateway, "POST", f"/v1/files?x={QUERY}", [("content-type", FORM_TYPE)]))
    return said


def natively(gateway: Gateway) -> list[str]:
    """The same by gRPC."""
    ours, wrong = (*gateway.metadata, ("x-custom", HEADER)), (("authorization", f"Bearer {WRONG_KEY}"),)
    said = []
    with gateway.channel() as channel:
        files, videos = files_pb2_grpc.FileServiceStub(channel), videos_pb2_grpc.VideoServiceStub(channel)
        for method, request, metadata in (
            (files.GetFile, files_pb2.GetFileRequest(file_id=FILENAME), ours),
            (files.ListFiles, files_pb2.ListFilesRequest(), wrong),
            (videos.CreateVideo, videos_pb2.CreateVideoRequest(model=PROMPT, prompt=PROMPT), ours),
            (videos.CreateVideo, videos_pb2.CreateVideoRequest(model="studio", prompt=f"{PROMPT}\0"), ours),
        ):
            try:
                method(request, metadata=metadata)
            except grpc.RpcError as error:
                said.append(str(error))
    assert len(said) == 4
    return said


def test_nothing_of_it_is_told(gateway: Gateway) -> None:
    virtual = issue_key(gateway, uses_providers=True)
    errors = told_to(gateway, virtual.key) + told_to(gateway, gateway.key) + natively(gateway)
    # With the database away, everything fails at its worst place.
    gateway.kill("postgres")
    errors += told_to(gateway, gateway.key)
    gateway.wait_ready()
    with gateway.http() as http:
        page = http.get("/metrics").text
    assert gateway.stop() == 0
    assert len(errors) > 300
    logs = {path.name: path.read_text(errors="replace") for path in (gateway.data_dir / "logs").iterdir()}
    assert {"api-0.log", "worker.log", "envoy.log", "postgres.log"} <= set(logs)
    assert logs["api-0.log"].count('"event":"request"') > 300
    terminal = gateway.data_dir.with_suffix(".out").read_text(errors="replace")
    # The key is shown once, to whoever started it.
    logs["the terminal"] = terminal.partition("Ctrl-C stops everything.")[2]
    secrets = [MASTER_KEY, virtual.key, ENV_KEY, CONFIG_KEY, SINK_KEY, PROVIDER_SAID, WRONG_KEY, BASIC]
    private = [QUERY, PROMPT, FILENAME, HEADER, LINK]
    found = [
        (name, canary, next(line for line in text.splitlines() if canary in line)[:300])
        for name, text in {**logs, "/metrics": page}.items()
        for canary in (*secrets, *private)
        if canary in text
    ]
    found += [("an error", canary, text[:300]) for text in errors for canary in secrets if canary in text]
    assert not found, "\n".join(map(str, found[:20]))
