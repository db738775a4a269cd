"""Chat Completions bodies as Mistral takes them."""

from __future__ import annotations

from typing import Any

import pytest

from mediagate.providers.mistral.chat import in_own_words


def told(**message: Any) -> Any:
    return in_own_words({"messages": [{"role": "assistant", **message}]})["messages"][0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, ["no"]),
        ("", ["no"]),
        ("Well,", ["Well,", "no"]),
        ([{"type": "text", "text": "Well,"}], ["Well,", "no"]),
    ],
)
def test_the_words_of_a_refusal_stay(content: Any, said: list[str]) -> None:
    message = told(content=content, refusal="no")
    assert "refusal" not in message
    assert [part["text"] for part in message["content"]] == said


def test_a_spoken_answer_is_mistrals_to_refuse() -> None:
    assert told(content=None, audio={"id": "audio_1"})["audio"] == {"id": "audio_1"}


def test_what_openais_clients_write_of_nothing_is_left_out() -> None:
    assert told(content="x", refusal=None, audio=None, annotations=[]) == {"role": "assistant", "content": "x"}
