"""Models and providers that a key may use, and those that it may not."""

from __future__ import annotations

from collections.abc import Callable

import openai
import pytest

from mediagate.core.access import Policy
from tests.api.access_kit import add_holder, issue_key
from tests.conftest import Gateway

LOCAL = {"model": "local/local-video"}
CONFIG = {
    "model_list": [
        {"model_name": "studio", "litellm_params": LOCAL},
        {"model_name": "studio-large", "litellm_params": LOCAL},
        {"model_name": "gpt", "litellm_params": {"model": "openai/gpt-5", "api_key": "sk-none"}},
    ],
    "files_settings": [
        {"custom_llm_provider": "openai", "api_key": "sk-none", "api_base": "http://127.0.0.1:9/v1"},
    ],
}


@pytest.fixture(scope="module")
def studios(own_gateway: Callable[..., Gateway]) -> Gateway:
    """A gateway with three models of two providers."""
    return own_gateway(CONFIG)


def sdk(gateway: Gateway, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0)


def test_a_key_sees_and_uses_its_models_alone(studios: Gateway) -> None:
    client = sdk(studios, issue_key(studios, models=("studio-*",)).key)
    assert [model.id for model in client.models.list()] == ["studio-large"]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("studio")
    video = client.videos.create(prompt="A boat", seconds="1", size="320x180")  # type: ignore[arg-type]
    assert video.model == "studio-large"
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.videos.create(model="studio", prompt="A boat")  # type: ignore[arg-type]
    assert caught.value.code == "model_not_allowed"
    assert "studio-large" in caught.value.message
    with pytest.raises(openai.PermissionDeniedError):
        client.files.create(file=("a", b"a"), purpose="batch", extra_body={"target_model_names": "gpt"})


def test_the_team_and_the_key_must_both_allow(studios: Gateway) -> None:
    team = add_holder(studios, "team", "narrow", Policy(models=("studio",)))
    client = sdk(studios, issue_key(studios, team_id=team, models=("studio", "studio-large")).key)
    assert [model.id for model in client.models.list()] == ["studio"]
    nothing = sdk(studios, issue_key(studios, team_id=team, models=("gpt",)).key)
    assert not list(nothing.models.list())
    with pytest.raises(openai.PermissionDeniedError):
        nothing.videos.create(prompt="A boat")


def test_a_provider_that_is_not_allowed_gets_no_byte(studios: Gateway) -> None:
    client = sdk(studios, issue_key(studios, providers=("local",), uses_providers=True).key)
    for extra in ({"custom_llm_provider": "openai"}, {"custom_llm_provider": '["local", "openai"]'}):
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.files.create(file=("a", b"a"), purpose="batch", extra_body=extra)
        assert caught.value.code == "provider_not_allowed"
    with pytest.raises(openai.PermissionDeniedError):
        client.files.list(extra_headers={"custom-llm-provider": "openai"})
    client.files.create(file=("a", b"a"), purpose="user_data")
    other = sdk(studios, issue_key(studios, providers=("openai",)).key)
    for purpose in ("user_data", "batch"):
        with pytest.raises(openai.PermissionDeniedError):
            other.files.create(file=("a.jsonl", b"a"), purpose=purpose)  # type: ignore[arg-type]
    with pytest.raises(openai.PermissionDeniedError):
        other.videos.create(model="studio", prompt="A boat")  # type: ignore[arg-type]


def test_direct_access_is_a_permission_of_its_own(studios: Gateway) -> None:
    client = sdk(studios, issue_key(studios).key)
    with pytest.raises(openai.PermissionDeniedError):
        client.files.retrieve("file-abc", extra_headers={"custom-llm-provider": "openai"})
