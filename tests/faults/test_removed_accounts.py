"""An account that is taken out of the configuration goes on serving what it has, and nothing new goes to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.priced_kit import PRICED, config_of, job_of, made
from tests.api.videos_kit import create, finished, get, mp4, reached
from tests.api.wire import eventually
from tests.conftest import TEST_CONFIG, Gateway
from tests.contract.video_bench import Said
from tests.doubles.openai_files import KEY, openai_files
from tests.doubles.openai_videos import Flavour, OpenAIVideosApi

pytestmark = pytest.mark.soak
# What a tracker's back-off may take after a restart.
MOMENT_S = 90
LINES = b'{"custom_id": "1"}\n' * 1000


def test_its_videos_are_delivered_stopped_and_deleted(own_gateway: Callable[..., Gateway]) -> None:
    with OpenAIVideosApi(Flavour.GATEWAY).running() as api:
        before = own_gateway(config_of(api))
        with before.http() as http:
            done = made(http, api, "done before", mp4(1.0, 320, 180))
            running, stopped = create(http, "goes on", **PRICED), create(http, "is stopped", **PRICED)
            for video, prompt in ((running, "goes on"), (stopped, "is stopped")):
                api.say(job_of(api, prompt), Said.RENDERING)
                reached(http, video, "rendering")
        assert before.stop() == 0

        after = own_gateway(TEST_CONFIG, before.data_dir)
        with after.http() as http:
            models = {model["id"] for model in http.get("/v1/videos/models").json()["data"]}
            assert models.isdisjoint({"priced", "unpriced"})
            new = http.post("/v1/videos", json={**PRICED, "prompt": "new"})
            assert new.json()["error"]["code"] == "model_not_found"
            assert http.post(f"/v1/videos/{done['id']}/remix", json={"prompt": "again"}).status_code == 400
            assert http.get(f"/v1/videos/{done['id']}/content").content == mp4(1.0, 320, 180)

            assert get(http, running["id"])["mediagate"]["phase"] in ("rendering", "fate_unknown")
            api.say(job_of(api, "goes on"), Said.SUCCEEDED, video=mp4(1.5, 1280, 720))
            delivered = finished(http, running, MOMENT_S)
            assert delivered["status"] == "completed"
            # Its price was in the configuration and is gone with it, so the estimate is what counts.
            assert delivered["usage"]["cost_usd"] == 0.8
            assert http.get(f"/v1/videos/{running['id']}/content").content == mp4(1.5, 1280, 720)

            http.post(f"/v1/videos/{stopped['id']}/cancel")
            assert finished(http, stopped, MOMENT_S)["mediagate"]["cancellation"]["stopped"] == "provider"
            job = job_of(api, "done before")
            assert http.delete(f"/v1/videos/{done['id']}").status_code == 200
            eventually(lambda: job not in api.jobs, "the output is removed at the provider", MOMENT_S)
        assert after.stop() == 0


def test_its_files_are_read_and_deleted(own_gateway: Callable[..., Gateway]) -> None:
    with openai_files() as server:
        account: dict[str, Any] = {
            "custom_llm_provider": "openai",
            "api_base": f"{server.url}/v1",
            "api_key": KEY,
            "account": "library",
        }
        form: dict[str, Any] = {"purpose": "batch", "custom_llm_provider": "library"}
        upload: dict[str, Any] = {"file": ("lines.jsonl", LINES, "application/jsonl")}
        before = own_gateway({**TEST_CONFIG, "files_settings": [account]})
        with before.http() as http:
            file = http.post("/v1/files", data=form, files=upload).json()
        assert [replica["account"] for replica in file["replicas"]] == ["library"]
        assert before.stop() == 0

        after = own_gateway(TEST_CONFIG, before.data_dir)
        with after.http() as http:
            new = http.post("/v1/files", data=form, files=upload)
            assert new.json()["error"]["code"] == "unknown_provider"
            assert http.get(f"/v1/files/{file['id']}/content").content == LINES
            assert len(server.files) == 1
            assert http.delete(f"/v1/files/{file['id']}").json()["deleted"] is True
            eventually(lambda: not server.files, "the copy is removed at the provider", MOMENT_S)
        assert after.stop() == 0
