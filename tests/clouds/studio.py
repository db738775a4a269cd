"""A gateway whose videos are made by xAI's double, lie on another host, and are archived in a cloud or nowhere."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
import psycopg
from botocore.config import Config

from tests.api.videos_kit import Json, finished
from tests.clouds.conftest import CREDENTIALS
from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.doubles.gcs import BUCKET as GCS_BUCKET
from tests.doubles.origin import Origin, running_origin
from tests.doubles.outputs import Outputs
from tests.doubles.xai_videos import XaiVideosApi
from tests.unit.media.clips import clip, with_credentials

MODEL = "grok-imagine-video"
S3_BUCKET = "mediagate-studio"
VIDEO = with_credentials(clip(8, width=640, height=360, sound=True))
DIGEST = hashlib.sha256(VIDEO).hexdigest()


@dataclass
class Studio:
    """A gateway with an account at xAI, whose videos lie on another host."""

    gateway: Gateway
    api: XaiVideosApi
    host: Origin
    archive: str
    s3: Any
    gcs_url: str

    def begin(self, http: httpx.Client, **members: Any) -> tuple[Json, str]:
        """A video that was asked for, and the provider's job."""
        known = set(self.api.bodies)
        reply = http.post(
            "/v1/videos", json={"model": MODEL, "prompt": "a boat", "size": "1280x720", "seconds": "8", **members}
        )
        assert reply.status_code == 200, reply.text
        end = time.monotonic() + 20
        while not (new := set(self.api.bodies) - known):
            assert time.monotonic() < end
            time.sleep(0.02)
        return reply.json(), new.pop()

    def deliver(self, job: str, data: bytes = VIDEO) -> None:
        """The provider has made this."""
        self.api.outputs.videos[job] = data
        video = {"url": "", "duration": 8, "respect_moderation": True}
        usage = {"cost_in_usd_ticks": 3_500_000_000}
        self.api.states[job] = 200, {"status": "done", "video": video, "usage": usage, "progress": 100}

    def make(self, http: httpx.Client, data: bytes = VIDEO) -> tuple[Json, str]:
        """A finished video and its job."""
        video, job = self.begin(http)
        self.deliver(job, data)
        done = finished(http, video)
        assert done["status"] == "completed", done
        return done, job

    def downloads(self) -> int:
        """How often the provider's host was asked for bytes."""
        return len(self.host.asked)

    def fetched(self) -> int:
        """How many replies with content the edge has had from origins."""
        socket = self.gateway.data_dir / "run" / "envoy-admin.sock"
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket))) as admin:
            stats = admin.get("http://edge/stats", params={"filter": "^cluster.origins-https?.upstream_rq_2xx$"}).text
        return sum(int(line.rpartition(" ")[2]) for line in stats.splitlines())

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the database has."""
        with psycopg.connect(self.gateway.database_url) as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def stored(self) -> list[str]:
        """Names of all objects in the archive."""
        if self.archive == "bedrock":
            return [item["Key"] for item in self.s3.list_objects_v2(Bucket=S3_BUCKET).get("Contents", [])]
        reply = httpx.get(f"{self.gcs_url}/storage/v1/b/{GCS_BUCKET}/o", params={"prefix": "videos/"})
        return [item["name"] for item in reply.json().get("items", [])]

    def archived(self, video_id: str) -> str:
        """The file that is our copy."""
        return str(self.rows("SELECT archive_file_id FROM video WHERE id = %s", video_id)[0][0])


@contextmanager
def studio_with(archive: str, moto_url: str, gcs_url: str) -> Iterator[Studio]:
    """A gateway that archives there."""
    with ExitStack() as stack:
        host = stack.enter_context(running_origin())
        api = stack.enter_context(XaiVideosApi(Outputs(host)).running())
        s3 = boto3.client(
            "s3",
            endpoint_url=moto_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        stack.callback(s3.close)
        s3.create_bucket(Bucket=S3_BUCKET)
        params = {"model": f"xai/{MODEL}", "api_base": api.url, "api_key": api.key}
        params["media_hosts"] = api.outputs.media_hosts
        stores = {
            "bedrock": {"bucket_name": S3_BUCKET, "s3_endpoint_url": moto_url, **CREDENTIALS},
            "vertex_ai": {"bucket_name": GCS_BUCKET, "api_base": gcs_url, "prefix": "videos"},
        }
        config: dict[str, Any] = {
            **TEST_CONFIG,
            "model_list": [*TEST_CONFIG["model_list"], {"model_name": MODEL, "litellm_params": params}],
            "files_settings": [
                {"custom_llm_provider": name, "timeout": 5, **members} for name, members in stores.items()
            ],
        }
        if archive != "none":
            config["archive"] = {"store": archive, "expires_after_days": 2}
        running = stack.enter_context(start_gateway(stack.enter_context(data_folder()), config))
        yield Studio(running, api, host, archive, s3, gcs_url)
