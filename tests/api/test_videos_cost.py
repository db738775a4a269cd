"""What a video costs: asked before, held while it is made, settled with its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import httpx
import pytest

from mediagate._gen.mediagate.v1 import videos_pb2
from tests.api.priced_kit import PRICED, config_of, job_of, made
from tests.api.videos_kit import (
    Json,
    create,
    data_url,
    finished,
    mp4,
    png,
    reached,
    stub,
    watch_grpc,
    watch_sse,
    wrong_field,
)
from tests.api.wire import eventually, field, file_part, post_form, sql
from tests.conftest import Gateway
from tests.contract.video_bench import Said
from tests.doubles.openai_videos import Flavour, OpenAIVideosApi


@pytest.fixture(scope="module")
def api() -> Iterator[OpenAIVideosApi]:
    with OpenAIVideosApi(Flavour.GATEWAY).running() as running:
        yield running


@pytest.fixture(scope="module")
def studio(api: OpenAIVideosApi, own_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway with the account."""
    return own_gateway(config_of(api))


@pytest.fixture
def paid(studio: Gateway) -> Iterator[httpx.Client]:
    with studio.http() as http:
        yield http


def money(http: httpx.Client, video: Json) -> list[tuple[str, float, str]]:
    """The lines of a finished video's money."""
    lines = [
        event.data["cost"] for event in watch_sse(http, video["id"], params={"after_seq": 0}) if event.type == "cost"
    ]
    assert all(set(line) == {"kind", "usd", "reason"} for line in lines)
    return [(line["kind"], line["usd"], line["reason"]) for line in lines]


class TestEstimate:
    def test_it_says_the_price_and_makes_nothing(self, paid: httpx.Client, api: OpenAIVideosApi) -> None:
        asked = len(api.asked)
        before = paid.get("/v1/videos").json()["data"]
        answer = paid.post("/v1/videos/estimate", json={**PRICED, "prompt": "a boat"})
        assert answer.status_code == 200
        assert answer.json() == {
            "object": "video.estimate",
            "model": "priced",
            "provider": "openai_compatible",
            "size": "1280x720",
            "seconds": "2",
            "audio": False,
            "cost_usd": 0.8,
            "usd_per_second": 0.4,
            "price_source": "config",
            "waiting": 0,
        }
        assert len(api.asked) == asked
        assert paid.get("/v1/videos").json()["data"] == before

    def test_a_size_has_its_own_price_and_an_image_too(self, paid: httpx.Client, studio: Gateway) -> None:
        large = paid.post("/v1/videos/estimate", json={**PRICED, "size": "1920x1080", "prompt": "a boat"}).json()
        assert (large["cost_usd"], large["usd_per_second"]) == (1.2, 0.6)
        image = {"image_url": data_url(png())}
        with_image = paid.post("/v1/videos/estimate", json={**PRICED, "prompt": "a boat", "input_reference": image})
        assert with_image.json()["cost_usd"] == 0.81
        parts = [field(name, value) for name, value in (*PRICED.items(), ("prompt", "a boat"))]
        image_part = file_part(png(), "a.png", "input_reference", "image/png")
        by_form = post_form(paid, *parts, image_part, path="/v1/videos/estimate")
        assert by_form.json() == with_image.json()
        kept = "SELECT id FROM file WHERE internal AND state NOT IN ('deleting', 'deleted', 'discarded')"
        eventually(lambda: not sql(studio, kept), "no image is kept")

    def test_without_a_price_it_is_null(self, paid: httpx.Client) -> None:
        answer = paid.post("/v1/videos/estimate", json={"model": "unpriced", "prompt": "a boat"}).json()
        assert answer["cost_usd"] is None
        assert {"usd_per_second", "price_source", "price_date"}.isdisjoint(answer)

    def test_the_list_of_the_package_says_its_day(self, paid: httpx.Client) -> None:
        answer = paid.post("/v1/videos/estimate", json={"model": "local-video", "prompt": "a boat"}).json()
        assert (answer["cost_usd"], answer["usd_per_second"], answer["price_source"]) == (0, 0, "table")
        assert len(answer["price_date"]) == 10

    def test_a_generated_client_asks_too(self, studio: Gateway) -> None:
        request = videos_pb2.CreateVideoRequest(prompt="a boat", **PRICED)
        with studio.channel() as channel:
            answer = stub(studio, channel).EstimateVideo(request, metadata=studio.metadata, timeout=60)
        assert (answer.cost_usd.number_value, answer.usd_per_second, answer.price_source) == (0.8, 0.4, "config")
        assert not answer.HasField("eta")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"prompt": ""},
            {"prompt": " "},
            {"model": "none"},
            {"model": "local-video", "size": "1x1"},
            {"model": "local-video", "size": "320x180", "seconds": "3"},
            {"seconds": "four"},
            {"size": "wide"},
            {"size": "320x180", "resolution": "720p"},
            {"input_reference": {"file_id": "file-01jd0000000000000000000000"}},
            {"input_reference": {"image_url": "data:text/plain;base64,AAAA"}},
            {"input_reference": "x"},
            {"generate_audio": "maybe"},
            {"max_cost": -1},
            {"max_cost": 0.79},
            {"start_timeout": "soon"},
        ],
    )
    def test_it_refuses_what_a_creation_refuses(self, paid: httpx.Client, wrong: Json) -> None:
        body = {**PRICED, "prompt": "a boat", **wrong}
        answers = [paid.post(path, json=body) for path in ("/v1/videos/estimate", "/v1/videos")]
        assert [answer.status_code // 100 for answer in answers] == [4, 4]
        assert answers[0].json() == answers[1].json()

    def test_it_needs_a_key(self, studio: Gateway) -> None:
        assert httpx.post(f"{studio.url}/v1/videos/estimate", json=PRICED).status_code == 401

    def test_models_have_their_prices(self, paid: httpx.Client) -> None:
        models = {model["id"]: model.get("usd_per_second") for model in paid.get("/v1/videos/models").json()["data"]}
        assert models == {"local-video": 0, "sora-2": 0, "team/a:video": 0, "priced": 0.4, "unpriced": None}


@pytest.fixture(scope="module")
def source(studio: Gateway, api: OpenAIVideosApi) -> Json:
    """A finished video of two seconds."""
    with studio.http() as http:
        return made(http, api, "a source", mp4(2.0, 1280, 720))


class TestMaxCost:
    @pytest.mark.parametrize(
        "path", ["/v1/videos", "/v1/videos/SOURCE/remix", "/v1/videos/edits", "/v1/videos/extensions"]
    )
    def test_more_than_the_most_is_refused_before_anybody_is_asked(
        self, paid: httpx.Client, api: OpenAIVideosApi, source: Json, path: str
    ) -> None:
        asked = len(api.asked)
        body: Json = {"prompt": "dear", "max_cost": 0.79}
        if path == "/v1/videos":
            body |= PRICED
        elif "SOURCE" not in path:
            body |= {"video": {"id": source["id"]}, **({"seconds": "2"} if "extensions" in path else {})}
        answer = paid.post(path.replace("SOURCE", source["id"]), json=body)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "max_cost_exceeded", "max_cost")
        assert "0.8 US dollars" in error["message"]
        assert not [found for found in api.asked[asked:] if found.method == "POST"]

    def test_as_much_as_the_most_is_taken(self, paid: httpx.Client, api: OpenAIVideosApi) -> None:
        video = made(paid, api, "at the most", mp4(2.0, 1280, 720), max_cost=0.8)
        assert video["usage"]["cost_usd"] == 0.8

    def test_a_form_says_it_as_text(self, paid: httpx.Client) -> None:
        fields = [*PRICED.items(), ("prompt", "dear"), ("max_cost", "0.5")]
        answer = post_form(paid, *(field(name, value) for name, value in fields), path="/v1/videos")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "max_cost_exceeded")

    def test_a_generated_client_learns_the_field(self, studio: Gateway) -> None:
        request = videos_pb2.CreateVideoRequest(prompt="dear", max_cost=0.1, **PRICED)
        with studio.channel() as channel, pytest.raises(grpc.RpcError) as refused:
            stub(studio, channel).CreateVideo(request, metadata=studio.metadata, timeout=60)
        assert wrong_field(refused.value) == "max_cost"

    def test_what_has_no_price_cannot_be_bounded(self, paid: httpx.Client, api: OpenAIVideosApi) -> None:
        answer = paid.post("/v1/videos", json={"model": "unpriced", "prompt": "unknown", "max_cost": 1000})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["param"]) == (400, "price_unknown", "max_cost")
        assert "output_cost_per_second" in error["message"]


class TestSettling:
    def test_it_is_held_while_it_runs(self, paid: httpx.Client, api: OpenAIVideosApi) -> None:
        asked = create(paid, "held", **PRICED)
        assert asked["mediagate"]["cost"] == {"estimate_usd": 0.8, "held_usd": 0.8, "charged_usd": 0}
        assert "usage" not in asked
        api.say(job_of(api, "held"), Said.RENDERING)
        assert reached(paid, asked, "rendering")["mediagate"]["cost"]["held_usd"] == 0.8
        api.say(job_of(api, "held"), Said.FAILED)
        finished(paid, asked)

    def test_the_seconds_and_the_size_in_the_file_are_paid_for(self, paid: httpx.Client, api: OpenAIVideosApi) -> None:
        video = made(paid, api, "shorter", mp4(1.5, 1280, 720))
        assert video["usage"] == {"duration_seconds": 1.5, "cost_usd": 0.6}
        assert video["mediagate"]["cost"] == {
            "estimate_usd": 0.8,
            "held_usd": 0,
            "charged_usd": 0.6,
            "source": "config",
        }
        assert money(paid, video) == [
            ("estimate", 0.8, "config_price"),
            ("held", 0.8, "created"),
            ("charged", 0.6, "measured_seconds"),
            ("released", 0.2, "below_estimate"),
        ]
        assert made(paid, api, "larger", mp4(2.0, 1920, 1080))["usage"]["cost_usd"] == 1.2

    def test_both_watches_tell_the_same_lines(self, studio: Gateway, paid: httpx.Client, api: OpenAIVideosApi) -> None:
        video = made(paid, api, "told twice", mp4(2.0, 1280, 720))
        events = [event.cost for event in watch_grpc(studio, video["id"], after_seq=0) if event.type == "cost"]
        assert [(line.kind, line.usd, line.reason) for line in events] == money(paid, video)

    def test_a_failure_costs_nothing(self, paid: httpx.Client, api: OpenAIVideosApi) -> None:
        asked = create(paid, "fails", **PRICED)
        api.say(job_of(api, "fails"), Said.FAILED)
        video = finished(paid, asked)
        assert video["mediagate"]["cost"] == {"estimate_usd": 0.8, "held_usd": 0, "charged_usd": 0}
        assert video["mediagate"]["failure"]["charged"] is False
        assert "usage" not in video
        assert money(paid, video)[2:] == [("released", 0.8, "not_charged")]

    def test_a_cancel_says_what_it_cost(self, paid: httpx.Client, api: OpenAIVideosApi) -> None:
        asked = create(paid, "stops", **PRICED)
        api.say(job_of(api, "stops"), Said.RENDERING)
        reached(paid, asked, "rendering")
        paid.post(f"/v1/videos/{asked['id']}/cancel")
        video = finished(paid, asked)
        assert video["mediagate"]["cancellation"] == {"stopped": "provider", "charged": False, "cost_usd": 0}
        assert video["mediagate"]["cost"]["held_usd"] == 0

    def test_what_is_never_heard_of_again_keeps_its_money_held(
        self, studio: Gateway, paid: httpx.Client, api: OpenAIVideosApi
    ) -> None:
        asked = create(paid, "lost", **PRICED)
        job = job_of(api, "lost")
        api.say(job, Said.RENDERING)
        reached(paid, asked, "rendering")
        del api.jobs[job]
        assert reached(paid, asked, "fate_unknown")["mediagate"]["cost"]["held_usd"] == 0.8
        sql(studio, "UPDATE video SET deadline_at = now() WHERE id = %s", asked["id"])
        video = finished(paid, asked)
        assert video["error"]["code"] == "provider_unreachable"
        assert video["mediagate"]["cost"] == {"estimate_usd": 0.8, "held_usd": 0.8, "charged_usd": 0}
        assert money(paid, video)[2:] == []

    def test_what_is_free_has_no_lines(self, paid: httpx.Client) -> None:
        video = finished(paid, create(paid))
        assert (video["usage"]["cost_usd"], video["mediagate"]["cost"]["source"]) == (0, "table")
        assert money(paid, video) == []
