"""A gateway with accounts at every provider: S3 by moto, GCS by its emulator, the others by doubles of their APIs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import httpx
import openai
import pytest
from botocore.config import Config

from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.contract.conftest import gcs_url, moto_url
from tests.doubles.anthropic import AnthropicApi
from tests.doubles.gcs import BUCKET as GCS_BUCKET
from tests.doubles.gemini import GeminiApi
from tests.doubles.mistral import MistralApi
from tests.doubles.openai_files import KEY, OpenAIFilesServer, openai_files
from tests.doubles.xai import XaiApi
from tests.together import shared

if TYPE_CHECKING:
    from tests.clouds.batch_kit import Desk
    from tests.clouds.studio import Studio

__all__ = ["gcs_url", "moto_url"]
S3_BUCKET = "mediagate-test"
SOURCES = "mediagate-sources"
CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "aws_region_name": "us-east-1"}


@dataclass
class Clouds:
    """Where every provider of the gateway under test really is."""

    gateway: Gateway
    s3: Any
    moto_url: str
    gcs_url: str
    openai: OpenAIFilesServer
    second_openai: OpenAIFilesServer
    gemini: GeminiApi
    anthropic: AnthropicApi
    mistral: MistralApi
    xai: XaiApi

    def s3_keys(self, prefix: str = "mediagate/") -> list[str]:
        """Names of the objects in the gateway's bucket."""
        found = self.s3.list_objects_v2(Bucket=S3_BUCKET, Prefix=prefix).get("Contents", [])
        return [item["Key"] for item in found]

    def gcs_keys(self, prefix: str = "mediagate/") -> list[str]:
        """The same for GCS."""
        reply = httpx.get(f"{self.gcs_url}/storage/v1/b/{GCS_BUCKET}/o", params={"prefix": prefix})
        return [item["name"] for item in reply.json().get("items", [])]

    def gcs_bytes(self, name: str) -> bytes:
        """One object of GCS."""
        path = f"/storage/v1/b/{GCS_BUCKET}/o/{quote(name, safe='')}"
        return httpx.get(f"{self.gcs_url}{path}?alt=media").content


def config_of(clouds: dict[str, Any]) -> dict[str, Any]:
    """A configuration in the peer's shape."""
    recorder, gemini = clouds["openai"], clouds["gemini"]
    return {
        **TEST_CONFIG,
        "model_list": [
            *TEST_CONFIG["model_list"],
            {
                "model_name": "gpt",
                "litellm_params": {"model": "gpt-5", "api_base": f"{recorder.url}/v1", "api_key": KEY},
            },
            {
                "model_name": "gpt",
                "litellm_params": {
                    "model": "openai/gpt-5",
                    "api_base": f"{clouds['second_openai'].url}/v1",
                    "api_key": KEY,
                    "account": "openai-second",
                },
            },
            {
                "model_name": "gemini-flash",
                "litellm_params": {"model": "gemini/gemini-flash", "api_base": gemini.url, "api_key": gemini.key},
            },
            {"model_name": "vertex_ai/*", "litellm_params": {"model": "vertex_ai/*"}},
            {"model_name": "bedrock/*", "litellm_params": {"model": "bedrock/*"}},
        ],
        "files_settings": [
            {"custom_llm_provider": "openai", "api_base": f"{recorder.url}/v1", "api_key": KEY},
            {
                "custom_llm_provider": "bedrock",
                "bucket_name": S3_BUCKET,
                "s3_endpoint_url": clouds["moto_url"],
                "timeout": 5,
                **CREDENTIALS,
            },
            {
                "custom_llm_provider": "vertex_ai",
                "bucket_name": GCS_BUCKET,
                "api_base": clouds["gcs_url"],
                "timeout": 5,
            },
            {"custom_llm_provider": "gemini", "api_base": gemini.url, "api_key": gemini.key},
            *(
                {
                    "custom_llm_provider": name,
                    "api_base": clouds[name].url,
                    "api_key": clouds[name].key,
                }
                for name in ("anthropic", "mistral", "xai")
            ),
            {
                "custom_llm_provider": "azure",
                "api_base": recorder.url,
                "api_key": KEY,
                "api_version": "2024-10-21",
            },
            {"custom_llm_provider": "openai_compatible", "api_base": f"{recorder.url}/v1", "api_key": KEY},
        ],
        "copies": {"sources": [f"s3://{SOURCES}/", f"gs://{GCS_BUCKET}/shared/"]},
        "net": {"allowed_hosts": [clouds["moto_url"].removeprefix("http://")], "allow_http": True},
    }


@pytest.fixture(scope="module")
def clouds(moto_url: str, gcs_url: str) -> Clouds:
    """One gateway and all that it is connected to."""
    return shared.of("clouds", lambda: _clouds(moto_url, gcs_url))


@contextmanager
def _clouds(moto_url: str, gcs_url: str) -> Iterator[Clouds]:
    with ExitStack() as stack:
        parts: dict[str, Any] = {
            "moto_url": moto_url,
            "gcs_url": gcs_url,
            "openai": stack.enter_context(openai_files()),
            "second_openai": stack.enter_context(openai_files()),
            "gemini": stack.enter_context(GeminiApi().running()),
            "anthropic": stack.enter_context(AnthropicApi().running()),
            "mistral": stack.enter_context(MistralApi().running()),
            "xai": stack.enter_context(XaiApi().running()),
        }
        client = boto3.client(
            "s3",
            endpoint_url=moto_url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}),
        )
        stack.callback(client.close)
        made = Clouds(gateway=None, s3=client, **parts)  # type: ignore[arg-type]
        for bucket in (S3_BUCKET, SOURCES):
            made.s3.create_bucket(Bucket=bucket)
        folder = stack.enter_context(data_folder())
        made.gateway = stack.enter_context(start_gateway(folder, config_of(parts)))
        yield made


@pytest.fixture(scope="module")
def studios(moto_url: str, gcs_url: str) -> Callable[[str], Studio]:
    """A gateway for each archive of videos, made when it is first wanted."""
    from tests.clouds.studio import studio_with

    def of(archive: str) -> Studio:
        return shared.of(f"videos in {archive}", lambda: studio_with(archive, moto_url, gcs_url))

    return of


@pytest.fixture(scope="module")
def batch_desk() -> Desk:
    """A gateway with accounts that work on batches, for the files that share it."""
    from tests.api.webhooks_kit import RECEIVER_PORT
    from tests.clouds.batch_kit import desk

    return shared.of("batches", lambda: desk(net={"allow_http": True, "allowed_hosts": [f"127.0.0.1:{RECEIVER_PORT}"]}))


@pytest.fixture
def http(clouds: Clouds) -> Iterator[httpx.Client]:
    """A plain HTTP client with the master key."""
    with clouds.gateway.http() as client:
        yield client


@pytest.fixture
def sdk(clouds: Clouds) -> Iterator[Callable[..., openai.OpenAI]]:
    """Makes official clients, and closes them."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(clouds.gateway.openai(**options))
