"""What tests of money share: an account at a server of OpenAI's shape, one model with a price and one without."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.videos_kit import Json, create, finished
from tests.api.wire import eventually
from tests.conftest import TEST_CONFIG
from tests.contract.video_bench import Said
from tests.doubles.openai_videos import OpenAIVideosApi

PRICED: Json = {"model": "priced", "size": "1280x720", "seconds": "2"}
RATES: Json = {"output_cost_per_second": 0.4, "output_cost_per_second_1080p": 0.6, "input_cost_per_image": 0.01}


def config_of(api: OpenAIVideosApi) -> Json:
    """A server of OpenAI's shape as account `studio`, which makes two models."""
    params = {"api_base": f"{api.url}/v1", "api_key": api.key, "account": "studio"}
    models = [
        {
            "model_name": name,
            "litellm_params": {"model": f"openai_compatible/{name}", **params},
            "model_info": {"mode": "video_generation", **rates},
        }
        for name, rates in (("priced", RATES), ("unpriced", {}))
    ]
    return {**TEST_CONFIG, "model_list": [*TEST_CONFIG["model_list"], *models]}


def job_of(api: OpenAIVideosApi, prompt: str) -> str:
    """The double's job for a prompt, once it has it."""
    eventually(lambda: any(job.tree["prompt"] == prompt for job in api.jobs.values()), "the double has the job")
    return next(job.id for job in api.jobs.values() if job.tree["prompt"] == prompt)


def made(http: httpx.Client, api: OpenAIVideosApi, prompt: str, video: bytes, **fields: Any) -> Json:
    """A video of `priced` that is over; the double delivers `video`."""
    asked = create(http, prompt, **{**PRICED, **fields})
    api.say(job_of(api, prompt), Said.SUCCEEDED, video=video)
    return finished(http, asked)
