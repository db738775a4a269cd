"""Settings without a word at a provider are left out where the operator wants that, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from mediagate.core.chat import ChatRequest, FileUse, Media, MediaKind, Role, Settings, Text, Tool, Turn, Way
from mediagate.core.drop_settings import without_unsupported
from mediagate.core.errors import InvalidField
from mediagate.providers.gemini.spec import WORDS
from mediagate.providers.google_chat.body import body_of

MODEL = "gemini-3-flash"


def request(*parts: Any, **settings: Any) -> ChatRequest:
    return ChatRequest(MODEL, (Turn(Role.USER, (*parts, Text("And?"))),), Settings(**settings))


def test_what_a_provider_has_no_word_for_is_left_out() -> None:
    asked = request(parallel_tool_calls=False, reasoning_effort="none", max_tokens=5, tools=(Tool("f"),))
    left, body = without_unsupported(asked, lambda one: body_of(one, WORDS))
    assert left == request(max_tokens=5, tools=(Tool("f"),))
    assert body["generationConfig"] == {"maxOutputTokens": 5}


@pytest.mark.parametrize(
    "asked",
    [
        request(reasoning_effort="nonsense"),
        request(Media(MediaKind.DOCUMENT, FileUse(Way.DATA, "AAAA", "application/zip"), "messages[0].content[0]")),
    ],
)
def test_anything_else_is_still_refused(asked: ChatRequest) -> None:
    with pytest.raises(InvalidField):
        without_unsupported(asked, lambda one: body_of(one, WORDS))


@pytest.mark.parametrize("param", ["n", "tools", "model", "messages[0]", "nonsense", "", None])
def test_what_cannot_be_left_out_ends_in_its_refusal(param: str | None) -> None:
    def refuse(_: ChatRequest) -> None:
        raise InvalidField("No.", param=param, code="unsupported_parameter")

    with pytest.raises(InvalidField):
        without_unsupported(request(tools=(Tool("f"),)), refuse)


def test_names_of_a_body_lead_to_the_setting() -> None:
    def refuse(one: ChatRequest) -> str:
        if one.settings.max_tokens is not None:
            raise InvalidField("No.", param="max_completion_tokens", code="unsupported_parameter")
        return "answer"

    assert without_unsupported(request(max_tokens=5, seed=7), refuse) == (request(seed=7), "answer")
