"""What a body asks, before any deployment is looked for."""

from __future__ import annotations

import pytest

from mediagate.chat.question import Question
from mediagate.core.chat import Dialect
from mediagate.core.errors import InvalidField


def body(model: str) -> dict[str, object]:
    """A body with one message."""
    return {"model": model, "messages": [{"role": "user", "content": "hello"}]}


@pytest.mark.parametrize("model", ["vllm/a\0b", "vllm/\ud800", "vllm/a\nb", "vllm/" + "x" * 300])
def test_what_the_ledger_cannot_hold_is_no_name_of_a_model(model: str) -> None:
    with pytest.raises(InvalidField) as caught:
        Question.of(Dialect.CHAT, body(model))
    assert caught.value.param == "model"


@pytest.mark.parametrize("model", ["gpt-5", "vertex_ai/gemini-3-flash", "bedrock/amazon.nova-pro-v1:0", "Modell ü"])
def test_names_of_models_stay_as_they_are(model: str) -> None:
    assert Question.of(Dialect.CHAT, body(model)).model == model


@pytest.mark.parametrize("named", [{"model": "gpt-4o"}, {"model": None}, {"model": ""}, {}])
def test_the_deployment_of_a_path_counts_as_at_azure(named: dict[str, object]) -> None:
    asked = {"messages": [{"role": "user", "content": "hello"}], **named}
    assert Question.of(Dialect.CHAT, asked, "mine").model == "mine"
