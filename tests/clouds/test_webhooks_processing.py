"""Files that a provider works on are told of when it is done, once, however many providers there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import openai
import pytest

from tests.api.webhooks_kit import CONFIG, RECEIVER_PORT, Receiver, subscribe
from tests.conftest import Gateway
from tests.doubles.gemini import GeminiApi

TYPES = ("file.created", "file.processed", "file.failed")


@pytest.fixture(scope="module")
def gemini() -> Iterator[GeminiApi]:
    with GeminiApi().running() as api:
        yield api


@pytest.fixture(scope="module")
def hooks(own_gateway: Callable[..., Gateway], gemini: GeminiApi) -> Gateway:
    accounts = [
        {"custom_llm_provider": "gemini", "api_base": gemini.url, "api_key": gemini.key, "account": name}
        for name in ("gemini", "gemini-second")
    ]
    return own_gateway({**CONFIG, "files_settings": accounts})


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver(RECEIVER_PORT).serving() as running:
        yield running


@pytest.mark.parametrize("accounts", [pytest.param("gemini", marks=pytest.mark.soak), "gemini,gemini-second"])
@pytest.mark.parametrize(("fails", "end"), [(False, "file.processed"), (True, "file.failed")])
def test_what_a_provider_makes_of_a_file_is_told_once(
    hooks: Gateway, gemini: GeminiApi, receiver: Receiver, accounts: str, fails: bool, end: str
) -> None:
    gemini.processing, gemini.fails = 1, fails
    url = receiver.new_url()
    with hooks.openai() as sdk:
        endpoint = subscribe(sdk, url, *TYPES)
        file = upload_to(sdk, accounts)
        assert file.status == "uploaded"
        receiver.wait_for(url, 2, file.id, timeout_s=40)
        done = receiver.to(url, file.id)
        assert [one.event["type"] for one in sorted(done, key=lambda one: one.event["id"])] == ["file.created", end]
        assert sdk.files.retrieve(file.id).status == ("error" if fails else "processed")
        sdk.webhooks.delete(endpoint.id)


def upload_to(sdk: openai.OpenAI, accounts: str) -> openai.types.FileObject:
    """A new film at these accounts."""
    wish = {"custom_llm_provider": accounts}
    return sdk.files.create(file=("film.mp4", b"\x00" * 1000), purpose="user_data", extra_body=wish)
