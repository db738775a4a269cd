"""A gateway with chat models at every provider that a double plays: aimock, which is of another hand, and our own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import openai
import pytest

from tests.conftest import TEST_CONFIG, Gateway, data_folder, start_gateway
from tests.doubles.aimock.server import KEY as AIMOCK_KEY
from tests.doubles.aimock.server import aimock_server
from tests.doubles.chat import KEY, ChatServer, chat_server
from tests.doubles.responses import KEY as KEEPER_KEY
from tests.doubles.responses import ResponseServer, response_server
from tests.together import shared

SAID = "A cat."
PRICE = {"input_cost_per_token": 0.001, "output_cost_per_token": 0.01}
"""US dollars of the tokens of `priced`."""


@dataclass
class Chats:
    """The gateway, and who answers behind it. `first` and `second` serve the model `pair`, `keeper` keeps responses."""

    gateway: Gateway
    aimock_url: str
    first: ChatServer
    second: ChatServer
    keeper: ResponseServer

    def sdk(self, **options: Any) -> openai.OpenAI:
        """The official client, which repeats nothing by itself."""
        return self.gateway.openai(**options)


def entry(name: str, model: str, api_base: str, api_key: str, **more: Any) -> dict[str, Any]:
    """One deployment."""
    return {"model_name": name, "litellm_params": {"model": model, "api_base": api_base, "api_key": api_key, **more}}


def config_of(aimock_url: str, first: ChatServer, second: ChatServer, keeper: ResponseServer) -> dict[str, Any]:
    """The models of the gateway."""
    return {
        **TEST_CONFIG,
        "model_list": [
            *TEST_CONFIG["model_list"],
            entry("gpt", "openai/gpt-5", f"{aimock_url}/v1", AIMOCK_KEY),
            entry("first", "openai_compatible/scripted", f"{first.url}/v1", KEY),
            entry("keeper", "openai/kept", f"{keeper.url}/v1", KEEPER_KEY),
            entry("both", "openai/gpt-5", f"{aimock_url}/v1", AIMOCK_KEY),
            entry("both", "openai/kept", f"{keeper.url}/v1", KEEPER_KEY),
            {
                **entry("vllm", "openai_compatible/kept", f"{keeper.url}/v1", KEEPER_KEY),
                "model_info": {"supports_responses": True},
            },
            {
                **entry("peers", "openai_compatible/kept", f"{keeper.url}/v1", KEEPER_KEY),
                "model_info": {"supported_endpoints": ["/v1/chat/completions", "/v1/responses"]},
            },
            {
                **entry("plain", "openai/scripted", f"{first.url}/v1", KEY),
                "model_info": {"supports_responses": False},
            },
            entry("pair", "openai_compatible/scripted", f"{first.url}/v1", KEY, order=1),
            entry("pair", "openai_compatible/scripted", f"{second.url}/v1", KEY, order=2),
            entry("narrow", "openai_compatible/scripted", f"{first.url}/v1", KEY, order=1, rpm=2),
            entry("narrow", "openai_compatible/scripted", f"{second.url}/v1", KEY, order=2, tpm=40),
            entry("single", "openai_compatible/scripted", f"{first.url}/v1", KEY, max_parallel_requests=1),
            *(
                {
                    **entry(name, "openai_compatible/scripted", f"{first.url}/v1", KEY),
                    "model_info": {"id": name, **price},
                }
                for name, price in (("priced", PRICE), ("gratis", dict.fromkeys(PRICE, 0)))
            ),
        ],
        "router_settings": {"cooldown_time": 1},
    }


@pytest.fixture(scope="module")
def chats() -> Chats:
    """The gateway that the tests of chats share."""
    return shared.of("chats", _chats)


@contextmanager
def _chats() -> Iterator[Chats]:
    fixtures = [{"match": {"model": "gpt-5"}, "response": {"content": SAID}}]
    with ExitStack() as running:
        aimock_url = running.enter_context(aimock_server(fixtures))
        first, second = running.enter_context(chat_server()), running.enter_context(chat_server())
        keeper = running.enter_context(response_server())
        folder = running.enter_context(data_folder())
        gateway = running.enter_context(start_gateway(folder, config_of(aimock_url, first, second, keeper)))
        yield Chats(gateway, aimock_url, first, second, keeper)


@pytest.fixture
def sdk(chats: Chats) -> Iterator[openai.OpenAI]:
    """The official client."""
    with chats.sdk() as client:
        yield client
