"""A finished video of 256 MiB that the edge fetches by a decision, against the same Envoy that only proxies the origin.

Two origins: the host of the provider, a server that does nothing but `sendfile`, and the archive in S3 (moto). What
the worker needs for the proof and the archive is measured on the way.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.content import compare, file_origin
from bench.harness import MIB, Gateway, PeakMemory, free_port, gateway, post_json, report, simple_get
from bench.s3 import BUCKET, client_of, config_of, moto
from tests.doubles.outputs import Outputs
from tests.doubles.xai_videos import XaiVideosApi
from tests.unit.media.clips import clip

PADDING = 256 * MIB
MODEL = "grok-imagine-video"
PATH = "/outputs/video.mp4"


class OnePlace(Outputs):
    """Every video is the same file."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.videos: dict[str, bytes] = {}

    @property
    def media_hosts(self) -> str:
        return f"127.0.0.1:{self.port}"

    def link(self, job: str) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"


def write_video(path: str) -> int:
    """A video with a box that players pass over, which makes it as large as a long one; its size."""
    with Path(path).open("wb") as file:
        file.write(clip(8, width=1280, height=720, sound=True))
        file.write((PADDING + 8).to_bytes(4, "big") + b"free")
        for _ in range(PADDING // MIB):
            file.write(bytes(MIB))
        return file.tell()


def finish(running: Gateway, api: XaiVideosApi) -> dict[str, Any]:
    """Ask for a video and let the provider be done: its id, how long proof and archive took, and what that cost."""
    known = set(api.bodies)
    fields = {"model": MODEL, "prompt": "a boat", "size": "1280x720", "seconds": "8"}
    video = post_json(running.port, "/v1/videos", fields)
    while not (new := set(api.bodies) - known):
        time.sleep(0.05)
    began = time.perf_counter()
    with PeakMemory(running.pids_of("mediagate.app worker")) as memory:
        api.states[new.pop()] = 200, {"status": "done", "video": {"url": "", "duration": 8}, "progress": 100}
        while True:
            status, body = simple_get(running.port, f"/v1/videos/{video['id']}?wait=10s")
            found = json.loads(body)
            assert status == 200, body
            if found["status"] in ("completed", "failed"):
                break
    assert found["status"] == "completed", found
    return {"id": video["id"], "finish_s": time.perf_counter() - began, "worker_growth_mib": memory.growth / MIB}


def settings(api: XaiVideosApi, s3: dict[str, Any] | None) -> dict[str, Any]:
    """A configuration with xAI, and with an archive in S3 where there is one."""
    params = {"model": f"xai/{MODEL}", "api_base": api.url, "api_key": api.key}
    params["media_hosts"] = api.outputs.media_hosts
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": params}],
        "videos": {"poll_interval_s": 0.2},
    }
    return config if s3 is None else {**s3, **config, "archive": {"store": "bedrock"}}


def main() -> None:
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        file = stack.enter_context(tempfile.NamedTemporaryFile())
        size = write_video(file.name)
        port = free_port()
        stack.enter_context(file_origin(port, file.name))
        api = stack.enter_context(XaiVideosApi(OnePlace(port)).running())
        with gateway(settings(api, None)) as running:
            made = finish(running, api)
            content = f"/v1/videos/{made['id']}/content"
            figures["provider"] = {**made, **compare(running, content, port, PATH, size)}
        url = stack.enter_context(moto())
        with gateway(settings(api, config_of(url))) as running:
            made = finish(running, api)
            client = client_of(url)
            key = next(
                item["Key"] for item in client.list_objects_v2(Bucket=BUCKET)["Contents"] if item["Size"] == size
            )
            signed = urlsplit(client.generate_presigned_url("get_object", {"Bucket": BUCKET, "Key": key}))
            origin_port = signed.port
            assert origin_port
            content, path = f"/v1/videos/{made['id']}/content", f"{signed.path}?{signed.query}"
            figures["archive"] = {**made, **compare(running, content, origin_port, path, size)}
    bars = {}
    for name, found in figures.items():
        print(name, {key: round(value, 1) for key, value in found["median"].items()}, found["envoy_cpu_s"])
        bars[f"{name}: 256 MiB against Envoy alone"] = (found["ratio"], ">=", 0.9)
        bars[f"{name}: first byte behind the origin's, ms"] = (found["first_byte_later_ms"], "<", 50)
        bars[f"{name}: growth of the server's peak memory, MiB"] = (found["growth_mib"], "<", 8)
        bars[f"{name}: growth of the worker's while it proves and keeps, MiB"] = (found["worker_growth_mib"], "<", 64)
    report("video_content", figures, bars)


if __name__ == "__main__":
    sys.exit(main())
