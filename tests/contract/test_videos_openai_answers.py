"""What is made of the answers of servers of OpenAI's shape."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mediagate.core.errors import InvalidField, ProviderFailed, Unsupported
from mediagate.providers.account import Account
from mediagate.providers.base import FateUnknown, JobState, VideoVariant
from mediagate.providers.openai.video_wire import PHASES, STATES, status_of
from mediagate.providers.registry import build_videos
from mediagate.routing.catalog import Deployment, ModelCatalog
from tests.doubles.faulty import answer, faulty_server

RECORD = {"id": "video_1", "object": "video", "status": "in_progress", "progress": 37, "error": None}


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, {"state": JobState.RENDERING, "progress_percent": 37.0}),
        ({"progress": None}, {"state": JobState.RENDERING}),
        ({"progress": True}, {"state": JobState.RENDERING}),
        ({"progress": float("nan")}, {"state": JobState.RENDERING}),
        ({"progress": 180}, {"state": JobState.RENDERING, "progress_percent": 100.0}),
        ({"progress": -4}, {"state": JobState.RENDERING}),
        ({"mediagate": {"progress_source": "estimated"}}, {"state": JobState.RENDERING}),
        ({"mediagate": {"progress_source": "reported"}}, {"state": JobState.RENDERING, "progress_percent": 37.0}),
        (
            {"mediagate": {"progress_source": "reported", "phase": "archiving"}},
            {"state": JobState.FINALIZING, "progress_percent": 37.0},
        ),
        ({"status": "queued", "mediagate": {"position": 3}}, {"state": JobState.QUEUED, "position": 3}),
        ({"status": "queued", "mediagate": {"position": "3"}}, {"state": JobState.QUEUED}),
        ({"status": "completed", "usage": {"cost_usd": 0.4}}, {"state": JobState.SUCCEEDED, "cost_usd": 0.4}),
        ({"status": "completed", "usage": {"cost_usd": "0.4"}}, {"state": JobState.SUCCEEDED}),
        ({"status": "failed", "mediagate": {"phase": "cancelled"}}, {"state": JobState.CANCELLED}),
    ],
)
def test_a_record_as_a_status(members: dict[str, Any], expected: dict[str, Any]) -> None:
    status = status_of({**RECORD, **members})
    told = {field.name: getattr(status, field.name) for field in dataclasses.fields(status)}
    assert {name: value for name, value in told.items() if value is not None} == expected


@pytest.mark.parametrize("members", [{"status": "zz"}, {"status": ""}, {"mediagate": {"phase": "fate_unknown"}}])
def test_words_that_are_no_verdict(members: dict[str, Any]) -> None:
    with pytest.raises(FateUnknown):
        status_of({**RECORD, **members})


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"error": {"code": "moderation_blocked"}}, ("output", "content_policy_violation", False, False, None)),
        ({"error": {"code": "input_moderation"}}, ("input", "content_policy_violation", False, False, None)),
        ({"error": {"code": 400, "message": "bad"}}, ("input", "provider_rejected_request", False, False, None)),
        ({"error": {"code": "invalid_value"}}, ("input", "provider_rejected_request", False, False, None)),
        ({"error": {"code": 500, "message": "boom"}}, ("provider", "provider_failed", True, False, None)),
        ({"error": "boom"}, ("provider", "provider_failed", True, False, None)),
        ({"error": None}, ("provider", "provider_failed", True, False, None)),
        ({"error": []}, ("provider", "provider_failed", True, False, None)),
        (
            {
                "mediagate": {
                    "phase": "failed",
                    "failure": {
                        "stage": "input",
                        "code": "content_policy_violation",
                        "message": "No.",
                        "retryable": False,
                        "charged": True,
                        "field": "input_reference",
                    },
                }
            },
            ("input", "content_policy_violation", False, True, "input_reference"),
        ),
        (
            {"error": {"code": "x"}, "mediagate": {"failure": {"stage": "elsewhere", "code": "y"}}},
            ("provider", "provider_failed", True, False, None),
        ),
    ],
)
def test_why_a_job_failed(members: dict[str, Any], expected: tuple[Any, ...]) -> None:
    failure = status_of({**RECORD, "status": "failed", **members}).failure
    assert failure is not None
    assert failure.message
    assert (failure.stage, failure.code, failure.retryable, failure.charged, failure.field) == expected


@pytest.mark.parametrize(
    ("hint", "seconds"), [("1500", 1.5), ("1500.5", 1.5005), ("0", None), ("soon", None), ("1e9", 300.0), ("nan", None)]
)
async def test_the_hint_when_to_ask_again(hint: str, seconds: float | None) -> None:
    more = f"200 OK\r\nopenai-poll-after-ms: {hint}"
    async with faulty_server("500", {"GET /v1/videos/v": answer(dict(RECORD), status=more)}) as server:
        provider = build_videos(Account("c", "openai_compatible", api_base=f"{server.url}/v1"))
        assert (await provider.poll("v")).poll_after_s == seconds
        await provider.close()


def test_the_tables_have_openais_words() -> None:
    assert {"queued", "in_progress", "completed", "failed"} <= set(STATES)
    assert set(PHASES.values()) <= set(JobState)


@pytest.mark.parametrize(
    ("provider", "model", "day"),
    [
        ("openai", "sora-2", "2026-09-24"),
        ("openai", "sora-2-pro-2025-10-06", "2026-09-24"),
        ("azure", "sora-2", "2026-11-02"),
        ("azure", "sora", "2026-11-02"),
    ],
)
def test_a_model_that_is_gone_is_refused_with_its_day(provider: str, model: str, day: str) -> None:
    info = {"mode": "video_generation"}
    catalog = ModelCatalog([Deployment("d", "old", provider, model, info=info)], {})
    with pytest.raises(InvalidField, match=day) as refused:
        catalog.video("old")
    assert refused.value.code == "model_shut_down"


@pytest.mark.parametrize("provider", ["openai", "azure", "openai_compatible", "openrouter"])
def test_a_model_of_another_name_makes_videos_where_its_entry_says_so(provider: str) -> None:
    said = Deployment("a", "next", provider, "next-video", info={"mode": "video_generation", "seconds": [3]})
    unsaid = Deployment("b", "chat", provider, "next-chat")
    catalog = ModelCatalog([said, unsaid], {})
    assert [(found.model_name, model.seconds) for found, model in catalog.video_deployments()] == [("next", (3,))]
    with pytest.raises(Unsupported):
        catalog.video("chat")


@pytest.mark.parametrize(
    "account",
    [
        Account("o", "openai"),
        Account("a", "azure", api_key="k"),
        Account("a", "azure", api_base="https://x"),
        Account("c", "openai_compatible"),
        Account("c", "openai_compatible", api_base="http://x", options={"idempotent_submit": "perhaps"}),
    ],
)
def test_an_account_that_lacks_something(account: Account) -> None:
    with pytest.raises(ValueError, match=r"is missing|must be"):
        build_videos(account)


async def test_a_page_is_no_video() -> None:
    page = answer(b"<html>sign in</html>", content_type="text/html")
    async with faulty_server("500", {"GET /v1/videos/v/content": page}) as server:
        provider = build_videos(Account("c", "openai_compatible", api_base=f"{server.url}/v1"))
        with pytest.raises(ProviderFailed):
            await provider.open("v", VideoVariant.VIDEO)
        await provider.close()
